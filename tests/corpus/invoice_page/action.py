from decimal import Decimal
from html import escape
from string import Template

PAGE = Template("""<!doctype html>
<title>Invoice for $customer</title>
<table>
$rows
<tr><th>Total<td>$total
</table>
""")
ROW = Template("<tr><td>$name<td>$count × $price")


def main(args):
    if args["__ow_method"] != "get":
        return {"statusCode": 405, "headers": {"Allow": "GET"}}
    total = sum(count * Decimal(price) for _, count, price in args["items"])
    rows = [ROW.substitute(name=escape(n), count=c, price=p) for n, c, p in args["items"]]
    body = PAGE.substitute(customer=escape(args["customer"]), rows="\n".join(rows), total=total)
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": ["a=1", "b=2"]},
        "body": body,
    }
