"""SMTP and LMTP to a next hop on a real socket: what it gets, and what its answers amount to."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.mail.envelope import Origin, Recipient, Source
from filterd.relay import Handover, NextHop, RelaySettings, deliver, next_hop
from filterd.reply import Reply
from tests.nexthop import ABORT, DIE, HANG, KEYWORDS, FakeHop

BODY = b"Subject: hi\r\n\r\nhello\r\n"
HANDOVER = Handover(client=Origin(address="192.0.2.1", helo="client.example", source=Source.PEER))
ANN, BOB, CY = Recipient("ann@b.example"), Recipient("bob@b.example"), Recipient("cy@b.example")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


@contextlib.asynccontextmanager
async def hop_to(fake: FakeHop, **changes: Any) -> AsyncIterator[NextHop]:
    async with fake:
        hop = next_hop(fake.url, RelaySettings(**{"command_timeout": 2, "data_timeout": 2, **changes}))
        try:
            yield hop
        finally:
            await hop.aclose()


@contextlib.asynccontextmanager
async def hop_to_program(
    program: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[NextHop]:
    """A next hop that does what `program` does with its one connection."""
    over = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await program(reader, writer)
        finally:
            writer.transport.abort()
            over.set()

    async with await asyncio.start_server(converse, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        hop = next_hop(f"smtp://127.0.0.1:{port}", RelaySettings(data_timeout=2))
        yield hop
        await hop.aclose()
        await over.wait()


async def send(
    hop: NextHop, *recipients: Recipient, body: bytes = BODY, step: bool = False, sender: str = "s@a.example"
) -> list[str]:
    """Deliver a mail, all at once or verb by verb; the replies as text."""
    transaction = hop.transaction(HANDOVER)
    recipients = recipients or (ANN,)
    try:
        if not step:
            return [str(reply) for reply in await deliver(transaction, sender, (), recipients, [body])]
        mailed = await transaction.mail(sender, ())
        if not mailed.ok:
            return [str(mailed)] * len(recipients)
        replies = [await transaction.rcpt(recipient) for recipient in recipients]
        rest = iter(await transaction.data([body]))
        return [str(next(rest) if reply.ok else reply) for reply in replies]
    finally:
        await transaction.close()


STEPS = pytest.mark.parametrize("step", [False, True], ids=["at once", "in step"])
PIPELINING = pytest.mark.parametrize("keywords", [KEYWORDS, KEYWORDS[1:]], ids=["pipelining", "lockstep"])


@STEPS
@PIPELINING
def test_a_mail(step: bool, keywords: tuple[str, ...]) -> None:
    async def test() -> None:
        fake = FakeHop(keywords=keywords)
        async with hop_to(fake, hostname="mx.example") as hop:
            assert await send(hop, ANN, BOB, step=step) == ["250 2.0.0 Ok: queued"] * 2
            assert fake.commands == [
                "EHLO mx.example",
                "MAIL FROM:<s@a.example>",
                "RCPT TO:<ann@b.example>",
                "RCPT TO:<bob@b.example>",
                "DATA",
            ]
            assert [message.wire for message in fake.messages] == [BODY]

    run(test())


def test_a_pipelined_mail_goes_out_in_one_breath() -> None:
    """This server answers nothing before DATA is there (RFC 2920 section 3.1)."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readline()
        writer.write(b"250-hi\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 done\r\n")
        await reader.read()

    async def test() -> None:
        async with hop_to_program(converse) as hop:
            assert await send(hop, ANN, BOB) == ["550 no", "250 done"]

    run(test())


def test_parameters_are_passed_on() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            transaction = hop.transaction(HANDOVER)
            recipient = Recipient("ü@b.example", ("NOTIFY=SUCCESS", "ORCPT=utf-8;x"))
            parameters = ("SIZE=22", "BODY=8BITMIME", "SMTPUTF8", "RET=HDRS")
            [reply] = await deliver(transaction, "ö@a.example", parameters, [recipient], [BODY])
            await transaction.close()
            assert reply.code == 250
            assert fake.messages[0].mail == "MAIL FROM:<ö@a.example> SIZE=22 BODY=8BITMIME SMTPUTF8 RET=HDRS"
            assert fake.messages[0].rcpts == ["RCPT TO:<ü@b.example> NOTIFY=SUCCESS ORCPT=utf-8;x"]

    run(test())


