"""Command lines, paths and parameters: what is taken, what is refused, and with which reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.frontends.smtp import replies
from filterd.frontends.smtp.commands import (
    Command,
    Path,
    decode_xtext,
    parse_hello,
    parse_line,
    parse_mail,
    parse_rcpt,
)
from filterd.frontends.smtp.inbox import LONGEST_LINE, Inbox
from filterd.reply import Reply

ALL = ("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"NOOP", Command("NOOP")),
        (b"noop  ", Command("NOOP")),
        (b"mail FROM:<a@b>", Command("MAIL", "FROM:<a@b>")),
        (b"MAIL  FROM:<a@b> SIZE=1", Command("MAIL", "FROM:<a@b> SIZE=1")),
        ("RCPT TO:<ü@b>".encode(), Command("RCPT", "TO:<ü@b>")),
        (b"", Command("")),
        (b"EHLO a\x1b[2J", replies.UNPRINTABLE),
        (b"EHLO a\x00", replies.UNPRINTABLE),
        (b"MAIL FROM:<a\r@b>", replies.UNPRINTABLE),
        (b"NOOP\t1", replies.UNPRINTABLE),
        (b"RCPT TO:<\xff@b>", replies.NOT_ASCII),
        ("NÖÖP".encode(), replies.UNKNOWN_COMMAND),
    ],
)
def test_lines(line: bytes, command: Command | Reply) -> None:
    assert parse_line(line) == command


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<>", "", ()),
        ("from:<a@b.example>", "a@b.example", ()),
        ("FROM: <a@b.example>", "a@b.example", ()),
        ("FROM:<a@b.example> SIZE=10 BODY=8BITMIME", "a@b.example", ("SIZE=10", "BODY=8BITMIME")),
        ("FROM:<a@b.example> body=8bitMIME", "a@b.example", ("body=8bitMIME",)),
        ("FROM:<a@b> RET=HDRS ENVID=QQ314159", "a@b", ("RET=HDRS", "ENVID=QQ314159")),
        ("FROM:<a@b> AUTH=<>", "a@b", ("AUTH=<>",)),
        ("FROM:<a@b> AUTH=e+3Dmc2@example.com", "a@b", ("AUTH=e+3Dmc2@example.com",)),
        ("FROM:<ü@bücher.example> SMTPUTF8", "ü@bücher.example", ("SMTPUTF8",)),
        ('FROM:<"a b"@c.example>', '"a b"@c.example', ()),
        ('FROM:<"a\\"b>"@c.example>', '"a\\"b>"@c.example', ()),
        ("FROM:<@r1.example,@r2.example:a@b.example>", "a@b.example", ()),
        ("FROM:<a..b.@docomo.example>", "a..b.@docomo.example", ()),
        ("FROM:<prvs=1234=a@b.example>", "prvs=1234=a@b.example", ()),
        ("FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", ()),
        ("FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", ()),
        ("FROM:<root>", "root", ()),
        ("FROM:<a_b@_spf.x-y.example>", "a_b@_spf.x-y.example", ()),
    ],
)
def test_senders(argument: str, address: str, parameters: tuple[str, ...]) -> None:
    path = parse_mail(argument, ALL)
    assert isinstance(path, Path), path
    assert (path.address, path.parameters) == (address, parameters)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", 501),
        ("FROM", 501),
        ("<a@b>", 501),
        ("TO:<a@b>", 501),
        ("FROM:a@b", 501),
        ("FROM:<a@b", 501),
        ("FROM:<<a@b>>", 501),
        ("FROM:<a@b>SIZE=1", 501),
        ("FROM:<a b@c>", 501),
        ("FROM:<a@b@c>", 501),
        ("FROM:<a@b..c>", 501),
        ("FROM:<a@-b.example>", 501),
        ("FROM:<a@b.>", 501),
        ("FROM:<@b>", 501),
        ("FROM:<@r:>", 501),
        ('FROM:<"a@b>', 501),
        ("FROM:<" + "a" * 700 + "@b>", 501),
        ("FROM:<a@b> SIZE=x", 501),
        ("FROM:<a@b> SIZE=", 501),
        ("FROM:<a@b> SIZE=-1", 501),
        ("FROM:<a@b> SIZE=1 SIZE=2", 501),
        ("FROM:<a@b> BODY=9BIT", 501),
        ("FROM:<a@b> BODY=BINARYMIME", 501),
        ("FROM:<a@b> SMTPUTF8=1", 501),
        ("FROM:<a@b> RET=ALL", 501),
        ("FROM:<a@b> ENVID=" + "x" * 101, 501),
        ("FROM:<a@b> ENVID=+ZZ", 501),
        ("FROM:<a@b> =x", 501),
        ("FROM:<a@b> MT-PRIORITY=3", 555),
        ("FROM:<a@b> NOTIFY=NEVER", 555),
        ("FROM:<a@b> X", 555),
        ("FROM:<ü@b.example>", 553),
        ("FROM:<a@b.example> ENVID=ü", 501),
    ],
)
def test_refused_senders(argument: str, code: int) -> None:
    reply = parse_mail(argument, ALL)
    assert isinstance(reply, Reply)
    assert reply.code == code
    assert reply.enhanced is not None


@pytest.mark.parametrize("parameter", ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=x", "AUTH=<>"])
def test_a_parameter_that_was_not_announced_is_refused(parameter: str) -> None:
    assert parse_mail(f"FROM:<a@b> {parameter}", ()) == replies.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    ("argument", "address", "routed"),
    [
        ("TO:<Postmaster>", "Postmaster", False),
        ("TO:<b@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.org", "b@example.org", False),
        ("TO:<b@example.org> NOTIFY=NEVER", "b@example.org", False),
        ("TO:<@r1:b@x.example>", "b@x.example", True),
        ("TO:<a%b@example.org>", "a%b@example.org", True),
        ('TO:<"a%b"@example.org>', '"a%b"@example.org', True),
        ('TO:<"a@b"@example.org>', '"a@b"@example.org', True),
        ('TO:<"a\\@b"@example.org>', '"a\\@b"@example.org', True),
        ("TO:<host!user@example.org>", "host!user@example.org", True),
    ],
)
def test_recipients(argument: str, address: str, routed: bool) -> None:
    path = parse_rcpt(argument, ALL, utf8=False)
    assert isinstance(path, Path), path
    assert (path.address, path.routed) == (address, routed)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("TO:<>", 501),
        ("TO:b@example.org", 501),
        ("FROM:<b@example.org>", 501),
        ("TO:<b@example.org> NOTIFY=NEVER,SUCCESS", 501),
        ("TO:<b@example.org> NOTIFY=SOMETIMES", 501),
        ("TO:<b@example.org> ORCPT=b@example.org", 501),
        ("TO:<b@example.org> SIZE=1", 555),
        ("TO:<ü@example.org>", 553),
    ],
)
def test_refused_recipients(argument: str, code: int) -> None:
    reply = parse_rcpt(argument, ALL, utf8=False)
    assert isinstance(reply, Reply)
    assert reply.code == code


def test_utf8_recipients_need_the_sender_to_have_said_so() -> None:
    assert isinstance(parse_rcpt("TO:<ü@example.org>", ALL, utf8=True), Path)


def test_hello() -> None:
    assert parse_hello("mail.example") == "mail.example"
    assert parse_hello("[192.0.2.1]") == "[192.0.2.1]"
    for odd in ("", "two words", "bücher.example", "a" * 256):
        assert parse_hello(odd) == replies.BAD_HELLO


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("plain", "plain"),
        ("a+2Bb+3Dc", "a+b=c"),
        ("+C3+BC", "ü"),
        ("a+0D+0AX", None),
        ("a+00", None),
        ("+FF", None),
    ],
)
def test_xtext(text: str, meaning: str | None) -> None:
    assert decode_xtext(text) == meaning


@given(st.binary(max_size=200))
def test_no_line_makes_it_raise(line: bytes) -> None:
    command = parse_line(line)
    if isinstance(command, Command):
        parse_mail(command.argument, ALL)
        parse_rcpt(command.argument, ALL, utf8=True)
        parse_hello(command.argument)


@given(st.text(alphabet='<>@:,;"\\%!.abü[] =', max_size=40))
def test_no_path_makes_it_raise_or_leak(text: str) -> None:
    path = parse_rcpt(f"TO:<{text}>", ALL, utf8=True)
    if isinstance(path, Path):
        assert not set(path.address) & set("\r\n\0")


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_lines_do_not_depend_on_how_the_bytes_are_cut(chunks: list[bytes]) -> None:
    whole, cut = Inbox(), Inbox()
    whole.feed(b"".join(chunks))
    taken = []
    for chunk in chunks:
        cut.feed(chunk)
        while (line := cut.take()) is not None:
            taken.append(line)
    again = []
    while (line := whole.take()) is not None:
        again.append(line)
    assert taken == again
    assert whole.take_all() == cut.take_all()


def test_an_endless_line_takes_no_memory() -> None:
    inbox = Inbox()
    for _ in range(1000):
        inbox.feed(b"x" * 1000)
        assert inbox.take() is None
        assert len(inbox) <= LONGEST_LINE + 1000
    assert inbox.within_line
    inbox.feed(b"\r\nNOOP\r\n")
    assert inbox.take() == replies.LINE_TOO_LONG
    assert inbox.take() == b"NOOP"


def test_a_bare_line_feed_ends_no_command() -> None:
    inbox = Inbox()
    inbox.feed(b"NOOP\nQUIT\r\n")
    assert inbox.take() == replies.BARE_LINE_END
    assert inbox.take() == b"QUIT"
