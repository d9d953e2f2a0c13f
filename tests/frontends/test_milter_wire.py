"""The milter protocol on the wire: whatever comes is a value or what is wrong with it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.frontends.milter import wire
from filterd.frontends.milter.wire import Connect, Malformed, Packet, Packets
from filterd.reply import Reply

PACKETS = st.lists(st.tuples(st.sampled_from(b"ABCDEHLMNORTUQK"), st.binary(max_size=300)), max_size=30)


@given(PACKETS, st.lists(st.integers(1, 200), min_size=1))
def test_packets_cut_anywhere(said: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(wire.packet(bytes([letter]), data) for letter, data in said)
    packets, heard, at = Packets(), [], 0
    while at < len(stream):
        cut = cuts[at % len(cuts)]
        packets.feed(stream[at : at + cut])
        at += cut
        while (packet := packets.take()) is not None:
            heard.append(packet)
    assert heard == [Packet(letter, data) for letter, data in said]
    assert len(packets) == 0


@pytest.mark.parametrize("length", [0, wire.LONGEST + 1, 700_000_000, 0xFFFFFFFF])
def test_a_length_that_cannot_be(length: int) -> None:
    packets = Packets()
    packets.feed(struct.pack(">I", length) + b"B")
    assert packets.take() == Malformed(f"a packet of {length} octets")


def test_many_small_packets_in_one_chunk_are_taken_in_linear_time() -> None:
    packets = Packets()
    for _ in range(5):
        packets.feed(wire.CONTINUE * 20_000)
        for _ in range(20_000):
            assert packets.take() == Packet(ord("c"))


@given(st.binary(max_size=200))
def test_nothing_raises(data: bytes) -> None:
    wire.parse_offer(data)
    wire.parse_connect(data)
    wire.parse_strings(data)
    wire.parse_macros(data)
    packets = Packets()
    packets.feed(data)
    while isinstance(packets.take(), Packet):
        pass


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"mx\x004\x00\x19192.0.2.1\0", Connect("mx", "4", "192.0.2.1")),
        (b"mx\x006\x00\x19IPv6:2001:DB8::1\0", Connect("mx", "6", "2001:db8::1")),
        (b"mx\x006\x00\x19::ffff:192.0.2.1\0", Connect("mx", "6", "192.0.2.1")),
        (b"localhost\0L\0\0/run/socket\0", Connect("localhost", "L")),
        (b"localhost\0U", Connect("localhost", "U")),
        (b"mx\x004\x00\x19localhost\0", None),
        (b"mx\0X", None),
        (b"mx", None),
        (b"", None),
    ],
)
def test_connect(data: bytes, value: Connect | None) -> None:
    assert wire.parse_connect(data) == value


def test_macros() -> None:
    assert wire.parse_macros(b"Mi\x00123\0{auth_authen}\0ann\0") == {"i": "123", "auth_authen": "ann"}
    assert wire.parse_macros(b"M") == {}
    assert wire.parse_macros(b"") is None
    assert wire.parse_macros(b"Mi\0") is None
    assert wire.parse_macros(b"Mi\x00123") is None


def test_a_reply_is_one_line_with_an_enhanced_code() -> None:
    said = wire.reply_code(Reply(550, "100% \u00e4\r\nno\0" + "x" * 2000))
    assert said[4:36] == b"y550 5.0.0 100%% ?  no xxxxxxxxx"
    assert said.endswith(b"x\0")
    assert len(said) < 1000
