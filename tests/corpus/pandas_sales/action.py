"""Monthly sales per region from an uploaded CSV file."""
import io

import pandas as pd

COLUMNS = ["date", "region", "units", "price"]


def read(text):
    sales = pd.read_csv(io.StringIO(text), skipinitialspace=True)
    missing = [name for name in COLUMNS if name not in sales.columns]
    if missing:
        raise ValueError("missing columns: " + ", ".join(missing))
    sales["date"] = pd.to_datetime(sales["date"], errors="coerce")
    bad = sales["date"].isna() | sales["units"].isna()
    if bad.any():
        print("skipped %d of %d rows" % (bad.sum(), len(sales)))
    sales = sales[~bad]
    return sales.assign(
        month=sales["date"].dt.strftime("%Y-%m"), revenue=lambda s: s.units * s.price
    )


def main(args):
    if not args.get("csv"):
        return {"error": "parameter 'csv' is required"}
    sales = read(args["csv"])
    table = sales.pivot_table(
        index="month",
        columns="region",
        values="revenue",
        aggfunc="sum",
        fill_value=0,
        margins=True,
        margins_name="total",
    ).round(2)
    print(table.to_string())
    best = sales.groupby("region")["revenue"].sum().sort_values(ascending=False)
    return {
        "table": {month: row.to_dict() for month, row in table.iterrows()},
        "ranking": best.index.tolist(),
        "median_units": float(sales["units"].median()),
        "rows": len(sales),
    }
