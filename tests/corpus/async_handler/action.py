import asyncio


async def numbers(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i


async def main(args):
    return {"squares": [i * i async for i in numbers(args["n"])]}
