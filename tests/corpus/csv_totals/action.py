import csv
import io


def main(args):
    text = args["csv"]
    dialect = csv.Sniffer().sniff(text.splitlines()[0], delimiters=";,")
    rows = list(csv.DictReader(io.StringIO(text), dialect=dialect))
    total = sum(float(row["amount"].replace(",", ".")) for row in rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([row["name"], row["amount"]] for row in rows)
    return {"names": [row["name"] for row in rows], "total": total, "csv": out.getvalue()}
