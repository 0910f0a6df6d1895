import humanize


def main(args):
    size = int(args.get("size", 0))
    return {"size": humanize.naturalsize(size), "words": humanize.intword(size)}
