"""One name for one thing: a module or a class has no name that another one has."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.structure.source import sources

MODULES = {
    **dict.fromkeys(
        ("action", "actions", "activations", "entities", "namespaces", "packages", "routes"),
        "what the API, the page and the store each do with the same entities",
    ),
    **dict.fromkeys(
        ("compare", "control", "dev", "doctor", "history", "replay", "status"),
        "a command, or an option of one, and the module that does its work",
    ),
    **dict.fromkeys(
        ("errors", "options", "server", "terminal"), "of a single server, and of the gateway"
    ),
}
"""Names of several modules, each with the reason."""

CLASSES = {
    **dict.fromkeys(
        (
            "Assign",
            "BeginTrial",
            "Load",
            "OfferCopies",
            "Recall",
            "RemoveFolder",
            "Restore",
            "SendError",
            "Spawn",
        ),
        "a command that sends a message has its name",
    ),
    "Action": "as a worker has loaded it, and as the platform describes it",
    "Candidate": "a version that is not current yet, in a server and in `hotwhisk dev`",
    "Worker": "as the supervisor sees it, and the process itself",
}
"""Names of several classes, each with the reason."""


def test_a_module_has_a_name_of_its_own() -> None:
    found = defaultdict(list)
    for source in sources():
        if source.path.stem != "__init__":
            found[source.path.stem].append(source.name)
    assert not {
        name: modules for name, modules in found.items() if len(modules) > 1 and name not in MODULES
    }
    assert not [name for name in MODULES if len(found[name]) < 2]


def test_a_class_has_a_name_of_its_own() -> None:
    found = defaultdict(list)
    for source in sources():
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(source.name)
    assert not {
        name: modules for name, modules in found.items() if len(modules) > 1 and name not in CLASSES
    }
    assert not [name for name in CLASSES if len(found[name]) < 2]
