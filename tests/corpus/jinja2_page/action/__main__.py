from datetime import date

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

env = Environment(
    loader=FileSystemLoader("templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
env.filters["day"] = lambda text: date.fromisoformat(text).strftime("%d %b %Y")
env.filters["money"] = "{:,.2f}".format


def main(args):
    try:
        page = env.get_template("statement.html").render(
            account=args.get("account"), entries=args.get("entries", []), path=args["__ow_path"]
        )
    except (UndefinedError, ValueError) as e:
        page = env.get_template("problem.html").render(reason=str(e))
        return {"statusCode": 400, "headers": {"content-type": "text/html"}, "body": page}
    print("rendered", len(page), "characters")
    return {"headers": {"content-type": "text/html; charset=utf-8"}, "body": page}
