"""Received lines of many servers, and the host that handed the mail to our side."""

from __future__ import annotations

import datetime

import pytest

from filterd.mail import Envelope, Message, Origin, Source, find_origin
from filterd.mail.received import parse_received
from filterd.settings import Networks, parse_network

DATE = "; Tue, 3 Mar 2026 10:00:00 +0100"


@pytest.mark.parametrize(
    ("line", "helo", "name", "address", "by", "protocol"),
    [
        (  # Postfix
            "from h.example (mail.example.org [192.0.2.1]) by mx.example.net (Postfix) with ESMTPS id 4 for <a@b.c>",
            "h.example", "mail.example.org", "192.0.2.1", "mx.example.net", "ESMTPS",
        ),
        (
            "from h.example (unknown [IPv6:2001:db8::1]) (using TLSv1.3 with cipher X (256/256 bits)) "
            "(No client certificate requested) by mx.example.net (Postfix) with ESMTPSA id 4",
            "h.example", "", "2001:db8::1", "mx.example.net", "ESMTPSA",
        ),
        (  # an IPv4 client at a socket for both is an IPv4 client
            "from h.example (mail.example.org [::ffff:192.0.2.1]) by mx.example.net with ESMTP id 4",
            "h.example", "mail.example.org", "192.0.2.1", "mx.example.net", "ESMTP",
        ),
        ("by mx.example.net (Postfix, from userid 1000) id 4", "", "", "", "mx.example.net", ""),
        (  # Exim
            "from [192.0.2.1] (helo=h.example) by mx.example.net with esmtp (Exim 4.96) (envelope-from <a@b.c>) id 1-2",
            "h.example", "", "192.0.2.1", "mx.example.net", "esmtp",
        ),
        (
            "from mail.example.org ([192.0.2.1]:4711 helo=h.example) by mx.example.net with esmtps (TLS1.3) id 1",
            "h.example", "mail.example.org", "192.0.2.1", "mx.example.net", "esmtps",
        ),
        (
            "from mail.example.org ([192.0.2.1]) by mx.example.net with esmtp (Exim 4.96) id 1",
            "mail.example.org", "", "192.0.2.1", "mx.example.net", "esmtp",
        ),
        (  # Sendmail
            "from h.example (joe@mail.example.org [192.0.2.1] (may be forged)) by mx.example.net (8.15/8) with ESMTP",
            "h.example", "mail.example.org", "192.0.2.1", "mx.example.net", "ESMTP",
        ),
        (  # Exchange
            "from A.example (2001:db8::7) by B.example (2001:db8::8) with Microsoft SMTP Server (version=TLS1_2, "
            "cipher=X) id 15.20.1",
            "A.example", "", "2001:db8::7", "B.example", "Microsoft SMTP Server",
        ),
        (
            "from A.example (192.0.2.1) by B.example (192.0.2.2) with Microsoft SMTP Server id 14.3",
            "A.example", "", "192.0.2.1", "B.example", "Microsoft SMTP Server",
        ),
        (  # qmail
            "from unknown (HELO h.example) (192.0.2.1) by mx.example.net with SMTP",
            "h.example", "", "192.0.2.1", "mx.example.net", "SMTP",
        ),
        (
            "from mail.example.org (HELO h.example) (joe@192.0.2.1) by mx.example.net with SMTP",
            "h.example", "mail.example.org", "192.0.2.1", "mx.example.net", "SMTP",
        ),
        ("(qmail 1 invoked by uid 0)", "", "", "", "", ""),
        (  # Gmail
            "from h.example (mail.example.org. [192.0.2.1]) by mx.google.com with ESMTPS id z for <a@b.c> (version=T)",
            "h.example", "mail.example.org", "192.0.2.1", "mx.google.com", "ESMTPS",
        ),
        ("by 2002:a05:6a20::1 with SMTP id x", "", "", "", "2002:a05:6a20::1", "SMTP"),
        ("from", "", "", "", "", ""),
        ("", "", "", "", "", ""),
    ],
)  # fmt: skip
def test_forms(line: str, helo: str, name: str, address: str, by: str, protocol: str) -> None:
    received = parse_received(line + DATE)
    assert (received.from_helo, received.from_name, received.from_address) == (helo, name, address)
    assert (received.by_host, received.with_protocol) == (by, protocol)
    assert received.date is not None
    assert received.date.utcoffset() == datetime.timedelta(hours=1)


RELAYS = Networks([parse_network("10.0.0.0/8"), parse_network("192.0.2.53"), parse_network("2001:db8::/32")])


def origin(client: Origin, *lines: str, peer: str | None = "10.0.0.1") -> Origin:
    envelope = Envelope(
        id="1",
        received_at=datetime.datetime(2026, 3, 3, tzinfo=datetime.UTC),
        listener="smtp",
        peer=peer,
        client=client,
        sender="",
        recipients=(),
    )
    raw = "".join(f"Received: {line}{DATE}\r\n" for line in lines) + "Subject: x\r\n\r\n"
    return find_origin(envelope, Message(raw.encode()), RELAYS)


