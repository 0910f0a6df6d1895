"""
Setting variables of the environment over and over, without a leak.

``os.environ[name] = value`` calls setenv(3), and the C library keeps each value that there
ever was: somebody may still hold a pointer to it. With an identifier and a deadline per
request that is a quarter of a kilobyte for each, for as long as the worker lives.
putenv(3) takes memory of the caller's instead. So each variable has two buffers here, that
take turns: whoever reads the environment in another thread, or starts a program, finds the
value before or this one, never half of each.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_libc: Final = ctypes.PyDLL(None)  # keeps Python's lock: a call this short is no rest for anybody
_ROOM: Final = 64


class Variable:
    """One variable, set as ``os.environ`` would set it. Changes by the action are respected."""

    __slots__ = ("_key", "_prefix", "_shown", "_spare")

    def __init__(self, name: str) -> None:
        self._key = os.fsencode(name)
        self._prefix = self._key + b"="
        self._shown = _immortal(len(self._prefix) + _ROOM)
        self._spare = _immortal(len(self._prefix) + _ROOM)

    def set(self, value: str) -> None:
        """Set the variable for Python, for the C library and for programs that are started."""
        data = os.fsencode(value)
        text = self._prefix + data
        buffer = self._spare
        if len(buffer) <= len(text):
            buffer = _immortal(2 * len(text))
        buffer.value = text
        _libc.putenv(buffer)
        self._shown, self._spare = buffer, self._shown
        os.environ._data[self._key] = data  # type: ignore[attr-defined]


class Variables:
    """The variables that are set repeatedly, by name."""

    def __init__(self) -> None:
        self._known: dict[str, Variable] = {}

    def set(self, name: str, value: str) -> None:
        """
        Set a variable. An environment that the action put in the place of Python's own is
        set as any mapping is.
        """
        if type(os.environ) is not _ENVIRON:
            os.environ[name] = value
            return
        variable = self._known.get(name)
        if variable is None:
            variable = self._known[name] = Variable(name)
        variable.set(value)


_ENVIRON: Final = type(os.environ)


def _immortal(size: int) -> ctypes.Array[ctypes.c_char]:
    """Return a buffer that is never freed, since the C library may keep it for ever."""
    buffer = ctypes.create_string_buffer(size)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(buffer))
    return buffer
