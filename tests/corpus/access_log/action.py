import re
from collections import Counter, defaultdict

LINE = re.compile(
    r"""^(?P<host>\S+)\s\S+\s(?P<user>\S+)\s\[(?P<time>[^\]]+)\]\s
        "(?P<method>[A-Z]+)\s(?P<path>[^?"\s]+)(?:\?(?P<query>[^"\s]*))?\sHTTP/\d(?:\.\d)?"\s
        (?P<status>\d{3})\s(?P<size>\d+|-)$""",
    re.VERBOSE,
)


def main(args):
    statuses, sizes = Counter(), defaultdict(int)
    for number, line in enumerate(args["log"].splitlines(), 1):
        found = LINE.match(line)
        if not found:
            print(f"line {number} is not understood")
            continue
        statuses[found["status"]] += 1
        sizes[found["path"]] += int(found["size"].replace("-", "0"))
    return {"statuses": statuses, "sizes": sizes}
