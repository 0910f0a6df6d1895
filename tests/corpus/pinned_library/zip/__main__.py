import iniconfig


def main(args):
    ini = iniconfig.IniConfig("settings", data=args["text"])
    return {
        "sections": {s.name: dict(s.items()) for s in ini},
        "older": not hasattr(iniconfig.IniConfig, "parse"),
        "inside": "virtualenv" in iniconfig.__file__,
    }
