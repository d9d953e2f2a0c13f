"""XFORWARD and XCLIENT: complete, encoded, and no longer than Postfix takes."""

from filterd.mail.envelope import Origin, Source
from filterd.relay.handover import xclient_commands, xforward_commands, xtext
from filterd.relay.hop import Handover

KNOWN = Handover(
    client=Origin(address="192.0.2.7", name="mail.example", helo="mail.example", source=Source.PEER),
    protocol="ESMTPS",
    port=4711,
    user="ann=+é",
    queue_id="4ABC",
)
UNKNOWN = Handover(client=Origin())
XFORWARD = "NAME ADDR PORT PROTO HELO IDENT SOURCE"
XCLIENT = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


def test_xforward_says_everything_that_is_known() -> None:
    assert xforward_commands(KNOWN, XFORWARD) == [
        b"XFORWARD NAME=mail.example ADDR=192.0.2.7 PORT=4711 PROTO=ESMTPS HELO=mail.example"
        b" IDENT=4ABC SOURCE=REMOTE\r\n"
    ]


def test_xforward_says_what_is_not_known_so_that_nothing_is_left_over() -> None:
    assert xforward_commands(UNKNOWN, XFORWARD) == [
        b"XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=ESMTP"
        b" HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]\r\n"
    ]


def test_only_announced_attributes() -> None:
    assert xforward_commands(KNOWN, "addr helo") == [b"XFORWARD ADDR=192.0.2.7 HELO=mail.example\r\n"]
    assert xforward_commands(KNOWN, "") == []
    assert xclient_commands(KNOWN, "LOGIN FUTURE") == [b"XCLIENT LOGIN=ann+3D+2B+C3+A9\r\n"]


def test_xclient_knows_two_protocols_and_ipv6() -> None:
    client = Origin(address="2001:db8::1", source=Source.XCLIENT)
    assert xclient_commands(Handover(client=client, protocol="SMTP"), XCLIENT) == [
        b"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE] PROTO=SMTP"
        b" HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]\r\n"
    ]
    assert b"PROTO=ESMTP " in xclient_commands(KNOWN, XCLIENT)[0]


def test_no_value_breaks_out() -> None:
    assert xtext("a b\r\nQUIT\x00=+é\udcff") == "a+20b+0D+0AQUIT+00+3D+2B+C3+A9+FF"


def test_long_values_are_cut_and_commands_are_split() -> None:
    client = Origin(address="192.0.2.7", name="ü" * 400, helo="h" * 400, source=Source.PEER)
    commands = xforward_commands(Handover(client=client), XFORWARD)
    assert len(commands) > 1
    assert all(command.startswith(b"XFORWARD ") and command.endswith(b"\r\n") for command in commands)
    assert b"HELO=" + b"h" * 255 + b" " in b"".join(commands)
    assert len(b"".join(commands)) < 1500
