"""Every proof with its two sizes: short for the tests, long for ``python -m tests.prove``."""

from __future__ import annotations

from .activations import activate
from .agents import replace_under_agents, update_under_agents
from .counters import count_exactly
from .crashloop import keep_first, keep_poisoned, roll_back_loop
from .crowds import MOST, serve_crowds
from .death import die_half_sent, die_with_waiting
from .faults import survive_faults
from .folders import find_things, outlive_folders
from .fresh import leave_no_trace
from .gateway_kills import kill_in_the_middle
from .gateway_load import call_many
from .hostile import take_packets, take_words
from .hostile_inside import attack_from_inside
from .interrupted import answer_interrupted
from .moved_connections import (
    move_connections,
    move_from_stuck_handler,
    move_many,
    serve_beyond_cap,
)
from .outcome import Proof
from .output import ignore_unread, keep_lines
from .probation import fail_probations
from .protocol import speak_http
from .refusals import fail_each_call
from .replacement import replace_under_load
from .rest import leak_nothing, sleep_idle
from .restarts import come_back
from .silent_template import stop_templates
from .slow import serve_beside_silent, serve_slow_senders
from .stop import answer_before_stop
from .streams import stream_through_replacements
from .stuck import replace_stuck
from .stuck_idle import move_from_stuck
from .trial import try_versions
from .versions import refuse_bad

# A kill from outside while an answer is sent is a death outside of a handler: many of them in
# a row are a crash loop by the rules, which is not what that proof is about.
NO_ROLL_BACK = ("--crash-count", "100000")

