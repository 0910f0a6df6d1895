from __future__ import annotations

from bdb import BdbQuit

import pytest

from hotwhisk.errors import NO_TERMINAL, debugger_hint


def exit_in(module: str) -> SystemExit:
    """Return the exception of a ``sys.exit(1)`` that was called in the module of this name."""
    with pytest.raises(SystemExit) as raised:
        exec("import sys\nsys.exit(1)", {"__name__": module})
    return raised.value


def test_a_debugger_that_quits_is_told_apart_from_other_errors() -> None:
    assert debugger_hint(BdbQuit()) == NO_TERMINAL
    assert debugger_hint(exit_in("pdb")) == NO_TERMINAL
    assert debugger_hint(exit_in("main__")) == ""
    assert debugger_hint(SystemExit(1)) == ""
    assert debugger_hint(ValueError("1")) == ""
