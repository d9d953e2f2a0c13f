"""The milter door in dialogue: what it agrees on, reads, passes on and answers."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from filterd.decision import Action, Copy, Decision, Edits, HeaderLine, Reason
from filterd.frontends.milter.delivery import render
from filterd.frontends.milter.wire import Packet, Packets
from filterd.mail.envelope import Direction, Envelope, Origin, Source
from filterd.reply import Reply
from filterd.settings import Networks, parse_network
from tests.frontends.milter_kit import ALL_STEPS, LEADING_SPACE, SILENT, Keeper, Sieve, serving
from tests.frontends.smtp_kit import on_both_loops, until

RAW = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
ODD = (
    b"from:no space\r\nSubject:  two spaces  \r\nX-Tab:\ttab\r\nX-Fold: one\r\n  two\r\n\tthree \r\nX-Empty:\r\n"
    b"X-Fold:\r\n on the next line\r\nX-Eight: caf\xc3\xa9 \xff\r\n\r\n.\r\n..\r\n\r\n trailing \t\r\n\r\n\r\n"
)
A, T, Q, D, F, R = Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.DISCARD, Action.DEFER, Action.REJECT


def by_name(**actions: Action) -> Sieve:
    return Sieve(action=lambda recipient: actions[recipient.partition("@")[0]])


@pytest.mark.parametrize("chunk", [65535, 7, 1])
def test_a_message_is_put_together_as_it_came(chunk: int) -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as mta:
            assert (await mta.mail(ODD, chunk=chunk)).letter == "c"
            assert kit.filter.seen[0][1] == ODD

    on_both_loops(main)


def test_without_leading_space_the_usual_one_is_assumed() -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta(greeted=False) as mta:
            await mta.negotiate(steps=ALL_STEPS & ~LEADING_SPACE)
            await mta.client()
            answer = await mta.mail(RAW)
            assert kit.filter.seen[0][1] == RAW
            assert all(value.startswith(b" ") and not value.startswith(b"  ") for _, value in answer.fields)

    asyncio.run(main())


def test_it_agrees_to_all_silence_but_where_it_may_refuse_early() -> None:
    async def main() -> None:
        async with serving() as kit:
            async with kit.mta(greeted=False) as mta:
                version, actions, steps = await mta.negotiate()
                assert version == 6
                assert actions == 0x01 | 0x08 | 0x10 | 0x100
                assert {name for name, step in SILENT.items() if not steps & step} == {"C", "M", "R"}
                assert steps & LEADING_SPACE
                assert mta.macros[2].split()[:2] == [b"i", b"{auth_authen}"]
            async with kit.mta(greeted=False) as mta:  # version 2 has no silence at all
                assert await mta.negotiate(2, 0x3F, 0x7F) == (2, 0x19, 0)
                await mta.client()
                assert (await mta.ask("T"))[0] == "c"
                assert (await mta.ask("U", b"HELP\0"))[0] == "c"
                assert (await mta.mail(RAW)).letter == "c"
                assert kit.filter.seen[0][1] == RAW
            async with kit.mta(greeted=False) as mta:  # no recipient may be deleted: we could not do our work
                mta.send("O", struct.pack(">III", 6, 0x11, 0))
                assert await mta.ended()
            async with kit.mta(greeted=False) as mta:
                mta.send("O", struct.pack(">III", 1, 0x3F, 0x7F))
                assert await mta.ended()

    asyncio.run(main())


def test_the_envelope_says_what_the_mail_server_said() -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as mta:
            mta.macro("H", tls_version="TLSv1.3", cipher="AES", cert_subject="x")
            mta.macro("M", i="4ABC", auth_authen="ann", mail_addr="a@example.net")
            mta.macro("E", i="4ABC")
            await mta.mail(RAW, "b@example.org", sender="ä@example.net", parameters=["SMTPUTF8", "SIZE=10"])
            ((envelope, _),) = kit.filter.seen
            assert envelope.client == Origin("192.0.2.7", "client.example.net", "client.example.net", Source.MILTER)
            assert (envelope.sender, envelope.sender_parameters) == ("ä@example.net", ("SMTPUTF8", "SIZE=10"))
            assert (envelope.user, envelope.queue_id, envelope.tls) == ("ann", "4ABC", "TLSv1.3 AES")
            assert (envelope.protocol, envelope.direction) == ("UTF8SMTPSA", Direction.INTERNAL)
            assert envelope.peer == "127.0.0.1"
            await mta.mail(RAW, "b@example.com", sender="")
            envelope, _ = kit.filter.seen[1]
            assert (envelope.sender, envelope.user, envelope.queue_id) == ("", None, None)  # of one mail, not of all
            assert (envelope.tls, envelope.direction) == ("TLSv1.3 AES", Direction.INBOUND)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "address", "resolve", "origin", "direction"),
    [
        ("unknown", "192.0.2.9", "", Origin("192.0.2.9", None, "h", Source.MILTER), Direction.INBOUND),
        ("[192.0.2.9]", "192.0.2.9", "FAIL", Origin("192.0.2.9", None, "h", Source.MILTER), Direction.INBOUND),
        ("liar.example", "192.0.2.9", "FORGED", Origin("192.0.2.9", None, "h", Source.MILTER), Direction.INBOUND),
        ("a.example", "IPv6:2001:db8::1", "OK", Origin("2001:db8::1", "a.example", "h", Source.MILTER),
         Direction.INBOUND),
        ("localhost", "127.0.0.1", "", Origin(), Direction.INBOUND),
        ("localhost", None, "", Origin(None, None, "h", Source.MILTER), Direction.INBOUND),
        ("pc.example.org", "10.1.2.3", "", Origin("10.1.2.3", "pc.example.org", "h", Source.MILTER),
         Direction.OUTBOUND),
    ],
)  # fmt: skip
def test_the_origin_is_never_this_machine(
    name: str, address: str | None, resolve: str, origin: Origin, direction: Direction
) -> None:
    async def main() -> None:
        internal = Networks((parse_network("10.0.0.0/8"),))
        async with serving(internal=internal) as kit, kit.mta(greeted=False) as mta:
            await mta.negotiate()
            mta.macro("C", client_resolve=resolve)
            await mta.client(name, address, "h")
            await mta.mail(RAW, "b@example.com")
            assert (kit.filter.seen[0][0].client, kit.filter.seen[0][0].direction) == (origin, direction)

    asyncio.run(main())


# what is decided for a, b, ... -> the last packet, who is left, who is held by us, is it tagged
TABLE = [
    ((A,), "c", "a", "", False),
    ((T,), "c", "a", "", True),
    ((Q,), "d", "a", "a", None),
    ((D,), "d", "a", "", None),
    ((R,), "y550", "a", "", None),
    ((F,), "y451", "a", "", None),
    ((R, R), "y550", "ab", "", None),
    ((F, F), "y451", "ab", "", None),
    ((A, T), "c", "ab", "", True),
    ((T, A), "c", "ab", "", True),
    ((A, Q), "c", "a", "b", False),
    ((Q, T), "c", "b", "a", True),
    ((A, D), "c", "a", "", False),
    ((A, R), "c", "a", "b", False),
    ((T, F), "c", "a", "b", True),
    ((Q, D), "d", "ab", "a", None),
    ((Q, R), "d", "ab", "ab", None),
    ((D, F), "d", "ab", "b", None),
    ((R, F), "d", "ab", "ab", None),
    ((A, T, Q, D, R, F), "c", "ab", "cef", True),
]


@pytest.mark.parametrize(("actions", "letter", "left", "held", "tagged"), TABLE)
def test_several_recipients(
    actions: tuple[Action, ...], letter: str, left: str, held: str, tagged: bool | None
) -> None:
    """The table in docs/postfix.md, a test per cell."""
    names = "abcdef"[: len(actions)]

    async def main() -> None:
        sieve = by_name(**dict(zip(names, actions, strict=True)))
        # a tag is what the score makes of it, so the threshold of who is tagged lies under this message's score of 0
        sieve.tag_at = lambda recipient: -1 if sieve.action(recipient) is T else 500
        async with serving(filter=sieve) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, *(f"{name}@example.org" for name in names))
            assert (answer.letter + answer.text)[: len(letter)] == letter
            assert "".join(one[0] for one in answer.recipients) == left
            assert "".join(one.recipient[0] for one in sieve.keeper.held) == held
            if tagged is not None:
                assert answer.values("X-Filterd-Id") == [sieve.seen[0][0].id.encode()]
                assert answer.values("X-Spam-Flag") == ([b"YES"] if tagged else [])
            if letter == "y550":
                assert answer.text.startswith("550 5.7.1 Refused as unwanted mail")

    asyncio.run(main())


def test_nothing_is_dropped_before_it_is_on_disk() -> None:
    async def main() -> None:
        sieve = by_name(a=A, q=Q)
        sieve.keeper = Keeper(pause=asyncio.Event())
        async with serving(filter=sieve) as kit, kit.mta() as mta:
            for recipients in (("q@example.org",), ("a@example.org", "q@example.org")):
                sieve.keeper.pause = asyncio.Event()
                waiting = asyncio.ensure_future(mta.mail(RAW, *recipients))
                await asyncio.sleep(0.1)
                assert not waiting.done()
                sieve.keeper.pause.set()
                assert (await waiting).letter == ("d" if len(recipients) == 1 else "c")
            sieve.keeper.failing = True
            for recipients in (("q@example.org",), ("a@example.org", "q@example.org")):
                answer = await mta.mail(RAW, *recipients)
                assert (answer.letter, answer.text[:9]) == ("y", "451 4.3.0")
                assert len(answer.recipients) == len(recipients)

    asyncio.run(main())


def test_who_was_served_before_is_not_deleted() -> None:
    """The memory of what was delivered is of a next hop; a mail server that asks again has delivered nothing."""

    async def main() -> None:
        sieve = by_name(a=A, b=Q)
        sieve.keeper.memory = {"a@example.org"}
        async with serving(filter=sieve) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, "a@example.org", "b@example.org")
            assert (answer.letter, answer.recipients) == ("c", ["a@example.org"])
            assert len(answer.values("X-Filterd-Id")) == 1

    asyncio.run(main())


def test_forged_verdicts_go_and_ours_come_first() -> None:
    raw = (
        b"X-Spam-Flag: NO\r\nReceived: by x\r\nx-spam-flag: no\r\nSubject: s\r\nX-SPAM-Status:\r\n folded\r\n"
        b"X-Spam-Flag: YES\r\nX-Filterd-Id: me\r\n\r\nbody\r\n"
    )

    async def main() -> None:
        sieve = Sieve(action=lambda _: T, tag_at=lambda _: -1)
        async with serving(filter=sieve) as kit, kit.mta() as mta:
            answer = await mta.mail(raw)
            names = [name for name, _ in answer.fields]
            assert names[-2:] == [b"Received", b"Subject"]
            assert names[:3] == [b"X-Filterd-Id", b"Authentication-Results", b"X-Spam-Flag"]
            assert answer.values("X-Spam-Flag") == [b"YES"]
            assert len(answer.values("X-Filterd-Id")) == 1
            assert all(value.startswith(b" ") for _, value in answer.fields)

    asyncio.run(main())


def test_several_messages_and_clients_on_one_connection() -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as mta:
            for number in range(3):
                assert (await mta.mail(RAW, f"{number}@example.org")).letter == "c"
            mta.macro("M", auth_authen="ann")
            await mta.ask("M", b"<gone@example.net>\0")
            await mta.ask("R", b"<gone@example.org>\0")
            await mta.ask("L", b"Subject\0 gone\0")
            mta.send("A")
            assert (await mta.mail(RAW, "3@example.org")).letter == "c"
            mta.send("K")
            await mta.client("other.example", "192.0.2.8", "other")
            assert (await mta.mail(RAW, "4@example.org")).letter == "c"
            mta.send("Q")
            assert await mta.ended()
        seen = kit.filter.seen
        assert [one.recipients[0].address[0] for one, _ in seen] == list("01234")
        assert all(len(one.recipients) == 1 and one.user is None for one, _ in seen)
        assert {raw for _, raw in seen} == {RAW}
        assert [one.client.address for one, _ in seen] == ["192.0.2.7"] * 4 + ["192.0.2.8"]
        assert len({one.id for one, _ in seen}) == 5

    on_both_loops(main)


def test_early_answers_at_connect_mail_and_rcpt() -> None:
    def early(envelope: Envelope) -> Reply | None:
        if envelope.client.helo == "connect" or envelope.client.address == "192.0.2.66":
            return Reply(554, "Not 100% welcome", "5.7.1")
        if envelope.sender == "bad@example.net":
            return Reply(550, "No", None)
        if any(one.address == "busy@example.org" for one in envelope.recipients):
            return Reply(451, "Later\r\nok", "4.3.2")
        return None

    async def main() -> None:
        async with serving(filter=Sieve(early=early)) as kit:
            async with kit.mta(greeted=False) as mta:
                await mta.negotiate()
                letter, data = await mta.ask("C", b"x\x004\0\x19192.0.2.66\0")
                assert (letter, data[:26]) == ("y", b"554 5.7.1 Not 100%% welcom")
            async with kit.mta() as mta:
                answer = await mta.mail(RAW, sender="bad@example.net")
                assert (answer.letter, answer.text[:12]) == ("y", "550 5.0.0 No")
                answer = await mta.mail(RAW, "busy@example.org")
                assert (answer.letter, answer.text[:19]) == ("y", "451 4.3.2 Later  ok")
                mta.send("A")
                assert (await mta.mail(RAW, "busy@example.org", "b@example.org")).recipients == ["b@example.org"]
                assert [one.address for one in kit.filter.seen[-1][0].recipients] == ["b@example.org"]

    asyncio.run(main())


def test_signs_of_life_and_a_deadline() -> None:
    async def main() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve, progress=0.05, deadline=0.4) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW)
            assert (answer.letter, answer.text[:9]) == ("y", "451 4.4.7")
            assert answer.progress >= 2
            await until(lambda: sieve.cancelled == 1)
            assert sieve.pause is not None
            sieve.pause.set()
            assert (await mta.mail(RAW)).letter == "c"

    asyncio.run(main())


def test_when_time_is_up_while_we_hold_it_nobody_is_told_that_it_went() -> None:
    async def main() -> None:
        sieve = by_name(a=A, q=Q)
        sieve.keeper = Keeper(pause=asyncio.Event())
        async with serving(filter=sieve, deadline=0.2) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, "a@example.org", "q@example.org")
            assert (answer.letter, answer.text[:9]) == ("y", "451 4.4.7")
            assert sieve.keeper.pause is not None
            sieve.keeper.pause.set()
            await until(lambda: bool(sieve.keeper.records))
            fates = [one.fate for one in sieve.keeper.records[0].deliveries]
            assert fates == ["deferred", "quarantined"]
            assert not sieve.keeper.memory

    asyncio.run(main())


def test_a_mail_server_that_leaves_ends_the_judging() -> None:
    async def main() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve) as kit:
            async with kit.mta() as mta:
                waiting = asyncio.ensure_future(mta.mail(RAW))
                await until(lambda: bool(sieve.seen))
                waiting.cancel()
            await until(lambda: sieve.cancelled == 1 and kit.server.connections == 0)

    on_both_loops(main)


def test_a_large_message_is_a_file_and_too_large_a_one_is_refused() -> None:
    async def main() -> None:
        async with serving(limits={"message_size": 3_000_000}) as kit, kit.mta() as mta:
            large = RAW + b"x" * 70 + b"\r\n" * 700_000
            assert (await mta.mail(large)).letter == "c"
            assert kit.filter.kinds == [memoryview]
            assert kit.filter.seen[0][1] == large
            answer = await mta.mail(RAW + b"y" * 3_000_000)
            assert (answer.letter, answer.text[:9]) == ("y", "552 5.3.4")
            assert (await mta.mail(RAW)).letter == "c"
            assert len(kit.filter.seen) == 2

    asyncio.run(main())


def test_recipients_beyond_the_limit_are_asked_for_later() -> None:
    async def main() -> None:
        async with serving(limits={"recipients": 2}) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, *(f"{name}@example.org" for name in "abcd"))
            assert (answer.letter, answer.recipients) == ("c", ["a@example.org", "b@example.org"])

    asyncio.run(main())


def test_too_many_messages_at_once_are_asked_for_later() -> None:
    async def main() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve, limits={"messages": 1}) as kit, kit.mta() as mta, kit.mta() as other:
            waiting = asyncio.ensure_future(mta.mail(RAW))
            await until(lambda: bool(sieve.seen))
            assert (await other.mail(RAW)).text[:9] == "451 4.3.2"
            assert sieve.pause is not None
            sieve.pause.set()
            assert (await waiting).letter == "c"

    asyncio.run(main())


def test_a_message_for_nobody_passes() -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as mta:
            await mta.ask("M", b"<a@example.net>\0")
            assert (await mta.ask("E"))[0] == "c"
            assert kit.filter.seen == []

    asyncio.run(main())


def test_on_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "socket"
        path.unlink(missing_ok=True)
        async with serving(unix=path) as kit, kit.mta() as mta:
            assert (await mta.mail(RAW)).letter == "c"
            assert kit.filter.seen[0][0].peer is None

    on_both_loops(main)


@pytest.mark.parametrize(("leading_space", "start"), [(True, b" word "), (False, b"word ")])
def test_long_fields_are_folded_with_lf_alone(leading_space: bool, start: bytes) -> None:
    decisions = (Decision("b@example.org", A, Reason.CLEAN, ""),)
    edits = Edits(prepend=(HeaderLine("X-Long", "word " * 30),))
    packets = Packets()
    packets.feed(render(decisions, (Copy((0,), A, edits),), (b"<b@example.org>",), leading_space=leading_space))
    field = packets.take()
    assert isinstance(field, Packet)
    assert field.data.startswith(b"\0\0\0\0X-Long\0" + start)
    assert b"word\n\tword" in field.data
    assert b"\r" not in field.data
    assert packets.take() == Packet(ord("c"))
