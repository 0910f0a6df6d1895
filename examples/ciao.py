from hotwhisk import start


def ciao(event: dict) -> dict:
    if name := event.get("name"):
        return {"saluti": f"Ciao, {name}"}
    raise ValueError("no name specified")


if __name__ == "__main__":
    start(ciao)
