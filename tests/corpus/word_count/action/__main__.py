import os

from counting import count
from counting.files import stopwords


def main(args):
    words = count(args["text"], stopwords(args.get("language", "en")))
    with open("seen.txt", "a") as log:
        log.write("x")
    return {"words": words, "seen": os.path.getsize("seen.txt"), "here": sorted(os.listdir("data"))}
