"""The way of a mail through the SMTP door: the next hop in step, the decision, the copies, the reply."""

from __future__ import annotations

import asyncio
import datetime

import pytest

from filterd.decision import Action
from filterd.mail.envelope import Envelope, Source
from filterd.relay.hop import Capabilities
from filterd.reply import Reply
from tests.frontends.smtp_kit import ALL, Client, Hop, Sieve, serving, until

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def test_a_mail_goes_through() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            assert (await client.mail(MESSAGE)).startswith("250 2.")
            assert (await client.ask("QUIT")).startswith("221 2.0.0")
            assert await client.ends()
            (delivered,) = kit.hop.delivered
            assert delivered.message == MESSAGE
            assert delivered.sender == "a@example.net"
            trace = delivered.content.decode().split("Subject")[0]
            assert trace.startswith("Received: from client.example (unknown [127.0.0.1])\r\n\tby mx.example.org ")
            assert " with ESMTP id " in trace
            assert "\r\n\tfor <b@example.org>; " in trace

    asyncio.run(run())


def test_what_the_filter_is_given() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.mail(MESSAGE, "b@example.org", "Postmaster", sender="")
            ((envelope, raw),) = kit.filter.seen
            assert raw == MESSAGE
            assert (envelope.peer, envelope.sender, envelope.protocol) == ("127.0.0.1", "", "ESMTP")
            assert [one.address for one in envelope.recipients] == ["b@example.org", "Postmaster"]
            assert envelope.listener.startswith("smtp 127.0.0.1:")
            assert envelope.received_at.tzinfo is datetime.UTC
            assert envelope.client.address == "127.0.0.1"
            assert envelope.client.helo == "client.example"
            assert envelope.client.source is Source.PEER
            assert f" id {envelope.id}".encode() in kit.hop.delivered[0].content

    asyncio.run(run())


@pytest.mark.parametrize(
    "message",
    [b".\r\n", b"..\r\n", b".x\r\n", b"Subject: a\r\n\r\n.\r\n..\r\n", b"a\r\n.a\r\n\r\n\r\n", b"\r\n"],
)
def test_messages_are_byte_identical(message: bytes) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in message.splitlines(True))
            assert (await client.mail(stuffed)).startswith("250 ")
            assert kit.hop.delivered[0].message == message

    asyncio.run(run())


@pytest.mark.parametrize("left_out", [*ALL, None])
def test_ehlo_announces_what_the_next_hop_has(left_out: str | None) -> None:
    async def run() -> None:
        keywords = {keyword: "" for keyword in ALL if keyword != left_out} | {"VRFY": "", "AUTH": "PLAIN"}
        hop = Hop(Capabilities(keywords))
        async with serving(hop=hop, limits={"message_size": 123_456}) as kit, kit.client() as client:
            lines = (await client.hello()).split("\r\n")[1:-1]
            announced = {line[4:].split(" ")[0] for line in lines}
            assert announced == {*ALL, "CHUNKING"} - {left_out}, "chunks end here, whatever the next hop has"
            if left_out != "SIZE":
                assert any(line[4:] == "SIZE 123456" for line in lines)

    asyncio.run(run())


@pytest.mark.parametrize(("theirs", "ours", "least"), [(1000, 5000, 1000), (9000, 5000, 5000), (0, 5000, 5000)])
def test_size_is_the_smaller_of_both(theirs: int, ours: int, least: int) -> None:
    async def run() -> None:
        hop = Hop(Capabilities({"SIZE": str(theirs)}))
        async with serving(hop=hop, limits={"message_size": ours}) as kit, kit.client() as client:
            assert f"250 SIZE {least}\r\n" in await client.hello()
            assert (await client.ask(f"MAIL FROM:<a@b> SIZE={least + 1}")).startswith("552 5.3.4")
            assert (await client.ask(f"MAIL FROM:<a@b> SIZE={least}")).startswith("250 ")
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("DATA")
            assert (await client.ask(b"x" * least + b"\r\n.")).startswith("552 5.3.4")
            assert (await client.mail(MESSAGE)).startswith("250 ")

    asyncio.run(run())


