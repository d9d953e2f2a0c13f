"""What the doors share that only advise: the strictest decision, the two numbers, the envelope, the marks."""

from __future__ import annotations

import asyncio
import datetime
import itertools

import pytest

from filterd.decision import Action, Decision, Edits, HeaderLine, HeaderSpan, Reason
from filterd.frontends.advice import Advice, Asked, Original, Unavailable, ip_of, marked_copy, said
from filterd.mail.envelope import Direction, Envelope, Origin, Source
from filterd.record import Record, Verdict
from filterd.reply import Reply
from tests.frontends.advising import MAIL, Verdicts, desk

STRICTER = [Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.DISCARD, Action.DEFER, Action.REJECT]


def advise(asked: Asked, mail: bytes = MAIL, peer: str | None = "127.0.0.1", **how: object) -> tuple[Advice, Verdicts]:
    filter = how.pop("filter", None) or Verdicts()
    assert isinstance(filter, Verdicts)
    advice = asyncio.run(desk(filter=filter, **how).advise(asked, Original.of(mail), peer))
    return advice, filter


@pytest.mark.parametrize("pair", list(itertools.combinations(STRICTER, 2)), ids="-".join)
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_recipients_the_stricter_advice_holds_for_both(pair: tuple[Action, Action], turned: bool) -> None:
    """The table of docs/doors.md, a cell each, in either order."""
    actions = dict(zip(("x@example.org", "y@example.org"), reversed(pair) if turned else pair, strict=True))
    advice, filter = advise(Asked(recipients=tuple(actions)), filter=Verdicts(action=actions.__getitem__))
    assert advice.decision.action is pair[1]
    assert [one.address for one in filter.seen[0][0].recipients] == list(actions)


def test_nothing_is_held_or_delivered() -> None:
    _, filter = advise(Asked(), filter=Verdicts(action=lambda one: Action.QUARANTINE))
    (delivery,) = filter.deliveries
    assert delivery.advises
    assert not delivery.splits


@pytest.mark.parametrize(
    ("action", "points", "spam", "required"),
    [
        (Action.ACCEPT, 40, False, 500),
        (Action.TAG, 500, True, 500),
        (Action.REJECT, 40, True, 40),  # a rule forced it
        (Action.ACCEPT, 2000, False, 2001),  # only observed, or the bypass is on
        (Action.DISCARD, -10, True, -10),
    ],
)
def test_the_two_numbers_say_what_the_word_says(action: Action, points: int, spam: bool, required: int) -> None:
    advice = _advice(action, points)
    assert (advice.spam, advice.required) == (spam, required)
    assert (advice.points >= advice.required) is spam


def test_the_envelope_is_what_was_said() -> None:
    asked = Asked(
        sender="a@example.net",
        recipients=("b@example.org", "c@example.org"),
        address="192.0.2.1",
        name="mail.example.net",
        helo="helo.example.net",
        queue_id="4ABC",
    )
    _, filter = advise(asked)
    envelope = filter.seen[0][0]
    assert envelope.client == Origin("192.0.2.1", "mail.example.net", "helo.example.net", Source.REQUEST)
    assert (envelope.sender, envelope.queue_id, envelope.peer) == ("a@example.net", "4ABC", "127.0.0.1")
    assert envelope.direction is Direction.INBOUND


@pytest.mark.parametrize(
    ("recipient", "direction"), [("b@example.org", Direction.INTERNAL), ("b@example.net", Direction.OUTBOUND)]
)
def test_mail_of_an_authenticated_user_is_outbound(recipient: str, direction: Direction) -> None:
    _, filter = advise(Asked(user="ann", recipients=(recipient,)))
    assert filter.seen[0][0].direction is direction


def test_what_is_not_said_is_unknown_and_never_the_peer() -> None:
    _, filter = advise(Asked())
    envelope = filter.seen[0][0]
    assert envelope.client == Origin()
    assert (envelope.sender, [one.address for one in envelope.recipients]) == ("", ["somebody@example.org"])


