"""Dialogues that somebody with bad intent would hold: over a real socket, each ends where it should."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from filterd.frontends.smtp.tls import server_context
from filterd.mail.envelope import Envelope
from filterd.reply import Reply
from tests.frontends.smtp_kit import Hop, Sieve, serving
from tests.frontends.test_smtp_tls import make_certificate, start_tls

MAIL, RCPT = "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>"
BODY = b"Subject: x\r\n\r\nhi\r\n"
REFUSED = Reply(550, "Refused (ID)", "5.7.1")


def early(envelope: Envelope) -> Reply | None:
    """Refuses 203.0.113.9 as it connects, and one recipient."""
    if envelope.client.address == "203.0.113.9" and not envelope.sender:
        return Reply(554, "Refused (ID)", "5.7.1")
    return REFUSED if any(one.address == "no@example.org" for one in envelope.recipients) else None


async def talk(client: Any, *said: str | bytes) -> list[str]:
    """The code of each answer."""
    return [(await client.ask(one))[:3] for one in said]


def held(dialogue: Any, **how: Any) -> None:
    async def main() -> None:
        async with serving(filter=Sieve(early=early), **how) as kit, kit.client(greeted=False) as client:
            await dialogue(kit, client)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_whom_the_greeting_refuses_nothing_helps_but_another_client() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        assert await talk(client, "EHLO p", "XCLIENT ADDR=203.0.113.9") == ["250", "554"]
        assert await talk(client, "EHLO x", MAIL, RCPT, "DATA", "RSET", "STARTTLS", "BDAT 5 LAST") == ["503"] * 7
        assert await talk(client, "XCLIENT ADDR=203.0.113.10", "EHLO x", MAIL, RCPT) == ["220", "250", "250", "250"]
        assert not any("203.0.113.9" in str(one) for one in kit.hop.delivered)

    held(dialogue, trusted=["127.0.0.0/8"])


def test_whom_the_greeting_refuses_does_not_talk_for_ever() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        client.send(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n")
        assert (await client.reply()).startswith("554 5.7.1 Refused (ID)")
        client.send(b"MAIL FROM:<x@y>\r\n" * 60)
        codes = [(await client.reply())[:3] for _ in range(22)]
        assert codes == ["503"] * 21 + ["421"]
        assert await client.ends()

    held(dialogue, proxy_protocol=True, trusted=["127.0.0.0/8"])


def test_a_proxy_header_and_what_is_pipelined_behind_it() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        header = (
            b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11, 0, 15]) + bytes([203, 0, 113, 7, 192, 0, 2, 1, 0, 1, 0, 25])
        )
        client.send(header + b"\x04\0\0" + b"EHLO x\r\n" + MAIL.encode() + b"\r\nPROXY UNKNOWN\r\nNOOP\r\n")
        assert [(await client.reply())[:3] for _ in range(4)] == ["220", "250", "250", "550"]
        assert await client.ends()  # a second header is for nobody to say

    held(dialogue, proxy_protocol=True, trusted=["127.0.0.0/8"])


def test_xclient_begins_anew_and_never_within_a_mail() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        assert await talk(client, "EHLO p", "XFORWARD ADDR=192.0.2.1", MAIL, "XCLIENT ADDR=192.0.2.2") == [
            "250", "250", "250", "503",
        ]  # fmt: skip
        assert await talk(client, "XFORWARD ADDR=192.0.2.3", RCPT, "RSET") == ["503", "250", "250"]
        assert await talk(client, "XCLIENT ADDR=192.0.2.2", MAIL) == ["220", "503"]  # HELO is forgotten
        await talk(client, "EHLO x", MAIL, RCPT, "DATA")
        await client.ask(BODY + b".")
        assert kit.filter.seen[-1][0].client.address == "192.0.2.2"

    held(dialogue, trusted=["127.0.0.0/8"])


@pytest.mark.parametrize(
    "said", ["ADDR=127.0.0.1%25lo", "NAME=a+0D+0Ab", "ADDR=", "LOGIN", "HELO=+00", "ADDR=1.2.3.4 X=y"]
)
def test_xclient_that_hides_something_changes_nothing(said: str) -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await client.hello()
        assert await talk(client, f"XCLIENT {said}", MAIL, RCPT, "DATA") == ["501", "250", "250", "354"]
        await client.ask(BODY + b".")
        assert kit.filter.seen[-1][0].client.address is None  # a trusted peer that told us nothing

    held(dialogue, trusted=["127.0.0.0/8"])


@pytest.mark.parametrize("verb", ["XCLIENT ADDR=192.0.2.1 LOGIN=ann", "XFORWARD ADDR=192.0.2.1 SOURCE=LOCAL"])
def test_a_stranger_who_says_who_he_is_remains_a_stranger(verb: str) -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        assert await talk(client, "EHLO x", verb, MAIL, "RCPT TO:<a@elsewhere.example>") == ["250", "550", "250", "550"]

    held(dialogue)


@pytest.mark.parametrize("size", ["", "-1", "+5", "0x10", "5 LAST X", "5,LAST", "1e3", "٥", "9" * 21])
def test_a_chunk_of_no_size_ends_the_session(size: str) -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await talk(client, "EHLO x", MAIL, RCPT)
        client.send(f"BDAT {size}\r\nMAIL FROM:<smuggled@example.net>\r\n")
        assert (await client.reply())[0] == "5"
        assert (await client.reply())[:3] in ("421", "503")
        assert not kit.filter.seen

    held(dialogue)


def test_what_stands_in_a_chunk_is_no_command() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await client.hello()
        inner = b"Subject: x\r\n\r\n.\r\nRSET\r\nMAIL FROM:<smuggled@example.net>\r\n"
        for before in ((), (MAIL,), (MAIL, "RCPT TO:<no@example.org>")):
            await talk(client, *before)
            client.send(b"BDAT %d LAST\r\n%b" % (len(inner), inner))
            assert (await client.reply())[:3] in ("503", "554")
            assert await talk(client, "RSET", "NOOP") == ["250", "250"]
        await talk(client, MAIL, RCPT)
        client.send(b"BDAT %d\r\n%bBDAT 0 LAST\r\n" % (len(inner), inner))
        assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]
        ((envelope, raw),) = kit.filter.seen
        assert (envelope.sender, raw) == ("a@example.net", inner)

    held(dialogue)


def test_a_refused_recipient_is_neither_asked_of_the_hop_nor_delivered_to() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await client.hello()
        assert await talk(client, MAIL, "RCPT TO:<no@example.org>", "DATA") == ["250", "550", "554"]
        assert await talk(client, "RCPT TO:<no@example.org>", RCPT, "RCPT TO:<no@example.org>") == ["550", "250", "550"]
        assert await talk(client, "DATA", BODY + b".") == ["354", "250"]
        (sent,) = kit.hop.delivered
        assert [one.address for one in sent.recipients] == ["b@example.org"]
        assert not any("no@example.org" in verb for verb in kit.hop.verbs)

    held(dialogue)


def test_a_refused_recipient_has_no_reply_after_the_data_of_lmtp() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        said = ("LHLO x", MAIL, "RCPT TO:<no@example.org>", RCPT, "RCPT TO:<c@example.org>", "DATA")
        assert await talk(client, *said) == ["250", "250", "550", "250", "250", "354"]
        client.send(BODY + b".\r\nNOOP\r\n")
        assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]  # one for each that was accepted
        assert await client.reply() == "250 2.0.0 Ok\r\n"

    held(dialogue, lmtp=True)


def test_who_may_not_send_is_not_told_so_for_ever() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await client.hello()
        client.send(b"MAIL FROM:<refused@example.net>\r\n" * 300)
        assert [(await client.reply())[:3] for _ in range(102)] == ["550"] * 100 + ["421", ""]

    held(dialogue, hop=Hop(answer=lambda verb, argument: REFUSED if verb == "MAIL" else None))


def test_who_asks_us_to_relay_has_his_number_of_recipients_like_everybody() -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        await talk(client, "EHLO x", MAIL)
        client.send(b"RCPT TO:<x@elsewhere.example>\r\n" * 15)
        assert [(await client.reply())[:3] for _ in range(15)] == ["550"] * 10 + ["452"] * 5

    held(dialogue, limits={"recipients": 10})


def test_starttls_forgets_mail_and_helo_and_what_came_in_the_clear(tmp_path: Path) -> None:
    async def dialogue(kit: Any, client: Any) -> None:
        await client.reply()
        assert await talk(client, "EHLO x", "XCLIENT ADDR=192.0.2.2", "EHLO x", "STARTTLS now") == [
            "250",
            "220",
            "250",
            "501",
        ]
        await talk(client, MAIL, RCPT)
        client.send(b"STARTTLS\r\nRCPT TO:<injected@example.org>\r\nDATA\r\n")
        assert (await client.reply()).startswith("220 ")
        await start_tls(client)
        assert await talk(client, RCPT, MAIL, "EHLO x", "STARTTLS", MAIL, RCPT, "DATA") == [
            "503", "503", "250", "503", "250", "250", "354",
        ]  # fmt: skip
        assert await talk(client, BODY + b".") == ["250"]
        ((envelope, _),) = kit.filter.seen
        assert (envelope.client.address, len(envelope.recipients)) == (None, 1)
        assert envelope.tls

    context = server_context(*make_certificate(tmp_path, "mx.example.org"))
    held(dialogue, context=context, trusted=["127.0.0.0/8"])
