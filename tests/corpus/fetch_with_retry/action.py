import json
import sys
import time
import urllib.error
import urllib.request


def get(url, tries):
    for n in range(tries):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            print("attempt %d: HTTP %d" % (n + 1, e.code), file=sys.stderr)
            if e.code != 503:
                raise
            time.sleep(0.01)
    raise RuntimeError("gave up on " + url)


def main(params):
    return {"weather": get(params["url"], params.get("tries", 1))}
