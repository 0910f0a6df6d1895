import json

import numpy as np
import pandas as pd

# the last reading of each sensor, kept between activations
latest = {}


def main(args):
    frame = pd.DataFrame(args["readings"], columns=["time", "sensor", "value"])
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    frame = frame.set_index("time").sort_index()

    result = {}
    for sensor, group in frame.groupby("sensor"):
        hourly = group["value"].resample("1h").mean().interpolate(limit=2)
        trend = np.polyfit(np.arange(len(hourly)), hourly, 1)[0] if len(hourly) > 1 else 0.0
        z = (group["value"] - group["value"].mean()) / group["value"].std(ddof=0)
        result[sensor] = {
            "hourly": json.loads(hourly.round(3).to_json(date_format="iso", date_unit="s")),
            "trend": round(float(trend), 4) + 0.0,
            "outliers": group.index[z.abs() > 1.5].strftime("%H:%M").tolist(),
        }
        latest[sensor] = float(group["value"].iloc[-1])
    return {"sensors": result, "latest": dict(sorted(latest.items()))}
