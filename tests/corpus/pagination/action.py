import json
from itertools import islice
from urllib.request import urlopen


def pages(url):
    after = "0"
    while after is not None:
        with urlopen(url + after) as answer:
            page = json.load(answer)
        yield from page["items"]
        after = page["next"]


def main(args):
    items = pages(args["url"])
    return {"items": list(islice(items, args.get("take"))), "left": next(items, None)}
