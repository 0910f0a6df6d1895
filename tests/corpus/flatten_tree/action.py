def flatten(value, path=""):
    if isinstance(value, dict):
        return {k: v for key, each in value.items() for k, v in flatten(each, f"{path}/{key}").items()}
    if isinstance(value, list):
        return {k: v for i, each in enumerate(value) for k, v in flatten(each, f"{path}/{i}").items()}
    return {path: value}


def dig(depth):
    return depth and 1 + dig(depth - 1)


def main(args):
    if "depth" in args:
        return {"depth": dig(args["depth"])}
    return flatten(args["tree"], "")
