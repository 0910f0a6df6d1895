import math

from joblib import Parallel, delayed


class Score:
    def __init__(self, word, value):
        self.word = word
        self.value = value


def score(word):
    return Score(word, math.factorial(len(word)) % 97)


def main(args):
    words = args.get("words", [])
    scores = Parallel(n_jobs=2)(delayed(score)(word) for word in words)
    best = max(scores, key=lambda each: each.value)
    return {"best": best.word, "scores": {each.word: each.value for each in scores}}
