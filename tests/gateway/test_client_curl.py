"""The rows of the API and its refusals, by curl."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.curl import Page, curl
from tests.support.gateway import HOTWHISK_UP, GatewayProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ECHO = "def main(args):\n    return args\n"
JSON = ("-H", "Content-Type: application/json")


class Api:
    """The API as one namespace sees it."""

    def __init__(self, gateway: GatewayProcess, auth: str) -> None:
        self._base = f"{gateway.url}/api/v1/namespaces"
        self._auth = auth

    def __call__(self, method: str, path: str, body: object = None, *words: str) -> Page:
        """Send a request below ``/api/v1/namespaces``."""
        sent = [] if body is None else [*JSON, "-d", json.dumps(body)]
        given = ["-X", method, "-u", self._auth, *sent, *words]
        return curl(f"{self._base}/{path}" if path else self._base, *given)

    def create(self, path: str, code: str = ECHO, **fields: Any) -> Page:
        """Create or update an action."""
        body = {"exec": {"kind": "python:3", "code": code}, **fields}
        page = self("PUT", f"_/actions/{path}?overwrite=true", body)
        assert page.status == 200, page
        return page

    def invoke(self, path: str, argument: object = None) -> Any:
        """Call an action, wait for its end, and return its result."""
        page = self("POST", f"_/actions/{path}?blocking=true&result=true", argument or {})
        return page.json


@pytest.fixture(scope="module")
def api(shared_gateway: GatewayProcess) -> Api:
    return Api(shared_gateway, shared_gateway.auth)


@pytest.fixture(scope="module")
def other(shared_gateway: GatewayProcess) -> Api:
    """Make another namespace of the same gateway; return the API as it sees it."""
    command = [*HOTWHISK_UP, "key", "other", "--data", str(shared_gateway.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Api(shared_gateway, done.stdout.split()[-1])


def test_the_root_says_what_there_is(shared_gateway: GatewayProcess) -> None:
    root = curl(f"{shared_gateway.url}/", "-H", "Accept: application/json")
    assert root.json["api_paths"] == ["/api/v1"]
    assert root.json["limits"]["max_action_memory"] == 512 << 20
    assert root.json["runtimes"]["python"][0]["kind"] == "python:3"
    assert curl(f"{shared_gateway.url}/").json == root.json
    version = curl(f"{shared_gateway.url}/api/v1")
    assert version.json["api_version_path"] == "v1"


def test_namespaces_and_limits(api: Api) -> None:
    assert api("GET", "").json == ["guest"]
    limits = api("GET", "_/limits").json
    assert limits["maxActionMemory"] == "512 MB"
    assert "python:3" in limits["allowedKinds"]


def test_a_request_without_a_valid_key_is_refused(shared_gateway: GatewayProcess) -> None:
    base = f"{shared_gateway.url}/api/v1/namespaces/_/actions"
    page = curl(base)
    assert page.status == 401
    assert page.json["error"].startswith("The resource requires authentication")
    assert "Basic" in (page.header("www-authenticate") or "")
    for wrong in ("a:b", f"{shared_gateway.auth}x", ":"):
        # A header, since newer versions of curl send none for "-u :".
        key = base64.b64encode(wrong.encode()).decode()
        page = curl(base, "-H", f"Authorization: Basic {key}")
        assert page.status == 401
        assert page.json["error"] == "The supplied authentication is invalid"
    assert curl(base, "-H", "Authorization: Bearer x").status == 401
    assert curl(base, "-H", "Authorization: Basic é").status == 401


def test_an_error_has_the_number_of_its_request(api: Api) -> None:
    page = api("GET", "_/actions/missing")
    assert page.json["code"] == page.header("x-request-id")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("_/actions/x", "GET, PUT, DELETE, POST"),
        ("_/packages/x", "GET, PUT, DELETE"),
        ("_/triggers/x", "GET, PUT, DELETE, POST"),
        ("_/activations", "GET"),
        ("_/limits", "GET"),
    ],
)
def test_a_wrong_method_is_refused(api: Api, path: str, allowed: str) -> None:
    page = api("PATCH", path)
    assert (page.status, page.header("allow")) == (405, allowed)
    assert page.json["error"] == f"HTTP method not allowed, supported methods: {allowed}"


def test_a_method_that_no_route_has_is_refused(shared_gateway: GatewayProcess) -> None:
    for path, method in (("/", "PUT"), ("/api/v1", "POST"), ("/api/v1/namespaces", "TRACE")):
        page = curl(f"{shared_gateway.url}{path}", "-X", method)
        assert page.status == 405
        assert page.json["error"].startswith("HTTP method not allowed, supported methods: ")
        assert page.header("allow")


def test_unknown_paths_are_404(api: Api) -> None:
    for path in ("_/things", "_/actions/a/b/c", "_/activations/" + "0" * 32 + "/more"):
        page = api("GET", path)
        assert page.status == 404
        assert page.json["error"] == "The requested resource could not be found."


@pytest.mark.parametrize("path", ["/actions", "/activations", "/api", "/api/v1/actions", "/v1/x"])
def test_a_guess_at_the_address_of_the_api_is_answered_with_it(
    shared_gateway: GatewayProcess, path: str
) -> None:
    page = curl(f"{shared_gateway.url}{path}", "-u", shared_gateway.auth)
    assert page.status == 404
    text = "The requested resource could not be found. The API is below /api/v1/namespaces/_, "
    assert page.json["error"].startswith(text)


def test_head_and_options(api: Api, shared_gateway: GatewayProcess) -> None:
    page = api("GET", "", None, "-I")
    assert (page.status, page.body) == (200, b"")
    page = curl(f"{shared_gateway.url}/api/v1/namespaces", "-X", "OPTIONS")
    assert page.status == 200
    assert page.header("access-control-allow-origin") == "*"
    assert page.header("access-control-allow-methods") == "GET, DELETE, POST, PUT, HEAD"


def test_a_rule_may_not_set_a_final_parameter_either(api: Api) -> None:
    fields = {"parameters": [{"key": "name", "value": "Ada"}]}
    api.create("final", **fields, annotations=[{"key": "final", "value": True}])
    assert api("PUT", "_/triggers/bell", {}).status == 200
    assert api("PUT", "_/rules/rings", {"trigger": "/_/bell", "action": "/_/final"}).status == 200
    for payload, called in (({"name": "Eve"}, False), ({"other": 1}, True)):
        fired = api("POST", "_/triggers/bell", payload).json["activationId"]
        (line,) = api("GET", f"_/activations/{fired}/logs").json["logs"]
        result = json.loads(line)
        assert result["success"] is called
        assert called or result["error"].startswith(
            "Request defines parameters that are not allowed"
        )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("%20x", "The name of the entity contains illegal characters."),
        ("a%3Fb", "The name of the entity contains illegal characters."),
        ("x%20", "The name of the entity contains illegal characters."),
        ("n" * 257, "Name segement longer than allowed: 257 > 256."),
    ],
)
def test_a_wrong_name_is_refused(api: Api, name: str, text: str) -> None:
    for path in (f"_/actions/{name}", f"_/packages/{name}", f"_/actions/ok/{name}"):
        page = api("PUT", path, {"exec": {"kind": "python:3", "code": ECHO}})
        assert page.status in (400, 404)
        if page.status == 400:
            assert page.json["error"] == text
    api.create("a%20b.c&d@e-f")
    assert api("GET", "_/actions/a%20b.c&d@e-f").json["name"] == "a b.c&d@e-f"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ((*JSON, "-d", "{"), 400, "The request content was malformed:"),
        ((*JSON, "-d", "[]"), 400, "The request content was malformed:\nObject expected"),
        ((*JSON, "-d", '{"exec": 1}'), 400, "The request content was malformed:"),
        ((*JSON, "-d", '{"exec": {"code": "x"}}'), 400, "'kind' must be a string"),
        ((*JSON, "-d", "{}"), 400, "exec undefined"),
        ((*JSON, "-d", '{"parameters": {"a": 1}}'), 400, "exec undefined"),
        (("-d", "a=1"), 415, "Content-Type is not supported"),
    ],
)
def test_a_wrong_body_is_refused(api: Api, words: tuple[str, ...], status: int, text: str) -> None:
    page = api("PUT", "_/actions/wrong", None, *words)
    assert page.status == status
    assert text in page.json["error"]


def test_wrong_fields_are_refused(api: Api) -> None:
    executable = {"kind": "python:3", "code": ECHO}
    for fields in (
        {"parameters": {"a": 1}},
        {"annotations": [1]},
        {"publish": "yes"},
        {"version": "one"},
        {"limits": {"memory": "big"}},
        {"delAnnotations": "x"},
    ):
        page = api("PUT", "_/actions/wrong", {"exec": executable, **fields})
        assert page.status == 400, fields
        assert page.json["error"].startswith("The request content was malformed"), fields


def test_sizes_are_limited(api: Api, tmp_path: Path) -> None:
    api.create("sized")
    payload = tmp_path / "payload"
    payload.write_text(json.dumps({"a": "x" * (1 << 20)}))
    page = api("POST", "_/actions/sized", None, *JSON, "-d", f"@{payload}")
    assert page.status == 413
    assert page.json["error"] == "Request larger than allowed: 1048585 > 1048576 bytes."
    body = {"exec": {"kind": "python:3", "code": ECHO}}
    payload.write_text(json.dumps({**body, "parameters": [{"key": "a", "value": "x" * (1 << 20)}]}))
    page = api("PUT", "_/actions/sized?overwrite=true", None, *JSON, "-d", f"@{payload}")
    assert page.status == 413
    assert page.json["error"].startswith("parameters larger than allowed")
    payload.write_text(json.dumps({"exec": {"kind": "python:3", "code": "#" * ((48 << 20) + 1)}}))
    page = api("PUT", "_/actions/sized?overwrite=true", None, *JSON, "-d", f"@{payload}")
    assert page.status == 413
    assert page.json["error"] == "exec larger than allowed: 50331649 > 50331648 bytes."
    payload.write_text(json.dumps({"exec": {"kind": "python:3", "code": ECHO + "#" * (2 << 20)}}))
    page = api("PUT", "_/actions/sized?overwrite=true", None, *JSON, "-d", f"@{payload}")
    assert page.status == 200
    assert api.invoke("sized", {"a": 1}) == {"a": 1}


def test_lists_have_limit_skip_and_count(api: Api) -> None:
    for number in range(4):
        assert api("PUT", f"_/triggers/list{number}", {}).status == 200
    names = [each["name"] for each in api("GET", "_/triggers").json]
    assert names[:4] == ["list3", "list2", "list1", "list0"]
    assert [each["name"] for each in api("GET", "_/triggers?limit=2&skip=1").json] == names[1:3]
    assert api("GET", "_/triggers?count=true").json == {"triggers": len(names)}
    assert api("GET", "_/triggers?count=true&skip=1").json == {"triggers": len(names) - 1}
    assert len(api("GET", "_/triggers?limit=0").json) == len(names)
    for query, text in (
        ("limit=201", "The value '201' is not in the range of 0 to 200 for triggers."),
        ("limit=x", "The value 'x' is not an integer for triggers."),
        ("skip=-1", "The value '-1' is not greater than or equal to 0 for triggers."),
        ("count=maybe", "The query parameter 'count' was malformed:"),
    ):
        page = api("GET", f"_/triggers?{query}")
        assert page.status == 400
        assert text in page.json["error"]


def test_the_filters_of_activations(api: Api) -> None:
    for query, text in (
        ("name=a/b/c", "Parameter may be a 'simple' name or 'package-name/simple' name: a/b/c"),
        ("since=x", "Parameter is not a valid value for epoch seconds: x"),
        ("docs=true&count=true", "The parameter 'docs' is not permitted with 'count'."),
    ):
        page = api("GET", f"_/activations?{query}")
        assert page.status == 400
        assert text in page.json["error"]
    page = api("GET", "_/activations/xyz")
    assert page.json["error"] == "Activation id length is 3 but must be 32."
    page = api("GET", "_/activations/" + "x" * 32)
    assert page.json["error"] == "The activation id is not valid."


def test_poll_sees_what_ended_since(api: Api) -> None:
    api.create("polled")
    before = api("GET", "_/activations?limit=1").json
    since = before[0]["start"] if before else 0
    page = api("POST", "_/actions/polled?blocking=true", {})
    query = f"_/activations?limit=0&since={since}&docs=true"
    assert page.json["activationId"] in [each["activationId"] for each in api("GET", query).json]


def test_a_blocking_call_that_takes_too_long_goes_on(api: Api) -> None:
    code = "import time\ndef main(args):\n    time.sleep(1)\n    return {'done': True}\n"
    api.create("slow", code)
    page = api("POST", "_/actions/slow?blocking=true&timeout=200", {})
    assert page.status == 202
    identifier = page.json["activationId"]
    assert page.header("x-openwhisk-activation-id") == identifier
    assert api("GET", f"_/activations/{identifier}").status == 404
    assert api.invoke("slow") == {"done": True}
    for wrong in ("0", "60001", "x"):
        page = api("POST", f"_/actions/slow?blocking=true&timeout={wrong}", {})
        assert page.status == 400
        assert "Timeout must be number of milliseconds up to 60000." in page.json["error"]


def test_arrays_pass_through_a_sequence(api: Api) -> None:
    api.create("array", "def main(args):\n    return [1, 2]\n")
    api.create("count", "def main(args):\n    return {'n': len(args)}\n")
    page = api("POST", "_/actions/array?blocking=true", {})
    assert (page.status, page.json) == (200, [1, 2])
    components = ["/_/array", "/guest/count"]
    body = {"exec": {"kind": "sequence", "components": components}}
    assert api("PUT", "_/actions/counted", body).status == 200
    assert api.invoke("counted") == {"n": 2}


def test_a_sequence_whose_component_was_deleted(api: Api) -> None:
    api.create("leaves")
    body = {"exec": {"kind": "sequence", "components": ["/_/leaves"]}}
    assert api("PUT", "_/actions/left", body).status == 200
    assert api("DELETE", "_/actions/leaves").status == 200
    page = api("POST", "_/actions/left?blocking=true", {})
    assert page.status == 502
    assert page.json["response"]["result"] == {"error": "Sequence component does not exist."}


def test_a_conductor_directs_a_composition(api: Api) -> None:
    api.create("triple", "def main(args):\n    return {'value': args['value'] * 3}\n")
    code = """def main(args):
    step = args.get('step', 0)
    if step == 2:
        return {'params': {'value': args['value']}}
    return {'action': 'triple', 'params': {'value': args['value']}, 'state': {'step': step + 1}}
