"""The table: one line a case, by profile, and the sum of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_MARKS = {"passed": "pass", "failed": "FAIL", "not run": "-", "not checked": "?"}


class Table:
    """The result of each case."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, str, str, str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, report: pytest.TestReport) -> None:
        """Add a report of any phase; a worse one replaces a better."""
        about = dict(report.user_properties)
        if "case" not in about or (report.when != "call" and report.passed):
            return
        outcome, note = _outcome(report)
        known = self._rows.get(report.nodeid)
        if known is None or outcome == "failed":
            name = report.nodeid.rpartition("::")[2]
            row = (str(about["profile"]), str(about["case"]), name, outcome, note)
            self._rows[report.nodeid] = row

    def lines(self) -> list[str]:
        """Return the table as text."""
        rows = sorted(self._rows.values(), key=lambda row: (row[0], _order(row[1]), row[2]))
        width = max(len(row[2]) for row in rows)
        lines, profile = [], ""
        for row in rows:
            if row[0] != profile:
                profile = row[0]
                lines += [f"profile {profile}"]
            note = f"  {row[4]}" if row[4] else ""
            lines.append(f"  {_MARKS[row[3]]:4}  {row[1]:4} {row[2]:{width}}{note}".rstrip())
        counts = {outcome: sum(row[3] == outcome for row in rows) for outcome in _MARKS}
        return [*lines, ", ".join(f"{count} {outcome}" for outcome, count in counts.items())]


def _outcome(report: pytest.TestReport) -> tuple[str, str]:
    if not report.skipped:
        return ("failed", _first_line(report)) if report.failed else ("passed", "")
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    outcome, _, note = reason.partition(": ")
    return (outcome, note) if outcome in _MARKS else ("not run", reason)


def _first_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    line = text.strip().splitlines()[0] if text.strip() else ""
    line = re.sub(r"^(AssertionError|Failed|hotwhisk_conformance\.client\.\w+): ", "", line)
    return line if len(line) <= 160 else line[:157] + "..."


def _order(case: str) -> tuple[str, int]:
    return case[:1], int(re.sub(r"\D", "", case) or 0)
