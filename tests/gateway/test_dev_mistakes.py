"""What ``hotwhisk dev`` says to a user who is new or careless: each error has a next step."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.dev import DevProcess, write
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.slow

ACTION = "def main(event): return {'by': __file__}\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("absent", "there is no such file or folder; expected a .py file, a folder with"),
        ("loose/helo.py", r"no such file or folder; did you mean .*/loose/hello\.py\?; expected"),
        ("dangling.py", r"it is a link, and there is nothing at nowhere\.py; expected"),
        ("notes.txt", "is not a Python source"),
        ("-.py", r'"-" cannot name an action or a package: rename .*/-\.py; expected letters'),
        ("empty", "holds no action; .*; or make one: hotwhisk new NAME"),
        ("loose", "holds no action; .*; give the path of one .py file in it, or put"),
    ],
)
def test_a_wrong_path_says_what_was_expected(tmp_path: Path, given: str, told: str) -> None:
    write(tmp_path, {"notes.txt": "", "loose/hello.py": ACTION, "-.py": ACTION})
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    done = subprocess.run(
        [sys.executable, "-m", "hotwhisk", "dev", str(tmp_path / given)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.search(told, done.stderr)


def test_a_handler_with_another_name_is_found_by_main(tmp_path: Path) -> None:
    source = "def handle(event): return {'handled': True}\n"
    write(tmp_path / "packages", {"one.py": source, "two.py": source})
    with DevProcess(tmp_path, "--main", "handle") as dev:
        dev.wait_all("one 0.0.1 is live", "two 0.0.1 is live")
        assert dev.result("one") == {"handled": True}
        assert dev.api("GET", "actions/two").json["exec"]["main"] == "handle"


def test_of_two_actions_with_one_name_one_is_served_and_the_other_is_named(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"one.py": ACTION, "default/one.py": ACTION})
    with DevProcess(tmp_path) as dev:
        dev.wait_all(
            "one 0.0.1 is live",
            r"packages/one\.py is not served: packages/default/one\.py is one too; rename one\n",
        )
        (tmp_path / "packages/default/one.py").unlink()
        dev.wait_live("one 0.0.2")
        assert dev.result("one") == {"by": str(tmp_path / "packages/one.py")}


def test_an_action_whose_file_becomes_a_folder_is_not_removed(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"one.py": ACTION, "other.py": ACTION})
    with DevProcess(tmp_path) as dev:
        dev.wait_all("one 0.0.1 is live", "other 0.0.1 is live")
        write(tmp_path / "packages", {"fresh/__main__.py": ACTION})
        dev.wait_live("fresh 0.0.1")
        os.unlink(tmp_path / "packages/one.py")
        os.rename(tmp_path / "packages/fresh", tmp_path / "packages/one")
        dev.wait_all("fresh was removed", r"one 0\.0\.\d is live")
        assert dev.result("one") == {"by": str(tmp_path / "packages/one/__main__.py")}


def test_a_file_that_is_gone_is_named_and_the_last_version_serves(tmp_path: Path) -> None:
    folder = write(tmp_path / "greet", {"__main__.py": ACTION})
    with DevProcess(folder) as dev:
        dev.wait_live("greet 0.0.1")
        os.rename(folder / "__main__.py", folder / "moved")
        dev.wait(r"__main__\.py is gone, and the last version of greet serves: bring the file back")
        assert dev.result("greet") == {"by": str(folder / "__main__.py")}
        (folder / "__main__.py").write_text(ACTION + "\n")
        dev.wait_live("greet 0.0.2")


def test_a_module_that_is_removed_was_no_action(tmp_path: Path) -> None:
    files = {"one.py": f"import part\n{ACTION}", "part.py": "", "two.py": ACTION}
    write(tmp_path / "packages", files)
    with DevProcess(tmp_path) as dev:
        dev.wait_all("one 0.0.1 is live", "two 0.0.1 is live")
        (tmp_path / "packages/one.py").write_text(ACTION)
        dev.wait_live("one 0.0.2")
        (tmp_path / "packages/part.py").unlink()
        (tmp_path / "packages/two.py").unlink()
        dev.wait("two was removed")
        assert "part was removed" not in dev.stderr()


@pytest.mark.parametrize("given", ["localhost:5173", "http://localhost:5173/page", "*", "http://"])
def test_an_origin_that_no_browser_sends_is_refused(tmp_path: Path, given: str) -> None:
    (tmp_path / "hello.py").write_text(ACTION)
    command = [sys.executable, "-m", "hotwhisk", "dev", str(tmp_path / "hello.py")]
    done = subprocess.run(
        [*command, "--allow-origin", given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "expected scheme, host and port, such as http://localhost:5173" in done.stderr


def test_a_call_without_a_key_is_explained_in_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(ACTION)
    with DevProcess(tmp_path / "hello.py") as dev:
        dev.wait_live("hello 0.0.1")
        for _ in range(2):
            answer = dev.request("GET", "/hello.json", auth="")
            assert (answer.status, b"--web" in answer.content) == (404, False)
        dev.wait("/hello was asked for, and without --web an action is called with the key")
        assert dev.stderr().count("was asked for") == 1


def test_the_entry_of_a_folder_stands_for_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "greet", {"__main__.py": ACTION})
    with DevProcess(folder / "__main__.py") as dev:
        dev.wait_live("greet 0.0.1")


def test_a_name_that_the_platform_refuses_is_named_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    names = ["-", "a\nb", "x;y", os.fsdecode(b"\xff")]
    write(tmp_path / "packages", {f"{name}.py": ACTION for name in [*names, "a b", "one"]})
    with DevProcess(tmp_path) as dev:
        dev.wait_all(
            r"packages/-\.py is not served: \"-\" cannot name an action or a package: rename",
            r"'packages/a\\nb\.py' is not served: \"'a\\nb'\" cannot name",
            r"'packages/\\udcff\.py' is not served: \"'\\udcff'\" cannot name",
            "x;y.py is not served",
            "a b 0.0.1 is live",
            "one 0.0.1 is live",
        )
        for name in names:
            (tmp_path / "packages" / f"{name}.py").unlink()
        (tmp_path / "packages/one.py").unlink()
        dev.wait("one was removed")
        assert "Traceback" not in dev.stderr()
        assert dev.stderr().count("was removed") == 1


def test_a_file_that_cannot_be_read_is_named_and_the_last_version_serves(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"one.py": ACTION})
    dev = DevProcess(tmp_path)
    if os.geteuid() == 0:  # then a process reads all files, unless it has lost these rights
        lost = "-dac_override,-dac_read_search"
        dev.command[:0] = ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}"]
    with dev:
        dev.wait_live("one 0.0.1")
        (tmp_path / "packages/one.py").chmod(0)
        dev.wait(r"one was not replaced, .*\n +.*/one\.py cannot be read: Permission denied")
        assert dev.result("one") == {"by": str(tmp_path / "packages/one.py")}
        (tmp_path / "packages/one.py").chmod(0o644)
        dev.wait_live("one 0.0.2")


def test_the_next_start_removes_actions_whose_files_went_away_meanwhile(tmp_path: Path) -> None:
    project = write(tmp_path / "project/packages", {"pack/one.py": ACTION, "two.py": ACTION})
    with DevProcess(project) as dev:
        dev.wait_all("pack/one 0.0.1 is live", "two 0.0.1 is live")
        dev.create("posted", ACTION)
    shutil.rmtree(project / "pack")
    again = DevProcess(project)
    again.command[again.command.index("--data") + 1] = str(dev.data)
    again.data = dev.data
    with again as dev:
        dev.wait_all("pack/one was removed", "two 0.0.1 is live")
        names = [each["name"] for each in dev.api("GET", "actions").json]
        assert sorted(names) == ["posted", "two"]
        assert dev.api("GET", "packages").json == []


def test_a_save_of_the_same_bytes_tries_a_version_again_that_did_not_load(tmp_path: Path) -> None:
    source = '# /// script\n# dependencies = ["wanted==1.0"]\n# ///\nimport wanted\n' + ACTION
    action = write(tmp_path / "project", {"hello.py": source}) / "hello.py"
    (tmp_path / "wheels").mkdir()
    env = {"UV_FIND_LINKS": str(tmp_path / "wheels"), "UV_NO_INDEX": "1"}
    with DevProcess(action, env=env) as dev:
        dev.wait("hello does not load; no version of it serves")
        dev.wait(r"hello\.py cannot be resolved")
        make_wheel(tmp_path / "wheels", "wanted", "1.0")
        action.write_text(source)
        dev.wait_live("hello 0.0.1")
        assert dev.result("hello") == {"by": str(action)}


def test_a_folder_that_is_too_large_for_the_platform_is_served_here(tmp_path: Path) -> None:
    files = {"__main__.py": ACTION, "part.py": "", "node_modules/a.js": ""}
    folder = write(tmp_path / "large", files)
    (folder / "data.bin").write_bytes(os.urandom(40 << 20))
    with DevProcess(folder) as dev:
        dev.wait_all(
            r"large has 53\.3 MB as it would be posted \(a zip in base64\), more than the 48 MB that "
            r"the platform takes: .*; the largest of the others is data\.bin, with 40 MB",
            "large 0.0.1 is live",
        )
        assert dev.result("large") == {"by": str(folder / "__main__.py")}
