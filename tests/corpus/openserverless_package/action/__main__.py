#--kind python:default
#--web true
#--param GREETING "Hello"
import hello


def main(args):
    return {"body": hello.hello(args)}
