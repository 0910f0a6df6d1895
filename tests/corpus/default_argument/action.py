def main(args, debug=False):
    if debug:
        print("debug:", args)
    return {"debug": debug, "n": args["n"]}


if __name__ == "__main__":
    print(main({"n": 1}, debug=True))