"""
    api.create("conductor", code, annotations=[{"key": "conductor", "value": True}])
    record = api("POST", "_/actions/conductor?blocking=true", {"value": 2}).json
    assert record["response"]["result"] == {"value": 18}
    assert len(record["logs"]) == 5
    found = {each["key"]: each["value"] for each in record["annotations"]}
    assert (found["conductor"], found["topmost"], found["kind"]) == (True, True, "sequence")
    part = api("GET", f"_/activations/{record['logs'][1]}").json
    assert (part["name"], part["cause"]) == ("triple", record["activationId"])


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("missing", "Failed to resolve action with name 'guest/missing' during composition."),
        ("/other/x", "Failed entitlement check for action with name 'other/x' during composition."),
        (5, "Failed to parse action name from json value 5 during composition."),
    ],
)
def test_a_conductor_learns_what_went_wrong(api: Api, action: object, text: str) -> None:
    code = "def main(args):\n    return {'params': args} if 'error' in args else {'action': %r}\n"
    api.create("astray", code % (action,), annotations=[{"key": "conductor", "value": True}])
    assert api.invoke("astray") == {"error": text}


def test_a_composition_without_an_end_is_ended(api: Api) -> None:
    code = "def main(args):\n    return {'action': 'missing'}\n"
    api.create("endless", code, annotations=[{"key": "conductor", "value": True}])
    assert api.invoke("endless") == {"error": "Too many actions in the composition."}


def test_the_key_of_the_api_comes_only_if_asked_for(
    api: Api, shared_gateway: GatewayProcess
) -> None:
    code = "import os\ndef main(args):\n    return {'key': os.environ.get('__OW_API_KEY')}\n"
    api.create("without", code)
    assert api.invoke("without") == {"key": None}
    api.create("with", code, annotations=[{"key": "provide-api-key", "value": True}])
    assert api.invoke("with") == {"key": shared_gateway.auth}


def test_init_parameters_are_variables(api: Api) -> None:
    code = "import os\ndef main(args):\n    return {**args, 'color': os.environ['color']}\n"
    parameters = [{"key": "color", "value": "red", "init": True}, {"key": "a", "value": 1}]
    api.create("painted", code, parameters=parameters)
    assert api.invoke("painted") == {"a": 1, "color": "red"}


def test_one_name_is_one_entity(api: Api) -> None:
    api.create("taken")
    for collection, body in (("packages", {}), ("triggers", {})):
        page = api("PUT", f"_/{collection}/taken", body)
        assert page.status == 409
        text = "Resource by this name exists but is not in this collection."
        assert page.json["error"] == text
        assert api("GET", f"_/{collection}/taken").status == 409
    assert api("PUT", "_/packages/default", {}).json["error"] == (
        "Package name 'default' is reserved."
    )


def test_a_package_is_deleted_with_its_actions_by_force(api: Api) -> None:
    assert api("PUT", "_/packages/forced", {}).status == 200
    api.create("forced/a")
    api.create("forced/b")
    page = api("DELETE", "_/packages/forced")
    assert page.status == 409
    assert page.json["error"] == "Package not empty (contains 2 entities)"
    assert api("DELETE", "_/packages/forced?force=true").status == 200
    assert api("GET", "_/actions/forced/a").status == 404
    assert "a" not in [each["name"] for each in api("GET", "_/actions?limit=0").json]


def test_a_feed_is_listed_as_one(api: Api) -> None:
    assert api("PUT", "_/packages/feeds", {}).status == 200
    api.create("feeds/clock", annotations=[{"key": "feed", "value": True}])
    found = api("GET", "_/packages/feeds").json
    assert [each["name"] for each in found["feeds"]] == ["clock"]
    assert found["actions"] == []


def test_another_namespace_reaches_only_public_packages(api: Api, other: Api) -> None:
    assert other("GET", "").json == ["other"]
    api.create("mine")
    for path in ("guest/actions", "guest/actions/mine", "guest/triggers", "guest/activations"):
        page = other("GET", path)
        assert page.status == 403
        assert page.json["error"] == (
            "The supplied authentication is not authorized to access this resource."
        )
    assert other("POST", "guest/actions/mine", {}).status == 403
    assert other("DELETE", "guest/actions/mine").status == 403
    assert api("PUT", "_/packages/closed", {}).status == 200
    public = {"publish": True, "parameters": [{"key": "from", "value": "guest"}]}
    assert api("PUT", "_/packages/shared", public).status == 200
    api.create("closed/act")
    api.create("shared/act")
    assert [each["name"] for each in other("GET", "guest/packages").json] == ["shared"]
    assert other("GET", "guest/packages/closed").status == 403
    assert other("GET", "guest/packages/none").status == 403
    assert other("GET", "guest/packages/shared").status == 200
    assert other("POST", "guest/actions/closed/act", {}).status == 403
    page = other("POST", "guest/actions/shared/act?blocking=true", {})
    assert page.json["response"]["result"] == {"from": "guest"}
    assert page.json["namespace"] == "other"
    assert other("PUT", "guest/actions/shared/new", {}).status == 403


def test_a_binding_of_a_package_of_another_namespace(api: Api, other: Api) -> None:
    public = {"publish": True, "parameters": [{"key": "a", "value": 1}]}
    assert api("PUT", "_/packages/lib", public).status == 200
    api.create("lib/act")
    body = {"binding": {"namespace": "guest", "name": "lib"}}
    assert other("PUT", "_/packages/mylib", body).status == 200
    page = other("POST", "_/actions/mylib/act?blocking=true", {"b": 2})
    assert page.json["response"]["result"] == {"a": 1, "b": 2}
    found = {each["key"]: each["value"] for each in page.json["annotations"]}
    assert (found["path"], found["binding"]) == ("guest/lib/act", "other/mylib")
    named = other("GET", "_/activations?name=mylib/act").json
    assert [each["activationId"] for each in named] == [page.json["activationId"]]
    assert other("DELETE", "_/actions/mylib/act").status == 400
    assert api("PUT", "_/packages/lib?overwrite=true", {"publish": False}).status == 200
    assert other("POST", "_/actions/mylib/act", {}).status == 403
    hidden = {"binding": {"namespace": "guest", "name": "lib"}}
    assert other("PUT", "_/packages/another", hidden).status == 403
    components = ["/guest/lib/act"]
    body = {"exec": {"kind": "sequence", "components": components}}
    assert other("PUT", "_/actions/steal", body).status == 403


def test_two_writers_at_once(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("raced", ECHO)
    answers: list[Any] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        body = {"exec": {"kind": "python:3", "code": f"{ECHO}# {number}\n"}}
        answers.append(shared_gateway.api("PUT", "actions/raced?overwrite=true", body))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [each for each in answers if each.status == 200]
    refused = [each for each in answers if each.status != 200]
    versions = sorted(int(each.json["version"].rpartition(".")[2]) for each in written)
    assert versions == list(range(2, 2 + len(written)))
    for each in refused:
        assert each.status == 409
        assert each.json["error"] == "Concurrent modification to resource detected."
    last = max(written, key=lambda each: int(each.json["version"].rpartition(".")[2]))
    assert shared_gateway.api("GET", "actions/raced").json["exec"] == last.json["exec"]
