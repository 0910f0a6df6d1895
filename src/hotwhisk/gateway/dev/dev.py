"""Put the parts of ``hotwhisk dev`` together, beside a gateway."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from hotwhisk.artifact.kinds import DEFAULT_HANDLER
from hotwhisk.gateway import server
from hotwhisk.gateway.dev.candidate import Options
from hotwhisk.gateway.dev.debugger_relay import DebuggerRelay
from hotwhisk.gateway.dev.deploy_queue import DeployQueue
from hotwhisk.gateway.dev.deployed_names import DeployedNames
from hotwhisk.gateway.dev.deployment import Deployed, Deployment
from hotwhisk.gateway.dev.explanations import Explanations
from hotwhisk.gateway.dev.last_traceback import add_traceback
from hotwhisk.gateway.dev.libraries import Libraries
from hotwhisk.gateway.dev.opened import OpenedFiles
from hotwhisk.gateway.dev.project import Project, Source
from hotwhisk.gateway.dev.replay import EventReplay
from hotwhisk.gateway.dev.terminal import Terminal
from hotwhisk.gateway.dev.watching import Watching
from hotwhisk.gateway.dev.web_paths import Answered, WebPathHints, WebPaths, address
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.page.opening import open_page
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings, default_data


@dataclass(frozen=True, slots=True)
class DevSettings:
    """
    What ``hotwhisk dev`` was told beside the settings of the gateway.

    ``debug_port`` is None without ``--debug``. ``terminal`` is the path of the terminal that serves
    ``breakpoint()``, or empty. ``opens_page`` says whether the browser opens the page.
    """

    project: Project
    parameters: dict[str, object] = field(default_factory=dict)
    env_file: str = ""
    main: str = DEFAULT_HANDLER
    web: bool = False
    replay: bool = False
    debug_port: int | None = None
    allowed_origins: tuple[str, ...] = ()
    terminal: str = ""
    opens_page: bool = False


class DevServer:
    """A gateway whose actions are those of a project."""

    def __init__(self, given: DevSettings, terminal: Terminal) -> None:
        self._given = given
        self._terminal = terminal
        self._relay = DebuggerRelay()
        self._gateway: Gateway | None = None
        self._watching: Watching | None = None
        self._libraries: Libraries | None = None
        self._addressed: set[Source] = set()

    def serve(self, settings: Settings, environ: Mapping[str, str]) -> int:
        """
        Serve until a signal comes; return the exit code.

        Raises:
            StartError: as `server.serve`; also if the port for a debugger is taken.
        """
        if self._given.debug_port is not None:
            self._relay.open(self._given.debug_port)
            settings = replace(settings, most_servers_per_action=1)
        try:
            return server.serve(settings, environ, self._begin, self._around)
        finally:
            if self._libraries is not None:
                self._libraries.close()

    def _around(self, app: ASGIApp) -> ASGIApp:
        if self._given.web:
            app = WebPaths(app, self._names, self._explain)
        else:
            app = WebPathHints(app, self._names, self._terminal.say)
        if self._given.allowed_origins:
            app = CORSMiddleware(
                app,
                allow_origins=self._given.allowed_origins,
                allow_methods=["*"],
                allow_headers=["*"],
            )
        return app

    def _begin(self, gateway: Gateway) -> None:
        """Deploy and watch, in threads; the port is open."""
        self._gateway = gateway
        given, settings = self._given, gateway.settings
        self._announce(settings)
        opened = OpenedFiles(os.path.join(settings.run_dir, "opened"))
        folder = os.path.join(settings.data, "libraries")
        libraries = self._libraries = Libraries(folder, self._terminal.say)
        libraries.remove_old()
        replay = EventReplay(gateway, self._terminal)

        def done(deployed: Deployed, changed: list[str]) -> None:
            watching.note_opened()  # before anybody is told, and may change such a file
            self._say_live(deployed, changed, settings.url)
            if changed and given.replay:
                replay.start(deployed)

        names = DeployedNames(os.path.join(settings.data, "deployed.json"), given.project.path)
        options = self._options(opened.pipe)
        deployment = Deployment(gateway, libraries, self._terminal, options, names)
        also = [given.env_file] if given.env_file else []
        queue = DeployQueue(deployment, done)
        watching = Watching(given.project, opened, also, queue, self._terminal.say)
        self._watching = watching
        gateway.invocations.adjust = add_traceback
        gateway.store.activations.watch(lambda _: watching.note_opened())
        gateway.store.activations.watch(self._terminal.request)
        for name in names.all() - _names(given.project):  # their files went away meanwhile
            package, _, action = name.rpartition("/")
            queue.remove(Source(package, action, ""))
        watching.start()
        if given.opens_page:
            open_page(settings, gateway.store.namespaces.ensure(DEFAULT_NAMESPACE))

    def _announce(self, settings: Settings) -> None:
        path = self._given.project.path
        self._terminal.say(f"page and OpenWhisk's API on {settings.url} · {path}")
        self._terminal.say(
            f"for wsk: wsk property set --apihost {settings.url} "
            f'--auth "$({settings.key_command})"     (the page asks for the same key)'
        )
        if self._given.debug_port is not None:
            self._terminal.say(f"attach a debugger (DAP, debugpy) to 127.0.0.1:{self._relay.port}")

    def _options(self, pipe: str) -> Options:
        given = self._given
        return Options(
            lambda action: self._prelude(action, pipe),
            given.parameters,
            given.env_file,
            web=given.web,
            patient=given.debug_port is not None,
            has_terminal=bool(given.terminal),
            in_packages=not given.project.is_single,
            main=given.main,
        )

    def _say_live(self, deployed: Deployed, changed: list[str], url: str) -> None:
        """Write that a version is current, and once for each action where it is called."""
        source = deployed.source
        self._terminal.deployed(source, deployed.now.version, deployed.seconds, changed)
        if self._given.web and source not in self._addressed:
            self._addressed.add(source)
            self._terminal.address(source, f"{url}{address(source.shown)}")

    def _names(self) -> frozenset[str]:
        assert self._watching is not None, "not serving"
        return self._watching.names

    def _explain(self, answered: Answered) -> str:
        assert self._gateway is not None, "not serving"
        return Explanations(self._gateway, self._terminal).explain(answered)

    def _prelude(self, action: str, pipe: str) -> str:
        """Return the source that runs in a worker before the action."""
        given = (action, self._given.project.root, pipe, self._given.terminal)
        arguments = ", ".join(map(repr, (*given, self._relay.workers_port)))
        return f"from hotwhisk.gateway.dev.in_action import begin; begin({arguments})"


def _names(project: Project) -> frozenset[str]:
    return frozenset(source.shown for source in project.sources())


def data_of(project: Project, environ: Mapping[str, str]) -> str:
    """Return the folder for the data of a project, which is not in the project."""
    name = os.path.basename(project.path)
    digest = hashlib.sha256(os.fsencode(project.path)).hexdigest()[:12]
    return os.path.join(default_data(environ), "dev", f"{name}-{digest}")
