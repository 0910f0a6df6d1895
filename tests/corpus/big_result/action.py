def main(args):
    return {"data": "0123456789" * (args["size"] // 10), "rest": args["size"] % 10}
