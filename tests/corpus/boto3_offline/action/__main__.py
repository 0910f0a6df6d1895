import boto3
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

s3 = boto3.client(
    "s3",
    endpoint_url="http://127.0.0.1:9",
    region_name="eu-central-1",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    config=Config(retries={"total_max_attempts": 1}, proxies={}),
)


def main(args):
    try:
        return s3.list_objects_v2(Bucket=args["bucket"])
    except EndpointConnectionError as error:
        if args.get("careful"):
            return {"statusCode": 503, "body": type(error).__name__}
        return {"error": str(error)}