def test_the_next_hops_answers_are_the_clients_answers() -> None:
    def answer(verb: str, argument: str) -> Reply | None:
        return {
            "MAIL bad@example.net": Reply(553, "No such sender", "5.1.8"),
            "MAIL later@example.net": Reply(451, "Greylisted", "4.7.1"),
            "RCPT nobody@example.org": Reply(550, "No such user here", "5.1.1"),
            "RCPT full@example.org": Reply(452, "Mailbox is full"),
            "RCPT gone@example.org": Reply(421, "Going down"),
        }.get(f"{verb} {argument}")

    async def run() -> None:
        async with serving(hop=Hop(answer=answer)) as kit, kit.client() as client:
            await client.hello()
            assert await client.ask("MAIL FROM:<bad@example.net>") == "553 5.1.8 No such sender\r\n"
            assert await client.ask("MAIL FROM:<later@example.net>") == "451 4.7.1 Greylisted\r\n"
            assert (await client.ask("MAIL FROM:<a@example.net>")).startswith("250 2.0.0")
            assert await client.ask("RCPT TO:<nobody@example.org>") == "550 5.1.1 No such user here\r\n"
            assert await client.ask("RCPT TO:<full@example.org>") == "452 4.0.0 Mailbox is full\r\n"
            assert (await client.ask("RCPT TO:<gone@example.org>")).startswith("451 4.3.2")
            assert (await client.ask("DATA")).startswith("554 5.5.1")
            assert (await client.ask("RCPT TO:<b@example.org>")).startswith("250 ")
            assert (await client.ask("DATA")).startswith("354 ")
            assert (await client.ask(MESSAGE + b".")).startswith("250 ")

    asyncio.run(run())


@pytest.mark.parametrize("reply", [Reply(452, "Full", "4.2.2"), Reply(552, "Too big for me", "5.2.3")])
def test_the_next_hops_answer_to_the_message_is_passed_on(reply: Reply) -> None:
    async def run() -> None:
        hop = Hop(answer=lambda verb, argument: reply if verb == "DOT" else None)
        async with serving(hop=hop) as kit, kit.client() as client:
            await client.hello()
            assert await client.mail(MESSAGE) == f"{reply}\r\n"

    asyncio.run(run())


def test_several_lines_of_the_next_hop_stay_several() -> None:
    async def run() -> None:
        reply = Reply(550, "First\nSecond\x1b[2J", "5.7.1")
        hop = Hop(answer=lambda verb, argument: reply if verb == "RCPT" else None)
        async with serving(hop=hop) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<>")
            answer = await client.ask("RCPT TO:<b@example.org>")
            assert answer == "550-5.7.1 First\r\n550 5.7.1 Second?[2J\r\n"

    asyncio.run(run())


def test_a_slow_client_holds_no_conversation_with_the_next_hop() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            await client.ask("RCPT TO:<b@example.org>")
            assert kit.hop.open == 1
            assert (await client.ask("DATA")).startswith("354 ")
            assert kit.hop.open == 0
            client.send(b"slow")
            assert (await client.ask(b"ly\r\n.")).startswith("250 ")

    asyncio.run(run())


def test_an_unreachable_next_hop_is_temporary_and_bounces_nothing() -> None:
    async def run() -> None:
        hop = Hop(None)
        async with serving(hop=hop) as kit, kit.client() as client:
            greeting = await client.hello()
            assert "8BITMIME" in greeting
            assert "SMTPUTF8" in greeting
            assert (await client.ask("MAIL FROM:<a@b> BODY=8BITMIME")).startswith("451 4.4.1")
            hop.capabilities_ = Capabilities({"8BITMIME": ""})
            assert (await client.ask("MAIL FROM:<a@b> BODY=8BITMIME")).startswith("250 ")

    asyncio.run(run())


def test_parameters_go_end_to_end() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<ü@example.net> SMTPUTF8 BODY=8BITMIME RET=hdrs ENVID=QQ+2B1 SIZE=5")
            await client.ask("RCPT TO:<b@example.org> NOTIFY=FAILURE,delay ORCPT=rfc822;B@example.org")
            await client.ask("RCPT TO:<c@example.org> NOTIFY=NEVER")
            await client.ask("DATA")
            assert (await client.ask(MESSAGE + b".")).startswith("250 ")
            (delivered,) = kit.hop.delivered
            size = len(delivered.content)
            assert delivered.sender == "ü@example.net"
            assert delivered.parameters == (
                "SMTPUTF8", "BODY=8BITMIME", "RET=hdrs", "ENVID=QQ+2B1", f"SIZE={size}"
            )  # fmt: skip
            assert [one.parameters for one in delivered.recipients] == [
                ("NOTIFY=FAILURE,delay", "ORCPT=rfc822;B@example.org"),
                ("NOTIFY=NEVER",),
            ]
            assert b" with UTF8SMTP id " in delivered.content
            assert b"for <" not in delivered.content, "several recipients do not learn of each other"
            envelope = kit.filter.seen[0][0]
            assert envelope.sender_parameters[-1] == "SIZE=5"

    asyncio.run(run())


