"""
Say which kinds of action this machine runs, and check what is to be executed.

There is no container engine: an action is Python of the version that runs the gateway, a program
that speaks ActionLoop, or a sequence of other actions.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from hotwhisk.gateway.api.errors import malformed, too_large
from hotwhisk.gateway.invocations.resolve import full_key
from hotwhisk.gateway.names import joined
from hotwhisk.platform import is_base64
from hotwhisk.sizes import MOST_CODE, code_size

OWN_PYTHON: Final = f"python:{sys.version_info.major}.{sys.version_info.minor}"
DEFAULT_PYTHON: Final = "python:3"
NATIVE_IMAGE: Final = "openwhisk/dockerskeleton"
"""What ``wsk action create --native`` names as the image."""
_PYTHONS: Final = (DEFAULT_PYTHON, OWN_PYTHON)
_NATIVE_IMAGES: Final = ("dockerskeleton", "actionloop", "actionloop-base")
_OTHERWISE: Final = (
    "hotwhisk up has no container engine; build a program that speaks ActionLoop and give --native, "
    "or use OpenWhisk on a cluster"
)


def runtimes() -> dict[str, list[dict[str, object]]]:
    """Return the kinds with code, as the root of the API lists them."""
    return {
        "python": [
            {
                "kind": kind,
                "default": kind == DEFAULT_PYTHON,
                "deprecated": False,
                "attached": True,
                "requireMain": False,
                "image": "hotwhisk",
            }
            for kind in _PYTHONS
        ]
    }


def check_exec(given: object, namespace: str) -> tuple[dict[str, Any], str | None]:
    """
    Return the field ``exec`` of an action without its code, and the code.

    Raises:
        ApiError: 400, the kind does not run here, or a field is missing; 413, the code is too long.
    """
    if not isinstance(given, dict):
        raise malformed("Object expected in field 'exec'")
    kind = given.get("kind")
    if not isinstance(kind, str):
        raise malformed("'kind' must be a string defined in 'exec'")
    kind = kind.strip().lower()
    if kind == "sequence":
        return {"kind": kind, "components": _components(given, namespace)}, None
    checked: dict[str, Any] = {"kind": _kind(kind)}
    if checked["kind"] == "blackbox":
        checked["image"] = _image(given)
    main = given.get("main")
    if main is not None and not isinstance(main, str):
        raise malformed(f"if defined, 'main' must be a string in 'exec' for '{kind}' actions")
    if main:
        checked["main"] = main
    code = _code(given, kind)
    checked["binary"] = is_base64(code)
    return checked, code


def _kind(kind: str) -> str:
    if kind == "python:default":
        return DEFAULT_PYTHON
    if kind in _PYTHONS:
        return kind
    if kind in ("blackbox", "native"):
        return "blackbox"
    advice = (
        f"start hotwhisk up with that Python, or use --kind {DEFAULT_PYTHON}"
        if kind.startswith("python:")
        else f"if the code is Python, give the kind {DEFAULT_PYTHON} (a client may send another one "
        f"where none is given); {_OTHERWISE}"
    )
    known = ", ".join((*_PYTHONS, "blackbox", "sequence"))
    raise malformed(f"kind '{kind}' not in Set({known}); {advice}")


def _image(given: dict[str, Any]) -> str:
    image = given.get("image") or NATIVE_IMAGE
    if not isinstance(image, str):
        raise malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
    if image.rpartition("/")[2].partition(":")[0] not in _NATIVE_IMAGES:
        raise malformed(f"the image {image} cannot run: {_OTHERWISE}")
    return image


def _code(given: dict[str, Any], kind: str) -> str:
    code = given.get("code")
    if not isinstance(code, str) or (not code.strip() and kind in ("blackbox", "native")):
        raise malformed(f"'code' must be a string defined in 'exec' for '{kind}' actions")
    if (size := code_size(code)) > MOST_CODE:
        raise too_large("exec", size, MOST_CODE)
    return code.encode("utf-8", "replace").decode()


def _components(given: dict[str, Any], namespace: str) -> list[str]:
    components = given.get("components")
    if components is None:
        raise malformed("'components' must be defined for sequence kind")
    if not isinstance(components, list) or not all(isinstance(each, str) for each in components):
        raise malformed("'components' must be an array")
    try:
        keys = [full_key(each, namespace) for each in components]
    except ValueError as error:
        raise malformed(str(error)) from None
    return [f"/{joined(*key)}" for key in keys]
