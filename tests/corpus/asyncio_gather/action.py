import asyncio


async def slow_upper(name, gate):
    await gate.wait()
    return name.upper()


async def work(names):
    gate = asyncio.Event()
    tasks = [asyncio.create_task(slow_upper(n, gate)) for n in names]
    await asyncio.sleep(0)
    gate.set()
    return await asyncio.gather(*tasks)


def main(args):
    return {"names": asyncio.run(work(args["names"]))}