@STEPS
def test_what_the_hop_lacks_is_refused_and_the_connection_stays_clean(step: bool) -> None:
    async def test() -> None:
        fake = FakeHop(keywords=["PIPELINING"])
        async with hop_to(fake) as hop:
            assert await send(hop, sender="ö@a.example", step=step) == [
                "553 5.6.7 The next hop does not take internationalized addresses"
            ]
            replies = await send(hop, Recipient("a@b", ("NOTIFY=NEVER",)), BOB, step=step)
            assert [reply[:9] for reply in replies] == ["555 5.5.4", "250 2.0.0"]
            assert await send(hop, Recipient("a@b", ("NOTIFY=NEVER",)), step=step) == [replies[0]]
            assert await send(hop, step=step) == ["250 2.0.0 Ok: queued"]
            assert len(fake.sessions) == 1
            assert [message.rcpts for message in fake.messages] == [
                ["RCPT TO:<bob@b.example>"], ["RCPT TO:<ann@b.example>"]]  # fmt: skip

    run(test())


@STEPS
@PIPELINING
@pytest.mark.parametrize(
    ("script", "replies"),
    [
        ({"MAIL": "552 5.3.4 Too big"}, ["552 5.3.4 Too big"] * 3),
        ({"MAIL": "451 4.7.1 Come later"}, ["451 4.7.1 Come later"] * 3),
        ({"RCPT": ["250 ok", "550-5.1.1 No such\n550 5.1.1 user", "452 4.2.2 Full"]},
         ["250 2.0.0 Ok: queued", "550 5.1.1 No such user", "452 4.2.2 Full"]),
        ({"RCPT": "550 5.1.1 No"}, ["550 5.1.1 No"] * 3),
        ({"RCPT": "251 2.1.5 Forwarded"}, ["250 2.0.0 Ok: queued"] * 3),
        ({"DATA": "451 4.3.0 Not now"}, ["451 4.3.0 Not now"] * 3),
        ({"DATA": "554 5.5.1 No", "RCPT": ["250 ok", "550 5.1.1 No"]},
         ["554 5.5.1 No", "550 5.1.1 No", "554 5.5.1 No"]),
        ({".": "554 5.7.1 Spam"}, ["554 5.7.1 Spam"] * 3),
        ({".": "452 4.3.1 Full"}, ["452 4.3.1 Full"] * 3),
        ({"RCPT": "550 no", "DATA": "354 go on"}, ["550 no"] * 3),
        ({"MAIL": "550 no", "RCPT": "250 ok", "DATA": "354 go on"}, ["550 no"] * 3),
    ],
)  # fmt: skip
def test_refusals_reach_us_in_the_same_class(
    script: dict[str, Any], replies: list[str], step: bool, keywords: tuple[str, ...]
) -> None:
    async def test() -> None:
        fake = FakeHop(keywords=keywords, script=script)
        async with hop_to(fake) as hop:
            assert await send(hop, ANN, BOB, CY, step=step) == replies
            fake.script.clear()
            assert await send(hop, step=step) == ["250 2.0.0 Ok: queued"]
            assert fake.messages[-1].rcpts == ["RCPT TO:<ann@b.example>"]
            assert all(message.wire == BODY for message in fake.messages)

    run(test())


LOST = "451 4.4.2 The connection to the next hop was lost"
GONE = "451 4.4.1 The next hop cannot be reached now"


