"""
Set variables of the environment for each request without a leak.

``os.environ[name] = value`` calls setenv(3). The C library keeps each former value, because a
pointer to it may still be in use. A request sets an identifier and a deadline, so this would leak a
quarter of a kilobyte for each request. putenv(3) uses memory of the caller instead. So each
variable has two buffers, which are used in turn. Code that reads the environment in another thread,
or starts a program, finds the former value or the new one, and never a mixture.
"""

from __future__ import annotations

import ctypes
import os

from hotwhisk.http1.trace_context import TRACEPARENT, TRACESTATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.http1.trace_context import TraceContext


_libc: Final = ctypes.PyDLL(None)  # keeps Python's lock, because the call is short
_ROOM: Final = 64


class Variable:
    """Sets one variable as ``os.environ`` would set it. The action can change it too."""

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
        Set a variable.

        If the action has replaced ``os.environ``, the variable is set in the action's mapping.
        """
        if type(os.environ) is not _ENVIRON:
            os.environ[name] = value
            return
        variable = self._known.get(name)
        if variable is None:
            variable = self._known[name] = Variable(name)
        variable.set(value)


_ENVIRON: Final = type(os.environ)


class TraceVariables:
    """The variables with the trace of a run, from which OpenTelemetry reads it in a process."""

    names: Final = (TRACEPARENT.upper(), TRACESTATE.upper())

    def __init__(self) -> None:
        self._variables = Variables()
        self.are_set = False
        """Whether they show the trace of the latest run."""
        self._before: dict[str, str] = {}
        """Their values from before the first trace."""

    def show(self, trace: TraceContext | None) -> None:
        """Show the trace of a run. For a run without one, restore the values from before."""
        environ = os.environ
        if not self.are_set:
            self._before = {name: environ[name] for name in self.names if name in environ}
        self.are_set, values = trace is not None, self._before
        if trace is not None:
            values = dict(zip(self.names, (trace.traceparent, trace.tracestate), strict=True))
        for name in self.names:
            if values.get(name):
                self._variables.set(name, values[name])
            else:
                environ.pop(name, None)


def _immortal(size: int) -> ctypes.Array[ctypes.c_char]:
    """Return a buffer that is never freed, because the C library may keep a pointer to it."""
    buffer = ctypes.create_string_buffer(size)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(buffer))
    return buffer