@pytest.mark.parametrize("parameter", ["AUTH=<>", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "SIZE=1", "X=1"])
def test_parameters_that_were_not_announced_are_refused(parameter: str) -> None:
    async def run() -> None:
        async with serving(hop=Hop(Capabilities())) as kit, kit.client() as client:
            await client.hello()
            assert (await client.ask(f"MAIL FROM:<a@b> {parameter}")).startswith("555 5.5.4")
            assert (await client.ask("HELO x")) == "250 mx.example.org\r\n"
            assert (await client.ask(f"MAIL FROM:<a@b> {parameter}")).startswith("555 5.5.4")

    asyncio.run(run())


def test_each_group_of_recipients_is_a_transaction() -> None:
    async def run() -> None:
        tags = {"t@example.org": Action.TAG, "u@example.org": Action.TAG}
        sieve = Sieve(action=lambda recipient: tags.get(recipient, Action.ACCEPT))
        async with serving(filter=sieve) as kit, kit.client() as client:
            await client.hello()
            await client.mail(MESSAGE, "t@example.org", "b@example.org", "u@example.org")
            groups = [[one.address for one in delivered.recipients] for delivered in kit.hop.delivered]
            assert groups == [["t@example.org", "u@example.org"], ["b@example.org"]]

    asyncio.run(run())


def test_pipelined_commands_are_answered_in_order_and_at_once() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            client.send("RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\n")
            client.send("RCPT TO:<b@example.org>\r\nDATA\r\n")
            codes = [(await client.reply())[:3] for _ in range(5)]
            assert codes == ["250", "250", "550", "250", "354"]
            client.send(MESSAGE + b".\r\nMAIL FROM:<c@d>\r\nQUIT\r\n")
            assert [(await client.reply())[:3] for _ in range(3)] == ["250", "250", "221"]
            assert len(kit.hop.delivered) == 1

    asyncio.run(run())


def test_early_answers_of_the_filter() -> None:
    def early(envelope: Envelope) -> Reply | None:
        if not envelope.recipients:
            return Reply(550, "Not you", "5.7.1") if envelope.sender == "bad@example.net" else None
        return Reply(451, "Not now", "4.7.1") if envelope.recipients[0].address == "c@example.org" else None

    async def run() -> None:
        sieve = Sieve(early=early)
        async with serving(filter=sieve) as kit, kit.client() as client:
            await client.hello()
            assert (await client.ask("MAIL FROM:<bad@example.net>")).startswith("550 5.7.1 Not you")
            await client.ask("MAIL FROM:<a@example.net>")
            assert (await client.ask("RCPT TO:<c@example.org>")).startswith("451 4.7.1")
            assert (await client.ask("RCPT TO:<b@example.org>")).startswith("250 ")
            assert not any("bad@" in verb or "c@" in verb for verb in kit.hop.verbs)
        async with serving(filter=sieve, position="after-queue") as kit, kit.client() as client:
            await client.hello()
            assert (await client.ask("MAIL FROM:<bad@example.net>")).startswith("250 ")

    asyncio.run(run())


@pytest.mark.parametrize(("position", "may"), [("before-queue", True), ("after-queue", False)])
def test_only_before_the_queue_it_may_refuse(position: str, may: bool) -> None:
    class Noting(Sieve):
        async def fulfil(self, outcome, raw, delivery):  # type: ignore[no-untyped-def]
            assert (delivery.may_refuse, delivery.splits, delivery.replies_each, delivery.advises) == (
                may, True, False, False
            )  # fmt: skip
            return await super().fulfil(outcome, raw, delivery)

    async def run() -> None:
        async with serving(filter=Noting(), position=position) as kit, kit.client() as client:
            await client.hello()
            assert (await client.mail(MESSAGE)).startswith("250 ")

    asyncio.run(run())


