"""Loading an action: each load in a process of its own, since it changes the process."""

from __future__ import annotations

import functools
import subprocess
import sys
import types
from pathlib import Path

import pytest

from hotwhisk.action.action import Action
from hotwhisk.action.signature import can_take_event

LOAD = """
import json, sys
import hotwhisk.openwhisk.context, hotwhisk.artifact.artifact, hotwhisk.action.action as action
from hotwhisk.errors import HotwhiskError
hotwhisk.start = action.register_handler
try:
    loaded = action.load_file(sys.argv[1], sys.argv[2])
    print(json.dumps(loaded.call({"name": "Mike"}, None)))
except HotwhiskError as error:
    print(type(error).__name__, error)
"""


def load(folder: Path, source: str, main: str = "main", **others: str) -> tuple[str, str]:
    for name, text in {"action": source, **others}.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, "-c", LOAD, str(folder / "action.py"), main]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


MAIN = "def main(args):\n    return {}\n"


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("def main(args):\n    return args\nif __name__ == '__main__': 1/0\n", '{"name": "Mike"}'),
        ("print('once')\ndef main(args):\n    return [__name__]\n", 'once\n["main__"]'),
        ("import sys\ndef main(args):\n    return sys.argv\n", '[""]'),
        ("import main__\ndef main(args):\n    return [main__.__file__[-9:]]\n", '["action.py"]'),
        ("from hotwhisk import start\nprint('once')\ndef hello(e): return e\nif __name__ == '__main__':\n    start(hello)\n    print('never')\n", 'once\n{"name": "Mike"}'),
        ("import hotwhisk as h\ndef hello(e): return e\ndef main():\n    h.start(hello)\nif __name__ == '__main__': main()\n", '{"name": "Mike"}'),
        ("from hotwhisk import start\ndef main(e): return ['by name']\nif __name__ == '__main__': start(main)\n", '["by name"]'),
        ("try:\n    from x import main\nexcept ImportError:\n    main = lambda e: [1]\n", "[1]"),
        ("import os, sys\ndef main(e): return [os.getcwd() == sys.path[0], sys.modules['__main__'].__dict__.get('LOAD')]\n", "[true, null]"),
    ],
)  # fmt: skip
def test_a_handler_is_found_by_name_or_by_start(tmp_path: Path, source: str, result: str) -> None:
    assert load(tmp_path, source) == (result, "")


@pytest.mark.parametrize(
    ("source", "main", "text"),
    [
        ("def other(a): pass\n", "main", "has no function 'main'; it has other"),
        ("x = 1\n", "main", "it has no functions"),
        ("main = 3\n", "main", "is int; expected a function"),
        (MAIN, "a.b", "without dots"),
        ("import sys\nsys.exit(3)\n", "main", "Command exited abruptly during initialization. The code called sys.exit(3)"),
        ("x = 1\nexit()\n", "main", "sys.exit(None) while it was loaded, at action.py:2"),
        ("def f():\n    raise SystemExit\nf()\n", "main", "while it was loaded, at action.py:2"),
        ("1/0\n", "main", "LoadFailed the code raised ZeroDivisionError"),
        ("10 PRINT 'HI'\n", "main", "BuildFailed action.py does not compile"),
        ("x = '\\0'\n".replace("\\0", "\0"), "main", "BuildFailed action.py does not compile"),
        ("raise KeyboardInterrupt\n", "main", "KeyboardInterrupt"),
    ],
)  # fmt: skip
def test_a_source_without_a_handler_is_refused_with_its_reason(
    tmp_path: Path, source: str, main: str, text: str
) -> None:
    assert text in load(tmp_path, source, main)[0]


def test_traceback_has_the_users_frames_only(tmp_path: Path) -> None:
    _, stderr = load(tmp_path, "def inner():\n    import absent_module\ninner()\n")
    assert stderr.startswith("Traceback")
    assert "    import absent_module\n" in stderr
    assert "hotwhisk" not in stderr


def test_own_modules_win(tmp_path: Path) -> None:
    source = "import json, traceback, zipfile, email.message\ndef main(e):\n    return [json.who, traceback.who, zipfile.who]\n"
    own = {name: f"who = '{name}'\n" for name in ("json", "traceback", "zipfile")}
    assert load(tmp_path, source, **own)[0] == '["json", "traceback", "zipfile"]'


def test_own_package_wins_and_namespace_yields(tmp_path: Path) -> None:
    source = "import json, email.message\ndef main(e):\n    return [json.who, email.__file__.startswith('/')]\n"
    others = {"json__in____init__": "who = 'package'\n", "email__in__x": ""}
    assert load(tmp_path, source, **others)[0] == '["package", true]'


