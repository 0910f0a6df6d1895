import threading


class Counter:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()

    def __call__(self, args):
        with self.lock:
            self.value += args.get("by", 1)
            return {"value": self.value}


count = Counter()
