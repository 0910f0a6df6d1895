import asyncio
import functools


def error_as_result(handler):
    @functools.wraps(handler)
    def wrapper(args):
        async def guarded():
            try:
                return await handler(args)
            except KeyError as error:
                return {"error": "missing parameter: %s" % error.args}

        return guarded()

    return wrapper


async def lookup(name):
    await asyncio.sleep(0.01)
    return {"name": name, "letters": len(name)}


@error_as_result
async def main(args):
    found = await asyncio.gather(*[lookup(name) for name in args["names"]])
    print("looked up", len(found))
    return {"found": found}
