def main(args, *rest, **options):
    return {"args": args, "rest": len(rest), "options": sorted(options)}
