"""
Read and write large JSON by orjson, if its result is provably that of the standard library.

orjson reads a body of many small values three times as fast as the standard library and writes it
ten times as fast. It differs in details, and an action must not see which of the two was at work.
So each result is proven, by checks that take a fraction of the time that is won. Without a proof
there is no result, and the caller uses the standard library.

Reading. What orjson refuses, the standard library decides. There remain:

* An integer beyond 64 bits becomes a float. Such a number has nineteen digits in a row, and no
  point before them. That can be seen in the bytes; in a value of few nodes, no float is proof too.
* The standard library gives up at its recursion limit, some 980 levels, and orjson at 1024. So a
  value that is deeper than `MOST_DEPTH` has no proof.

Writing. orjson accepts types that JSON does not have (UUIDs, enumerations, dataclasses, dates),
runs code of the action for some, and an enumeration whose ``value`` raises ends the process. So it
is given exact built-in types only, and they are looked at before. Then there remain:

* NaN and the infinities become ``null``. So where there is a float, the text must have as many
  ``null`` as the value has None.
* A float may have another text, such as ``1e-8`` for ``1e-08``: the same value, so it is kept.

The nodes of a value are taken level by level from the garbage collector, which finds what a
container holds. A loop in Python over each of them would take longer than the standard library.
"""

from __future__ import annotations

import gc
import importlib.machinery
import importlib.util
import sys
from importlib import import_module
from itertools import islice
from types import NoneType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, Final

NAME: Final = "orjson"
OLDEST: Final = (3, 10)
"""The oldest version of orjson whose results were compared."""

WORTH_WHILE: Final = 8 * 1024
"""Bytes below which the standard library is fast enough."""

WORTH_THE_IMPORT: Final = 128 * 1024
"""
Bytes of large bodies, taken together, after which a process imports orjson.

The import takes 10 ms or more, and more than a megabyte. A process that has one body of 10 KB
should not pay for it; one with a body of 1 MB wins more at once.
"""

IMPORTS: Final = ("dataclasses", "datetime", "enum", "json", "uuid")
"""
The modules that orjson imports as it begins. If it cannot import one of them, it ends the process.

In an action's process an import can fail: no descriptor may be free, or the action may have taken
the right to read the files from itself.
"""

MOST_DEPTH: Final = 32
"""Levels of a value that are looked at. Both libraries can read and write as many."""

FEW_NODES: Final = 64
"""Nodes that are looked at where a look at all of them would take too long."""

NODE_BYTES: Final = 8
"""Bytes of text that a node of unknown kind is taken for."""

_CONTAINERS: Final = frozenset({dict, list, tuple})
_KINDS: Final = _CONTAINERS | {str, int, float, bool, NoneType}
_MANY_NODES: Final = 100_000

_MODULES: Final = sys.modules
"""Where code in C looks for modules, even if the action has put another dictionary in place."""

_KEPT: Final[list[object]] = []
"""Every orjson that was imported: its code in C goes on using what the module holds."""

_PIECE: Final = 1 << 16
_LONG_INTEGER: Final = b"0" * 19  # 2**63 has as many digits
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)


class Nodes:
    """The types of all nodes of a value and of keys that are not plain `str`; how many are None."""

    __slots__ = ("kinds", "nones")

    def __init__(self, kinds: set[type], nones: int) -> None:
        self.kinds = kinds
        self.nones = nones


