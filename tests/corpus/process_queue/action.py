import multiprocessing as mp


def work(todo, done):
    for word in iter(todo.get, None):
        done.put(word[::-1])
    print("worker is done")


def main(args):
    todo, done = mp.Queue(), mp.Queue()
    process = mp.Process(target=work, args=(todo, done))
    process.start()
    for word in args["words"]:
        todo.put(word)
    todo.put(None)
    turned = [done.get(timeout=20) for _ in args["words"]]
    process.join()
    print("exit code", process.exitcode)
    return {"turned": turned}
