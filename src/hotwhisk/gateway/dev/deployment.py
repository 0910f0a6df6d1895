"""
Post the new version of an action to its server, and make it the current one if it loads.

A version that does not load is shown in the terminal and over the page. The last good one serves.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from hotwhisk.errors import BuildFailed, HotwhiskError
from hotwhisk.gateway.cancellation import Cancelled
from hotwhisk.gateway.dev.candidate import Candidate, Options, read_candidate
from hotwhisk.gateway.dev.deployed_names import DeployedNames
from hotwhisk.gateway.dev.handlers import has_handler, is_named_beside
from hotwhisk.gateway.dev.libraries import Libraries
from hotwhisk.gateway.dev.project import Source
from hotwhisk.gateway.dev.stored_code import PlatformCode
from hotwhisk.gateway.dev.terminal import Terminal
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.invocations.call import Call
from hotwhisk.gateway.invocations.load import Load
from hotwhisk.gateway.invocations.resolve import with_parameters
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.problems import Problem
from hotwhisk.gateway.runtimes.pool import Need, NoServer
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE
from hotwhisk.gateway.store.actions import StoredAction, code_digest
from hotwhisk.gateway.store.versions import Conflict, next_version
from hotwhisk.platform import texts
from hotwhisk.platform.logs import stream_and_text

MOST_POSTED: Final = 20
"""Versions of an action that run from the sources where they lie; older ones run as stored."""

_EMPTY: Final[dict[str, Any]] = {
    "publish": False, "parameters": [], "annotations": [], "binding": {},
}  # fmt: skip
"""A package as it is made for an action."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version that is current now, and the seconds that it took to get there."""

    source: Source
    now: StoredAction
    seconds: float