class FasterJson:
    """
    orjson, imported when enough large bodies have come.

    It is imported within ``home()``, which hides the action's modules, and is then removed from
    ``sys.modules``. So an action that imports orjson gets its own version, or none if it has none.
    """

    def __init__(
        self, spec: importlib.machinery.ModuleSpec, home: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.library: Any = None
        self._spec = spec
        self._home = home
        self._bytes_left = WORTH_THE_IMPORT

    def loads(self, data: bytes | memoryview) -> object:
        """Return the value of a large document, or None without a proof or for ``null``."""
        if len(data) < WORTH_WHILE or (library := self._library_for(len(data))) is None:
            return None
        try:
            value: object = library.loads(data)
        except ValueError:
            return None
        nodes = nodes_of(value, FEW_NODES)
        if nodes and float not in nodes.kinds:
            return value
        return None if has_long_integer(data) or is_deep(value) else value

    def dumps(self, value: object) -> bytes | None:
        """Return the JSON of a large value, or None without a proof."""
        size = estimated_size(value)
        if size < WORTH_WHILE or (library := self._library_for(size)) is None:
            return None
        nodes = nodes_of(value)
        if nodes is None:
            return None
        try:
            text: bytes = library.dumps(value)
        except TypeError:  # an integer beyond 64 bits, a lone surrogate, a key that is no text
            return None
        return text if float not in nodes.kinds or text.count(b"null") == nodes.nones else None

    def _library_for(self, size: int) -> Any:
        if self._bytes_left > 0:
            self._bytes_left -= size
            if self._bytes_left <= 0:
                with self._home():
                    self.library = import_library(self._spec)
        return self.library


def find_library() -> importlib.machinery.ModuleSpec | None:
    """
    Return where orjson is, or None if it is not installed.

    The one beside hotwhisk is preferred. In the container image that is a folder from which an
    action does not import.
    """
    beside = __file__.rsplit("/", 2)[0]
    find = importlib.machinery.PathFinder.find_spec
    return find(NAME, [beside]) or find(NAME)


def import_library(spec: importlib.machinery.ModuleSpec) -> Any:
    """Return orjson, and leave ``sys.modules`` as it was; return None if it cannot be used here."""
    theirs = _take_out()
    try:
        for name in IMPORTS:
            import_module(name)
        if sys.modules is not _MODULES or spec.loader is None:
            return None
        library: Any = importlib.util.module_from_spec(spec)
        _KEPT.append(library)
        sys.modules[NAME] = library  # where its own modules look for it
        spec.loader.exec_module(library)
        version = tuple(int(number) for number in library.__version__.split(".")[:2])
    except Exception:  # noqa: BLE001 - the action may have changed how modules are imported
        return None
    finally:
        _take_out()
        sys.modules.update(theirs)
    return library if version >= OLDEST else None


def _take_out() -> dict[str, Any]:
    names = [name for name in sys.modules if name.partition(".")[0] == NAME]
    return {name: sys.modules.pop(name) for name in names}


def estimated_size(value: object) -> int:
    """Return about how many bytes of JSON a value has, from a look at some of its nodes."""
    size = 0
    nodes: list[Any] = [value]
    for node in islice(nodes, FEW_NODES):  # the list grows meanwhile
        kind = type(node)
        if kind is str:
            size += len(node)
        elif kind in _CONTAINERS:
            size += len(node) * NODE_BYTES
            if size >= WORTH_WHILE:
                break
            nodes += node.values() if kind is dict else node
    return size


def nodes_of(value: object, most: int = sys.maxsize) -> Nodes | None:
    """
    Return what is known of all nodes of a value.

    Return None if one of them is not exactly of a type of JSON, if the value is too deep, or if one
    of its levels has more than ``most`` nodes.
    """
    kinds: set[type] = set()
    nones = 0
    nodes = [value]
    for _ in range(MOST_DEPTH):
        if len(nodes) > most:
            return None
        here = set(map(type, nodes))
        if not here <= _KINDS:
            return None
        kinds |= here
        if NoneType in here:
            nones += nodes.count(None)
        nodes = _next_level(nodes, here)
        if not nodes:
            return Nodes(kinds, nones)
    return None


def has_long_integer(document: bytes | memoryview) -> bool:
    """
    Return whether a valid document may hold an integer beyond 64 bits.

    It looks at nineteen digits in a row, except for those after a point. A hit may also be in a
    string. The document is looked at in pieces, so a large body is not in memory twice. A piece
    holds the first twenty bytes of what begins in the next one.
    """
    for start in range(0, len(document), _PIECE):
        piece = bytes(document[start : start + _PIECE + 20]).translate(_DIGITS)
        at = piece.find(_LONG_INTEGER)
        while at >= 0:
            # What is at the start of a later piece was seen in the piece before.
            if (at or not start) and piece[at - 1 : at] != b".":
                return True
            at = piece.find(_LONG_INTEGER, at + len(_LONG_INTEGER))
    return False


def is_deep(value: object) -> bool:
    """Return whether what was read from JSON has more levels than `MOST_DEPTH`."""
    nodes = [value]
    for _ in range(MOST_DEPTH):
        # Only what can hold a container is tracked.
        nodes = [*filter(gc.is_tracked, gc.get_referents(*nodes))]
        if not nodes:
            return False
    return True


def _next_level(nodes: list[Any], kinds: set[type]) -> list[Any]:
    """Return what is in the containers among ``nodes``, which have these types."""
    if kinds.isdisjoint(_CONTAINERS):
        return []
    if not kinds <= _CONTAINERS:
        nodes = [node for node in nodes if type(node) in _CONTAINERS]
    if sum(map(len, nodes)) > _MANY_NODES:
        # A container may stand at many places, even inside itself: look at it once.
        nodes = list({id(node): node for node in nodes}.values())
    return gc.get_referents(*nodes)
