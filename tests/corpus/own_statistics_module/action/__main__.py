from statistics import shout
from os.path import dirname

import helper


def main(args):
    return {"said": shout("hello " * args["n"]), "same": dirname(__file__) == dirname(helper.__file__)}
