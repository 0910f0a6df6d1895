import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from urllib.request import urlopen

pool = ThreadPoolExecutor(max_workers=4)


def fetch(url):
    with urlopen(url) as answer:
        return json.loads(answer.read())["echo"]


def main(args):
    return {"answers": list(pool.map(fetch, [args["base"] + quote(n) for n in args["names"]]))}
