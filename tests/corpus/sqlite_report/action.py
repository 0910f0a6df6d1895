import sqlite3

db = sqlite3.connect(":memory:")
db.row_factory = sqlite3.Row
db.executescript("create table sale (region text, amount integer); create index r on sale (region);")


def main(args):
    with db:
        db.executemany("insert into sale values (?, ?)", args.get("sales", []))
    rows = db.execute(
        "select region, count(*) as n, sum(amount) as total from sale group by region order by total desc"
    )
    report = [dict(row) for row in rows]
    for row in report:
        print("{region:<8}{n:>3}{total:>6}".format(**row))
    return {"report": report}
