import logging
import sys

logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("job")


def main(args):
    for i in range(args["n"]):
        log.info("step %d", i)
        print("progress", i)
    log.debug("not shown")
    sys.stdout.write("bye")
    sys.stderr.write("no newline")
    return {"n": args["n"]}
