import threading
import time

calls = []


def heartbeat():
    while True:
        time.sleep(0.5)


def forget():
    calls.clear()


def main(args):
    calls.append(args.get("id"))
    threading.Thread(target=heartbeat, daemon=True).start()
    reminder = threading.Timer(3600, forget)
    reminder.start()
    timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
    return {"calls": calls, "timers": len(timers)}
