import functools
import sys


def validated(**types):
    def decorate(handler):
        @functools.wraps(handler)
        def wrapper(args):
            try:
                args = {key: types[key](value) for key, value in args.items() if key in types}
            except (TypeError, ValueError) as e:
                print("invalid:", e, file=sys.stderr)
                return {"error": f"invalid: {e}"}
            return handler(args)

        return wrapper

    return decorate


@functools.lru_cache(maxsize=None)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@validated(n=int)
def main(args):
    return {"fibonacci": fibonacci(args["n"] * 20)}
