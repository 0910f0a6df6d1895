"""
Open the page in a browser, logged in, without a secret in an address.

An address is seen by other users of the machine in the list of processes, and stays in the history.
So the browser opens a file that only its owner can read, which sends the key as a form.
"""

from __future__ import annotations

import html
import logging
import os
import threading
import webbrowser
from pathlib import Path
from typing import Final

from hotwhisk.gateway.data_folder import make_private
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.settings import Settings
from hotwhisk.gateway.store.namespaces import Namespace

_DOCUMENT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>hotwhisk</title>
<form method="post" action="{action}">
<input type="hidden" name="key" value="{key}">
<button>Open hotwhisk</button>
</form>
<script>document.forms[0].submit()</script>
</html>
"""


def write_login(settings: Settings, namespace: Namespace) -> str:
    """Write the file that logs its reader in, and return its path."""
    path = os.path.join(settings.run_dir, f"open-{namespace.name}.html")
    make_private(settings.run_dir)
    text = _DOCUMENT.format(
        action=html.escape(f"{settings.url}/login"), key=html.escape(namespace.auth)
    )
    if os.path.lexists(path):
        os.unlink(path)  # it may be from a time with other rights
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def open_page(settings: Settings, namespace: Namespace) -> threading.Thread:
    """
    Open the page in the user's browser, in a thread that ends with the process.

    Some browsers are waited for until they end. If there is none, the path of the file is the next
    best: it is logged, and the user opens it.
    """
    path = write_login(settings, namespace)
    thread = threading.Thread(target=_open, args=(path,), name="browser", daemon=True)
    thread.start()
    return thread


def _open(path: str) -> None:
    if not webbrowser.open(Path(path).as_uri()):
        text = f"no browser was found here: open {path} in one, which logs it in"
        log_event(text, level=logging.WARNING)
