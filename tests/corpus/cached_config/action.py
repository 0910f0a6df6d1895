import json
from urllib.request import urlopen

config = None
calls = 0


def main(args):
    global config, calls
    calls += 1
    if config is None or args.get("refresh"):
        print("fetching")
        config = json.load(urlopen(args["url"]))
    return {"config": config, "calls": calls}
