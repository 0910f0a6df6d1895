"""Tell a user who meant one server that another kind of server has the port."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

_TIMEOUT = 2.0


def gateway_at(url: str) -> str:
    """
    Return a text for users if the server at ``url`` is a gateway; an empty text for any other.

    A gateway is what ``hotwhisk up`` and ``hotwhisk dev`` start. It has many actions, and neither
    ``/init`` nor ``/run``.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/api/v1")
        found = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    if not isinstance(found, dict) or found.get("description") != "OpenWhisk API":
        return ""
    place = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{place} is a gateway, of hotwhisk up or hotwhisk dev, and this command is for a server of "
        f"hotwhisk serve; open {place} in a browser, or call an action of the gateway with: "
        "wsk action invoke NAME --result"
    )
