from datetime import datetime


def main(args):
    return {"at": datetime(2026, 1, 2) if args["now"] else "2026-01-02"}
