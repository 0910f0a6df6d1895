from hotwhisk import start


def hello(event: dict) -> dict:
    if name := event.get("name"):
        return {"greetings": f"Hello, {name}"}
    raise ValueError("no name specified")


if __name__ == "__main__":
    start(hello)
