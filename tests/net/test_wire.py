"""The DNS codec: no bytes make it raise anything but its own error, or run away."""

from __future__ import annotations

import contextlib
import time

import pytest
from dnslib import QTYPE, RR, SOA, TXT, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from filterd.net.wire import Kind, WireError, decode_reply, encode_name, encode_query, replies_to

NAME = encode_name("example.org") or b""


def test_a_query_is_what_another_codec_reads() -> None:
    query, question = encode_query(NAME, Kind.TXT)
    parsed = DNSRecord.parse(query)
    assert str(parsed.q.qname).lower() == "example.org."
    assert (parsed.q.qtype, parsed.header.rd, parsed.ar[0].rtype) == (QTYPE.TXT, 1, QTYPE.OPT)
    assert query[12:].startswith(question)


def test_replies_are_matched_to_the_letter() -> None:
    query, question = encode_query(NAME, Kind.TXT)
    reply = query[:2] + b"\x81\x80" + query[4:]
    assert replies_to(reply, query, question)
    assert not replies_to(query, query, question)
    assert not replies_to(b"xx" + reply[2:], query, question)
    assert not replies_to(reply[:12] + question.swapcase() + reply[12 + len(question) :], query, question)
    assert not replies_to(reply[: 11 + len(question)], query, question)
    assert not any(replies_to(reply[:size], query, question) for size in range(12 + len(question)))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_reply_or_a_wire_error(tail: bytes) -> None:
    _, question = encode_query(NAME, Kind.TXT)
    header = b"ab\x81\x80\x00\x01" + tail[:6]
    with contextlib.suppress(WireError):
        decode_reply(header + question + tail[6:], question)


@given(st.data())
def test_any_damage_to_a_reply_is_a_reply_or_a_wire_error(data: st.DataObject) -> None:
    request = DNSRecord.question("example.org", "TXT")
    reply = request.reply()
    reply.add_answer(RR("example.org", QTYPE.TXT, rdata=TXT("hello"), ttl=3))
    reply.add_auth(RR("org", QTYPE.SOA, rdata=SOA("a.b", "c.d", (1, 2, 3, 4, 5)), ttl=60))
    wire = bytearray(reply.pack())
    question = bytes(request.pack()[12:])
    assert decode_reply(bytes(wire), question).answers[0].data == b"hello"
    assert decode_reply(bytes(wire), question).negative_ttl == 5
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        decode_reply(bytes(wire[: data.draw(st.integers(0, len(wire)))]), question)


@pytest.mark.parametrize("pointer", [b"\xc0\x1d", b"\xc0\x0c\xc0", b"\xff\xff", b"\xc0\x1d" * 30_000])
def test_pointers_that_do_not_go_back_end(pointer: bytes) -> None:
    question = NAME + b"\x00\x10\x00\x01"
    packet = b"ab\x81\x80\x00\x01\xea\x60\x00\x00\x00\x00" + question + pointer
    start = time.process_time()
    with pytest.raises(WireError):
        decode_reply(packet, question)
    assert time.process_time() - start < 1
