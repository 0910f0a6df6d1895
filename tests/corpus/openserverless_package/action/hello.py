import os


def hello(args):
    name = args.get("name", "world")
    greeting = args.get("GREETING", os.getenv("GREETING", "Hello"))
    return {"output": f"{greeting}, {name}", "history": history(name)}


def history(name, seen={}):
    seen[name] = seen.get(name, 0) + 1
    return seen[name]