async def _delivering(client: Client) -> None:
    """Everything up to the final dot, without waiting for the answer to it."""
    await client.hello()
    await client.ask("MAIL FROM:<a@example.net>")
    await client.ask("RCPT TO:<b@example.org>")
    await client.ask("DATA")
    client.send(MESSAGE + b".\r\n")


def test_past_the_deadline_the_final_dot_is_never_sent() -> None:
    async def run() -> None:
        hop = Hop(before_dot=asyncio.Event())
        async with serving(hop=hop, site={"deadline": 0.2}) as kit, kit.client() as client:
            await _delivering(client)
            assert (await client.reply()).startswith("451 4.4.7")
            assert hop.before_dot is not None
            hop.before_dot.set()
            hop.before_dot = None
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert len(hop.delivered) == 1
            assert kit.filter.ended == 2, "fulfil runs to its end, so that it can record what it did"

    asyncio.run(run())


def test_past_the_deadline_judging_stops() -> None:
    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve, site={"deadline": 0.1}) as kit, kit.client() as client:
            await _delivering(client)
            assert (await client.reply()).startswith("451 4.4.7")
            await asyncio.sleep(0)
            assert not kit.server.traffic.work
            assert not kit.hop.delivered

    asyncio.run(run())


def test_after_the_dot_the_deadline_answers_but_the_outcome_is_awaited() -> None:
    async def run() -> None:
        hop = Hop(after_dot=asyncio.Event())
        async with serving(hop=hop, site={"deadline": 0.2}) as kit, kit.client() as client:
            await _delivering(client)
            assert (await client.reply()).startswith("451 4.4.7")
            assert len(kit.server.traffic.work) == 1
            assert hop.after_dot is not None
            hop.after_dot.set()
            await asyncio.wait(kit.server.traffic.work)
            assert len(hop.delivered) == 1
            assert kit.filter.ended == 1

    asyncio.run(run())


@pytest.mark.parametrize("how", ["close", "abort"])
def test_once_the_client_is_gone_the_final_dot_is_never_sent(how: str) -> None:
    async def run() -> None:
        hop = Hop(before_dot=asyncio.Event())
        async with serving(hop=hop) as kit:
            async with kit.client() as client:
                await _delivering(client)
                await until(lambda: hop.open == 1)
                client.writer.close() if how == "close" else client.writer.transport.abort()
            await until(lambda: not kit.server.traffic.work)
            assert hop.before_dot is not None
            hop.before_dot.set()
            assert not hop.delivered
            assert kit.filter.ended == 1

    asyncio.run(run())


def test_a_filter_that_raises_is_a_temporary_answer() -> None:
    async def run() -> None:
        sieve = Sieve(raises=RuntimeError("a bug"))
        async with serving(filter=sieve) as kit, kit.client() as client:
            await client.hello()
            answer = await client.mail(MESSAGE)
            assert answer.startswith("451 4.3.0")
            assert "bug" not in answer
            sieve.raises = None
            assert (await client.mail(MESSAGE)).startswith("250 ")

    asyncio.run(run())


def test_a_reload_takes_hold_with_the_next_mail() -> None:
    async def run() -> None:
        old, new = Hop(), Hop()
        async with serving(hop=old) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            kit.server.adopt(hop=new)
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("DATA")
            assert (await client.ask(MESSAGE + b".")).startswith("250 ")
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert (len(old.delivered), len(new.delivered)) == (1, 1)

    asyncio.run(run())


def test_draining_lets_transactions_end() -> None:
    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve) as kit, kit.client() as idle, kit.client() as busy:
            await _delivering(busy)
            await idle.hello()
            draining = asyncio.create_task(kit.server.drain(10))
            assert (await idle.reply()).startswith("421 4.3.2")
            assert await idle.ends()
            with pytest.raises(OSError):  # noqa: PT011
                await asyncio.open_connection("127.0.0.1", kit.port)
            assert not draining.done()
            assert sieve.pause is not None
            sieve.pause.set()
            assert (await busy.reply()).startswith("250 ")
            assert (await busy.reply()).startswith("421 4.3.2")
            await draining

    asyncio.run(run())


def test_draining_has_an_end() -> None:
    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve) as kit, kit.client() as client:
            await _delivering(client)
            async with asyncio.timeout(5):
                await kit.server.drain(0.1)
            assert await client.ends()

    asyncio.run(run())
