from datetime import datetime, timezone
from zoneinfo import ZoneInfo


def main(args):
    start = datetime.fromisoformat(args["utc"]).replace(tzinfo=timezone.utc)
    return {zone: start.astimezone(ZoneInfo(zone)).isoformat() for zone in args["zones"]}
