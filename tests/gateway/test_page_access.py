"""Who gets the page: a browser with the key, on this machine's own name, from our own forms."""

from __future__ import annotations

import http.client
import os
import re
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hotwhisk.gateway.page.entities import MOST_SHOWN
from tests.support.gateway import HOTWHISK_UP, Answer, GatewayProcess

pytestmark = pytest.mark.slow

NOTHING = {"exec": {"kind": "python:3", "code": "def main(args):\n    return {}\n"}}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def log_in(gateway: GatewayProcess, key: str, **headers: str) -> Answer:
    content = urlencode({"key": key}).encode()
    return gateway.request("POST", "/login", content, auth="", headers={**FORM, **headers})


def cookie(gateway: GatewayProcess) -> str:
    answer = log_in(gateway, gateway.auth)
    assert answer.status == 200
    return answer.headers["set-cookie"].partition(";")[0]


def get(gateway: GatewayProcess, path: str, **headers: str) -> Answer:
    return gateway.request("GET", path, auth="", headers={"Accept": "text/html", **headers})


def test_without_a_session_every_page_leads_to_the_login(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("secret", "def main(args):\n    return {'word': 'xyzzy'}\n")
    identifier = shared_gateway.invoke("secret")["activationId"]
    for path in (
        "/", "/actions/secret", "/activations", f"/activations/{identifier}", "/triggers",
        f"/compare?old={identifier}&new={identifier}",
    ):  # fmt: skip
        answer = get(shared_gateway, path)
        assert answer.status == 303, path
        assert answer.headers["location"] == "/login"
        assert b"xyzzy" not in answer.content
    assert get(shared_gateway, "/live").status == 401


def test_a_path_that_does_not_exist(shared_gateway: GatewayProcess) -> None:
    assert b"There is no such page" in get(shared_gateway, "/nothing").content
    assert "error" in shared_gateway.request("GET", "/nothing").json
    assert "error" in get(shared_gateway, "/api/v2").json


def test_the_key_of_the_api_does_not_open_the_page(shared_gateway: GatewayProcess) -> None:
    answer = shared_gateway.request("GET", "/activations")
    assert answer.status == 404
    assert "The API is below /api/v1/namespaces/_" in answer.json["error"]


@pytest.mark.parametrize("key", ["", ":", "guest:guest", "é:☃", "a" * 5000])
def test_a_wrong_key_opens_nothing(shared_gateway: GatewayProcess, key: str) -> None:
    answer = log_in(shared_gateway, key)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_holds_no_key_and_is_for_our_own_pages(shared_gateway: GatewayProcess) -> None:
    answer = log_in(shared_gateway, shared_gateway.auth)
    text = answer.headers["set-cookie"]
    assert "HttpOnly" in text
    assert "SameSite=strict" in text
    assert shared_gateway.auth.partition(":")[2] not in text
    assert shared_gateway.auth.partition(":")[2].encode() not in answer.content


def test_a_changed_cookie_is_refused(shared_gateway: GatewayProcess) -> None:
    good = cookie(shared_gateway)
    assert get(shared_gateway, "/", Cookie=good).status == 200
    name, _, value = good.partition("=")
    identifier, ends, signature = value.split(".")
    for other in (
        f"{identifier}.{int(ends) + 1}.{signature}",
        f"{identifier}.{ends}.{signature[:-1]}",
        f"{identifier}.{ends}.",
        f"{identifier}..",
        "x",
    ):
        assert get(shared_gateway, "/", Cookie=f"{name}={other}").status == 303, other


def test_a_session_lasts_over_a_restart_and_ends_with_the_data(tmp_path: Path) -> None:
    with GatewayProcess(data=tmp_path) as first:
        good = cookie(first).partition("=")[2]
    with GatewayProcess(data=tmp_path) as second:
        kept = f"hotwhisk-{second.port}={good}"
        assert get(second, "/", Cookie=kept).status == 200
    with GatewayProcess() as other:
        assert get(other, "/", Cookie=f"hotwhisk-{other.port}={good}").status == 303


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3233", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused_everywhere(shared_gateway: GatewayProcess, host: str) -> None:
    headers = {"Host": host}
    for path in ("/login", "/static/page.js", "/api/v1/namespaces/_/actions"):
        answer = shared_gateway.request("GET", path, headers=headers)
        assert answer.status == 421
        assert "--name" in answer.json["error"]


def test_a_foreign_host_beside_our_own_is_refused(shared_gateway: GatewayProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared_gateway.port)
    connection.putrequest("GET", "/login")  # which sends our own
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


@pytest.mark.parametrize("host", ["localhost:1", "[::1]:3233", "192.168.1.5", "a.localhost"])
def test_an_address_and_this_machine_are_no_foreign_hosts(
    shared_gateway: GatewayProcess, host: str
) -> None:
    assert shared_gateway.request("GET", "/login", headers={"Host": host}).status == 200


def test_a_name_that_is_given_is_no_foreign_host() -> None:
    with GatewayProcess("--name", "actions.example") as named:
        assert named.request("GET", "/login", headers={"Host": "Actions.Example:1"}).status == 200
        assert named.request("GET", "/login", headers={"Host": "example"}).status == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_a_form_of_another_site_is_refused(shared_gateway: GatewayProcess, origin: str) -> None:
    headers = {**FORM, "Cookie": cookie(shared_gateway), "Origin": origin}
    answer = shared_gateway.request("POST", "/logout", b"", auth="", headers=headers)
    assert answer.status == 403
    headers = {**FORM, "Cookie": cookie(shared_gateway), "Sec-Fetch-Site": "same-site"}
    answer = shared_gateway.request("POST", "/logout", b"", auth="", headers=headers)
    assert answer.status == 403


def test_a_login_of_another_site_is_refused(shared_gateway: GatewayProcess) -> None:
    answer = log_in(shared_gateway, shared_gateway.auth, Origin="https://evil.example")
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert log_in(shared_gateway, shared_gateway.auth, Origin="null").status == 200


def test_the_login_says_which_command_prints_the_key(shared_gateway: GatewayProcess) -> None:
    command = f"<code>hotwhisk up key --data {shared_gateway.data}</code>"
    assert command in get(shared_gateway, "/login").content.decode()
    wrong = log_in(shared_gateway, "a:b").content.decode()
    assert command in wrong
    assert "Copy the whole line" in wrong


def test_a_version_that_does_not_load_is_marked_and_says_why(
    shared_gateway: GatewayProcess,
) -> None:
    reason = "<h2>Version 0.0.{} does not load</h2>"
    shared_gateway.create("broken", "import nowhere\ndef main(event): return {}\n")
    shared_gateway.invoke("broken")
    session = cookie(shared_gateway)
    shown = get(shared_gateway, "/actions/broken", Cookie=session).content.decode()
    assert reason.format(1) in shown
    assert "No module named &#39;nowhere&#39;" in shown.partition("Invoke</h2>")[0]
    assert "does not load</span>" in get(shared_gateway, "/", Cookie=session).content.decode()
    shared_gateway.create("broken", "def main(event): return {}\n")
    shared_gateway.invoke("broken")
    shown = get(shared_gateway, "/actions/broken", Cookie=session).content.decode()
    assert "does not load</h2>" not in shown
    assert "does not load" not in get(shared_gateway, "/", Cookie=session).content.decode()


def test_a_form_that_is_too_long_is_refused(shared_gateway: GatewayProcess) -> None:
    content = b"key=" + b"a" * (5 << 20)
    answer = shared_gateway.request("POST", "/login", content, auth="", headers=FORM)
    assert answer.status == 413


def test_every_page_forbids_foreign_scripts_and_frames(shared_gateway: GatewayProcess) -> None:
    for path in ("/login", "/"):
        headers = get(shared_gateway, path, Cookie=cookie(shared_gateway)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"


def test_open_gives_the_browser_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    said = tmp_path / "said"
    os.mkfifo(said)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{said}\n')
    browser.chmod(0o755)
    with GatewayProcess("--open", env={"BROWSER": str(browser)}) as opened:
        address = said.read_text().strip()  # the timeout of the test is the deadline
        assert address.startswith("file://")
        assert opened.auth.partition(":")[2] not in address
        file = Path(address.removeprefix("file://"))
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(file.parent).st_mode) == 0o700
        text = file.read_text()
        assert re.search(r'action="http://127.0.0.1:\d+/login"', text)
        assert opened.auth in text
        assert opened.auth not in opened.stderr()


# -- what an action may return -------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        "'\\ud800'",
        "'\\0\\x1b[31m\\u2028'",
        "float('nan')",
        "10**400",
        "nested(800)",
        "['x'] * 90_000",
    ],
)
def test_every_result_can_be_shown(shared_gateway: GatewayProcess, result: str) -> None:
    source = (
        "def nested(depth):\n    return [nested(depth - 1)] if depth else 0\n\n\n"
        f"def main(args):\n    return {{'value': {result}}}\n"
    )
    shared_gateway.create("odd", source)
    identifier = shared_gateway.invoke("odd")["activationId"]
    session = cookie(shared_gateway)
    for path in (
        f"/activations/{identifier}", f"/compare?old={identifier}&new={identifier}",
    ):  # fmt: skip
        assert get(shared_gateway, path, Cookie=session).status == 200
    event = {"event": ["\ud800", {"a": 1e400}]}
    shared_gateway.api("POST", "actions/odd?blocking=true", event)
    assert get(shared_gateway, "/actions/odd", Cookie=session).status == 200