PROOFS = (
    Proof(
        "replacement",
        "under load, versions are replaced with nothing refused, lost or stale",
        replace_under_load,
        short={"replacements": 30},
        long={"replacements": 200},
        http_only=True,
    ),
    Proof(
        "replacement-workers",
        "the same with three workers",
        replace_under_load,
        short={"replacements": 15},
        long={"replacements": 200},
        serve=("--workers", "3"),
    ),
    Proof(
        "agents",
        "agents call while versions are replaced: no call fails, none connects again",
        replace_under_agents,
        short={"replacements": 15},
        serve=("--mcp", "--mcp-port", "0"),
    ),
    Proof(
        "agents-up",
        "the same with an action of a gateway",
        update_under_agents,
        short={"updates": 8},
        alone=True,
    ),
    Proof(
        "moved",
        "idle and half-sent connections are answered by the new version",
        move_connections,
        short={"rounds": 2, "each": 2},
        long={"rounds": 20},
        http_only=True,
    ),
    Proof(
        "moved-stuck",
        "also when their worker is stuck in a handler",
        move_from_stuck_handler,
        short={"rounds": 3},
        long={"rounds": 50},
    ),
    Proof(
        "moved-thousand",
        "a thousand connections move at once",
        move_many,
        short={"rounds": 1},
        long={"rounds": 10},
        nofile=8192,
    ),
    Proof(
        "cap",
        "beyond the limit of open files connections wait and are not refused",
        serve_beyond_cap,
        nofile=1024,
    ),
    Proof(
        "death",
        "a worker's death leaves no caller without an answer",
        die_with_waiting,
        short={"rounds": 3},
        long={"rounds": 50},
    ),
    Proof(
        "crowds",
        "calls that wait behind others get workers; deaths and replacements cost no other call",
        serve_crowds,
        short={"rounds": 4},
        serve=("--workers", f"1..{MOST}", *NO_ROLL_BACK),
    ),
    Proof(
        "fresh",
        "with --fresh no run sees what another left, whatever is killed, and nothing grows",
        leave_no_trace,
        short={"runs": 480, "pause": 0.3, "warm": 60},
        serve=("--fresh", *NO_ROLL_BACK),
    ),
    Proof(
        "fresh-replacement",
        "with --fresh, versions are replaced with nothing refused, lost or stale",
        replace_under_load,
        short={"replacements": 10, "clients": 16, "between": 64},
        long={"replacements": 100, "clients": 32},
        serve=("--fresh",),
    ),
    Proof(
        "half-sent",
        "half an answer is never followed by a second one",
        die_half_sent,
        short={"rounds": 4},
        long={"rounds": 50},
        serve=NO_ROLL_BACK,
    ),
    Proof(
        "streams",
        "replacements cut no stream and mix none with another",
        stream_through_replacements,
        short={"replacements": 4, "streams": 40, "between": 10},
        serve=("--workers", "2"),
    ),
    Proof(
        "faults",
        "whatever an action does to its process, its caller is answered",
        survive_faults,
        short={"rounds": 5, "spins": 1},
        long={"rounds": 200, "spins": 10},
    ),
    Proof(
        "interrupted",
        "what the action's signal handlers raise in our own code costs no request",
        answer_interrupted,
        short={"requests": 2000},
        long={"requests": 140_000},
        serve=NO_ROLL_BACK,
    ),
    Proof(
        "stuck",
        "a stuck handler is replaced within a second, its caller answered at the deadline",
        replace_stuck,
        short={"rounds": 2, "deadline": 1.5},
        long={"rounds": 20},
    ),
    Proof(
        "packets",
        "whatever a worker sends to the supervisor costs that worker, not the server",
        take_packets,
        short={"packets": 1000},
        long={"packets": 100_000},
        alone=True,
    ),
    Proof(
        "words",
        "whatever a worker writes into the shared table, the next version serves",
        take_words,
        short={"words": 3000},
        long={"words": 100_000},
        alone=True,
    ),
    Proof(
        "hostile",
        "an action that attacks its supervisor from inside does not end the server",
        attack_from_inside,
        short={"rounds": 4, "packets": 200},
        long={"rounds": 100},
        alone=True,
    ),
    Proof(
        "stuck-idle",
        "a worker that stands still between requests keeps nobody waiting",
        move_from_stuck,
        short={"rounds": 3},
        long={"rounds": 50},
        serve=("--workers", "2"),
    ),
    Proof(
        "bad-versions",
        "a bad version never takes over and /init tells why",
        refuse_bad,
        short={"bomb": 150},
        serve=("--init-timeout", "2"),
    ),
    Proof(
        "trial",
        "a version is tried on copies: callers notice nothing, faults are found, equals pass",
        try_versions,
        short={"clients": 32, "replacements": 2, "trials": 2, "kills": 1},
        long={"replacements": 20, "trials": 40, "kills": 4},
        serve=NO_ROLL_BACK,
    ),
    Proof(
        "crash-loop",
        "a version that crashes in a loop is rolled back",
        roll_back_loop,
        short={"rounds": 1},
        long={"rounds": 5},
    ),
    Proof(
        "poison",
        "a request that kills every time rolls nothing back",
        keep_poisoned,
        short={"deaths": 6},
        long={"deaths": 100},
    ),
    Proof(
        "first-loop",
        "generation 1 in a crash loop is not rolled back to nothing",
        keep_first,
        short={"deaths": 4},
        long={"deaths": 20, "patience": 60.0},
    ),
    Proof(
        "probation",
        "versions that fail, are slow or die are rolled back, with nothing refused, lost or stale",
        fail_probations,
        short={"rounds": 2, "clients": 16},
        serve=("--probation", "10m", "--keep-previous", *NO_ROLL_BACK),
    ),
    Proof(
        "leaks",
        "nothing grows from generation to generation",
        leak_nothing,
        short={"replacements": 60, "warm": 20},
        long={"replacements": 1000},
    ),
    Proof(
        "idle",
        "an idle server does not wake up",
        sleep_idle,
        short={"seconds": 2.0},
        long={"seconds": 30.0},
    ),
    Proof("stop", "SIGTERM answers what runs and what waits", answer_before_stop),
    Proof(
        "slow-senders",
        "slow senders are answered and delay nobody",
        serve_slow_senders,
        short={"senders": 10, "rounds": 1},
        long={"rounds": 5},
        http_only=True,
    ),
    Proof(
        "silent",
        "silent connections cost nobody anything",
        serve_beside_silent,
        short={"requests": 40},
        nofile=4096,
        http_only=True,
    ),
    Proof(
        "protocol",
        "HTTP in all its forms: a correct answer or a clean close",
        speak_http,
        short={"rounds": 1},
        long={"rounds": 20},
        http_only=True,
    ),
    Proof(
        "counters",
        "what is counted is what the clients saw, through faults, kills and replacements",
        count_exactly,
        short={"requests": 3000, "replace_every": 125},
        serve=("--workers", "2", "--timeout", "0.5", *NO_ROLL_BACK),
    ),
    Proof(
        "counters-coroutines",
        "the same where runs overlap",
        count_exactly,
        short={"requests": 3000, "replace_every": 125, "coroutines": True},
        long={"coroutines": True},
        serve=("--workers", "2", "--timeout", "0.5", *NO_ROLL_BACK),
    ),
    Proof(
        "unread-output",
        "output that nobody reads holds up no call, deadline, replacement or stop",
        ignore_unread,
        short={"rounds": 1},
        long={"rounds": 20},
        alone=True,
    ),
    Proof(
        "last-lines",
        "a line that was printed is in the log, whatever ends the action; no empty line is",
        keep_lines,
        short={"late": ("nothing", "print", "part")},
        long={"rounds": 10},
        alone=True,
    ),
    Proof(
        "silent-template",
        "a template that is stopped delays no request and no replacement",
        stop_templates,
        short={"rounds": 4},
        serve=("--workers", "2", *NO_ROLL_BACK),
    ),
    Proof(
        "system-calls",
        "each system call of the supervisor fails once: done, later, or reported, and nothing lost",
        fail_each_call,
        short={"most": 1},
        alone=True,
    ),
    Proof(
        "history",
        "a server that is killed at any moment comes back with the old version or the new one",
        come_back,
        short={"lives": 3},
        long={"lives": 200},
        alone=True,
    ),
    Proof(
        "folders",
        "what an action leaves in its folder holds up no replacement, stop or start",
        outlive_folders,
        short={"rounds": 1, "levels": 300, "files": 2000},
        long={"rounds": 5},
        alone=True,
    ),
    Proof(
        "run-folder",
        "what lies at the place of a server's own is removed, and nothing that it leads to",
        find_things,
        short={"rounds": 1},
        long={"rounds": 20},
        alone=True,
    ),
    Proof(
        "activations",
        "faults among activations: each has the result, the log and the sentinels of the rules",
        activate,
        short={"activations": 2000},
        long={"activations": 100_000},
        alone=True,
    ),
    Proof(
        "up",
        "a gateway answers every call with the right version, result and log, and stays small",
        call_many,
        short={"actions": 20, "activations": 1000, "clients": 16},
        long={"actions": 100, "activations": 10_000, "clients": 32},
        alone=True,
    ),
    Proof(
        "up-kills",
        "killed anywhere, a gateway leaves no process and has all that was acknowledged",
        kill_in_the_middle,
        short={"rounds": 1, "clients": 8, "actions": 5},
        long={"rounds": 10, "clients": 32, "actions": 20},
        alone=True,
    ),
)

BY_NAME = {proof.name: proof for proof in PROOFS}
