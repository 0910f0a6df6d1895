"""
Functions in the styles in which they are published, each with an event and the result.

They know nothing of hotwhisk. `FILES` are a project: the path of each file, relative to the folder
of the code.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Style(NamedTuple):
    """A function: where its handler is, what it gets, and what it returns."""

    handler: str
    event: Any
    result: Any


FILES = {
    # The console's first function: the name that it gives to file and handler.
    "lambda_function.py": """\
import json

def lambda_handler(event, context):
    return {'statusCode': 200, 'body': json.dumps('Hello from Lambda!')}
""",
    # A web API behind API Gateway, with a table of routes.
    "api.py": """\
import base64
import json
import logging
import os

logger = logging.getLogger(__name__)
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

def reply(status, body):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body, default=str),
    }

def list_items(event):
    limit = int((event.get("queryStringParameters") or {}).get("limit", 10))
    return reply(200, list(range(limit)))

def add_item(event):
    body = event["body"]
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    return reply(201, json.loads(body))

ROUTES = {("GET", "/items"): list_items, ("POST", "/items"): add_item}

def handler(event, context):
    route = ROUTES.get((event["httpMethod"], event["path"]))
    if route is None:
        logger.warning("no route for %s", event["path"])
        return reply(404, {"message": "Not Found", "request": context.aws_request_id != ""})
    return route(event)
""",
    # A notification of S3, whose keys are encoded as in forms.
    "thumbnails.py": """\
from urllib.parse import unquote_plus

def lambda_handler(event, context):
    found = []
    for record in event['Records']:
        bucket = record['s3']['bucket']['name']
        key = unquote_plus(record['s3']['object']['key'], encoding='utf-8')
        found.append(f's3://{bucket}/{key}')
    return found
""",
    # A batch of SQS, where only the messages that failed come again.
    "queue_worker.py": """\
import json

class OrderError(Exception):
    pass

def process(record):
    order = json.loads(record["body"])
    if order["amount"] <= 0:
        raise OrderError(order["id"])

def handler(event, _context):
    failures = []
    for record in event["Records"]:
        try:
            process(record)
        except Exception:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
""",
    # Numbers of DynamoDB are decimal.
    "table.py": """\
from decimal import Decimal

def handler(event, context):
    image = event["Records"][0]["dynamodb"]["NewImage"]
    return {name: Decimal(value["N"]) for name, value in image.items()}
""",
    # What is made outside of the handler lives from one event to the next.
    "warm.py": """\
import time

STARTED = time.time()
calls = 0

def handler(event, context):
    global calls
    calls += 1
    return {"cold": calls == 1, "age": time.time() - STARTED < 3600}
""",
    # A decorator around the handler, and attributes of a library on the context.
    "decorated.py": """\
import functools

def with_user(function):
    @functools.wraps(function)
    def wrapper(event, context):
        context.user = event.get("requestContext", {}).get("authorizer", {}).get("principalId")
        return function(event, context)
    return wrapper

@with_user
def handler(event, context):
    return {"user": context.user, "name": context.function_name}
""",
    # An object with a bound method as the handler.
    "service.py": """\
class Service:
    def __init__(self, prefix):
        self.prefix = prefix

    def handle(self, event, context):
        return self.prefix + event["name"]

handle = Service("Dear ").handle
""",
    # A package with modules of its own, and a file beside them.
    "src/__init__.py": "",
    "src/handlers/__init__.py": "",
    "src/handlers/report.py": """\
import os
from pathlib import Path

from ..pricing import total

TEMPLATE = Path(__file__).parent / "report.txt"

def main(event, context):
    assert os.path.exists("src/handlers/report.txt")  # the code's folder is the present one
    return TEMPLATE.read_text().format(total=total(event["items"]))
""",
    "src/handlers/report.txt": "Total: {total}",
    "src/pricing.py": "def total(items): return sum(item['price'] for item in items)\n",
    # A module with the name of a module of the standard library that the server imports too.
    "secrets.py": "def handler(event, context):\n    return 'our own secrets'\n",
    # A rule of EventBridge on a schedule; there is no result.
    "schedule.py": """\
