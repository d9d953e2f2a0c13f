"""The spamd door on a socket: commands and versions, learning, wrong lengths, garbage, half-closed sockets, load."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import zlib
from pathlib import Path

import pytest

from filterd.decision import Action, HeaderSpan, Reason
from filterd.findings import Finding
from filterd.frontends.learner import Klass
from filterd.frontends.spamd.door import SpamdDoor
from filterd.reply import Reply
from tests.frontends.advising import MAIL, Pupil, Verdicts, ask, opened, spamd
from tests.frontends.smtp_kit import until

SPAM = Verdicts(action=lambda recipient: Action.QUARANTINE, findings=(Finding("SPAMMY", 912, "Is spam.", "all of it"),))


def request(verb: str, body: bytes = MAIL, *headers: str, version: str = "1.5", protocol: str = "SPAMC") -> bytes:
    lines = [f"{verb} {protocol}/{version}", f"Content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answer(asked: bytes, door: SpamdDoor | None = None, *, shut: bool = False) -> bytes:
    async def run() -> bytes:
        async with opened(door or spamd()) as port:
            return await ask(port, asked, shut=shut)

    return asyncio.run(run())


def test_ping_and_skip() -> None:
    assert answer(b"PING SPAMC/1.2\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    assert answer(b"PING SPAMC/1.5\r\n\r\n", shut=True) == b"SPAMD/1.5 0 PONG\r\n"
    assert answer(b"SKIP SPAMC/1.5\r\n") == b""


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4", "1.5"])
def test_check(version: str) -> None:
    ham = answer(request("CHECK", version=version))
    assert ham == b"SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.40 / 5.00\r\n\r\n"
    spam = answer(request("CHECK", version=version), spamd(filter=SPAM))
    assert spam == b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9.12 / 5.00\r\n\r\n"


def test_symbols() -> None:
    head, _, body = answer(request("SYMBOLS"), spamd(filter=SPAM)).partition(b"\r\n\r\n")
    assert head == b"SPAMD/1.1 0 EX_OK\r\nContent-length: 6\r\nSpam: True ; 9.12 / 5.00"
    assert body == b"SPAMMY"
    assert answer(request("SYMBOLS", version="1.2"), spamd(filter=SPAM)).endswith(b"5.00\r\n\r\nSPAMMY\r\n")


@pytest.mark.parametrize("version", ["1.2", "1.5"])
def test_report(version: str) -> None:
    head, _, body = answer(request("REPORT", version=version), spamd(filter=SPAM)).partition(b"\r\n\r\n")
    assert b"Spam: True ; 9.12 / 5.00" in head
    assert (f"Content-length: {len(body)}".encode() in head) is (version == "1.5")
    assert re.search(rb"^ 9\.1 SPAMMY +Is spam\. \[all of it\]$", body, re.MULTILINE)
    assert b"(9.12 points, 5.00 required)" in body


def test_report_if_spam() -> None:
    assert answer(request("REPORT_IFSPAM")) == (
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: No ; 0.40 / 5.00\r\n\r\n"
    )
    assert b"\r\nSpam: Yes ; 9.12 / 5.00\r\n\r\nSpam detection" in answer(request("REPORT_IFSPAM"), spamd(filter=SPAM))


def test_process_marks_the_message_and_takes_forged_marks_away() -> None:
    forged = b"X-Spam-Flag: NO\r\n" + MAIL
    filter = Verdicts(
        action=SPAM.action, findings=SPAM.findings, strip=(HeaderSpan("X-Spam-Flag", 1, 0, 17),)
    )  # as inspection would say
    head, _, body = answer(request("PROCESS", forged), spamd(filter=filter)).partition(b"\r\n\r\n")
    assert f"Content-length: {len(body)}".encode() in head
    assert b"X-Spam-Flag: YES\r\n" in body
    assert b"X-Spam-Flag: NO" not in body
    assert b"X-Spam-Status: Yes, score=9.12 required=5.00 tests=SPAMMY\r\n" in body
    assert body.endswith(MAIL)


def test_process_of_old_versions() -> None:
    two = answer(request("PROCESS", version="1.2"))
    assert re.match(rb"SPAMD/1.1 0 EX_OK\r\nContent-length: \d+\r\n\r\nX-", two)
    assert answer(b"PROCESS SPAMC/1.0\r\n" + MAIL, shut=True).startswith(b"SPAMD/1.0 0 EX_OK\r\nX-")


def test_headers_are_only_headers() -> None:
    _, _, body = answer(request("HEADERS", MAIL.replace(b"\r\n", b"\n"))).partition(b"\r\n\r\n")
    assert body.endswith(b"Message-ID: <1@example.net>\n\n")
    assert b"X-Spam-Status: No, " in body


def test_the_message_reaches_the_filter_in_wire_form() -> None:
    filter = Verdicts()
    answer(request("CHECK", MAIL.replace(b"\r\n", b"\n"), "User: bob@example.org"), spamd(filter=filter))
    ((envelope, raw),) = filter.seen
    assert raw == MAIL
    assert [one.address for one in envelope.recipients] == ["bob@example.org"]
    assert envelope.user is None  # who reads it, not who sent it


def test_the_user_may_be_an_address_in_brackets() -> None:
    filter = Verdicts()
    answer(request("CHECK", MAIL, "User: <bob@example.org>"), spamd(filter=filter))
    assert [one.address for one in filter.seen[0][0].recipients] == ["bob@example.org"]


def test_compressed() -> None:
    packed = zlib.compress(MAIL)
    filter = Verdicts()
    assert b"EX_OK" in answer(request("CHECK", packed, "Compress: zlib"), spamd(filter=filter))
    assert filter.seen[0][1] == MAIL


@pytest.mark.parametrize(
    ("body", "headers", "limits"),
    [
        (b"not zlib", ("Compress: zlib",), {}),
        (zlib.compress(MAIL)[:-4], ("Compress: zlib",), {}),
        (zlib.compress(bytes(10_000_000)), ("Compress: zlib",), {"message_size": 1_000_000}),
        (MAIL, ("Compress: bzip2",), {}),
        (MAIL, ("no header",), {}),
        (MAIL, ("Content-length: -1",), {}),
        (MAIL, ("Content-length: ٣",), {}),
        (MAIL, ("Content-length: " + "9" * 30,), {}),
        (MAIL, tuple(f"X-{number}: x" for number in range(300)), {}),
    ],
)
def test_bad_requests(body: bytes, headers: tuple[str, ...], limits: dict[str, int]) -> None:
    filter = Verdicts()
    asked = request("CHECK", body, *headers)
    assert answer(asked, spamd(filter=filter, limits=limits), shut=True).startswith(b"SPAMD/1.0 76 EX_PROTOCOL")
    assert not filter.seen


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe\r\n",
        b"EHLO mx\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CHECK SPAMC/\r\n",
        b"CHECK\r\n",
        b"x",
    ],
)
def test_garbage(garbage: bytes) -> None:
    assert answer(garbage, shut=True).startswith(b"SPAMD/1.0 76 EX_PROTOCOL ")


def test_random_bytes_harm_nobody_else() -> None:
    async def run() -> None:
        async with opened(spamd()) as port:
            for _ in range(50):
                await ask(port, os.urandom(200), shut=True)
            assert b"EX_OK" in await ask(port, request("CHECK"))

    asyncio.run(run())


def test_an_unknown_command_and_an_endless_line() -> None:
    assert b"76 EX_PROTOCOL" in answer(request("EXPLODE"))
    assert answer(b"CHECK " + b"x" * 600_000) in (
        b"",
        b"SPAMD/1.0 76 EX_PROTOCOL Bad header line: (no request of this protocol)\r\n",
    )


def test_a_shorter_message_than_said_is_never_judged() -> None:
    filter = Verdicts()
    asked = request("CHECK", MAIL, f"Content-length: {len(MAIL) + 1}")
    found = answer(asked, spamd(filter=filter), shut=True)
    assert found.startswith(b"SPAMD/1.0 76 EX_PROTOCOL Bad header line: (Content-Length mismatch: Expected")
    assert not filter.seen


def test_without_a_length_the_message_ends_with_the_clients_side() -> None:
    filter = Verdicts()
    assert b"EX_OK" in answer(b"CHECK SPAMC/1.2\r\n\r\n" + MAIL, spamd(filter=filter), shut=True)
    assert filter.seen[0][1] == MAIL


def test_too_large() -> None:
    door = spamd(limits={"message_size": 1000})
    assert answer(request("CHECK", bytes(1001)), door).startswith(b"SPAMD/1.0 65 EX_DATAERR")
    endless = b"CHECK SPAMC/1.2\r\n\r\n" + bytes(100_000)
    assert answer(endless, spamd(limits={"message_size": 1000}), shut=True).startswith(b"SPAMD/1.0 65 EX_DATAERR")


@pytest.mark.parametrize("reason", [Reason.ERROR, Reason.RULE])
def test_try_again_later(reason: Reason) -> None:
    filter = Verdicts(action=lambda recipient: Action.DEFER, reason=reason)
    assert answer(request("CHECK"), spamd(filter=filter)) == b"SPAMD/1.0 75 EX_TEMPFAIL Because.\r\n"
    early = Verdicts(early=Reply(451, "Too much mail"))
    assert answer(request("CHECK"), spamd(filter=early)) == b"SPAMD/1.0 75 EX_TEMPFAIL Too much mail\r\n"


def test_an_exception_ends_that_session_alone() -> None:
    async def run() -> None:
        filter = Verdicts(raises=RuntimeError("secret"))
        async with opened(spamd(filter=filter)) as port:
            assert await ask(port, request("CHECK")) == b""
            filter.raises = None
            assert b"EX_OK" in await ask(port, request("CHECK"))

    asyncio.run(run())


def test_tell_learns_and_forgets() -> None:
    async def run() -> None:
        pupil = Pupil()
        async with opened(spamd(learner=pupil)) as port:
            spam = request("TELL", MAIL, "Message-class: spam", "Set: local", "User: bob")
            assert b"\r\nDidSet: local\r\n" in await ask(port, spam)
            assert b"Did" not in await ask(port, spam)
            ham = request("TELL", MAIL, "Message-class: ham", "Set: local, remote")
            assert b"\r\nDidSet: local\r\n" in await ask(port, ham)
            assert b"\r\nDidRemove: local\r\n" in await ask(port, request("TELL", MAIL, "Remove: local"))
        assert pupil.told[0] == (MAIL, Klass.SPAM, "bob", "test")
        assert [klass for _, klass, _, _ in pupil.told] == ["spam", "spam", "ham", "forget"]

    asyncio.run(run())


def test_tell_that_cannot_be_done_never_says_that_it_was() -> None:
    spam = request("TELL", MAIL, "Message-class: spam", "Set: local")
    assert answer(spam, spamd(learner=Pupil(broken="It is gone"))).startswith(b"SPAMD/1.0 69 EX_UNAVAILABLE")
    assert answer(spam, spamd(tell=False)).startswith(b"SPAMD/1.0 69 EX_UNAVAILABLE")
    assert b"Did" not in answer(request("TELL", MAIL, "Message-class: spam", "Set: remote"))
    both = request("TELL", MAIL, "Message-class: spam", "Set: local", "Remove: local")
    assert b"76 EX_PROTOCOL" in answer(both)
    assert b"76 EX_PROTOCOL" in answer(request("TELL", MAIL, "Message-class: eggs", "Set: local"))


def test_rspamds_line_protocol_as_exim_speaks_it() -> None:
    """Exim 4.96, src/spam.c: no half-close, and the answer ends with the connection."""
    headers = ("Queue-Id: 1xV749-0001oU-1I", "From: <a@example.net>", "Recipient-Number: 2", "Rcpt: <b@example.org>",
               "Rcpt: <c@example.org>", "Helo: c", "IP: 192.0.2.9", "User: ann")  # fmt: skip
    filter = Verdicts(action=SPAM.action, findings=SPAM.findings, outline=SPAM.outline)
    found = answer(request("CHECK", MAIL, *headers, version="1.3", protocol="RSPAMC"), spamd(filter=filter))
    assert found == (
        b"RSPAMD/1.3 0 EX_OK\r\nMetric: default; True; 9.12 / 5.00 / 0.00\r\nAction: add header\r\n"
        b"Symbol: SPAMMY(9.12)[all of it]\r\nMessage-ID: <1@example.net>\r\n"
    )
    envelope = filter.seen[0][0]
    assert [one.address for one in envelope.recipients] == ["b@example.org", "c@example.org"]
    assert (envelope.sender, envelope.client.address, envelope.client.helo) == ("a@example.net", "192.0.2.9", "c")
    assert (envelope.user, envelope.queue_id) == ("ann", "1xV749-0001oU-1I")


def test_the_null_sender_is_said_as_such() -> None:
    filter = Verdicts()
    answer(request("CHECK", MAIL, "From: <>", protocol="RSPAMC"), spamd(filter=filter))
    assert filter.seen[0][0].sender == ""


def test_nothing_of_a_message_breaks_a_line_of_the_answer() -> None:
    evil = Finding("EVIL", 100, "A\r\nSpam: False ; 0 / 5", "x\r\n\r\nAction: no action\x1b[2J" + "y" * 100_000)
    filter = Verdicts(action=SPAM.action, findings=(evil,) * 200)
    report = answer(request("REPORT", version="1.2"), spamd(filter=filter))
    assert report.count(b"\r\n") == 3
    assert b"\x1b" not in report
    rspamc = answer(request("CHECK", protocol="RSPAMC"), spamd(filter=filter))
    assert rspamc.count(b"\r\nAction: ") == 1
    assert max(len(report), len(rspamc)) < 32_000  # all that Exim reads


def test_a_thousand_sessions_leave_no_descriptor() -> None:
    async def run() -> tuple[int, int]:
        async with opened(spamd()) as port:
            await ask(port, request("CHECK"))
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(50):
                asked = (request("CHECK"), b"PING SPAMC/1.2\r\n", b"junk\r\n", request("CHECK")[:-5])
                await asyncio.gather(*(ask(port, one, shut=True) for one in asked * 5))
            await asyncio.sleep(0.1)
            return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(run())
    assert after <= before + 2


def test_idle_connections_make_room() -> None:
    async def run() -> None:
        async with opened(spamd(limits={"connections": 20})) as port:
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            await asyncio.sleep(0.3)  # then they are idle, and not just about to speak
            async with asyncio.timeout(5):
                assert b"EX_OK" in await ask(port, request("CHECK"))
            for _, writer in idle:
                writer.close()

    asyncio.run(run())


def test_a_slow_client_is_cut_and_an_honest_one_is_not() -> None:
    limits = {"data_window": 0.3, "data_rate": 5000}

    async def drip(port: int, pause: float, size: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = request("CHECK", bytes(20_000))
        try:
            for start in range(0, len(asked), size):
                writer.write(asked[start : start + size])
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def run() -> None:
        async with opened(spamd(limits=limits)) as port, asyncio.timeout(30):
            slow, honest = await asyncio.gather(drip(port, 0.1, 10), drip(port, 0.05, 1000))
            assert slow == b""
            assert b"EX_OK" in honest

    asyncio.run(run())


def test_no_room_for_more_messages_is_try_again() -> None:
    async def run() -> None:
        door = spamd(room=1000, wait=0.1)
        async with opened(door) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("CHECK", bytes(900))[:-1])
            await until(lambda: door.desk.room.taken > 0)
            assert b"75 EX_TEMPFAIL" in await ask(port, request("CHECK", bytes(900)))
            writer.write(b"\0")
            assert b"EX_OK" in await reader.read()
            writer.close()
        assert door.desk.room.taken == 0

    asyncio.run(run())


def test_a_client_that_leaves_takes_nothing_with_it() -> None:
    async def run() -> None:
        door = spamd()
        async with opened(door) as port:
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(request("CHECK", bytes(5000))[:-1000])
            assert b"EX_OK" in await ask(port, request("CHECK"))
            await until(lambda: door.desk.room.taken == 0)

    asyncio.run(run())


def test_on_a_unix_socket(tmp_path: Path) -> None:
    async def run() -> None:
        path = str(tmp_path / "spamd.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(path)
            listening.listen()
            listening.setblocking(False)
            filter = Verdicts()
            door = spamd(filter=filter)
            await door.start([listening])
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(request("CHECK"))
            assert b"EX_OK" in await reader.read()
            assert filter.seen[0][0].peer is None
            writer.close()
            door.close()
            await door.drain()

    asyncio.run(run())


def test_draining_waits_for_the_answer_in_hand() -> None:
    async def run() -> None:
        go = asyncio.Event()
        filter = Verdicts(pause=go)
        door = spamd(filter=filter)
        async with opened(door) as port:
            waiting = asyncio.ensure_future(ask(port, request("CHECK")))
            await until(lambda: bool(filter.seen))
            door.close()
            draining = asyncio.ensure_future(door.drain())
            await asyncio.sleep(0.05)
            assert not draining.done()
            go.set()
            assert b"EX_OK" in await waiting
            await asyncio.wait_for(draining, 10)

    asyncio.run(run())