RELAY = Origin("10.0.0.1", source=Source.PEER)
FROM_RELAY = "from in.example (in.example [10.0.0.2]) by out.example with ESMTP"
FROM_WORLD = "from h.example (mail.example.org [203.0.113.9]) by in.example with ESMTP"
FORGED = "from bank.example (bank.example [198.51.100.1]) by mail.example.org with ESMTP"


def test_a_client_that_is_no_relay_is_the_origin_whatever_the_message_says() -> None:
    client = Origin("203.0.113.5", "x.example", "h", Source.XFORWARD)
    assert origin(client, FORGED) == client


def test_behind_a_relay_its_own_received_line_is_believed() -> None:
    expected = Origin("203.0.113.9", "mail.example.org", "h.example", Source.RECEIVED, 0)
    assert origin(RELAY, FROM_WORLD, FORGED) == expected


def test_behind_two_relays_the_second_line_is() -> None:
    found = origin(RELAY, FROM_RELAY, FROM_WORLD, FORGED)
    assert (found.address, found.hop, found.source) == ("203.0.113.9", 1, Source.RECEIVED)


def test_a_loopback_hop_of_a_relay_is_passed_over() -> None:
    found = origin(RELAY, "from localhost (localhost [127.0.0.1]) by in.example with ESMTP", FROM_WORLD)
    assert (found.address, found.hop) == ("203.0.113.9", 1)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (FROM_RELAY,),
        ("by in.example (Postfix, from userid 0) id 1", FORGED),
        ("nonsense", FORGED),
        (FROM_RELAY, "(qmail 1 invoked by uid 0)", FORGED),
    ],
)
def test_a_relays_own_address_is_never_the_origin(lines: tuple[str, ...]) -> None:
    assert origin(RELAY, *lines) == Origin(source=Source.UNKNOWN)


@pytest.mark.parametrize(
    "line",
    [
        "from [203.0.113.9] (helo=[10.0.0.5]) by in.example with esmtp (Exim 4.96) id 1",
        "from [203.0.113.9]:4711 (helo=10.0.0.5) by in.example with esmtp (Exim 4.96) id 1",
        "from h.example ([203.0.113.9] helo=[10.0.0.5]) by in.example with esmtp (Exim 4.96) id 1",
        "from h.example ([203.0.113.9] helo=h ident=[10.0.0.5]) by in.example with esmtp (Exim 4.96) id 1",
        "from unknown (HELO [10.0.0.5]) (203.0.113.9) by in.example with SMTP",
        "from unknown (HELO 10.0.0.5) ([10.0.0.5]@203.0.113.9) by in.example with SMTP",
        "from [10.0.0.5] (unknown [203.0.113.9]) by in.example (Postfix) with ESMTP id 1",
        'from h (unknown [203.0.113.9]) (Client CN "[10.0.0.5]", Issuer "x" (verified OK)) by in.example with ESMTP',
        "from h ([10.0.0.5]@h.example [203.0.113.9]) by in.example (8.15/8) with ESMTP id 1",
        "from h (IDENT:[10.0.0.5]@[203.0.113.9]) by in.example (8.15/8) with ESMTP id 1",
        "from 10.0.0.5 (203.0.113.9) by in.example (10.0.0.2) with Microsoft SMTP Server id 15",
    ],
)
def test_what_the_client_says_of_itself_is_not_its_address(line: str) -> None:
    """10.0.0.5 is a relay: whoever could pass for it would have his own Received lines believed."""
    assert origin(RELAY, line, FORGED).address == "203.0.113.9"


@pytest.mark.parametrize(
    "line",
    [
        "from [10.0.0.5] (unknown [unknown]) by in.example (Postfix) with ESMTP id 1",
        "from [10.0.0.5] by in.example with SMTP",
        "from [203.0.113.9] (helo=h ident=[10.0.0.5]) by in.example with esmtp (Exim 4.96) id 1",
        "from [10.0.0.5] (helo=x@h.example [203.0.113.9]) by in.example (8.15/8) with ESMTP id 1",
    ],
)
def test_where_that_cannot_be_told_the_origin_is_not_known(line: str) -> None:
    assert not origin(RELAY, line, FORGED).known


def test_a_trusted_peer_that_gives_nothing_has_an_unknown_origin() -> None:
    nobody = Origin(source=Source.UNKNOWN)
    assert origin(nobody, FROM_WORLD, peer="127.0.0.1") == nobody
    assert origin(nobody, FROM_WORLD, peer=None) == nobody


def test_a_relay_that_gives_nothing_is_asked_by_its_received_line() -> None:
    assert origin(Origin(source=Source.UNKNOWN), FROM_WORLD).address == "203.0.113.9"


def test_relays_by_ipv6_and_mapped_ipv4() -> None:
    for address in ("2001:db8::25", "::ffff:10.0.0.9"):
        assert origin(Origin(address, source=Source.PEER), FROM_WORLD).address == "203.0.113.9"


def test_hops_are_counted_however_many_there_are() -> None:
    message = Message(b"Received: from a by b; x\n" * 5_000 + b"\n")
    assert message.hops == 5_000
    assert len(message.received) == 100
