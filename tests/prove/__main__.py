"""``python -m tests.prove``: run the proofs in their long form and print a table."""

from __future__ import annotations

import argparse
import inspect
import sys
import textwrap
import time

from tests.support.limits import raise_files
from tests.support.wire import ClientError

from .foreign import Foreign
from .outcome import Outcome, Proof
from .registry import BY_NAME, PROOFS


def main(argv: list[str]) -> int:
    """Run the chosen proofs; return 1 if one does not hold."""
    arguments = parse(argv)
    if arguments.list:
        for proof in PROOFS:
            print(f"{proof.name:20} {'any server' if proof.http_only else '':12} {proof.promise}")
        return 0
    raise_files(16384)
    chosen = [BY_NAME[name] for name in arguments.only] if arguments.only else list(PROOFS)
    foreign = Foreign(arguments.url, arguments.replace_command) if arguments.url else None
    if foreign:
        chosen = [proof for proof in chosen if proof.http_only]
    print(f"{'proof':20} {'verdict':8} {'seconds':>7}  what was done, and what came out")
    failed = 0
    for proof in chosen:
        begun = time.monotonic()
        outcome = run(proof, arguments, foreign)
        failed += not outcome.holds
        show(proof, outcome, time.monotonic() - begun)
    print(f"{len(chosen) - failed} of {len(chosen)} hold")
    return 1 if failed or not chosen else 0


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("--url", help="prove a running server instead, such as http://host:8080")
    parser.add_argument(
        "--replace-command", default="", help='how to switch it; "{n}" becomes the version'
    )
    parser.add_argument("--rounds", type=int, help="rounds or replacements instead of the usual")
    parser.add_argument("--seed", type=int, help="draw the same activations again")
    parser.add_argument("--only", action="append", choices=sorted(BY_NAME), default=[])
    parser.add_argument("--short", action="store_true", help="the sizes that the tests use")
    parser.add_argument("--list", action="store_true", help="name the proofs and leave")
    return parser.parse_args(argv)


def run(proof: Proof, arguments: argparse.Namespace, foreign: Foreign | None) -> Outcome:
    """Run one proof; if it cannot be carried out, that is a problem as well."""
    changes: dict[str, object] = {}
    known = inspect.signature(proof.function).parameters
    if arguments.rounds:
        for name in ("rounds", "replacements", "deaths", "activations"):
            if name in known:
                changes[name] = arguments.rounds
    if arguments.seed is not None and "seed" in known:
        changes["seed"] = arguments.seed
    try:
        if foreign is None:
            return proof.run(short=arguments.short, **changes)
        size = {**(proof.short if arguments.short else proof.long), **changes}
        return proof.function(foreign, **size)
    except (ClientError, OSError) as error:
        return Outcome("could not be carried out", problems=[f"{type(error).__name__}: {error}"])


def show(proof: Proof, outcome: Outcome, seconds: float) -> None:
    """Print one row of the table, and every problem below it."""
    verdict = "holds" if outcome.holds else "FAILS"
    print(f"{proof.name:20} {verdict:8} {seconds:7.1f}  {outcome.done}")
    if outcome.result:
        print(textwrap.indent(outcome.result, " " * 39))
    for problem in outcome.problems[:20]:
        print(textwrap.indent(textwrap.fill(problem, 100), " " * 10 + "! "))
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
