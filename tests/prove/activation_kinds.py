"""
The kinds of activations, how often each comes, and their events, drawn from a seed.

Kinds that take time are rare: a death costs a new worker, a flood a megabyte of log. Every kind
comes at least once in each container that serves it, however few activations it gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from .activation_rules import LIMIT, UNFIT, Event

BIG = 12
"""Bytes of ``{"text":""}`` and a newline."""

VARIABLES = {
    "namespace": "__OW_NAMESPACE",
    "action_name": "__OW_ACTION_NAME",
    "action_version": "__OW_ACTION_VERSION",
    "activation_id": "__OW_ACTIVATION_ID",
    "transaction_id": "__OW_TRANSACTION_ID",
}


@dataclass(frozen=True)
class Kind:
    """
    ``weight`` is its share; ``driver`` names the function that drives it, see
    `activation_drivers`.
    """

    name: str
    weight: float
    event: Callable[[Random], Event]
    driver: str = "invoke"
    fatal: bool = False


def draw(random: Random, kinds: list[Kind], count: int) -> Iterator[Kind]:
    """
    Yield ``count`` kinds by their weights, each at least once if there is room, in
    random order.
    """
    drawn = random.choices(kinds, [kind.weight for kind in kinds], k=max(0, count - len(kinds)))
    drawn += kinds[: count - len(drawn)]
    random.shuffle(drawn)
    return iter(drawn)


def value(random: Random, depth: int = 2) -> object:
    """Return some JSON: numbers of all lengths, every kind of character, some nesting."""
    pick = random.randrange(9 if depth else 6)
    if pick == 0:
        return random.choice([None, True, False, "", [], {}])
    if pick == 1:
        return random.randrange(-(10**6), 10**6)
    if pick == 2:
        return random.randrange(-(1 << 80), 1 << 80)
    if pick == 3:
        return random.uniform(-1e9, 1e9)
    if pick in (4, 5):
        return text(random, random.randrange(40))
    if pick in (6, 7):
        return {text(random, 6): value(random, depth - 1) for _ in range(random.randrange(5))}
    return [value(random, depth - 1) for _ in range(random.randrange(5))]


LETTERS = "abc xyz 0189 .,-_ \"\\/'{}[] äß é ∑ 日本 🎉 \t\n\r\x00\x7f\u2028"


def text(random: Random, length: int) -> str:
    """Return a text of unusual characters."""
    return "".join(random.choices(LETTERS, k=length))


def word(random: Random) -> str:
    """Return a text without spaces or line breaks, as a log shows it."""
    return f"{random.getrandbits(48):012x}"


def lines(random: Random, most: int = 3, *, ended: bool = True) -> list[tuple[str, str]]:
    """Return output on both streams, mixed; with ``ended`` each stream's ends with a newline."""
    pieces = [
        (random.choice(["stdout", "stderr"]), f"{word(random)} says\n")
        for _ in range(random.randrange(most + 1))
    ]
    if not ended:
        rests = [("stdout", "no end"), ("stderr", "none here"), ("stdout", " yet")]
        pieces += random.sample(rests, random.randrange(1, 4))
    return pieces


def event(doing: str, **more: Callable[[Random], object]) -> Callable[[Random], Event]:
    """
    Return a function that makes an event of this kind, with some output and what
    ``more`` draws.
    """

    def make(random: Random) -> Event:
        drawn = {name: draw_one(random) for name, draw_one in more.items()}
        return {"say": lines(random), **drawn, "do": doing, "id": word(random)}

    return make


def one_of(*given: object) -> Callable[[Random], object]:
    """Return a function that draws one of these."""
    return lambda random: random.choice(given)


