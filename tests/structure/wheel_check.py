"""
Check that the wheel can be imported and started, without the source and other distributions.

``./run test-wheel`` runs this with the interpreter of an empty environment.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import sys

import hotwhisk

assert "site-packages" in str(hotwhisk.__file__), f"not the wheel: {hotwhisk.__file__}"
assert importlib.metadata.version("hotwhisk") == hotwhisk.__version__
required = importlib.metadata.requires("hotwhisk") or []
assert all("extra ==" in requirement for requirement in required), required
files = {str(file) for file in importlib.metadata.files("hotwhisk") or ()}
assert "hotwhisk/py.typed" in files
page = "hotwhisk/gateway/page"
assert {f"{page}/templates/layout.html", f"{page}/static/page.css"} <= files
assert any(file.endswith("LICENSE") for file in files)
NEEDS = {
    "hotwhisk.gateway.": {"jinja2", "prometheus_client", "starlette", "uvicorn"},  # the extra `up`
    "hotwhisk.mcp.": {"starlette", "uvicorn"},  # the extra `mcp`
    "hotwhisk.testing.plugin": {"pytest"},  # which imports it
}
"""What modules may lack here, by the beginning of their names."""

count = 0
for module in pkgutil.walk_packages(hotwhisk.__path__, "hotwhisk."):
    if module.name == "hotwhisk.__main__":
        continue
    lacking = {
        name for begin, names in NEEDS.items() if module.name.startswith(begin) for name in names
    }
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name not in lacking:
            raise
    else:
        count += 1
print(f"{count} modules of hotwhisk {hotwhisk.__version__} on Python {sys.version.split()[0]}")
