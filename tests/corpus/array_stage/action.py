def main(args):
    values = args if isinstance(args, list) else args["value"]
    return sorted({"n": v, "odd": bool(v % 2)}["n"] for v in values)
