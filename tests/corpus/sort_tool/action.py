import subprocess


def main(args):
    text = "\n".join(args["lines"]) + "\n"
    done = subprocess.run(["sort"], input=text, capture_output=True, text=True, check=True)
    print("before", flush=True)
    subprocess.run(["sh", "-c", "echo from a shell; echo complaint >&2; cat"], check=True)
    return {"lines": done.stdout.split()}
