"""Messages and descriptors through a real pair of sockets."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import (
    LONGEST_TEXT,
    MAX_DESCRIPTORS,
    RELEASED_AT_ONCE,
    Assign,
    Failed,
    Message,
    Ping,
    Pong,
    ProtocolError,
    Recall,
    Released,
    SpillCreated,
)
from hotwhisk.ipc.packets import encode
from hotwhisk.supervisor.resources import MOST_CONNECTIONS

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = map(Channel, Channel.pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def receive_all(channel: Channel) -> list[Message]:
    messages = []
    while (received := channel.receive()) is not None:
        messages.append(received[0])
    return messages


def fill(channel: Channel) -> int:
    """Send until the queue holds three; return how many were sent."""
    count = 0
    while len(channel._queue) < 3:
        channel.send(SpillCreated(count))
        count += 1
    return count


def test_messages_keep_their_order_and_borders(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(Ping())
    ours.send(Recall(drain=True))
    theirs.send(Pong())
    assert receive_all(theirs) == [Ping(), Recall(drain=True)]
    assert receive_all(ours) == [Pong()]
    assert theirs.receive() is None


def test_descriptors_travel_and_are_closed_on_exec(pair: Pair) -> None:
    ours, theirs = pair
    reader, writer = os.pipe()
    ours.send(SpillCreated(7), (writer,))
    os.close(writer)
    received = theirs.receive()
    assert received is not None
    message, (descriptor,) = received
    assert message == SpillCreated(7)
    assert not os.get_inheritable(descriptor)
    os.write(descriptor, b"hello")
    os.close(descriptor)
    assert os.read(reader, 10) == b"hello"
    os.close(reader)


def test_as_many_descriptors_as_linux_takes(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(Assign(), [0] * MAX_DESCRIPTORS)
    received = theirs.receive()
    assert received is not None
    assert len(received[1]) == MAX_DESCRIPTORS
    for descriptor in received[1]:
        os.close(descriptor)


def test_a_slow_receiver_blocks_no_sender_and_misses_nothing(pair: Pair) -> None:
    ours, theirs = pair
    count = fill(ours)
    assert ours.backlog
    received = receive_all(theirs)
    while ours.backlog:
        ours.flush()
        received += receive_all(theirs)
    assert received == [SpillCreated(number) for number in range(count)]


def test_what_is_sent_behind_a_queue_does_not_overtake_it(pair: Pair) -> None:
    ours, theirs = pair
    count = fill(ours)
    theirs.receive()  # there is room again
    ours.send(Ping())
    received = []
    while ours.backlog:
        received += receive_all(theirs)
        ours.flush()
    received += receive_all(theirs)
    assert received == [*(SpillCreated(number) for number in range(1, count)), Ping()]


def test_a_queued_descriptor_outlives_its_senders(pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    reader, writer = os.pipe()
    ours.send(SpillCreated(99), (writer,))
    os.close(writer)
    descriptors: list[int] = []
    while ours.backlog or not descriptors:
        received = theirs.receive()
        if received is None:
            ours.flush()
        else:
            descriptors += received[1]
    os.write(descriptors[0], b"x")
    os.close(descriptors[0])
    assert os.read(reader, 2) == b"x"
    assert os.read(reader, 2) == b"", "another duplicate is open"
    os.close(reader)


def test_closing_closes_what_was_queued() -> None:
    ours, theirs = map(Channel, Channel.pair())
    fill(ours)
    reader, writer = os.pipe()
    ours.send(SpillCreated(99), (writer,))
    os.close(writer)
    ours.close()
    assert not ours.backlog
    assert os.read(reader, 1) == b""
    os.close(reader)
    theirs.close()


def test_the_end_of_the_other_side(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(Pong())
    theirs.close()
    ours.send(Ping())  # the supervisor learns of its exit by the pidfd
    ours.send(Ping(), (0,))
    assert not ours.backlog
    assert receive_until_closed(ours) == [Pong()]


def test_a_queue_to_the_dead_is_dropped(pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    theirs.close()
    ours.flush()
    assert not ours.backlog


def receive_until_closed(channel: Channel) -> list[Message]:
    messages = []
    try:
        while (received := channel.receive()) is not None:
            messages.append(received[0])
    except ChannelClosed:
        return messages
    pytest.fail("the channel is still open")


def test_without_room_for_descriptors_the_loss_is_noticed(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(Assign(), [0] * 20)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [socket.socket()]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0].fileno() + 1, limits[1]))
        with pytest.raises(DescriptorsLost):
            theirs.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        taken[0].close()


@pytest.mark.parametrize(("room", "packet"), [(2, encode(Assign())), (20, b"not a message")])
def test_what_is_refused_leaves_no_descriptor_behind(room: int, packet: bytes) -> None:
    first, second = Channel.pair()
    theirs = Channel(second)
    with closing(first):
        socket.send_fds(first, [packet], [0] * 4)
        before = sorted(os.listdir("/proc/self/fd"))
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + room, limits[1]))
            with pytest.raises((DescriptorsLost, ProtocolError)):
                theirs.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert sorted(os.listdir("/proc/self/fd")) == before
    theirs.close()


def test_a_full_batch_of_releases_fits(pair: Pair) -> None:
    ours, theirs = pair
    most = [[MOST_CONNECTIONS + number, 10**12 + number] for number in range(RELEASED_AT_ONCE)]
    theirs.send(Released(most, True))
    assert receive_all(ours) == [Released(most, True)]


def test_the_longest_text_fits(pair: Pair) -> None:
    ours, theirs = pair
    failed = Failed(502, "\N{SNOWMAN}" * LONGEST_TEXT)
    theirs.send(failed)
    assert receive_all(ours) == [failed]


def test_a_message_is_unread_until_the_other_end_receives_it(pair: Pair) -> None:
    one, other = pair
    assert not one.unread
    one.send(Ping())
    assert one.unread
    assert other.receive() == (Ping(), [])
    assert not one.unread


def test_a_message_that_waits_for_a_socket_is_unread() -> None:
    one = Channel(None)
    one.send(Ping())
    assert one.unread