def near_limit(random: Random) -> Event:
    """Return an event whose answer just fits, just does not, or is much too long."""
    size = LIMIT + random.choice([-2, -1, 0, 0, 1, 2, 1000, 1 << 19])
    letter, width = random.choice([("x", 1), ('"', 2), ("é", 2)])
    return {"do": "big", "id": word(random), "letter": letter, "count": (size - BIG) // width}


def bare(random: Random) -> object:
    """Return a value that is not a valid result."""
    return random.choice([None, True, False, 0, 17, -1.5, "", "text", '{"looks": "like one"}'])


def turns(random: Random) -> object:
    """Return how often a coroutine lets others run before it answers."""
    return random.choice([0, 0, 1, 3, 20])


def flood(random: Random) -> object:
    """Return more than a megabyte of log."""
    stream = random.choice(["stdout", "stderr"])
    return [(stream, f"{number:06} {'x' * 992}\n") for number in range(1100)]


def long_line(random: Random) -> object:
    """Return a line that an engine cuts, or just does not."""
    length = random.choice([16383, 16384, 16385, 32768, 40000, 100_000])
    return [(random.choice(["stdout", "stderr"]), "y" * length + random.choice(["\n", ""]))]


def deaths(way: str) -> Callable[[Random], Event]:
    """Return a function that makes an event after which the process ends within the run."""
    ways = one_of(way)
    return event("die", by=ways, say=lambda random: lines(random, ended=random.random() < 0.5))


GIVE = event("give", given=value, names=lambda _: list(VARIABLES.values()))

HARMLESS = [
    Kind("dict", 400, GIVE),
    Kind("list", 100, event("list", given=value)),
    Kind("tuple", 30, event("tuple", given=value)),
    Kind("error", 60, event("error", given=value)),
    Kind("exception", 40, event("fail", error=one_of("ValueError", "KeyError"), text=word)),
    Kind("scalar or None", 30, event("bare", given=bare)),
    Kind("NaN", 15, event("unfit", which=one_of("nan", "infinity"))),
    Kind("unserialisable", 15, event("unfit", which=one_of(*UNFIT))),
    Kind("lone surrogate", 20, event("surrogate")),
    Kind("SystemExit", 15, event("exit", given=one_of(None, 0, 1))),
    Kind("much output", 40, event("give", say=lambda random: lines(random, 60))),
    Kind("unended output", 60, event("give", say=lambda random: lines(random, ended=False))),
    Kind("long line", 5, event("give", say=long_line)),
    Kind("log beyond its limit", 1.5, event("give", say=flood)),
    Kind("result near 1 MB", 4, near_limit),
    Kind("body near 1 MB", 3, event("measure", blob=lambda random: word(random) * 87_380)),
    Kind("echo of 1 MB", 2, event("give", given=lambda _: "e" * 1_048_400)),
    Kind("no argument", 10, lambda random: {"given": bare(random) or 17}, "argument"),
    Kind("bad body", 20, lambda _: {}, "bad_body"),
    Kind("number as context", 10, GIVE, "odd_context"),
    Kind("unknown route", 10, lambda _: {}, "unknown_route"),
    Kind("second init", 5, lambda _: {}, "second_init"),
    Kind("caller gives up", 10, event("hold"), "give_up"),
    Kind("half a body", 10, GIVE, "half_body"),
    Kind("late thread", 10, event("later", by=lambda _: "thread"), "speak_later"),
    Kind("late child", 5, event("later", by=lambda _: "child"), "speak_later"),
    Kind("chatter", 4, event("chat", lines=lambda random: random.randrange(50, 400)), "chat"),
]

FATAL = [
    Kind("os._exit", 10, deaths("_exit"), fatal=True),
    Kind("kill -9 of itself", 8, deaths("kill"), fatal=True),
    Kind("segfault", 8, deaths("segfault"), fatal=True),
    Kind("abort", 4, deaths("abort"), fatal=True),
    Kind("death with a child", 3, deaths("orphan"), fatal=True),
    Kind("death between runs", 5, event("give"), "kill_between", fatal=True),
]

THROWN = [kind for kind in HARMLESS + FATAL if kind.driver in ("invoke", "argument")]
"""For a container that is thrown away after an error: only what an invoker does."""

SLOW = [
    Kind("time-out", 1, event("hang", say=lambda random: lines(random, ended=False)), "hang", True),
    Kind("late answer", 1, event("dawdle", seconds=lambda _: 3.8), "dawdle"),
]
"""Kinds with a time limit of 3 s and a grace of 2 s after it."""

_LARGE = {
    "log beyond its limit", "result near 1 MB", "body near 1 MB", "echo of 1 MB", "long line",
}  # fmt: skip

SMALL = [kind for kind in HARMLESS if kind.name not in _LARGE]
"""For one worker that survives them all, so that a leak of some bytes each is seen."""

_APART = {"unended output", "chatter"}

_WAYS = ("_exit", "kill", "segfault", "abort", "orphan")

BESIDE = [
    *(kind for kind in SMALL if kind.driver == "invoke" and kind.name not in _APART),
    Kind("death, beside others", 30, event("die", by=one_of(*_WAYS)), fatal=True),
]
"""
For several processes with one log.

They print whole lines only, since a process may end the line that another has begun. They print
nothing large, since the part of each process, and so its memory at the end, would be random.
"""

_SEES = event("give", given=value, names=lambda _: [VARIABLES["activation_id"]], turns=turns)

GATHERING = Kind("death of many", 0.4, event("gather"), fatal=True)
"""A death of many runs; its weight is how likely one is after a batch of others."""

OVERLAP = [
    Kind("dict, beside others", 400, _SEES),
    Kind("list, beside others", 100, event("list", given=value, turns=turns)),
    Kind("error, beside others", 60, event("error", given=value, turns=turns)),
    Kind("exception, beside others", 40, event("fail", error=one_of("KeyError"), text=word)),
    Kind("scalar or None, beside others", 30, event("bare", given=bare, turns=turns)),
    Kind("NaN, beside others", 20, event("unfit", which=one_of("nan"), turns=turns)),
    Kind("lone surrogate, beside others", 20, event("surrogate", turns=turns)),
    Kind("SystemExit, beside others", 20, event("exit", given=one_of(None, 0, 1), turns=turns)),
    Kind("result near 1 MB, beside others", 2, near_limit),
    GATHERING,
]
"""For coroutines that overlap in one process."""
