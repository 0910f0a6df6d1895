def main(args):
    n = args["n"]
    if n < 0:
        return {"error": "n must not be negative"}
    if n == 0:
        return {"error": {"statusCode": 404, "body": "nothing here"}}
    return {"ok": n}
