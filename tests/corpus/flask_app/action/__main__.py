"""A Flask application as one web action: its test client is the server."""
import base64

from app import app


def main(args):
    body = args.get("__ow_body") or ""
    with app.test_client() as client:
        response = client.open(
            args.get("__ow_path") or "/",
            method=args.get("__ow_method", "get").upper(),
            headers=args.get("__ow_headers", {}),
            data=base64.b64decode(body),
        )
    return {
        "statusCode": response.status_code,
        "headers": {"Content-Type": response.content_type},
        "body": response.get_data(as_text=True),
    }
