"""What the supervisor does for each message and each exit, with fake processes."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable

import pytest

from hotwhisk.config.option import Bounds
from hotwhisk.ipc.messages import (
    Assign,
    Failed,
    FolderRemoved,
    InitReceived,
    Message,
    Ready,
    Released,
    RemoveFolder,
    SendError,
    SpillClosed,
    SpillCreated,
    StartTimer,
    TemplateReady,
)
from hotwhisk.ipc.packets import encode
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.supervisor.receiver import READ_AT_ONCE
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]


def test_a_folder_that_is_in_use_again_is_not_removed_for_a_spare_that_died(
    script: Script,
) -> None:
    scripted = script(crash_count=2)
    scripted.die(scripted.serve())
    scripted.die(
        scripted.worker(State.LOADING)
    )  # a crash loop: the generation pauses, and no worker serves it
    spare = scripted.workers.spare
    assert RemoveFolder in map(type, scripted.messages(spare))
    while scripted.workers[spare].state is State.SPARE:
        scripted.tick()
    scripted.die(spare)  # it was ordered to remove the folder, then to load; it did neither
    assert scripted.worker(State.LOADING)
    assert RemoveFolder not in map(type, scripted.messages(scripted.workers.spare))


DIGEST = "sha256:" + 64 * "0"


def send(scripted: Scripted, slot: int, packet: bytes, *descriptors: int) -> None:
    """
    Send any bytes with any descriptors as a worker, close these, and let the supervisor receive
    them.
    """
    socket.send_fds(scripted.system.ends[slot]._socket, [packet], descriptors)
    for each in descriptors:
        os.close(each)
    scripted.supervisor.wait(0.0)


def is_ended(scripted: Scripted, slot: int) -> bool:
    """Return whether a worker was killed, or has exited and is forgotten."""
    process = scripted.processes.by_slot.get(slot)
    return process is None or process.pidfd in scripted.system.endings


def memory_file(size: int = 4096, flags: int = os.MFD_ALLOW_SEALING) -> int:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | flags)
    os.ftruncate(descriptor, size)
    return descriptor


def open_descriptors() -> int:
    """
    Return how many descriptors are open, without those of earlier tests that wait for the
    collector.
    """
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def expect_ended(scripted: Scripted, slot: int, why: str) -> None:
    """Expect that a worker was ended with a line, and that a new one serves in its place."""
    assert is_ended(scripted, slot)
    (line,) = [line for line in scripted.logged if " is ended: " in line]
    assert why in line
    scripted.supervisor.wait(0.0)  # learns of the exit
    fresh = scripted.worker(State.LOADING)
    scripted.send(fresh, Ready(DIGEST))
    assert scripted.workers[fresh].state is State.SERVING


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b'[2,"init_received",{"number":0,"spill":0}]', "memory file 0 is not its own"),
        (b'[2,"init_received",{"number":0,"spill":5}]', "memory file 5 is not its own"),
        (b'[2,"spill_closed",{"spill":[]}]', "the field spill"),
        (b'[2,"spill_closed",{"spill":77}]', "memory file 77 is not its own"),
        (b'[2,"released",{"connections":7}]', "the field connections"),
        (b'[2,"released",{"connections":[[0,1,2]]}]', "the field connections"),
        (b'[2,"template_ready",{"pid":5}]', "0 descriptors, expected 2"),
        (b'[2,"template_ready",{"reason":"x"}]', "it loads nothing, it is serving"),
        (b'[2,"spill_created",{"spill":[3]}]', "the field spill"),
        (b'[2,"failed",{"status":200,"text":"ok"}]', "200 is no status of a failure"),
        (b'[2,"failed",{"status":502}]', "it loads nothing, it is serving"),
        (encode(Ready(DIGEST)), "it loads nothing, it is serving"),
        (b'[2,"load",{}]', "not for this sender to send"),
        (b"nothing at all", "not a message of version 2"),
    ],
)
def test_a_packet_that_a_worker_may_not_send_ends_it_with_a_line_and_nothing_else(
    script: Script, packet: bytes, why: str
) -> None:
    scripted = script()
    worker = scripted.serve()
    connection = scripted.connect()
    send(scripted, worker, packet)
    expect_ended(scripted, worker, why)
    assert scripted.owners.owner(connection) != worker


def test_descriptors_of_what_is_refused_are_closed(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    before = open_descriptors()
    send(scripted, worker, b'[2,"start_timer",{}]', memory_file(), memory_file())
    assert is_ended(scripted, worker)
    assert open_descriptors() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: memory_file(flags=0),
        lambda: os.open(os.devnull, os.O_RDWR),
        lambda: os.open("/proc/self/exe", os.O_RDONLY),
        lambda: socket.socket().detach(),
    ],
)
def test_a_deposit_that_could_shrink_under_the_next_worker_is_refused(
    script: Script, make: Callable[[], int]
) -> None:
    scripted = script()
    worker = scripted.serve()
    before = open_descriptors()
    send(scripted, worker, encode(SpillCreated(5)), make())
    assert open_descriptors() == before
    expect_ended(scripted, worker, "memory file 5 cannot be sealed")


def test_a_deposited_file_cannot_shrink_and_can_grow(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    file = memory_file()
    send(scripted, worker, encode(SpillCreated(5)), os.dup(file))
    os.ftruncate(file, 8192)
    with pytest.raises(PermissionError):
        os.ftruncate(file, 4096)
    os.close(file)
    assert not is_ended(scripted, worker)


def test_a_number_that_is_taken_is_refused(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    assert not is_ended(scripted, worker)
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    expect_ended(scripted, worker, "memory file 5 is not new")


@pytest.mark.parametrize("message", [SpillClosed(5), InitReceived(0, 5)])
def test_a_worker_names_no_memory_file_of_another(script: Script, message: Message) -> None:
    scripted = script(workers=Bounds(2, 2))
    first = scripted.serve()
    second = scripted.worker(State.LOADING)
    scripted.send(second, Ready(DIGEST))
    send(scripted, first, encode(SpillCreated(5)), memory_file())
    send(scripted, second, encode(message))
    assert is_ended(scripted, second)
    assert not is_ended(scripted, first)
    assert 5 in scripted.supervisor.sockets.spills


def connect_beside_a_thief(scripted: Scripted) -> tuple[int, int, int]:
    """Connect to a server with two workers; return the connection, its worker and the other one."""
    first = scripted.serve()
    second = scripted.worker(State.LOADING)
    scripted.send(second, Ready(DIGEST))
    connection = scripted.connect()
    owner = scripted.owners.owner(connection)
    assert owner is not None
    return connection, owner, second if owner == first else first


def test_a_worker_gives_back_and_posts_no_connection_of_another(script: Script) -> None:
    scripted = script(workers=Bounds(2, 2))
    connection, owner, thief = connect_beside_a_thief(scripted)
    (epoch,) = [
        epoch
        for message in scripted.messages(owner)
        if isinstance(message, Assign)
        for _, epoch, _, _ in message.connections
    ]
    send(scripted, thief, encode(Released([[connection, epoch]])))
    assert is_ended(scripted, thief)
    assert scripted.owners.owner(connection) == owner


def test_the_init_of_another_workers_connection_is_refused(script: Script) -> None:
    scripted = script(workers=Bounds(2, 2))
    connection, _, thief = connect_beside_a_thief(scripted)
    send(scripted, thief, encode(SpillCreated(5)), memory_file())
    send(scripted, thief, encode(InitReceived(connection, 5, 0, 10)))
    assert is_ended(scripted, thief)
    assert connection not in scripted.owners.init_pending


@pytest.mark.parametrize(("offset", "length"), [(0, 4097), (4096, 1), (2**63, 2**63)])
def test_a_body_that_ends_beyond_its_file_is_refused(
    script: Script, offset: int, length: int
) -> None:
    scripted = script()
    worker = scripted.serve()
    connection = scripted.connect()
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    send(scripted, worker, encode(InitReceived(connection, 5, offset, length)))
    expect_ended(scripted, worker, "memory file 5 has 4096 bytes")


def test_a_connection_that_is_given_back_in_the_midst_of_a_request_ends(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    connection = scripted.connect()
    (assign,) = [each for each in scripted.messages(worker) if isinstance(each, Assign)]
    scripted.scoreboard.set_phase(connection, Phase.INIT_PENDING)
    scripted.send(worker, Released([assign.connections[0][:2]]))
    assert scripted.is_ended(connection)
    assert connection not in scripted.owners
    assert not is_ended(scripted, worker)


@pytest.mark.parametrize("pid", [os.getpid(), os.getppid(), 2], ids=["self", "parent", "other"])
def test_a_template_that_is_no_child_of_ours_is_refused(script: Script, pid: int) -> None:
    scripted = script()
    scripted.serve()
    scripted.supervisor.rollout.submit(scripted.candidate())
    scripted.supervisor.run_commands()
    loading = scripted.worker(State.LOADING)
    before = open_descriptors()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    send(scripted, loading, encode(TemplateReady(pid)), ours.detach(), os.pidfd_open(os.getpid()))
    assert is_ended(scripted, loading)
    assert scripted.workers.templates.get(2) is None
    theirs.close()
    assert open_descriptors() == before


def test_a_template_without_a_channel_is_refused(script: Script) -> None:
    scripted = script()
    scripted.serve()
    scripted.supervisor.rollout.submit(scripted.candidate())
    scripted.supervisor.run_commands()
    loading = scripted.worker(State.LOADING)
    pidfd = os.pidfd_open(os.getpid())
    send(scripted, loading, encode(TemplateReady(os.getpid())), memory_file(), pidfd)
    assert is_ended(scripted, loading)
    assert any("is not its channel" in line for line in scripted.logged)


def test_a_worker_that_hoards_memory_files_is_ended_not_the_one_that_needs_one(
    script: Script,
) -> None:
    scripted = script(workers=Bounds(2, 2))
    hoarder = scripted.serve()
    honest = scripted.worker(State.LOADING)
    scripted.send(honest, Ready(DIGEST))
    spills = scripted.supervisor.sockets.spills
    for number in range(1, spills._most + 1):
        send(scripted, hoarder, encode(SpillCreated(number)), memory_file())
    assert not is_ended(scripted, hoarder)
    send(scripted, honest, encode(SpillCreated(10_000)), memory_file())
    assert is_ended(scripted, hoarder)
    assert not is_ended(scripted, honest)
    scripted.supervisor.wait(0.0)
    assert 10_000 in spills
    assert 1 not in spills


def test_a_flood_of_one_worker_does_not_keep_others_waiting(script: Script) -> None:
    scripted = script(workers=Bounds(2, 2))
    flooder = scripted.serve()
    other = scripted.worker(State.LOADING)
    end = scripted.system.ends[flooder]._socket
    sent = 0
    try:
        while True:
            end.send(encode(StartTimer()), socket.MSG_DONTWAIT)
            sent += 1
    except BlockingIOError:
        pass
    received = []
    original = scripted.processes.by_slot[flooder].channel.receive
    scripted.processes.by_slot[flooder].channel.receive = (  # type: ignore[method-assign]
        lambda: received.append(1) or original()  # type: ignore[func-returns-value]
    )
    scripted.send(other, Ready(DIGEST))
    assert scripted.workers[other].state is State.SERVING
    assert len(received) <= READ_AT_ONCE


def test_an_exception_while_a_worker_is_read_ends_that_worker_with_the_traceback(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = script()
    worker = scripted.serve()

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(scripted.supervisor.rollout.jobs, "folder_removed", fail)
        scripted.send(worker, FolderRemoved(1))
    expect_ended(scripted, worker, "ZeroDivisionError: a bug of ours")


def test_what_is_sent_after_a_refusal_is_not_received(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    connection = scripted.connect()
    scripted.system.ends[worker].send(SpillClosed(5))
    scripted.send(worker, Released([[connection, 1]]))
    scripted.supervisor.wait(0.0)
    assert len([line for line in scripted.logged if "is ended" in line]) == 1


def test_a_load_that_is_late_is_no_breach(script: Script) -> None:
    scripted = script(init_timeout=1.0)
    scripted.serve()
    scripted.supervisor.rollout.submit(scripted.candidate())
    scripted.supervisor.run_commands()
    loading = scripted.worker(State.LOADING)
    scripted.system.ends[loading].send(Ready(DIGEST))
    for _ in range(8):
        scripted.tick()
    assert scripted.workers[loading].state is State.KILLED
    scripted.supervisor.wait(0.0)
    assert not [line for line in scripted.logged if "is ended" in line]


def test_a_failure_tells_the_sender_of_the_init_what_failed(script: Script) -> None:
    scripted = script()
    scripted.serve()
    scripted.supervisor.rollout.submit(scripted.candidate())
    scripted.supervisor.run_commands()
    loading = scripted.worker(State.LOADING)
    answers = scripted.answers
    answers.clear()
    scripted.send(loading, Failed(200, "ok"))
    assert [answer.status for answer in answers] != [200]
    scripted.supervisor.wait(0.0)
    assert [answer.status for answer in answers] == [502]


def test_one_memory_file_that_two_connections_name_goes_with_one_of_them(script: Script) -> None:
    scripted = script()
    worker = scripted.serve()
    both = {scripted.connect(), scripted.connect()}
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    for number in both:
        scripted.scoreboard.set_spill(number, 5, 100)
        scripted.scoreboard.set_phase(number, Phase.BUFFERED)
    scripted.die(worker)
    fresh = scripted.worker(State.LOADING)
    scripted.send(fresh, Ready(DIGEST))
    spare = scripted.messages(scripted.workers.spare)
    handed = [
        row
        for each in scripted.messages(fresh)
        if isinstance(each, Assign)
        for row in each.connections
    ]
    answered = [each.number for each in spare if isinstance(each, SendError)]
    assert [row[2:] for row in handed] == [[5, 100]]
    assert {handed[0][0], *answered} == both, "the other is told that its request was lost"


@pytest.mark.parametrize(("spill", "length"), [(5, 4097), (6, 10), (2**64 - 1, 2**64 - 1)])
def test_bytes_that_are_in_no_file_of_the_worker_are_lost_and_nothing_else(
    script: Script, spill: int, length: int
) -> None:
    scripted = script()
    worker = scripted.serve()
    number = scripted.connect()
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    scripted.scoreboard.set_spill(number, spill, length)
    scripted.scoreboard.set_phase(number, Phase.BUFFERED)
    scripted.die(worker)
    fresh = scripted.worker(State.LOADING)
    scripted.send(fresh, Ready(DIGEST))
    spare = scripted.messages(scripted.workers.spare)
    assert [each.number for each in spare if isinstance(each, SendError)] == [number]
    assert 5 not in scripted.supervisor.sockets.spills


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.FREE, 77])
def test_the_table_does_not_close_a_connection_whose_init_is_carried_out(
    script: Script, phase: int
) -> None:
    scripted = script()
    worker = scripted.serve()
    number = scripted.connect()
    send(scripted, worker, encode(SpillCreated(5)), memory_file())
    send(scripted, worker, encode(InitReceived(number, 5, 0, 10)))
    scripted.scoreboard.set_phase(number, phase)
    scripted.supervisor.remove_closed()
    assert number in scripted.owners.init_pending
    scripted.send(scripted.worker(State.LOADING), Ready(DIGEST))
    assert b'"ok":true' in scripted.clients[number].recv(1000)


def test_a_phase_that_does_not_exist_costs_its_connection_when_the_worker_dies(
    script: Script,
) -> None:
    scripted = script()
    worker = scripted.serve()
    number = scripted.connect()
    scripted.scoreboard.set_phase(number, 200)
    scripted.die(worker)
    assert scripted.is_ended(number)
    assert number not in scripted.supervisor.sockets.descriptors


def test_the_file_of_an_init_may_come_with_its_message(script: Script) -> None:
    scripted = script()
    worker, number = scripted.serve(), scripted.connect()
    send(scripted, worker, encode(InitReceived(number, 5, 0, 10, new=True)), memory_file())
    assert number in scripted.owners.init_pending
    scripted.send(scripted.worker(State.LOADING), Ready(DIGEST))
    assert b'"ok":true' in scripted.clients[number].recv(1000)


def test_the_file_of_an_init_is_checked_as_any_other(script: Script) -> None:
    scripted = script()
    worker, number = scripted.serve(), scripted.connect()
    before = open_descriptors()
    packet = encode(InitReceived(number, 5, 0, 10, new=True))
    send(scripted, worker, packet, os.open(os.devnull, os.O_RDWR))
    assert open_descriptors() == before
    expect_ended(scripted, worker, "memory file 5 cannot be sealed")