def test_an_array_is_an_event_too(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("array", "def main(args):\n    return {'got': len(args)}\n")
    headers = {**FORM, "Cookie": cookie(shared_gateway)}
    content = urlencode({"event": "[1, 2, 3]"}).encode()
    answer = shared_gateway.request("POST", "/invoke/array", content, auth="", headers=headers)
    assert answer.status == 303
    path = f"/api/v1/namespaces/_{answer.headers['location']}/result"
    assert shared_gateway.request("GET", path).json["result"] == {"got": 3}


# -- one namespace and another -------------------------------------------------------------------


def key_of(gateway: GatewayProcess, name: str, *options: str) -> str:
    """Return the key of a namespace, as its administrator gets it."""
    command = [*HOTWHISK_UP, "key", name, "--data", str(gateway.data), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_namespace_sees_nothing_of_another(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("private", "def main(args):\n    print('xyzzy')\n    return args\n")
    identifier = shared_gateway.invoke("private", {"word": "xyzzy"})["activationId"]
    revision = 1
    other = key_of(shared_gateway, "other")
    session = log_in(shared_gateway, other).headers["set-cookie"].partition(";")[0]
    for path, status in {
        "/": 200, "/activations": 200, "/activations?name=private": 200, "/triggers": 200,
        "/actions/private": 404, f"/activations/{identifier}": 404,
        f"/compare?old={identifier}&new={identifier}": 404,
    }.items():  # fmt: skip
        answer = get(shared_gateway, path, Cookie=session)
        assert answer.status == status, path
        assert b"xyzzy" not in answer.content
    shared_gateway.api("PUT", "actions/private", NOTHING, auth=other)
    for path in (
        f"/activations/{identifier}/replay", "/roll-back/private", "/invoke/nothing-of-mine",
    ):  # fmt: skip
        content = urlencode({"on": "both", "version": revision, "event": "{}"}).encode()
        headers = {**FORM, "Cookie": session}
        answer = shared_gateway.request("POST", path, content, auth="", headers=headers)
        assert answer.status == 404, path


def test_the_code_of_a_shared_action_stays_its_owners(shared_gateway: GatewayProcess) -> None:
    shared_gateway.api("PUT", "packages/shared", {"publish": True})
    source = "PASSWORD = 'xyzzy'\n\n\ndef main(args):\n    return args['missing']\n"
    shared_gateway.create("shared/lend", source)
    other = key_of(shared_gateway, "borrower")
    binding = {"binding": {"namespace": "guest", "name": "shared"}}
    assert shared_gateway.api("PUT", "packages/mine", binding, auth=other).status == 200
    answer = shared_gateway.api("POST", "actions/mine/lend?blocking=true", {}, auth=other)
    identifier = answer.json["activationId"]
    session = log_in(shared_gateway, other).headers["set-cookie"].partition(";")[0]
    page = get(shared_gateway, f"/activations/{identifier}", Cookie=session)
    assert page.status == 200
    assert b"KeyError" in page.content
    assert b"xyzzy" not in page.content


def test_a_new_key_ends_the_sessions() -> None:
    with GatewayProcess() as gateway:
        session = cookie(gateway)
        assert get(gateway, "/", Cookie=session).status == 200
        key_of(gateway, "guest", "--new")
        assert get(gateway, "/", Cookie=session).status == 303


def test_the_page_of_an_action_says_what_limits_its_memory(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("limited", "def main(args):\n    return {}\n")
    page = get(shared_gateway, "/actions/limited", Cookie=cookie(shared_gateway)).content
    assert b"256 MB by control group" in page or b"256 MB by RLIMIT_DATA" in page


def test_a_page_of_many_triggers_is_not_endless(shared_gateway: GatewayProcess) -> None:
    count = MOST_SHOWN + 3
    for number in range(count):
        assert shared_gateway.api("PUT", f"triggers/many{number}", {}).status == 200
    page = get(shared_gateway, "/triggers", Cookie=cookie(shared_gateway))
    assert b"And 3 older ones." in page.content
    assert page.content.count(b'id="triggers-many') == MOST_SHOWN
