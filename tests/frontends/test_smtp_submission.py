"""Submission: AUTH is passed on to the next hop, over a connection that is the client's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from filterd.decision import Action
from filterd.frontends.smtp.login import name_in, offered
from filterd.frontends.smtp.tls import server_context
from filterd.mail.envelope import Direction
from filterd.relay import RelaySettings, SeveralHops, next_hop
from filterd.reply import Reply
from tests.frontends.smtp_kit import Client, Kit, Sieve, descriptors, on_both_loops, serving, until
from tests.frontends.test_smtp_tls import make_certificate, start_tls
from tests.nexthop import DIE, FakeHop, Session

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
SECRET = "correct horse"
KEYWORDS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "AUTH PLAIN LOGIN CRAM-MD5 GSSAPI SCRAM-SHA-256-PLUS EXTERNAL")


def base64(text: str | bytes) -> str:
    return b64encode(text if isinstance(text, bytes) else text.encode()).decode()


PLAIN = base64(f"\0ann@example.org\0{SECRET}")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return server_context(*make_certificate(tmp_path_factory.mktemp("tls"), "mx.example.org"))


@contextlib.asynccontextmanager
async def submission(context: ssl.SSLContext, *fakes: FakeHop, **how: Any) -> AsyncIterator[Kit]:
    """A submission listener before these hops."""
    settings = RelaySettings(command_timeout=2, data_timeout=2, **how.pop("relay_settings", {}))
    async with contextlib.AsyncExitStack() as stack:
        hops = []
        for fake in fakes:
            await stack.enter_async_context(fake)
            hops.append(next_hop(fake.url, settings))
            stack.push_async_callback(hops[-1].aclose)
        hop: Any = hops[0] if len(hops) == 1 else SeveralHops(hops, 60)
        stack.push_async_callback(hop.aclose)
        yield await stack.enter_async_context(serving(protocol="submission", hop=hop, context=context, **how))


@contextlib.asynccontextmanager
async def secured(kit: Kit) -> AsyncIterator[Client]:
    """A client that is under TLS and has said EHLO."""
    async with kit.client() as client:
        await client.hello()
        assert (await client.ask("STARTTLS")).startswith("220 ")
        await start_tls(client)
        await client.hello()
        yield client


def hop_that(*answers: Any, **script: Any) -> FakeHop:
    """A next hop that answers AUTH and the lines after it like this."""
    return FakeHop(keywords=KEYWORDS, script={"AUTH": list(answers), **script})


def test_auth_is_offered_under_tls_only_and_only_what_can_be_passed_on(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with submission(context, hop_that()) as kit, kit.client() as client:
            assert "AUTH" not in await client.hello()
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("538 5.7.11")
            assert (await client.ask("MAIL FROM:<>")).startswith("530 5.7.0")
            await client.ask("STARTTLS")
            await start_tls(client)
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("503 "), "EHLO comes first"
            hello = await client.hello()
            assert "AUTH PLAIN LOGIN CRAM-MD5\r\n" in hello
            assert "XCLIENT" not in hello
            assert "STARTTLS" not in hello
            for mechanism in ("GSSAPI", "EXTERNAL =", "SCRAM-SHA-256-PLUS", "NONE", "PLAIN\t"):
                assert (await client.ask(f"AUTH {mechanism}"))[:4] in ("504 ", "501 ")
            assert (await client.ask("AUTH")).startswith("501 ")
            assert (await client.ask("MAIL FROM:<>")).startswith("530 5.7.0")

    on_both_loops(run)


def test_a_hop_without_auth_offers_none(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with submission(context, FakeHop()) as kit, secured(kit) as client:
            assert "AUTH" not in await client.hello()
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("504 ")

    asyncio.run(run())


def test_an_smtp_listener_has_no_auth(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with FakeHop(keywords=KEYWORDS) as fake:
            hop = next_hop(fake.url, RelaySettings())
            async with serving(hop=hop, context=context) as kit, secured(kit) as client:
                assert "AUTH" not in await client.hello()
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("502 ")
            await hop.aclose()

    asyncio.run(run())


EXCHANGES = {
    "PLAIN with initial response": ([PLAIN], ["235 2.7.0 Ok"]),
    "PLAIN without": (["", PLAIN], ["334 ", "235 2.7.0 Ok"]),
    "PLAIN for another": ([base64(f"ann@example.org\0admin\0{SECRET}")], ["235 2.7.0 Ok"]),
    "LOGIN": (
        ["", base64("ann@example.org"), base64(SECRET)],
        ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 Ok"],
    ),
    "LOGIN with initial response": ([base64("ann@example.org"), base64(SECRET)], ["334 UGFzc3dvcmQ6", "235 2.7.0 Ok"]),
    "CRAM-MD5": (["", base64("ann@example.org 9c5a0d")], [f"334 {base64('<1.2@hop.example>')}", "235 2.7.0 Ok"]),
    "SCRAM-SHA-256": (
        ["", base64("n,,n=ann@example.org,r=abc"), base64("c=biws,r=abcdef,p=xyz"), ""],
        ["334 ", "334 " + base64("r=abcdef,s=W22,i=4096"), "334 " + base64("v=abc"), "235 2.7.0 Ok"],
    ),
    "XOAUTH2": ([base64(f"user=ann@example.org\1auth=Bearer {'t' * 6000}\1\1")], ["235 2.7.0 Ok"]),
    "OAUTHBEARER": ([base64("n,a=ann@example.org,\1host=x\1auth=Bearer t\1\1")], ["235 2.7.0 Ok"]),
}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_every_mechanism_is_passed_on_word_for_word(context: ssl.SSLContext, exchange: str) -> None:
    said, answers = EXCHANGES[exchange]
    mechanism = exchange.split()[0]

    async def run() -> None:
        fake = FakeHop(keywords=("SIZE", f"AUTH {mechanism}"), script={"AUTH": list(answers)})
        async with submission(context, fake) as kit, secured(kit) as client:
            reply = await client.ask(f"auth {mechanism.lower()} {said[0]}".strip())
            for line, answer in zip(said[1:], answers, strict=False):
                assert reply == answer + "\r\n"
                reply = await client.ask(line)
            assert reply == "235 2.7.0 Ok\r\n"
            assert (await client.mail(MESSAGE, "x@far.example", sender="ann@example.org")).startswith("250 ")
            (mine,) = [session for session in fake.sessions if "AUTH" in " ".join(session.commands)]
            assert mine.commands[1] == f"AUTH {mechanism} {said[0]}".strip()
            assert mine.login == said[1:]
            assert fake.messages[0].session is mine
            envelope = kit.filter.seen[0][0]
            assert (envelope.user, envelope.direction) == ("ann@example.org", Direction.OUTBOUND)
            assert envelope.protocol == "ESMTPSA"

    on_both_loops(run)


@pytest.mark.parametrize(
    ("mechanism", "response", "user"),
    [
        ("PLAIN", b"\0ann\0secret", "ann"),
        ("PLAIN", b"ann\0admin\0secret", "ann"),
        ("PLAIN", b"ann", None),
        ("PLAIN", b"\0\0secret", None),
        ("PLAIN", b"\0a\r\nb\x1b\0secret", "a??b?"),
        ("PLAIN", b"\0\xff\xfe\0secret", "\ufffd\ufffd"),
        ("LOGIN", b"ann\0", "ann"),
        ("LOGIN", b"", None),
        ("CRAM-MD5", b"ann smith 0123", "ann smith"),
        ("SCRAM-SHA-256", b"n,a=other=2Cx,n=ann,r=1", "other,x"),
        ("SCRAM-SHA-256", b"n,,n=ann=3Dx,r=1", "ann=x"),
        ("SCRAM-SHA-256", b"nonsense", None),
        ("XOAUTH2", b"user=ann\1auth=Bearer x\1\1", "ann"),
        ("OAUTHBEARER", b"n,a=ann,\1auth=Bearer x\1\1", "ann"),
        ("OAUTHBEARER", b"", None),
        ("PLAIN", b"\0" + b"a" * 1000 + b"\0secret", "a" * 255),
    ],
)
def test_the_name_of_the_user(mechanism: str, response: bytes, user: str | None) -> None:
    assert name_in(mechanism, response) == user


def test_what_is_offered() -> None:
    assert offered("plain LOGIN ntlm DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-1-PLUS") == "PLAIN LOGIN SCRAM-SHA-1"
    assert offered("") == ""


def test_a_wrong_password_and_then_the_right_one(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("535 5.7.8 Authentication failed", "235 2.7.0 Ok")
        async with submission(context, fake) as kit, secured(kit) as client:
            assert await client.ask(f"AUTH PLAIN {PLAIN}") == "535 5.7.8 Authentication failed\r\n"
            assert (await client.ask("MAIL FROM:<>")).startswith("530 ")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("235 ")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("503 5.5.1")
            assert len([session for session in fake.sessions if len(session.commands) > 2]) == 1
            assert (await client.hello()).startswith("250-")
            assert (await client.ask("MAIL FROM:<ann@example.org>")).startswith("250 ")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("503 ")

    on_both_loops(run)


def test_no_auth_within_a_mail(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with submission(context, hop_that("235 Ok")) as kit, secured(kit) as client:
            await client.ask(f"AUTH PLAIN {PLAIN}")
            await client.ask("MAIL FROM:<ann@example.org>")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("503 ")
            assert (await client.ask("RCPT TO:<b@far.example>")).startswith("250 ")

    asyncio.run(run())


def test_failed_logins_end_the_session_and_then_the_address(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = FakeHop(keywords=KEYWORDS, script={"AUTH": "535 5.7.8 no"})
        limits = {"failed_logins": 2, "failed_logins_per_address": 3}
        async with submission(context, fake, limits=limits) as kit:
            async with secured(kit) as client:
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("535 ")
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("535 ")
                assert (await client.reply()).startswith("421 4.7.0 Too many failed logins")
                assert await client.ends()
            async with secured(kit) as client:
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("535 ")
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("421 ")
                assert await client.ends()
            asked = [command for command in fake.commands if command.startswith("AUTH")]
            assert len(asked) == 3

    asyncio.run(run())


def test_a_client_that_cancels(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("334 ", "501 5.7.0 cancelled", "235 2.7.0 Ok")
        async with submission(context, fake) as kit, secured(kit) as client:
            assert await client.ask("AUTH PLAIN") == "334 \r\n"
            assert await client.ask("*") == "501 5.7.0 cancelled\r\n"
            assert fake.sessions[-1].login == ["*"]
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("235 ")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"not base64!", "501 5.5.2"),
        (b"abc", "501 5.5.2"),
        (b"ab=c", "501 5.5.2"),
        (b"MAIL FROM:<a@b.example>", "501 5.5.2"),
        (base64("\xe9\0").encode(), "501 5.5.2"),
        (b"\0\x1b", "501 5.5.2"),
        (b"A" * 13_000, "500 5.5.6"),
        (b"QUFB\nQUFB", "500 5.5.2"),
    ],
    ids=["words", "short", "padding", "a command", "no user", "control", "long", "bare LF"],
)
def test_what_is_no_response_never_reaches_the_next_hop(context: ssl.SSLContext, line: bytes, reply: str) -> None:
    async def run() -> None:
        fake = hop_that("334 ", "501 5.7.0 cancelled")
        async with submission(context, fake) as kit, secured(kit) as client:
            assert await client.ask("AUTH PLAIN") == "334 \r\n"
            assert (await client.ask(line)).startswith(reply)
            assert fake.sessions[-1].login == ["*"]

    asyncio.run(run())


def test_an_initial_response_that_is_none_is_not_passed_on(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("235 Ok")
        async with submission(context, fake) as kit, secured(kit) as client:
            assert (await client.ask("AUTH PLAIN abc")).startswith("501 5.5.2")
            assert (await client.ask("AUTH PLAIN =")).startswith("501 5.5.2")
            assert (await client.ask("AUTH PLAIN " + base64("no NUL"))).startswith("501 5.5.2")
            assert not [command for command in fake.commands if command.startswith("AUTH")]

    asyncio.run(run())


def test_lines_of_12288_octets_pass_and_challenges_come_whole(context: ssl.SSLContext) -> None:
    async def run() -> None:
        token = base64(f"user=ann\1auth=Bearer {'t' * 9150}\1\1")
        assert 12_200 < len(token) <= 12_286
        challenge = base64("c" * 9_000)
        fake = FakeHop(keywords=("AUTH XOAUTH2",), script={"AUTH": ["334 ", f"334 {challenge}", "235 Ok"]})
        async with submission(context, fake) as kit, secured(kit) as client:
            assert await client.ask("AUTH XOAUTH2") == "334 \r\n"
            assert await client.ask(token) == f"334 {challenge}\r\n"
            assert (await client.ask("")).startswith("235 ")
            assert fake.sessions[-1].login == [token, ""]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "reply"),
    [
        (["421 4.3.2 going down"], "421 4.3.2 going down"),
        ([DIE], "454 4.7.0"),
        (["334 ", DIE], "454 4.7.0"),
        (["454 4.7.0 later"], "454 4.7.0 later"),
        (["250 what?"], "454 4.7.0"),
        (["354 what?"], "454 4.7.0"),
        (["not SMTP"], "454 4.7.0"),
    ],
    ids=str,
)
def test_a_next_hop_with_trouble(context: ssl.SSLContext, answers: list[Any], reply: str) -> None:
    async def run() -> None:
        async with submission(context, hop_that(*answers)) as kit, secured(kit) as client:
            said = await client.ask("AUTH PLAIN" if len(answers) > 1 else f"AUTH PLAIN {PLAIN}")
            if len(answers) > 1:
                said = await client.ask(PLAIN)
            assert said.startswith(reply)
            if not reply.startswith("421"):
                assert (await client.ask("MAIL FROM:<>")).startswith("530 ")

    asyncio.run(run())


def test_a_next_hop_that_is_gone(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("235 Ok")
        async with submission(context, fake) as kit:
            async with secured(kit) as client:
                await fake.stop()
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("454 4.7.0")
            kit.hop._pool.seen = None  # type: ignore[attr-defined]  # what it announced, a minute later
            async with kit.client() as client:
                assert (await client.hello()).startswith("421 4.4.1")
                assert await client.ends()

    asyncio.run(run())


def test_a_connection_that_is_lost_after_the_login_ends_the_session(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("235 Ok", MAIL=["250 Ok", "250 Ok", "421 4.4.2 timeout"])
        async with submission(context, fake) as kit, secured(kit) as client:
            await client.ask(f"AUTH PLAIN {PLAIN}")
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert (await client.ask("MAIL FROM:<ann@example.org>")).startswith("421 4.4.2")
            assert await client.ends()
            assert len(fake.messages) == 1
            others = [session for session in fake.sessions if not session.login and len(session.commands) > 2]
            assert len(others) == 1, "nothing was said on a connection without login"

    asyncio.run(run())


def test_the_first_of_several_hops_that_is_up_is_asked(context: ssl.SSLContext) -> None:
    async def run() -> None:
        first, second = hop_that("235 Ok"), hop_that("235 Ok")
        async with submission(context, first, second) as kit, secured(kit) as client:
            await first.stop()
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("235 ")
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert (len(first.messages), len(second.messages)) == (0, 1)

    asyncio.run(run())


def test_what_the_hop_says_of_the_sender_is_the_clients_answer(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("235 Ok", MAIL=["553 5.7.1 not your address"], RCPT=["550 5.1.1 nobody"])
        async with submission(context, fake) as kit, secured(kit) as client:
            await client.ask(f"AUTH PLAIN {PLAIN}")
            assert await client.ask("MAIL FROM:<bob@example.org> AUTH=<>") == "553 5.7.1 not your address\r\n"
            assert (await client.ask("MAIL FROM:<ann@example.org> AUTH=ann+40example.org")).startswith("250 ")
            assert await client.ask("RCPT TO:<x@far.example>") == "550 5.1.1 nobody\r\n"
            assert "MAIL FROM:<ann@example.org> AUTH=ann+40example.org" in fake.commands

    asyncio.run(run())


def test_copies_for_several_recipients_take_turns_on_the_one_connection(context: ssl.SSLContext) -> None:
    async def run() -> None:
        fake = hop_that("235 Ok")
        sieve = Sieve(action=lambda recipient: Action.TAG if recipient.startswith("b") else Action.ACCEPT)
        async with submission(context, fake, filter=sieve) as kit, secured(kit) as client:
            await client.ask(f"AUTH PLAIN {PLAIN}")
            for _ in range(3):
                assert (await client.mail(MESSAGE, "a@far.example", "b@far.example")).startswith("250 ")
            assert len(fake.messages) == 6
            assert len({id(message.session) for message in fake.messages}) == 1

    asyncio.run(run())


def test_a_client_that_leaves_while_its_mail_is_at_the_hop(context: ssl.SSLContext) -> None:
    async def run() -> None:
        release = asyncio.Event()
        fake = hop_that("235 Ok")
        sieve = Sieve(pause=release)
        async with submission(context, fake, filter=sieve) as kit:
            async with secured(kit) as client:
                await client.ask(f"AUTH PLAIN {PLAIN}")
                await client.ask("MAIL FROM:<ann@example.org>")
                await client.ask("RCPT TO:<b@far.example>")
                await client.ask("DATA")
                client.send(MESSAGE + b".\r\n")
                await until(lambda: bool(sieve.seen))
            await until(lambda: kit.server.connections == 0)
            release.set()
            await fake.ended(len(fake.sessions))
            assert fake.messages == []

    asyncio.run(run())


def test_no_password_in_any_log(context: ssl.SSLContext, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [PLAIN, base64(SECRET), SECRET]

    async def run() -> None:
        fake = hop_that("535 no", "334 ", "354 odd", "235 Ok")
        sieve = Sieve(raises=RuntimeError("a bug"))
        async with submission(context, fake, filter=sieve) as kit, secured(kit) as client:
            await client.ask(f"AUTH PLAIN {PLAIN}")
            await client.ask("AUTH PLAIN")
            await client.ask(PLAIN)
            await client.ask(f"AUTH PLAIN {PLAIN}")
            assert (await client.mail(MESSAGE)).startswith("451 ")

    asyncio.run(run())
    written = caplog.text + "".join(capsys.readouterr())
    assert "login-failed" in written
    assert not [secret for secret in secrets if secret in written]


def test_implicit_tls(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with submission(context, hop_that("235 Ok"), tls="implicit") as kit:
            trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            async with kit.client(ssl=trusting) as client:
                assert "AUTH PLAIN LOGIN" in await client.hello()
                await client.ask(f"AUTH PLAIN {PLAIN}")
                assert (await client.mail(MESSAGE)).startswith("250 ")

    on_both_loops(run)


def test_a_session_over_a_proxy_and_its_early_answers(context: ssl.SSLContext) -> None:
    """Limits by user see the user, and the client is whom the proxy speaks for."""

    async def run() -> None:
        def early(envelope: Any) -> Reply | None:
            return Reply(450, "Too much mail by this user", "4.7.1") if envelope.user == "ann@example.org" else None

        sieve = Sieve(early=early)
        how = {"filter": sieve, "proxy_protocol": True, "trusted": ["127.0.0.0/8"]}
        async with submission(context, hop_that("235 Ok"), **how) as kit, kit.client(greeted=False) as client:
            client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 587\r\n")
            assert (await client.reply()).startswith("220 ")
            await client.hello()
            await client.ask("STARTTLS")
            await start_tls(client)
            await client.hello()
            await client.ask(f"AUTH PLAIN {PLAIN}")
            assert (await client.ask("MAIL FROM:<ann@example.org>")).startswith("450 4.7.1")

    asyncio.run(run())


@pytest.mark.parametrize("verb", ["XCLIENT LOGIN=ann@example.org", "XFORWARD ADDR=192.0.2.1"])
def test_nobody_is_believed_but_the_next_hop(context: ssl.SSLContext, verb: str) -> None:
    async def run() -> None:
        async with submission(context, hop_that(), trusted=["127.0.0.0/8"]) as kit, secured(kit) as client:
            assert (await client.ask(verb)).startswith("550 5.7.1")
            assert (await client.ask("MAIL FROM:<>")).startswith("530 ")

    asyncio.run(run())


def test_sessions_leave_nothing_open(context: ssl.SSLContext) -> None:
    """However they end: before AUTH, within it, after it, within a mail."""

    async def run() -> None:
        def answer(session: Session, argument: str) -> str:
            return "235 Ok" if " " in argument or session.login else "334 "

        fake = FakeHop(keywords=KEYWORDS, script={"AUTH": answer})
        limits = {"connection_rate": 10_000}
        async with submission(context, fake, limits=limits) as kit:
            async with secured(kit) as client:
                await client.ask(f"AUTH PLAIN {PLAIN}")
            await until(lambda: kit.server.connections == 0)
            before = descriptors()
            for at in range(60):
                async with secured(kit) as client:
                    if at % 6 == 1:
                        await client.ask("AUTH PLAIN")
                    elif at % 6 > 1:
                        await client.ask(f"AUTH PLAIN {PLAIN}")
                    if at % 6 == 3:
                        assert (await client.mail(MESSAGE)).startswith("250 ")
                    elif at % 6 == 4:
                        await client.ask("MAIL FROM:<ann@example.org>")
                    elif at % 6 == 5:
                        client.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<b@c.example>\r\nBDAT 100\r\npart")
                    if at % 2:
                        client.writer.transport.abort()
            await until(lambda: kit.server.connections == 0 and descriptors() <= before)
            await until(lambda: all(session.ended for session in fake.sessions))

    asyncio.run(run())
