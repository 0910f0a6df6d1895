import os

TABLE = os.environ["TABLE"]
LIMITS = os.environ["LIMITS"]
NAME = os.environ.get("__OW_ACTION_NAME")


def main(args):
    return {
        "table": TABLE,
        "limits": LIMITS,
        "name": [NAME, os.environ["__OW_ACTION_NAME"]],
        "deadline": os.environ["__OW_DEADLINE"].isdigit(),
        "namespace": os.environ["__OW_NAMESPACE"],
    }
