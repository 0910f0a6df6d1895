import sys

runs = 0


def main(args):
    global runs
    runs += 1
    if args["leave"]:
        print("leaving")
        sys.exit(3)
    return {"runs": runs}
