"""Report addresses, through the running service: what our own users attach is learnt, and goes no further."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path

import pytest

from filterd.store import HistoryFilter, Store, SuggestionFilter, SuggestionState
from tests.learning.letters import letter
from tests.nameserver import NameServer
from tests.serving import Serving

OUTSIDE = "XCLIENT ADDR=203.0.113.9 NAME=mail.example.net"
ANN = "XCLIENT ADDR=203.0.113.9 LOGIN=ann@example.org"
SPAM, HAM = "spam@example.org", "Ham@example.org"
ALL = SuggestionFilter(states=tuple(SuggestionState))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("reports")
    with (
        NameServer({}) as names,
        Serving(
            folder,
            dns={"servers": [names.address]},
            learn={"addresses": {"spam@example.org": "spam", "HAM@Example.ORG": "ham"}},
            retention={"min_free": 0, "keep": "message"},
        ) as running,
    ):
        running.until(lambda: (running.state / "learn.sock").exists(), "the learning process")
        yield running


@pytest.fixture
def store(service: Serving) -> Iterator[Store]:
    opened = Store.open(service.state)
    yield opened
    opened.close()


def send(
    service: Serving, raw: bytes, recipients: Sequence[str], who: str = ANN, sender: str = "ann@example.org"
) -> list[tuple[int, bytes]]:
    """The answers to each RCPT, and to the data if there was a recipient."""
    with smtplib.SMTP(*service.smtp, timeout=30) as client:
        assert client.docmd(who)[0] == 220
        client.ehlo("test.example")
        assert client.mail(sender)[0] == 250
        answers = [client.rcpt(one) for one in recipients]
        if any(code == 250 for code, _ in answers):
            answers.append(client.data(raw))
        return answers


def report(*attached: bytes, **headers: str) -> bytes:
    """A mail that forwards these as attachments."""
    mail = MIMEMultipart()
    mail["From"], mail["Subject"] = "Ann <ann@example.org>", "Fwd: look at this"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.attach(MIMEText("see attached"))
    for raw in attached:
        mail.attach(MIMEMessage(message_from_bytes(raw)))
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def delivered(service: Serving) -> set[Path]:
    return set((service.maildir / "new").glob("*"))


def last(service: Serving, store: Store) -> str:
    """What the newest record says of the report."""

    def found() -> bool:
        return bool(store.history.find(HistoryFilter(reason="report"), 1).rows)

    service.until(found, "the record")
    (row,) = store.history.find(HistoryFilter(reason="report"), 1).rows
    record = store.history.show(row.id)
    assert record is not None
    return next(one.text for one in record.decisions if one.reason == "report")


def learnt(store: Store, raw: bytes) -> list[str]:
    """The class under which this very message was learnt."""
    return [
        "spam" if one.spam else "ham"
        for one in store.suggestions.find(ALL, 500)
        if store.suggestions.raw(one.id) == raw
    ]


def test_what_is_attached_is_learnt_as_it_was_received_and_nothing_is_relayed(service: Serving, store: Store) -> None:
    raw = letter(1, spam=True)
    before = delivered(service)
    assert send(service, raw, ["ann@example.org"], OUTSIDE, "x@example.net")[-1][0] == 250
    (copy,) = delivered(service) - before
    assert b"X-Filterd-Id" in copy.read_bytes()
    other = letter(2, spam=True)
    assert send(service, report(copy.read_bytes(), other), [SPAM])[-1][0] == 250
    assert len(delivered(service)) == len(before) + 1
    assert learnt(store, raw) == ["spam"]
    one = store.suggestions.find(ALL, 500).rows[-1]
    assert (one.way, one.reporter, one.address) == ("report", "ann@example.org", "ann@example.org")
    assert last(service, store) == "Taken as a report. 2 learnt as spam."
    send(service, report(copy.read_bytes()), [SPAM])
    service.until(lambda: last(service, store) == "Taken as a report. 1 known already.", "the second record")
    send(service, report(copy.read_bytes()), [HAM])
    assert learnt(store, raw) == ["ham", "spam"]
    assert any("learnt as ham" in line for line in service.log)


@pytest.mark.parametrize("who", [OUTSIDE, "XCLIENT ADDR=[UNAVAILABLE]"])
def test_strangers_are_refused_whatever_they_say_they_are(service: Serving, store: Store, who: str) -> None:
    count = len(list(store.suggestions.each(ALL)))
    for sender in ("ann@example.org", "", "postmaster@example.org"):
        (answer,) = send(service, report(letter(3, spam=False)), ["SPAM@example.org"], who, sender)
        assert answer[0] == 550
        assert answer[1].startswith(b"5.7.1 This address takes reports of our own users only")
    assert len(list(store.suggestions.each(ALL))) == count


def test_the_other_recipients_get_their_copy(service: Serving, store: Store) -> None:
    before = delivered(service)
    mail = report(letter(4, spam=False))
    answers = send(service, mail, ["bob@example.org", HAM, "eve@example.org"])
    assert [code for code, _ in answers] == [250] * 4
    copies = delivered(service) - before
    assert [copy.read_bytes().endswith(mail.replace(b"\r\n", b"\n")) for copy in copies] == [True, True]
    service.until(lambda: "1 learnt as ham" in last(service, store), "the record")
    (row,) = store.history.find(HistoryFilter(reason="report"), 1).rows
    record = store.history.show(row.id)
    assert record is not None
    assert [(one.recipient, one.fate) for one in record.deliveries] == [
        ("bob@example.org", "delivered"),
        (HAM, "discarded"),
        ("eve@example.org", "delivered"),
    ]


def test_an_inline_forward_leads_to_the_message_that_its_writer_got(service: Serving, store: Store) -> None:
    raw = letter(5, spam=True)
    send(service, raw, ["ann@example.org"], OUTSIDE, "x@example.net")
    service.until(lambda: bool(store.history.find(HistoryFilter(message_id="<5.1@example.net>")).rows), "the record")
    forward = EmailMessage()
    forward["From"], forward["Subject"] = "eve@example.org", "Fwd: offer"
    forward["References"] = "<0@example.net> <5.1@example.net>"
    forward.set_content("-------- Forwarded Message --------\nwords\n")
    eve = ANN.replace("ann", "eve")
    send(service, forward.as_bytes(), [SPAM], eve, "eve@example.org")
    assert learnt(store, raw) == []
    service.until(lambda: "It carries no message that is known" in last(service, store), "the record")
    send(service, forward.as_bytes(), [SPAM])
    assert learnt(store, raw) == ["spam"]


def test_a_copy_that_is_sent_on_as_it_is(service: Serving, store: Store) -> None:
    raw = letter(6, spam=True)
    before = delivered(service)
    send(service, raw, ["ann@example.org"], OUTSIDE, "x@example.net")
    (copy,) = delivered(service) - before
    service.until(lambda: bool(store.history.find(HistoryFilter(message_id="<6.1@example.net>")).rows), "the record")
    send(service, copy.read_bytes(), [SPAM])
    assert learnt(store, raw) == ["spam"]


def test_an_id_that_somebody_forges_teaches_nothing_of_other_peoples_mail(service: Serving, store: Store) -> None:
    raw = letter(7, spam=False)
    send(service, raw, ["bob@example.org"], OUTSIDE, "x@example.net")
    service.until(lambda: bool(store.history.find(HistoryFilter(message_id="<7.0@example.net>")).rows), "the record")
    (row,) = store.history.find(HistoryFilter(message_id="<7.0@example.net>")).rows
    forged = b"X-Filterd-Id: " + row.id.encode() + b"\r\n" + letter(8, spam=True)
    send(service, report(forged), [SPAM])
    assert learnt(store, raw) == []
    assert learnt(store, letter(8, spam=True)) == ["spam"]


def test_poisoned_attachments_are_bounded(service: Serving, store: Store) -> None:
    nested = letter(9, spam=True)
    for _ in range(60):
        nested = report(nested)
    assert send(service, report(nested), [SPAM])[-1][0] == 250
    many = report(*(letter(number, spam=True) for number in range(2000, 2120)))
    assert send(service, many, [SPAM])[-1][0] == 250
    service.until(lambda: "Only the first 100 were looked at" in last(service, store), "the record")
    for odd in (
        b"",
        b"\0\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x",
    ):
        assert send(service, odd, [SPAM])[-1][0] in (250, 550, 554)
    assert service.status()["status"] == "ok"