class Deployment:
    """Deploys the actions of a project into the default namespace of a gateway."""

    def __init__(
        self,
        gateway: Gateway,
        libraries: Libraries,
        terminal: Terminal,
        options: Options,
        names: DeployedNames,
    ) -> None:
        self._gateway = gateway
        self._libraries = libraries
        self._terminal = terminal
        self._options = options
        self._names = names
        self._stored = PlatformCode()
        self._showing = threading.Lock()
        self._warned = {""}
        self._tried: set[str] = set()
        """The names of the actions, as opposed to modules."""
        self._digests: dict[str, list[str]] = {}
        self._packages = threading.Lock()
        """Held while a package is made for an action that is not stored yet, or is removed."""
        self._owner = gateway.store.namespaces.ensure(DEFAULT_NAMESPACE)

    def deploy(self, source: Source, changed: list[str], load: Load) -> Deployed | None:
        """
        Make what lies in the files of an action its current version.

        ``changed`` are the files that have changed; there are none at the start. Return None if the
        version was refused, if ``load`` was cancelled, or if a file of ``packages/`` is no action.
        """
        try:
            if self._options.in_packages and self._is_module(source):
                return None
            self._tried.add(source.shown)
            try:
                deployed = self._deploy(source, changed, load)
            finally:
                with self._showing:  # from here on, nothing is shown as still loading
                    load.over = True
            self._gateway.problems.clear(self._owner.name, source.shown)
            return deployed
        except Cancelled:
            self._gateway.problems.clear(self._owner.name, source.shown)
            return None
        except (HotwhiskError, NoServer) as error:
            failure = str(error)
        except Exception as error:
            # A boundary: whatever goes wrong with one save, the next one is looked at.
            log_event(f"{source.shown} cannot be deployed", level=logging.ERROR, exc_info=error)
            failure = f"{type(error).__name__}: {error}"
        if self._gateway.stopping.is_set():
            return None
        self._show_problem(source, "does not load", failure)
        serves = self._gateway.store.actions.get(self._key(source)) is not None
        self._terminal.refused(source, failure, changed, serves=serves)
        return None

    def still_loading(self, source: Source, load: Load, seconds: float) -> None:
        """Say that a version is not ready yet."""
        age = f"({seconds:.0f} s): {load.step}"
        text = "A save of the action begins anew."
        with self._showing:
            if not load.over:
                self._terminal.say(f"still loading {source.shown} {age}; a save of it begins anew")
                self._show_problem(source, f"is still loading {age}", text)

    def _show_problem(self, source: Source, what: str, text: str) -> None:
        """Show a problem of an action over the page, and which version serves meanwhile."""
        serving = self._gateway.store.actions.get(self._key(source))
        serves = f"version {serving.version} serves" if serving else "no version of it serves"
        title = f"{source.shown} {what}; {serves}"
        self._gateway.problems.show(self._owner.name, Problem(source.shown, title, text))

    def _is_module(self, source: Source) -> bool:
        """Return whether a file is a module of those beside it; one that was an action stays."""
        if source.path != source.entry or has_handler(source.path, self._options.main):
            return False
        if self._gateway.store.actions.get(self._key(source)) is not None:
            return False
        if not is_named_beside(source.path):
            main = self._options.main
            self._terminal.say(
                f"{source.path} is no action, since it has no function {main}: add "
                f"def {main}(event), or import it from a file beside it"
            )
        return True

    def _deploy(self, source: Source, changed: list[str], load: Load) -> Deployed:
        begin = time.monotonic()
        load.begin("its libraries are not installed", waits=True)
        libraries = self._libraries.install(source.path, load)
        load.begin("its files are not read")
        candidate = read_candidate(source, libraries, self._stored, self._options)
        if candidate.warning not in self._warned:
            self._warned.add(candidate.warning)
            self._terminal.say(candidate.warning)
        before = self._gateway.store.actions.get(self._key(source))
        # Even with the same code, a file that it reads may have changed: then all servers of the
        # action must load it again, which they do for a new version only.
        same = before if not changed and before and _is_same(before, candidate) else None
        number = next_version(before.version if before else None)
        loaded = None
        if same is None or not self._options.in_packages:
            loaded = self._load(candidate, same.version if same else number, load)
        now = self._store(candidate, same, time.monotonic() - begin)
        if loaded is not None:
            self._prefer_server(loaded, now)
        return Deployed(source, now, time.monotonic() - begin)

    def remove(self, source: Source) -> None:
        """Remove an action whose files are gone."""
        key = self._key(source)
        stored = self._gateway.store.actions.get(key)
        if stored is not None and self._gateway.store.actions.delete(key):
            self._gateway.pool.end(stored.path)
            self._remove_package(source)
        self._names.remove(source.shown)
        if stored is not None or source.shown in self._tried:
            self._terminal.removed(source)
        self._gateway.problems.clear(self._owner.name, source.shown)

    def _prefer_server(self, loaded: Call, now: StoredAction) -> None:
        """Have the server on which a version was loaded take the first call of it."""
        stored = replace(loaded, resolved=replace(loaded.resolved, action=now))
        need = Need((loaded.caller.name, now.path), loaded.version)
        self._gateway.pool.rename_version(need, stored.version)

    def _load(self, candidate: Candidate, version: str, load: Load) -> Call:
        """
        Post a version to the server of its action, under the number that it will have.

        Raises:
            BuildFailed: the server refused it.
            Cancelled: the load was given up.
        """
        key = self._key(candidate.source)
        stored = StoredAction(0, *key, version, candidate.document, code_digest(candidate.code))
        resolved = with_parameters(self._gateway.store, stored)
        call = self._gateway.invocations.new_call(self._owner, resolved, {})
        record = self._gateway.invocations.load(call, candidate.posted, load)
        if record is not None:
            raise BuildFailed(reason(record))
        return call

    def _store(
        self, candidate: Candidate, same: StoredAction | None, seconds: float
    ) -> StoredAction:
        """Make a version that was loaded the current one, unless it is already."""
        gateway, key = self._gateway, self._key(candidate.source)
        self._keep_posted(candidate)
        if same is not None:
            return same
        with self._packages:
            if candidate.source.package:
                self._make_package(candidate.source.package)
            now = gateway.store.actions.put(key, candidate.document, candidate.code)
        self._names.add(candidate.source.shown)
        gateway.store.actions.loaded(now, round(seconds * 1000))
        return now

    def _keep_posted(self, candidate: Candidate) -> None:
        """Post this from now on for the code of a version, and forget the oldest of its action."""
        posted, digest = self._gateway.invocations.posted, code_digest(candidate.code)
        path = joined(*self._key(candidate.source))
        kept = self._digests.setdefault(candidate.source.shown, [])
        if digest in kept:
            kept.remove(digest)
        kept.append(digest)
        posted[path, digest] = candidate.posted
        if len(kept) > MOST_POSTED:
            posted.pop((path, kept.pop(0)), None)

    def _make_package(self, name: str) -> None:
        packages = self._gateway.store.packages
        if packages.get(self._owner.name, name) is None:
            with suppress(Conflict):  # a client has made it in this moment
                packages.put(self._owner.name, name, dict(_EMPTY), expected="")

    def _remove_package(self, source: Source) -> None:
        """Remove the package of an action that was removed, if it was made for its folder only."""
        store, owner, name = self._gateway.store, self._owner.name, source.package
        with self._packages:
            package = store.packages.get(owner, name) if name else None
            if package is None or package.document != _EMPTY or store.actions.list(owner, name):
                return
            if not os.path.isdir(os.path.dirname(source.path)):
                store.packages.delete(owner, name)

    def _key(self, source: Source) -> tuple[str, str, str]:
        return self._owner.name, source.package, source.name


def reason(record: dict[str, Any]) -> str:
    """Return why a version was refused: what it has printed, or else the text of its error."""
    lines = [line for line in record["logs"] if texts.LOGS_AFTER_ERROR not in line]
    printed = [stream_and_text(line)[1] for line in lines]
    return "\n".join(printed).strip() or str(record["response"]["result"]["error"])


def _is_same(before: StoredAction, candidate: Candidate) -> bool:
    return (before.digest, before.document) == (code_digest(candidate.code), candidate.document)
