from greet import hello

from hotwhisk import start

if __name__ == "__main__":
    start(hello)
