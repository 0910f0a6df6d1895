"""Write the texts of ``serve --help`` and ``--show-config``, from the table of options."""

from __future__ import annotations

from hotwhisk.config.config import NO_LIMIT, field_of, read_config
from hotwhisk.config.options import OPTIONS, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_FLAG = (
    "reinit", "concurrency", "log_init_error", "execution_env", "wait_for_ack", "compiler",
    "save_jar",
)  # fmt: skip


def explain_config(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the text of ``--show-config``: each value in force with its source, one a line."""
    found = scan(argv, environ)
    config = read_config(argv, environ)
    rows = [("file", config.file or "-", "argument" if config.file else "default")]
    for option in OPTIONS:
        value = getattr(config, field_of(option))
        rows.append((option.name, _shown(value), found.raw[option.name][1]))
    source = f"{config.profile} profile"
    rows += [(name, _shown(getattr(config, name)), source) for name in _NO_FLAG]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows)


def serve_help() -> str:
    """Return the help on the options, one a line, made from the table of options."""
    heads = [
        f"--[no-]{option.flag[2:]}" if option.is_switch else f"{option.flag} {option.metavar}"
        for option in OPTIONS
    ]
    width = max(len(head) for head in heads)
    lines = [
        f"  {head:{width}}  {option.help}{_default_note(option.default, option.openwhisk)}"
        for head, option in zip(heads, OPTIONS, strict=True)
    ]
    return "\n".join(lines)


def _default_note(default: str, openwhisk: str) -> str:
    if openwhisk != default:
        return f" ({default}; under --openwhisk {openwhisk})"
    return f" ({default})" if default not in ("", "no") else ""


def _shown(value: object) -> str:
    if value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value)
    return "none" if value == NO_LIMIT else f"{value:g}" if isinstance(value, float) else str(value)
