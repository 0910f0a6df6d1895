import unicodedata

größe = "ß"


def main(args):
    name = args["name"]
    print("→", name.split("\u2028")[0])
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return {"näme": name, "plain": plain, "length": len(name), größe: name[::-1], "nul": "\0"}
