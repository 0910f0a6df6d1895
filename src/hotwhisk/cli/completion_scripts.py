"""
Write the scripts with which bash, zsh and fish complete the words of ``hotwhisk``.

Each script holds all words, so a press of the tab key starts no Python. Of each shell it needs only
what the shell itself has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import Final

from hotwhisk.cli.completion_words import Command, Flag, Value, ValueKind

_BASH: Final = """\
# Completion of hotwhisk for bash. To have it in each shell, put this line into ~/.bashrc:
#   source <(hotwhisk completion bash)
_hotwhisk() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command=${{COMP_WORDS[1]}} second=${{COMP_WORDS[2]}} flags value
    # bash takes --port=80 for three words.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    ((COMP_CWORD == 1)) && command=
    ((COMP_CWORD == 2)) && second=
    case "$command $second" in
{commands}
    *) flags='--help --version' value={names} ;;
    esac
    [[ $word == -* ]] && value=$flags
    compopt -o filenames 2>/dev/null
    case $value in
    {FILE}) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    {FOLDER}) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    *)
        compopt +o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W "$value" -- "$word")
        ;;
    esac
}}
complete -F _hotwhisk hotwhisk
"""

_ZSH: Final = """\
#compdef hotwhisk
# Completion of hotwhisk for zsh. To have it in each shell, put this line into ~/.zshrc, after
# compinit:
#   source <(hotwhisk completion zsh)
_hotwhisk() {{
    local -a commands
    commands=(
{names}
    )
    if ((CURRENT == 2)); then
        [[ $words[2] == -* ]] && compadd -- --help --version || _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    if ((CURRENT > 2)) && [[ " {pairs} " == *" $command:$words[2] "* ]]; then
        command+=:$words[2]
        shift words
        ((CURRENT--))
    fi
    case $command in
{commands}
    esac
}}
if [[ $funcstack[1] == _hotwhisk ]]; then
    _hotwhisk "$@"
else
    compdef _hotwhisk hotwhisk
fi
"""

_FISH: Final = """\
# Completion of hotwhisk for fish. To have it in each shell:
#   hotwhisk completion fish >~/.config/fish/completions/hotwhisk.fish
function __hotwhisk_is
    # Whether the words that are typed already begin with these, and no further command follows.
    set -l typed (commandline -opc)[2..-1]
    test "$typed[1..$(count $argv)]" = "$argv"; or return
    set -l next (math (count $argv) + 1)
    not contains -- "$argv $typed[$next]" {pairs}