@STEPS
@PIPELINING
@pytest.mark.parametrize(
    ("script", "reply"),
    [
        ({"BANNER": DIE}, GONE),
        ({"BANNER": "554 5.3.2 No service"}, GONE),
        ({"BANNER": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, GONE),
        ({"BANNER": b"220 " + b"x" * 100_000}, GONE),
        ({"BANNER": b"220-x\r\n" * 10_000}, GONE),
        ({"EHLO": "421 4.3.2 Busy"}, GONE),
        ({"EHLO": DIE}, GONE),
        ({"MAIL": DIE}, LOST),
        ({"MAIL": ABORT}, LOST),
        ({"MAIL": "421 4.3.2 Closing"}, "451 4.3.2 Closing"),
        ({"MAIL": "354 What?"}, LOST),
        ({"MAIL": b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n"}, LOST),
        ({"RCPT": DIE}, LOST),
        ({"RCPT": "421 Closing"}, "451 4.3.2 Closing"),
        ({"DATA": DIE}, LOST),
        ({"DATA": "250 2.0.0 Queued already"}, LOST),
        ({"DATA": "421 4.3.2 Closing"}, "451 4.3.2 Closing"),
        ({".": DIE}, LOST),
        ({".": ABORT}, LOST),
        ({".": "354 More"}, LOST),
        ({".": b"\x00\xff\r\n"}, LOST),
        ({".": "421 4.3.2 Shutting down"}, "451 4.3.2 Shutting down"),
    ],
)  # fmt: skip
def test_trouble_is_temporary(script: dict[str, Any], reply: str, step: bool, keywords: tuple[str, ...]) -> None:
    """Next hop killed before its final reply: 4xx."""

    async def test() -> None:
        fake = FakeHop(keywords=keywords, script=script)
        async with hop_to(fake) as hop:
            assert await send(hop, step=step) == [reply]
            assert len(fake.messages) <= 1
            fake.script.clear()
            assert await send(hop, step=step) == ["250 2.0.0 Ok: queued"]

    run(test())


def test_a_hop_that_is_down() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            await fake.stop()
            assert await send(hop) == [GONE]
            assert await hop.capabilities() is None
            assert await hop.healthy() == f"The next hop {fake.url} cannot be reached: Connection refused."
            await fake.start()
            assert await hop.healthy() is None
            assert (await send(hop))[0].startswith("250")

    run(test())


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ({"BANNER": "554 5.3.2 Closed"}, "answered the connection with 554 5.3.2 Closed."),
        ({"BANNER": b"SSH-2.0-OpenSSH\r\n"}, "sent something that is not an SMTP reply: b'SSH-2.0-OpenSSH\\r'"
                                             " (at the connection)."),
        ({"BANNER": HANG}, "was not ready within 0.2 seconds."),
        ({"EHLO": "450 4.3.2 no"}, "answered EHLO with 450 4.3.2 no."),
        ({"EHLO": DIE}, "closed the connection (at EHLO)."),
    ],
)  # fmt: skip
def test_healthy_says_what_is_wrong(script: dict[str, Any], says: str) -> None:
    async def test() -> None:
        fake = FakeHop(script=script)
        async with hop_to(fake, connect_timeout=0.2) as hop:
            assert await hop.healthy() == f"The next hop {fake.url} {says}"

    run(test())


@STEPS
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_a_hop_that_stops_answering(verb: str, step: bool) -> None:
    async def test() -> None:
        fake = FakeHop(script={verb: HANG})
        async with hop_to(fake, command_timeout=0.1, data_timeout=0.1) as hop:
            assert await send(hop, step=step) == [LOST]

    run(test())


def test_recipients_refused_before_the_connection_was_lost_stay_refused() -> None:
    async def test() -> None:
        fake = FakeHop(script={"RCPT": ["550 5.1.1 No", "250 ok", DIE]})
        async with hop_to(fake) as hop:
            assert await send(hop, ANN, BOB, CY) == ["550 5.1.1 No", LOST, LOST]

    run(test())


def test_lost_within_the_body() -> None:
    async def test() -> None:
        fake = FakeHop(die_in_body=100)
        async with hop_to(fake) as hop:
            assert await send(hop, body=b"x" * 70 + b"\r\n" + b"y" * 5_000_000 + b"\r\n") == [LOST]
            assert fake.messages == []

    run(test())


def test_an_early_refusal_of_a_large_message_is_heard() -> None:
    """A server that says 552 in the middle of the message and no longer reads."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        for answer in (b"250 hi", b"250 ok", b"250 ok", b"354 go"):
            await reader.readline()
            writer.write(answer + b"\r\n")
        await reader.readexactly(1000)
        writer.write(b"552 5.3.4 Too big\r\n")
        await reader.read()

    async def test() -> None:
        async with hop_to_program(converse) as hop:
            assert await send(hop, body=b"y" * 20_000_000 + b"\r\n") == ["552 5.3.4 Too big"]

    run(test())


@STEPS
def test_a_bare_newline_never_leaves(step: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            for body in (b"a\nb\r\n", b"a\rb\r\n", b"x" * 300_000 + b"\r\n.\n"):
                assert await send(hop, body=body, step=step) == ["451 4.3.0 The message is not in wire form"]
            assert (await send(hop, step=step))[0].startswith("250")
            assert [message.wire for message in fake.messages] == [BODY]

    with caplog.at_level(logging.ERROR):
        run(test())
    assert caplog.text.count("bare CR or LF") == 3


@STEPS
@pytest.mark.parametrize("size", [100, 30_000_000])
def test_cancelled_before_the_dot_the_hop_has_no_message(size: int, step: bool) -> None:
    """The client went away, or the deadline passed."""

    async def test() -> None:
        fake = FakeHop()
        reached = asyncio.Event()
        sending: asyncio.Task[Any] | None = None

        def body() -> Iterator[bytes]:
            yield b"x" * size + b"\r\n"
            reached.set()
            assert sending is not None
            sending.cancel()  # takes effect at the next await; what follows here is never sent with a dot
            yield b"y" * 1_000_000 + b"\r\n"

        async with hop_to(fake) as hop:
            transaction = hop.transaction(HANDOVER)
            if step:
                await transaction.mail("s@a", ())
                await transaction.rcpt(ANN)
                sending = asyncio.ensure_future(transaction.data(body()))
            else:
                sending = asyncio.ensure_future(deliver(transaction, "s@a", (), [ANN], body()))
            with pytest.raises(asyncio.CancelledError):
                await sending
            await transaction.close()
            assert reached.is_set()
            assert (await send(hop))[0].startswith("250")
            assert [message.wire for message in fake.messages] == [BODY]

    run(test())


def test_content_that_fails_to_come_is_not_sent() -> None:
    async def test() -> None:
        def body() -> Iterator[bytes]:
            yield BODY
            raise RuntimeError("the disk is gone")

        fake = FakeHop()
        async with hop_to(fake) as hop:
            transaction = hop.transaction(HANDOVER)
            with pytest.raises(RuntimeError):
                await deliver(transaction, "s@a", (), [ANN], body())
            await transaction.close()
            assert (await send(hop))[0].startswith("250")
            assert [message.wire for message in fake.messages] == [BODY]

    run(test())


def test_verbs_out_of_order() -> None:
    async def test() -> None:
        async with hop_to(FakeHop()) as hop:
            transaction = hop.transaction(HANDOVER)
            assert (await transaction.rcpt(ANN)).code == 503
            assert await transaction.data([BODY]) == ()
            await transaction.mail("a@b", ())
            assert await transaction.data([BODY]) == ()
            assert (await transaction.rcpt(ANN)).code == 503
            await transaction.mail("a@b", ())
            assert (await transaction.rcpt(ANN)).ok
            await transaction.reset()
            assert (await transaction.rcpt(ANN)).code == 503
            await transaction.close()
            await transaction.close()

    run(test())


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from([b"", b".", b"..", b".x", b"a.", b"\xff\x00", b"z" * 3000])
                | st.binary(max_size=20).map(lambda line: line.translate(None, b"\r\n")),
                max_size=8,
            ).map(b"\r\n".join),
            st.booleans(),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_bodies_are_byte_identical_at_the_next_hop(mails: list[tuple[bytes, bool, bool]]) -> None:
    async def test() -> None:
        fake = FakeHop()
        expected = []
        async with hop_to(fake) as hop:
            for content, ended, step in mails:
                body = content + b"\r\n" if ended else content
                assert (await send(hop, body=body, step=step))[0].startswith("250")
                expected.append(body if not body or body.endswith(b"\r\n") else body + b"\r\n")
            assert [message.content for message in fake.messages] == expected
            assert len(fake.sessions) == 1

    run(test())


def test_a_large_message_is_identical_and_the_loop_is_not_stalled() -> None:
    async def test() -> None:
        fake = FakeHop()
        body = (b".line of text\r\n" * 1000 + b"x" * 3000 + b"\r\n") * 1000
        async with hop_to(fake, data_timeout=10) as hop:
            assert (await send(hop, body=body))[0].startswith("250")
            assert fake.messages[0].content == body

    run(test())


def test_helo_for_a_server_that_does_not_know_ehlo() -> None:
    async def test() -> None:
        fake = FakeHop(script={"EHLO": "500 What?"})
        async with hop_to(fake) as hop:
            assert (await send(hop))[0].startswith("250")
            capabilities = await hop.capabilities()
            assert capabilities is not None
            assert capabilities.keywords == {}
            assert fake.commands[:2] == ["EHLO localhost", "HELO localhost"]

    run(test())


def test_capabilities_are_remembered_and_asked_once() -> None:
    async def test() -> None:
        fake = FakeHop(keywords=["size 1000", "8BITMIME", "AUTH PLAIN LOGIN", "AUTH=PLAIN"])
        async with hop_to(fake) as hop:
            several = await asyncio.gather(*(hop.capabilities() for _ in range(20)))
            assert len(fake.sessions) == 1
            capabilities = several[0]
            assert capabilities is not None
            assert capabilities.size == 1000
            assert capabilities.keywords["AUTH"] == "PLAIN LOGIN"
            assert all(one == capabilities for one in several)

    run(test())


def lmtp(tmp_path: Path, unix: bool, **more: Any) -> FakeHop:
    return FakeHop(lmtp=True, unix=tmp_path / "lmtp" if unix else None, **more)


UNIX = pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])


@UNIX
@STEPS
@PIPELINING
def test_lmtp_has_a_reply_for_each(tmp_path: Path, unix: bool, step: bool, keywords: tuple[str, ...]) -> None:
    async def test() -> None:
        script = {"RCPT": ["250 ok", "550 5.1.1 No", "250 ok", "250 ok"],
                  ".": ["250 2.0.0 Stored", "452 4.2.2 Full", "550 5.7.1 Sieve"]}  # fmt: skip
        fake = lmtp(tmp_path, unix, script=script, keywords=keywords)
        async with hop_to(fake) as hop:
            assert await hop.healthy() is None
            replies = await send(hop, ANN, BOB, CY, Recipient("d@b"), step=step)
            assert replies == ["250 2.0.0 Stored", "550 5.1.1 No", "452 4.2.2 Full", "550 5.7.1 Sieve"]
            assert (await send(hop, step=step)) == ["250 2.0.0 Ok: queued"]
            assert fake.sessions[-1].commands[0] == "LHLO localhost"

    run(test())


@STEPS
def test_lmtp_lost_between_two_replies(tmp_path: Path, step: bool) -> None:
    async def test() -> None:
        fake = lmtp(tmp_path, True, script={".": ["250 2.0.0 Stored", DIE]})
        async with hop_to(fake) as hop:
            assert await send(hop, ANN, BOB, CY, step=step) == ["250 2.0.0 Stored", LOST, LOST]

    run(test())


def test_lmtp_socket_that_is_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        hop = next_hop(f"lmtp+unix:{tmp_path}/none", RelaySettings())
        assert await hop.healthy() == (
            f"The next hop lmtp+unix:{tmp_path}/none cannot be reached: No such file or directory."
        )
        assert await send(hop) == [GONE]

    run(test())


def test_replies_are_values() -> None:
    async def test() -> None:
        async with hop_to(FakeHop(script={".": "250 2.6.0 Queued"})) as hop:
            transaction = hop.transaction(HANDOVER)
            assert await deliver(transaction, "", (), [ANN], [BODY]) == (Reply(250, "Queued", "2.6.0"),)
            await transaction.close()

    run(test())
