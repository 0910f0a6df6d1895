import base64
import hashlib
import hmac
import json


def main(args):
    raw = base64.b64decode(args["__ow_body"])
    wanted = "sha256=" + hmac.new(args["secret"].encode(), raw, hashlib.sha256).hexdigest()
    given = args["__ow_headers"].get("x-hub-signature-256", "")
    if not hmac.compare_digest(wanted, given):
        return {"statusCode": 401, "body": "bad signature"}
    push = json.loads(raw)
    branch = push["ref"].rsplit("/", 1)[1]
    return {"body": {"branch": branch, "commits": [c["id"] for c in push["commits"]]}}