from datetime import datetime

def handler(event, context):
    when = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    print("run at", when)
""",
    # A custom authorizer, which refuses by an exception with a fixed text.
    "authorizer.py": """\
def handler(event, context):
    if event["authorizationToken"] != "allow":
        raise Exception("Unauthorized")
    return {
        "principalId": "user",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
            ],
        },
    }
""",
    # Work in threads within one event.
    "parallel.py": """\
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(max_workers=4)

def handler(event, context):
    return list(pool.map(lambda number: number ** 2, event))
""",
    # A step of a state machine, and its own loop for coroutines.
    "step.py": """\
import asyncio

async def enrich(order):
    await asyncio.sleep(0)
    return {**order, "total": sum(order["lines"])}

def handler(event, context):
    return asyncio.run(enrich(event))
""",
    "coroutine.py": """\
import asyncio

async def handler(event, context):
    await asyncio.sleep(0)
    return sorted(event)
""",
}

STYLES = {
    "console": Style(
        "lambda_function.lambda_handler", {}, {"statusCode": 200, "body": '"Hello from Lambda!"'}
    ),
    "api, list": Style(
        "api.handler",
        {"httpMethod": "GET", "path": "/items", "queryStringParameters": {"limit": "3"}},
        {
            "statusCode": 200,
            "headers": {"Content-Type": "application/json"},
            "body": "[0, 1, 2]",
        },
    ),
    "api, encoded body": Style(
        "api.handler",
        {
            "httpMethod": "POST",
            "path": "/items",
            "body": "eyJhIjoxfQ==",
            "isBase64Encoded": True,
        },
        {
            "statusCode": 201,
            "headers": {"Content-Type": "application/json"},
            "body": '{"a": 1}',
        },
    ),
    "s3": Style(
        "thumbnails.lambda_handler",
        {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "a+b%C3%BC.png"}}}]},
        ["s3://b/a bü.png"],
    ),
    "sqs": Style(
        "queue_worker.handler",
        {
            "Records": [
                {"messageId": "m1", "body": '{"id": 1, "amount": 5}'},
                {"messageId": "m2", "body": '{"id": 2, "amount": 0}'},
            ]
        },
        {"batchItemFailures": [{"itemIdentifier": "m2"}]},
    ),
    "dynamodb": Style(
        "table.handler",
        {"Records": [{"dynamodb": {"NewImage": {"a": {"N": "12"}, "b": {"N": "1.5"}}}}]},
        {"a": 12, "b": 1.5},
    ),
    "warm": Style("warm.handler", {}, {"cold": True, "age": True}),
    "decorated": Style(
        "decorated.handler",
        {"requestContext": {"authorizer": {"principalId": "ada"}}},
        {"user": "ada", "name": None},
    ),
    "method": Style("service.handle", {"name": "Ada"}, "Dear Ada"),
    "package": Style(
        "src/handlers/report.main", {"items": [{"price": 2}, {"price": 3}]}, "Total: 5"
    ),
    "package, dots": Style("src.handlers.report.main", {"items": []}, "Total: 0"),
    "shadow": Style("secrets.handler", {}, "our own secrets"),
    "schedule": Style("schedule.handler", {"time": "2026-01-02T03:04:05Z"}, None),
    "authorizer": Style(
        "authorizer.handler",
        {"authorizationToken": "allow", "methodArn": "arn:1"},
        {
            "principalId": "user",
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "arn:1"}
                ],
            },
        },
    ),
    "threads": Style("parallel.handler", [1, 2, 3], [1, 4, 9]),
    "own loop": Style("step.handler", {"lines": [1, 2]}, {"lines": [1, 2], "total": 3}),
    "coroutine": Style("coroutine.handler", [3, 1, 2], [1, 2, 3]),
}
