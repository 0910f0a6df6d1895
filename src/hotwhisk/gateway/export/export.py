"""
Write a namespace as a folder that makes it again on any OpenWhisk.

``deploy.sh`` has the commands that make each entity or replace it, what is needed before what needs
it. Code is in files as it was posted, and parameters and annotations are in files too: so no
command line shows a secret, and no shell changes a text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from operator import attrgetter
from typing import Any, Final

from hotwhisk.errors import StartError, UsageError
from hotwhisk.gateway.export import wsk_commands
from hotwhisk.gateway.export.folder import Folder
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.entities import Entity
from hotwhisk.gateway.store.store import Store

SCRIPT: Final = "deploy.sh"

BY_NAME, BY_PATH = attrgetter("name"), attrgetter("local_path")


@dataclass(slots=True)
class Exported:
    """What was written: how many of each kind."""

    counts: dict[str, int] = field(default_factory=dict)


def export(store: Store, namespace: str, target: str) -> Exported:
    """
    Write a namespace to a folder, which is made; it may be there if it is empty.

    Raises:
        UsageError: there is no such namespace, or the folder is not empty.
        StartError: the folder cannot be written.
    """
    if namespace not in (each.name for each in store.namespaces.all()):
        raise UsageError(f"there is no namespace {namespace}; hotwhisk up keys lists them")
    if os.path.isdir(target) and os.listdir(target):
        raise UsageError(f"{target} is not empty; give a new folder")
    try:
        return _Export(store, namespace, Folder(target)).write()
    except OSError as error:
        raise StartError(
            f"{error.filename or target} cannot be written: {error.strerror}; give another folder"
        ) from None


class _Export:
    def __init__(self, store: Store, namespace: str, folder: Folder) -> None:
        self._store = store
        self._namespace = namespace
        self._folder = folder
        self._done = Exported()

    def write(self) -> Exported:
        packages = self._store.packages.list(self._namespace)
        own = [each for each in packages if not each.document.get("binding")]
        bindings = [each for each in packages if each.document.get("binding")]
        actions = self._store.actions.list(self._namespace)
        groups = {
            "packages": [self._package(each) for each in sorted(own, key=BY_NAME)],
            "actions": [
                self._action(each)
                for each in sorted(actions, key=BY_PATH)
                if each.components is None
            ],
            "bindings": [self._binding(each) for each in sorted(bindings, key=BY_NAME)],
            "sequences": [self._sequence(each) for each in _ordered(actions)],
            "triggers": [
                self._trigger(each)
                for each in sorted(self._store.triggers.list(self._namespace), key=BY_NAME)
            ],
            "rules": [
                self._rule(each)
                for each in sorted(self._store.rules.list(self._namespace), key=BY_NAME)
            ],
        }
        self._done.counts = {kind: len(made) for kind, made in groups.items() if made}
        self._folder.write(SCRIPT, wsk_commands.script(self._namespace, groups), mode=0o700)
        return self._done

    def _package(self, package: Entity) -> str:
        files = self._values(f"packages/{package.name}", package.document)
        shared = "yes" if package.document.get("publish") else "no"
        return wsk_commands.wsk("package", "update", package.name, *files, "--shared", shared)

    def _binding(self, binding: Entity) -> str:
        document = binding.document
        target = document["binding"]
        namespace = "_" if target["namespace"] == self._namespace else target["namespace"]
        body = {
            "binding": {"namespace": namespace, "name": target["name"]},
            "parameters": document.get("parameters") or [],
            "annotations": [
                each for each in document.get("annotations") or () if each["key"] != "binding"
            ],
            "publish": bool(document.get("publish")),
        }
        # wsk can make a binding, but not replace one.
        file = self._folder.write_json(f"packages/{binding.name}.json", body)
        return wsk_commands.update(f"packages/{binding.name}", file)

    def _action(self, action: StoredAction) -> str:
        document, name = action.document, action.local_path
        place = f"actions/{action.package or 'default'}/{action.name}"
        code = (self._store.actions.code(action.digest) if action.digest else None) or ""
        source = self._folder.write_code(place, document["exec"]["kind"], code)
        words = ["action", "update", name, source, *wsk_commands.execution(document["exec"])]
        words += self._values(place, document)
        words += wsk_commands.limits(document["limits"])
        if not any(each.get("init") for each in document["parameters"]):
            return wsk_commands.wsk(*words)
        # wsk has no option for parameters that become variables of the environment.
        file = self._folder.write_json(
            f"{place}.environment.json", {"parameters": document["parameters"]}
        )
        return "\n".join((wsk_commands.wsk(*words), wsk_commands.update(f"actions/{name}", file)))

    def _sequence(self, action: StoredAction) -> str:
        place = f"actions/{action.package or 'default'}/{action.name}"
        components = ",".join(self._own(each) for each in action.components or ())
        document = {**action.document, "parameters": []}
        words = ["action", "update", action.local_path, "--sequence", components]
        words += self._values(place, document)
        return wsk_commands.wsk(*words, *wsk_commands.limits(action.document["limits"]))

    def _trigger(self, trigger: Entity) -> str:
        files = self._values(f"triggers/{trigger.name}", trigger.document)
        return wsk_commands.wsk("trigger", "update", trigger.name, *files)

    def _rule(self, rule: Entity) -> str:
        document = rule.document
        words = (rule.name, self._own(document["trigger"]), self._own(document["action"]))
        state = "disable" if document.get("status") == "inactive" else "enable"
        lines = [
            wsk_commands.wsk("rule", "update", *words),
            wsk_commands.wsk("rule", state, rule.name),
        ]
        if document.get("annotations"):
            # wsk has no option for them.
            body = {"annotations": document["annotations"]}
            file = self._folder.write_json(f"rules/{rule.name}.annotations.json", body)
            lines.insert(1, wsk_commands.update(f"rules/{rule.name}", file))
        return "\n".join(lines)

    def _values(self, place: str, document: dict[str, Any]) -> list[str]:
        """Write parameters and annotations, if there are any; return the options that read them."""
        words: list[str] = []
        for option, key, left_out in (
            ("--param-file", "parameters", ()),
            ("--annotation-file", "annotations", ("exec", "binding")),  # the platform's own
        ):
            values = {
                each["key"]: each["value"]
                for each in document.get(key) or ()
                if each["key"] not in left_out
            }
            if values:
                words += [option, self._folder.write_json(f"{place}.{key}.json", values)]
        return words

    def _own(self, path: str) -> str:
        """Return a full name with ``_`` for the namespace that is exported."""
        namespace, _, rest = path.removeprefix("/").partition("/")
        return f"/_/{rest}" if namespace == self._namespace else f"/{namespace}/{rest}"


def _ordered(actions: list[StoredAction]) -> Iterator[StoredAction]:
    """Yield the sequences, each after those that are part of it."""
    sequences = {f"/{each.path}": each for each in sorted(actions, key=BY_PATH) if each.components}
    needs = {path: each.components or [] for path, each in sequences.items()}
    order = TopologicalSorter(needs).static_order()
    return (sequences[path] for path in order if path in sequences)