def test_interpreters_modules_stay(tmp_path: Path) -> None:
    own = dict.fromkeys(("os", "sys", "io", "codecs", "hotwhisk", "importlib"), "1/0\n")
    source = "import os, sys, io, codecs, hotwhisk, importlib\n" + MAIN
    assert load(tmp_path, source, **own) == ("{}", "")


def test_virtualenv(tmp_path: Path) -> None:
    packages = tmp_path / "virtualenv/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (packages / "json.py").write_text("who = 'virtualenv'\n")
    assert load(tmp_path, "import json\ndef main(e): return [json.who]\n")[0] == '["virtualenv"]'


def test_activate_this(tmp_path: Path) -> None:
    (tmp_path / "virtualenv/bin").mkdir(parents=True)
    (tmp_path / "virtualenv/bin/activate_this.py").write_text(
        "import os\nos.environ['ACTIVE'] = __file__\n"
    )
    stdout, _ = load(tmp_path, "import os\ndef main(e): return [os.environ['ACTIVE']]\n")
    assert "activate_this.py" in stdout


def test_invalid_virtualenv(tmp_path: Path) -> None:
    (tmp_path / "virtualenv").mkdir()
    assert "BuildFailed Invalid virtualenv" in load(tmp_path, MAIN)[0]


class Callable2:
    async def __call__(self, event: object, context: object) -> object:
        return event


def wrapped(function: object) -> object:
    @functools.wraps(function)  # type: ignore[arg-type]
    def wrapper(*args: object) -> object:
        return function(*args)  # type: ignore[operator]

    return wrapper


def narrow(function: object) -> object:
    @functools.wraps(function)  # type: ignore[arg-type]
    def wrapper(event: object) -> object:
        return function(event, None)  # type: ignore[operator]

    return wrapper


async def asynchronous(event: object) -> object:
    return event


@pytest.mark.parametrize(
    ("handler", "takes_context", "is_async"),
    [
        (lambda event: event, False, False), (lambda: None, False, False), (lambda *rest: rest, False, False),
        (lambda event, debug=False: event, False, False), (lambda event, *rest: event, False, False),
        (lambda event, context: event, True, False), (lambda event, *, extra=1: event, False, False),
        (asynchronous, False, True), (functools.partial(asynchronous), False, True), (Callable2(), True, True),
        (functools.partial(lambda a, event: a, 1), False, False), (dict, False, False),
        (wrapped(lambda event, context: event), True, False), (narrow(lambda event, context: event), False, False),
    ],
)  # fmt: skip
def test_the_parameters_of_a_handler_are_found(
    handler: object, takes_context: bool, is_async: bool
) -> None:
    action = Action(handler)  # type: ignore[arg-type]
    assert (action.takes_context, action.is_async) == (takes_context, is_async)


@pytest.mark.parametrize(
    ("handler", "can"),
    [
        (lambda: 1, False), (lambda a, b, c: 1, False), (lambda a, *, key: 1, False), (lambda *, key: 1, False),
        (lambda a: 1, True), (lambda a, b: 1, True), (lambda a, *b: 1, True), (lambda *a: 1, True),
        (wrapped(lambda: 1), True), (dict, True), (functools.partial(print), True), (Callable2(), True),
    ],
)  # fmt: skip
def test_whether_an_event_can_be_given_to_a_handler(handler: object, can: bool) -> None:
    assert can_take_event(handler) is can  # type: ignore[arg-type]


def test_a_generator_is_called_like_a_function_and_an_asynchronous_one_in_a_loop() -> None:
    def handler(event: object):  # type: ignore[no-untyped-def]
        yield event

    async def async_handler(event: object):  # type: ignore[no-untyped-def]
        yield event

    plain, asynchronous = Action(handler), Action(async_handler)
    assert (plain.is_async, asynchronous.is_async) == (False, True)
    assert isinstance(plain.call({}, None), types.GeneratorType)
    assert isinstance(asynchronous.call({}, None), types.AsyncGeneratorType)


def test_the_place_of_an_error_is_the_innermost_line_of_the_actions_own_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "helper.py").write_text(
        "import json\n\ndef read(text):\n    return json.loads(text)\n"
    )
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "deep.py").write_text("def fail():\n    raise OSError\n")
    source = "import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'site-packages'))\n"
    source += (
        "import helper, deep\ndef main(e):\n    return helper.read('x') if e else deep.fail()\n"
    )
    (tmp_path / "hello.py").write_text(source)
    child = (
        "from hotwhisk.action import action\n"
        f"loaded = action.load_file({str(tmp_path / 'hello.py')!r}, 'main')\n"
        "for event in ({'a': 1}, {}):\n"
        "    try:\n        loaded.call(event, None)\n"
        "    except Exception as error:\n        print(action.place_of(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["helper.py:4", "hello.py:5"]
