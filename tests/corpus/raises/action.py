class OutOfStock(Exception):
    def __init__(self, item):
        super().__init__(item)
        self.item = item

    def __str__(self):
        return f"no {self.item} left"


count = 0


def main(args):
    global count
    count += 1
    what = args["what"]
    if what == "value":
        raise ValueError("expected a number")
    if what == "empty":
        raise RuntimeError()
    if what == "own":
        raise OutOfStock("tea")
    if what == "key":
        return {"x": args["missing"]}
    return {"count": count}
