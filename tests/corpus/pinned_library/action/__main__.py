# Our partner's gateway was certified with this version of requests; see requirements.txt.
import requests


def main(args):
    print("requests", requests.__version__)
    response = requests.get(args["url"] + "/agent", timeout=10)
    return {
        "agent": response.json()["agent"],
        "type": response.headers["content-type"],
        "pinned": "virtualenv" in requests.__file__,
    }
