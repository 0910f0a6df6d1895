import _runlength


def main(args):
    return {"runs": _runlength.encode(args["text"])}