def test_exim_stamps_its_envelope_above_the_message() -> None:
    stamps = (
        b"From x@y Sun Nov 22 12:53:09 2026\nX-Envelope-From: <a@b.example>\nX-Envelope-To: c@d.example, e@f.example\n"
    )
    _, filter = advise(Asked(), stamps + b"Subject: x\n\nbody\n")
    envelope, raw = filter.seen[0]
    assert raw == b"Subject: x\r\n\r\nbody\r\n"
    assert (envelope.sender, [one.address for one in envelope.recipients]) == (
        "a@b.example",
        ["c@d.example", "e@f.example"],
    )


def test_a_stranger_cannot_stamp_an_envelope() -> None:
    """Without the mbox line above them, such fields are the message's own."""
    _, filter = advise(Asked(), b"X-Envelope-From: <boss@example.org>\nSubject: x\n\n")
    assert filter.seen[0][0].sender == ""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_large_message_is_the_same_in_pieces(end: bytes) -> None:
    content = b"Subject: x" + end + end + (b"x" * 6 + end) * 400_000
    _, filter = advise(Asked(), content)
    assert filter.seen[0][1] == content.replace(end, b"\r\n")


def test_a_full_house_and_too_many_recipients_are_unavailable() -> None:
    with pytest.raises(Unavailable, match="Too much mail"):
        advise(Asked(), filter=Verdicts(early=Reply(451, "Too much mail")))
    with pytest.raises(Unavailable, match="recipients"):
        advise(Asked(recipients=("a@example.org",) * 3), limits={"recipients": 2})


def test_no_verdict_in_time_is_unavailable() -> None:
    async def stuck() -> None:
        await desk(filter=Verdicts(pause=asyncio.Event()), deadline=0.1).advise(Asked(), Original.of(MAIL), None)

    with pytest.raises(Unavailable, match="too long"):
        asyncio.run(stuck())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_marks_keep_line_ends_and_the_body_as_they_came(end: bytes) -> None:
    head = end.join((b"X-Spam-Flag: NO", b"Subject: x", b"", b""))
    body = b"a\rb\n.\r\nc"
    span = HeaderSpan("X-Spam-Flag", 1, 0, len(b"X-Spam-Flag: NO\r\n"))
    advice = _advice(Action.TAG, 900, Edits((HeaderLine("X-Spam-Flag", "YES"),), (span,)))
    original = Original.of(b"From x y\n" + head + body)
    assert (
        marked_copy(advice, original) == b"From x y\n" + end.join((b"X-Spam-Flag: YES", b"Subject: x", b"", b"")) + body
    )
    assert marked_copy(advice, original.head).endswith(b"Subject: x" + end + end)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nbody", b"Subject: x", b"Subject: x\n", b"\r\r", b"a\n\r\nb"])
def test_marks_of_odd_messages(content: bytes) -> None:
    advice = _advice(Action.TAG, 900, Edits((HeaderLine("X-A", "b"),)))
    assert (
        marked_copy(advice, Original.of(content))
        .replace(b"\r\n", b"\n")
        .endswith(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    )


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:DB8::1]", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", None),
        ("192.0.2.1\r\nX", None),
        ("", None),
        (None, None),
    ],
)
def test_addresses_of_clients(value: str | None, meant: str | None) -> None:
    assert ip_of(value) == meant


@pytest.mark.parametrize("value", [b"a\rb", b"a\x00b", b"", b"x" * 1001, b"a\x1bb"])
def test_what_is_no_line_of_text_was_not_said(value: bytes) -> None:
    assert said(value) is None


def _advice(action: Action, points: int, edits: Edits | None = None) -> Advice:
    decision = Decision("b@example.org", action, Reason.RULE, "Because.")
    envelope = Envelope(
        id="1",
        received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        listener="test",
        peer=None,
        client=Origin(),
        sender="",
        recipients=(),
    )
    record = Record(id="1", envelope=envelope, origin=Origin(), verdict=Verdict(points=points))
    return Advice(record=record, decision=decision, edits=edits or Edits())
