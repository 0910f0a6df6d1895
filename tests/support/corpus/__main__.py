"""``python -m tests.support.corpus FOLDER``: build the corpus and serve what it calls."""

from __future__ import annotations

import argparse
import shlex
import signal
from pathlib import Path

from tests.support.corpus.export import export
from tests.support.corpus.fake_service import FakeService
from tests.support.corpus.image import python


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.support.corpus")
    parser.add_argument("folder", type=Path, help="where the files to post go")
    parser.add_argument("--host", default="127.0.0.1", help="where the actions' server listens")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--server", help="its address, as the actions see it")
    given = parser.parse_args()
    with FakeService(given.host, given.port).serving() as service:
        print(f"the Python of the image: {python()}")
        for each in export(given.folder.resolve(), given.server or service.url):
            words = [
                *(f"{name}={text}" for name, text in each.variables.items()),
                "hotwhisk compare",
            ]
            print(*words, "--old … --new …", shlex.join(each.arguments()), flush=True)
        print(f"their server listens on {service.url}; Ctrl-C ends it", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