end
complete -c hotwhisk -e
complete -c hotwhisk -f
{first} -l help -d 'show all commands'
{first} -l version -d 'show the version'
{commands}
"""
_FISH_FIRST: Final = "complete -c hotwhisk -n 'test (count (commandline -opc)) -eq 1'"


def bash(commands: Sequence[Command]) -> str:
    """Return the script for bash, 4.4 or newer."""
    longest_first = sorted(commands, key=lambda command: -len(command.words))
    names = quote(" ".join(_first_words(commands)))
    return _BASH.format(
        commands="\n".join(map(_bash_command, longest_first)),
        names=names,
        FILE=ValueKind.FILE.value,
        FOLDER=ValueKind.FOLDER.value,
    )


def _bash_command(command: Command) -> str:
    names = [name for flag in command.flags for name in flag.names]
    by_value: dict[str, list[str]] = {}
    for flag in command.flags:
        if flag.values:
            by_value.setdefault(_bash_value(flag.values[0]), []).extend(flag.names)
    cases = {"|".join(each): value for value, each in by_value.items()}
    cases["*"] = _bash_value(command.argument)
    first, second = (*map(quote, command.words), "*")[:2]
    lines = [f"    {first}\\ {second})", f"        flags={quote(' '.join(names))}"]
    lines += ["        case $before in"]
    lines += [f"        {pattern}) value={quote(value)} ;;" for pattern, value in cases.items()]
    return "\n".join([*lines, "        esac", "        ;;"])


def _bash_value(value: Value | None) -> str:
    """Return the kind of a value, or its words."""
    if value is None or not value.is_known:
        return ""
    return " ".join(value.words) or value.kind.value


def zsh(commands: Sequence[Command]) -> str:
    """Return the script for zsh."""
    names = (
        f"        {quote(f'{each.words[0]}:{each.help}')}" for each in commands if _is_first(each)
    )
    return _ZSH.format(
        names="\n".join(names),
        pairs=" ".join(":".join(each.words) for each in commands if not _is_first(each)),
        commands="\n".join(map(_zsh_command, commands)),
    )


def _zsh_command(command: Command) -> str:
    specifications = [line for flag in command.flags for line in _zsh_flag(flag)]
    if command.argument is not None:
        place = "*" if command.repeats else "1"
        specifications.append(f"{place}{_zsh_value(command.argument)}")
    lines = [f"    {':'.join(command.words)})", "        _arguments \\"]
    lines += [f"            {quote(each)} \\" for each in specifications]
    return "\n".join([*lines, "            ;;"])


def _zsh_flag(flag: Flag) -> Iterator[str]:
    """Yield the specification of each name of an option; see zshcompsys(1), _arguments."""
    text = flag.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
    values = "".join(map(_zsh_value, flag.values))
    for name in flag.names:
        before = "*" if flag.repeats else f"({' '.join(flag.names)})"
        # With "=" the value may also follow the sign; that is not for options with two values.
        sign = "=" if len(flag.values) == 1 and name.startswith("--") else ""
        yield f"{before}{name}{sign}[{text}]{values}"


def _zsh_value(value: Value) -> str:
    name = value.name.replace(":", r"\:")
    if value.words:
        return f":{name}:({' '.join(value.words)})"
    return f":{name}:{_ZSH_ACTIONS[value.kind]}"


_ZSH_ACTIONS: Final = {ValueKind.FILE: "_files", ValueKind.FOLDER: "_files -/", ValueKind.TEXT: " "}


def fish(commands: Sequence[Command]) -> str:
    """Return the script for fish, 3.4 or newer."""
    pairs = [" ".join(each.words) for each in commands if not _is_first(each)]
    lines = [line for command in commands for line in _fish_command(command)]
    further = " ".join(map(quote, pairs))
    return _FISH.format(first=_FISH_FIRST, pairs=further, commands="\n".join(lines))


def _fish_command(command: Command) -> Iterator[str]:
    words = " ".join(command.words)
    if _is_first(command):  # a further command is a word of the argument of the first
        yield f"{_FISH_FIRST} -a {words} -d {_fish_quote(command.help)}"
    start = f"complete -c hotwhisk -n '__hotwhisk_is {words}'"
    for flag in command.flags:
        yield f"{start}{_fish_flag(flag)}"
    if command.argument is not None:
        yield f"{start}{_fish_value(command.argument)}"


def _fish_flag(flag: Flag) -> str:
    names = "".join(f" {_fish_name(name)}" for name in flag.names)
    value = f" -r{_fish_value(flag.values[0])}" if flag.values else ""
    return f"{names}{value} -d {_fish_quote(flag.help)}"


def _fish_name(name: str) -> str:
    if name.startswith("--"):
        return f"-l {name[2:]}"
    return f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}"


def _fish_value(value: Value) -> str:
    if value.words:
        return f" -f -a {_fish_quote(' '.join(value.words))}"
    return {
        ValueKind.FILE: " -F",
        ValueKind.FOLDER: " -f -a '(__fish_complete_directories)'",
        ValueKind.TEXT: " -f",
    }[value.kind]


def _fish_quote(text: str) -> str:
    """Quote a text for fish, in which a backslash is special between single quotes."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _first_words(commands: Iterable[Command]) -> list[str]:
    return [command.words[0] for command in commands if _is_first(command)]


def _is_first(command: Command) -> bool:
    """Return whether a command is one of ``hotwhisk``, not of another command."""
    return len(command.words) == 1
