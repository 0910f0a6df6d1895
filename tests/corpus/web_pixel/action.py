"""
Web action: a tracking pixel for GET, the digest of an upload for POST.

    wsk action create pixel pixel.py --web true
"""
import base64
import hashlib

PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def main(args):
    if args.get("__ow_method", "get") == "get":
        return {
            "statusCode": 200,
            "headers": {"Content-Type": "image/gif", "Cache-Control": "no-store"},
            "body": PIXEL,
        }
    data = base64.b64decode(args["__ow_body"])
    kind = args["__ow_headers"].get("content-type", "application/octet-stream")
    print("upload of %d bytes, %s" % (len(data), kind))
    return {
        "statusCode": 201,
        "headers": {"Content-Type": kind, "ETag": hashlib.md5(data).hexdigest()},
        "body": base64.b64encode(data[::-1]).decode("ascii"),
    }
