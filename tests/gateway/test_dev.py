"""Edit a project while ``hotwhisk dev`` serves it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.gateway.dev.dev import data_of
from hotwhisk.gateway.dev.project import open_project
from tests.gateway.dev import DevProcess, write
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.slow

HELLO = """\
import part

def main(event):
    print("called")
    return {"greeting": part.WORD + ", " + event.get("name", "stranger")}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path / "project", {"hello.py": HELLO, "part.py": "WORD = 'Hello'\n"})


@pytest.fixture
def dev(project: Path) -> Iterator[DevProcess]:
    with DevProcess(project / "hello.py") as process:
        process.wait_live("hello 0.0.1")
        yield process


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    # Not tmp_path, which may be too long for the socket of a server.
    with tempfile.TemporaryDirectory(prefix="hotwhisk-test-") as folder:
        yield {"HOME": folder, "XDG_DATA_HOME": ""}


def test_a_project_that_is_served_already_is_not_served_twice(
    project: Path, home: dict[str, str]
) -> None:
    first = DevProcess(project / "hello.py", env=home)
    without_data = [word for word in first.command if word not in ("--data", str(first.data))]
    first.command = without_data
    first.data = Path(data_of(open_project(str(project / "hello.py")), home))
    with first:
        again = subprocess.run(
            without_data, env={**os.environ, **home}, capture_output=True, text=True, check=False
        )
        assert again.stderr == (
            f"hotwhisk: {project}/hello.py is served by hotwhisk dev already, on {first.url}: "
            "use that one, or stop it\n"
        )
    # Its data lie below those of hotwhisk up, which then must not refuse them.
    up = subprocess.run(
        [sys.executable, "-m", "hotwhisk", "up", "key"],
        env={**os.environ, **home}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (up.returncode, up.stderr) == (0, "hotwhisk: the namespace guest is new\n")


def test_a_save_is_live_and_the_line_names_the_file(dev: DevProcess, project: Path) -> None:
    assert dev.result("hello", name="Ada") == {"greeting": "Hello, Ada"}
    assert dev.wait(r"hello success \d+ ms.* 0\.0\.1 [0-9a-f]{32}\n  called\n")
    (project / "part.py").write_text("WORD = 'Ciao'\n")
    line = dev.wait_live("hello 0.0.2")
    assert line.endswith("· part.py changed")
    assert dev.result("hello") == {"greeting": "Ciao, stranger"}
    code = dev.api("GET", "actions/hello").json["exec"]
    assert code["binary"]  # two files, as the platform would get them


def test_a_version_that_does_not_load_is_shown_and_the_last_one_serves(
    dev: DevProcess, project: Path
) -> None:
    (project / "hello.py").write_text("def main(event):\n    return 1 +\n")
    dev.wait(r"hello was not replaced, because it does not load · hello\.py changed")
    dev.wait(rf'File "{project}/hello\.py", line 2')
    dev.wait("SyntaxError")
    assert dev.result("hello") == {"greeting": "Hello, stranger"}
    (project / "hello.py").write_text("import nowhere\ndef main(event): return {}\n")
    dev.wait(rf'File "{project}/hello\.py", line 1, in <module>')
    dev.wait("ModuleNotFoundError")
    page = dev.page("/")
    assert "hello does not load; version 0.0.1 serves" in page
    assert "ModuleNotFoundError: No module named" in page
    (project / "hello.py").write_text("def main(event): return {'mended': True}\n")
    dev.wait_live("hello 0.0.2")
    assert dev.result("hello") == {"mended": True}
    assert "does not load" not in dev.page("/")


def test_an_action_that_never_loaded_answers_why(project: Path) -> None:
    (project / "hello.py").write_text("import nowhere\ndef main(event): return {}\n")
    with DevProcess(project / "hello.py", "--web") as dev:
        dev.wait(r"hello does not load; no version of it serves\n")
        dev.wait("ModuleNotFoundError")
        answer = dev.api("POST", "actions/hello?blocking=true", {})
        assert answer.status == 404
        assert answer.json["error"].startswith("hello does not load; no version of it serves\n\n")
        assert "No module named 'nowhere'" in answer.json["error"]
        answer = dev.request("GET", "/hello.json", auth="")
        assert "No module named 'nowhere'" in answer.content.decode()


def test_a_file_that_the_action_does_not_use_replaces_nothing(
    dev: DevProcess, project: Path
) -> None:
    write(project, {"other.py": "x = 1\n", "notes.txt": "x", "deep/more.py": ""})
    (project / "hello.py").write_text(HELLO)  # the same bytes
    (project / "part.py").write_text("WORD = 'Ciao'\n")
    assert dev.wait_live("hello 0.0.2").endswith("· part.py changed")
    assert dev.stderr().count("is live") == 2


def test_a_file_that_the_action_has_opened_replaces_it(dev: DevProcess, project: Path) -> None:
    write(project, {"words.txt": "Salut", "log.txt": ""})
    (project / "hello.py").write_text(
        "WORD = open('words.txt').read()\n"
        "def main(event):\n"
        "    open('log.txt', 'a').write('called')\n"
        "    return {'greeting': WORD, 'page': open('page.html').read(), 'log': open('log.txt').read()}\n"
    )
    write(project, {"page.html": "<p>"})
    dev.wait_live("hello 0.0.2")
    assert dev.result("hello") == {"greeting": "Salut", "page": "<p>", "log": "called"}
    (project / "words.txt").write_text("Servus")
    assert dev.wait_live("hello 0.0.3").endswith("· words.txt changed")
    assert dev.result("hello")["greeting"] == "Servus"
    (project / "page.html").write_text("<b>")
    assert dev.wait_live("hello 0.0.4").endswith("· page.html changed")
    assert dev.stderr().count("is live") == 4  # its own output replaces nothing


def test_a_failed_call_is_answered_with_its_traceback(dev: DevProcess, project: Path) -> None:
    (project / "hello.py").write_text("def main(event):\n    return {'x': 1 / 0}\n")
    dev.wait_live("hello 0.0.2")
    error = dev.result("hello")["error"]
    assert error.startswith("division by zero\n\nTraceback (most recent call last):\n")
    assert f'  File "{project}/hello.py", line 2, in main\n    return' in error
    dev.wait(r"hello application error")


def test_the_page_shows_the_lines_of_a_traceback_under_the_name_of_the_file(
    dev: DevProcess, project: Path
) -> None:
    (project / "hello.py").write_text("import part\n\ndef main(event):\n    return part.half(0)\n")
    (project / "part.py").write_text("def half(n):\n    return 1 / n  # of part\n")
    dev.wait_live("hello 0.0.2")
    shown = dev.page(f"/activations/{dev.invoke('hello')['activationId']}")
    assert f"<code>{project}/hello.py</code>, line 4" in shown
    assert f"<code>{project}/part.py</code>, line 2" in shown
    assert "# of part" in shown.partition("Traceback</h2>")[2].partition("</section>")[0]
    dev.create("posted", "def main(event):\n    return {'x': 1 / 0}\n")
    shown = dev.page(f"/activations/{dev.invoke('posted')['activationId']}")
    assert "<code>posted.py</code>, line 2" in shown


def test_the_last_of_many_saves_is_live(dev: DevProcess, project: Path) -> None:
    for number in range(40):
        (project / "part.py").write_text(f"WORD = 'Hello {number}'\n")
        (project / "hello.py").write_text(f"{HELLO}# {number}\n")
    while dev.result("hello") != {"greeting": "Hello 39, stranger"}:
        dev.wait("is live after")


def test_a_save_does_not_wait_for_a_call_that_runs(dev: DevProcess, project: Path) -> None:
    os.mkfifo(project / "gate")
    (project / "hello.py").write_text(
        "def main(event):\n    return {'first': open('gate').read()}\n"
    )
    dev.wait_live("hello 0.0.2")
    results: list[object] = []
    calling = threading.Thread(target=lambda: results.append(dev.result("hello")))
    calling.start()
    with open(project / "gate", "w") as gate:  # opens once the call has opened its end
        (project / "hello.py").write_text("def main(event):\n    return {'second': 1}\n")
        dev.wait_live("hello 0.0.3")
        assert dev.result("hello") == {"second": 1}
        gate.write("let go")
    calling.join(20.0)
    assert results == [{"first": "let go"}]


@pytest.mark.parametrize("given", ["", "packages"])
def test_packages_are_deployed_added_and_removed(tmp_path: Path, given: str) -> None:
    source = "def main(event): return {'from': __file__}\n"
    write(
        tmp_path,
        {
            "packages/default/one.py": source,
            "packages/pack/two.py": source,
            "packages/pack/three/__main__.py": source,
            "packages/pack/three/data.json": "{}",
            "packages/loose.py": source,
            "project.yml": "",
        },
    )
    with DevProcess(tmp_path / given) as dev:
        names = ("loose", "one", "pack/three", "pack/two")
        dev.wait_all(*(f"{name} 0.0.1 is live" for name in names))
        for name in names:
            assert dev.result(name)["from"].startswith(str(tmp_path / "packages"))
        write(tmp_path, {"packages/pack/four.py": source})
        dev.wait_live("pack/four 0.0.1")
        (tmp_path / "packages" / "pack" / "two.py").unlink()
        dev.wait("pack/two was removed")
        assert dev.api("GET", "actions/pack/two").status == 404


def test_a_module_of_an_action_in_packages_is_no_action(tmp_path: Path) -> None:
    action = "import numbers_helper\ndef main(event): return {'half': numbers_helper.half(4)}\n"
    files = {
        "default/half.py": action,
        "default/numbers_helper.py": "def half(n): return n / 2\n",
        "default/stray.py": "def handle(event): return {}\n",
        "later.py": "def main(event): return {}\n",
    }
    write(tmp_path / "packages", files)
    with DevProcess(tmp_path) as dev:
        dev.wait_all(
            "half 0.0.1 is live",
            r"default/stray\.py is no action, since it has no function main: add def main\(",
        )
        assert dev.result("half") == {"half": 2.0}
        assert "does not load" not in dev.page("/")
        (tmp_path / "packages/default/stray.py").write_text("def main(event): return {}\n")
        dev.wait_live("stray 0.0.1")
        (tmp_path / "packages/default/numbers_helper.py").write_text("def half(n): return n // 2\n")
        dev.wait_live("half 0.0.2")
        assert "does not load" not in dev.stderr()
        assert dev.stderr().count("is no action") == 1


def test_a_folder_is_one_action(tmp_path: Path) -> None:
    folder = write(tmp_path / "greet", {"__main__.py": HELLO, "part.py": "WORD = 'Hej'\n"})
    with DevProcess(folder) as dev:
        dev.wait_live("greet 0.0.1")
        assert dev.result("greet") == {"greeting": "Hej, stranger"}


def test_of_a_folder_only_what_is_imported_counts(tmp_path: Path) -> None:
    source = (
        "import importlib, pathlib\n"
        "NAME = pathlib.Path('chosen').read_text()\n"
        "PART = importlib.import_module(NAME)\n"
        "def main(event): return {'part': PART.WORD}\n"
    )
    files = {"__main__.py": source, "chosen": "first", "first.py": "WORD = 1\n"}
    files |= {"test_greet.py": "", "second.py": "WORD = 2\n", "requirements.txt": "# none\n"}
    folder = write(tmp_path / "greet", files)
    with DevProcess(folder) as dev:
        dev.wait_live("greet 0.0.1")
        (folder / "test_greet.py").write_text("x = 1\n")
        (folder / "second.py").write_text("WORD = 3\n")
        (folder / "first.py").write_text("WORD = 10\n")
        assert dev.wait_live("greet 0.0.2").endswith("· first.py changed")
        assert dev.result("greet") == {"part": 10}
        (folder / "chosen").write_text("second")
        assert dev.wait_live("greet 0.0.3").endswith("· chosen changed")
        assert dev.result("greet") == {"part": 3}
        assert dev.stderr().count("is live") == 3


def test_parameters_and_variables_are_those_of_the_action(project: Path) -> None:
    (project / "hello.py").write_text(
        "import os\ndef main(event): return {'event': event, 'word': os.environ['WORD']}\n"
    )
    (project / ".env").write_text("# words\nexport WORD='two words'\n")
    options = ("-p", "number", "7", "--env-file", str(project / ".env"))
    with DevProcess(project / "hello.py", *options) as dev:
        dev.wait_live("hello 0.0.1")
        assert dev.result("hello", a=1) == {"event": {"number": 7, "a": 1}, "word": "two words"}
        (project / ".env").write_text('WORD="line\\n"\n')
        assert dev.wait_live("hello 0.0.2").endswith("· .env changed")
        assert dev.result("hello")["word"] == "line\n"
        (project / ".env").write_text("nonsense\n")
        dev.wait(r"\.env, line 1: expected NAME=value")
        assert dev.result("hello")["word"] == "line\n"


def test_declared_libraries_are_there(project: Path, tmp_path: Path) -> None:
    for number in ("1.0", "2.0"):
        make_wheel(tmp_path / "wheels", "wanted", number)
    (project / "hello.py").write_text(
        "import wanted\ndef main(event): return {'version': wanted.VERSION}\n"
    )
    (project / "requirements.txt").write_text("wanted==1.0\n")
    env = {"UV_FIND_LINKS": str(tmp_path / "wheels"), "UV_NO_INDEX": "1"}
    with DevProcess(project / "hello.py", env=env) as dev:
        dev.wait("installing what requirements.txt asks for")
        dev.wait_live("hello 0.0.1")
        assert dev.result("hello") == {"version": "1.0"}
        (project / "requirements.txt").write_text("wanted==2.0\n")
        assert dev.wait_live("hello 0.0.2").endswith("· requirements.txt changed")
        assert dev.result("hello") == {"version": "2.0"}
        (project / "requirements.txt").write_text("wanted==3.0\n")
        dev.wait(r"requirements\.txt cannot be resolved")
        assert dev.result("hello") == {"version": "2.0"}
        script = '# /// script\n# dependencies = ["wanted==1.0"]\n# ///\n'
        (project / "hello.py").write_text(script + (project / "hello.py").read_text())
        dev.wait_live("hello 0.0.3")
        assert dev.result("hello") == {"version": "1.0"}


def test_the_last_events_are_sent_again(project: Path) -> None:
    with DevProcess(project / "hello.py", "--replay") as dev:
        dev.wait_live("hello 0.0.1")
        dev.result("hello", name="Ada")
        dev.result("hello", name="Bob")
        dev.result("hello", name="Bob")
        (project / "hello.py").write_text(HELLO + "\n")
        dev.wait("hello answers the last 2 events as before")
        (project / "hello.py").write_text(HELLO.replace('+ ", " +', '+ "! " +'))
        dev.wait(r'for the event \{"name": "Ada"\}')
        dev.wait(r'- "Hello, Ada"\n\s+\+ "Hello! Ada"')


def test_web_actions_answer_under_their_names(project: Path) -> None:
    (project / "hello.py").write_text(
        "def main(event):\n"
        "    if 'fail' in event:\n        raise ValueError('no')\n"
        "    return {'body': event['__ow_method'] + ' ' + event['__ow_path'] + ' ' + event['a']}\n"
    )
    origin = {"Origin": "http://localhost:5173"}
    options = ("--web", "--allow-origin", origin["Origin"])
    with DevProcess(project / "hello.py", *options) as dev:
        dev.wait_live("hello 0.0.1")
        answer = dev.request("POST", "/hello/x%20y?a=1", b"", auth="")
        assert (answer.status, answer.content) == (200, b"post /x%20y 1")
        answer = dev.request("GET", "/hello?fail=1", auth="")
        assert answer.status == 500
        assert f'File "{project}/hello.py", line 3, in main' in answer.content.decode()
        answer = dev.request("GET", "/api/v1/namespaces/_/actions", headers=origin)
        assert answer.headers["access-control-allow-origin"] == origin["Origin"]


def test_an_action_with_the_name_of_a_page_does_not_take_its_place(tmp_path: Path) -> None:
    source = "def main(event): return {'body': 'of the action'}\n"
    files = {f"{name}.py": source for name in ("login", "metrics", "healthz", "api/v1", "fine")}
    write(tmp_path / "packages", files)
    with DevProcess(tmp_path, "--web") as dev:
        full = "/api/v1/web/guest"
        why = "is a page or route of hotwhisk"
        dev.wait_all(
            rf"fine is called at {dev.url}/fine\n",
            rf"login is called at {dev.url}{full}/default/login \(/login {why}\)\n",
            rf"api/v1 is called at {dev.url}{full}/api/v1 \(/api {why}\)\n",
            "metrics is called at", "healthz is called at",
        )  # fmt: skip
        assert "<form" in dev.request("GET", "/login", auth="").content.decode()
        assert dev.request("GET", "/metrics").content.startswith(b"# ")
        assert dev.request("GET", "/healthz", auth="").content != b"of the action"
        assert dev.api("GET", "actions").status == 200
        for path in ("/fine", f"{full}/default/login", f"{full}/api/v1"):
            assert dev.request("GET", path, auth="").content == b"of the action"


def test_an_empty_answer_is_explained(project: Path) -> None:
    with DevProcess(project / "hello.py", "--web") as dev:
        dev.wait_live("hello 0.0.1")
        answer = dev.request("GET", "/hello", auth="")
        assert (answer.status, answer.content) == (204, b"")
        dev.wait("hello was answered 204 and empty: the result has no body; /hello.json shows it")
        (project / "hello.py").write_text("def main(event): return {'statusCode': 204}\n")
        dev.wait_live("hello 0.0.2")
        assert dev.request("GET", "/hello", auth="").status == 204
        assert dev.request("GET", "/hello.json", auth="").status == 200
        assert dev.stderr().count("answered 204") == 1


def test_another_start_goes_on_where_the_last_one_ended(project: Path) -> None:
    with DevProcess(project / "hello.py") as dev:
        dev.wait_live("hello 0.0.1")
        folder = dev.folder
    (project / "part.py").write_text("WORD = 'Later'\n")
    again = DevProcess(project / "hello.py")
    again.command[again.command.index("--data") + 1] = str(folder / "data")
    again.data = folder / "data"
    with again as dev:
        dev.wait_live("hello 0.0.2")
        assert dev.result("hello") == {"greeting": "Later, stranger"}


def test_an_interrupt_ends_it_at_once_and_leaves_no_process(dev: DevProcess, project: Path) -> None:
    (project / "hello.py").write_text(
        "import time\nprint(1)\ndef main(event):\n    time.sleep(60)\n"
    )
    dev.wait_live("hello 0.0.2")
    with subprocess.Popen(
        ["curl", "-s", "-u", dev.auth, "-XPOST", "-d", "{}",
         f"{dev.url}/api/v1/namespaces/_/actions/hello?blocking=true"],
        stdout=subprocess.DEVNULL,
    ):  # fmt: skip
        below = _processes_below(dev.process.pid)
        assert below
        dev.process.send_signal(signal.SIGINT)
        dev.wait(r"stopping; calls to finish first: \d \(a second Ctrl-C stops at once\)")
        assert dev.process.wait(5.0) == 0
    assert not [pid for pid in below if os.path.exists(f"/proc/{pid}")]


def _processes_below(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    found = [pid]
    pairs = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    for parent in found:
        found += [child for child, above in pairs if above == parent]
    return found[1:]


def test_actions_with_the_same_source_keep_their_own_files(tmp_path: Path) -> None:
    source = "def main(event):\n    return {'file': __file__}\n"
    names = ("one", "two")
    files = {f"packages/default/{name}/__main__.py": source for name in names}
    project = write(tmp_path / "project", files)
    with DevProcess(project) as dev:
        dev.wait_all(*(rf"{name} 0.0.1 is live after" for name in names))
        found = {name: dev.result(name)["file"] for name in names}
    expected = {name: str(project / f"packages/default/{name}/__main__.py") for name in names}
    assert found == expected
