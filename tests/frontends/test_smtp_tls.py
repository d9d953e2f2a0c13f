"""STARTTLS and implicit TLS, under both loops, and what was said before TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from filterd.frontends.smtp.tls import server_context
from tests.frontends.smtp_kit import Client, Sieve, on_both_loops, serving, until

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    return server_context(*make_certificate(tmp_path, "mx.example.org"))


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def start_tls(client: Client) -> None:
    await client.writer.start_tls(client_context(), ssl_handshake_timeout=5)


def test_starttls(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with serving(context=context, trusted=["127.0.0.0/8"], require_tls=True) as kit, kit.client() as client:
            assert "250-STARTTLS\r\n" in await client.hello("before.example")
            assert (await client.ask("MAIL FROM:<>")).startswith("530 5.7.0")
            assert (await client.ask("XCLIENT ADDR=198.51.100.9 LOGIN=joe")).startswith("220 ")
            await client.hello("before.example")
            assert (await client.ask("STARTTLS now")).startswith("501 ")
            assert (await client.ask("STARTTLS")).startswith("220 2.0.0")
            await start_tls(client)
            assert (await client.ask("MAIL FROM:<>")).startswith("503 "), "the greeting was forgotten"
            assert "STARTTLS" not in await client.hello("after.example")
            assert (await client.ask("STARTTLS")).startswith("503 5.5.1")
            assert (await client.mail(MESSAGE)).startswith("250 ")
            envelope = kit.filter.seen[0][0]
            assert envelope.protocol == "ESMTPS"
            assert envelope.tls is not None
            assert envelope.tls.startswith("TLSv1.")
            assert (envelope.user, envelope.client.known) == (None, False)
            content = kit.hop.delivered[0].content
            assert b" with ESMTPS id " in content
            assert b"(using TLSv1." in content
            await client.ask("QUIT")

    on_both_loops(run)


def test_plaintext_pipelined_behind_starttls_is_discarded(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with serving(context=context) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<open@example.net>")
            client.send("STARTTLS\r\nMAIL FROM:<injected@example.net>\r\nRCPT TO:<b@example.org>\r\n")
            assert (await client.reply()).startswith("220 ")
            await start_tls(client)
            assert (await client.hello()).startswith("250-")
            assert (await client.ask("RCPT TO:<b@example.org>")).startswith("503 "), "no transaction is open"
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert not any("injected" in verb for verb in kit.hop.verbs)

    on_both_loops(run)


def test_a_failed_handshake_ends_only_its_session(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with serving(context=context) as kit, kit.client() as good:
            async with kit.client() as client:
                await client.hello()
                await client.ask("STARTTLS")
                client.send(b"this is no ClientHello, but it is long enough to be taken for one\r\n" * 5)
                async with asyncio.timeout(10):
                    await _until_closed(client)
            await good.hello()
            assert (await good.mail(MESSAGE)).startswith("250 ")

    on_both_loops(run)


def test_a_handshake_that_never_ends_is_cut(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with serving(context=context, limits={"handshake_timeout": 0.3}) as kit, kit.client() as client:
            await client.hello()
            await client.ask("STARTTLS")
            async with asyncio.timeout(10):
                await _until_closed(client)

    on_both_loops(run)


def test_implicit_tls(context: ssl.SSLContext) -> None:
    async def run() -> None:
        async with serving(context=context, tls="implicit") as kit:
            async with kit.client(ssl=client_context()) as client:
                assert "STARTTLS" not in await client.hello()
                assert (await client.mail(MESSAGE)).startswith("250 ")
                assert kit.filter.seen[0][0].protocol == "ESMTPS"
                await client.ask("QUIT")
            async with kit.client(greeted=False) as plain:
                plain.send(b"EHLO plain.example\r\n" * 20)
                async with asyncio.timeout(10):
                    await _until_closed(plain)

    on_both_loops(run)


def test_proxy_before_implicit_tls(context: ssl.SSLContext) -> None:
    async def run() -> None:
        settings = {"tls": "implicit", "proxy_protocol": True, "trusted": ["127.0.0.0/8"]}
        async with serving(context=context, **settings) as kit, kit.client(greeted=False) as client:
            client.send(b"PROXY TCP4 198.51.100.9 127.0.0.1 4711 465\r\n")
            await start_tls(client)
            assert (await client.reply()).startswith("220 ")
            await client.hello()
            assert (await client.mail(MESSAGE)).startswith("250 ")
            envelope = kit.filter.seen[0][0]
            assert (envelope.client.address, envelope.protocol) == ("198.51.100.9", "ESMTPS")

    on_both_loops(run)


@pytest.mark.parametrize("settings", [{"tls": "implicit"}, {"require_tls": True}])
def test_tls_without_a_certificate_does_not_start(settings: dict[str, Any]) -> None:
    async def run() -> None:
        async with serving(**settings):
            pass

    with pytest.raises(ValueError, match=r"tls\.certificate is not set"):
        asyncio.run(run())


def test_old_tls_is_refused(context: ssl.SSLContext) -> None:
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_renewed_certificate_is_taken_up(context: ssl.SSLContext, tmp_path: Path) -> None:
    async def name(client: Client) -> str:
        await client.hello()
        await client.ask("STARTTLS")
        await start_tls(client)
        encoded = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(encoded).subject.rfc4514_string()

    async def run() -> None:
        async with serving(context=context) as kit:
            async with kit.client() as client:
                assert await name(client) == "CN=mx.example.org"
            context.load_cert_chain(*make_certificate(tmp_path, "new.example.org"))
            async with kit.client() as client:
                assert await name(client) == "CN=new.example.org"

    asyncio.run(run())


async def _until_closed(client: Client) -> None:
    try:
        while await client.reader.read(1000):
            pass
    except ConnectionError:
        return


def tls_sessions() -> int:
    """How many the server's side holds in memory."""
    gc.collect()
    return sum(isinstance(one, ssl.SSLObject) and one.server_side for one in gc.get_objects())


@pytest.mark.parametrize("where", ["before a mail", "within a message", "behind a mail"])
def test_a_client_that_just_leaves_leaves_nothing_of_its_session(context: ssl.SSLContext, where: str) -> None:
    """No farewell, no close_notify, and then no timer that keeps the session (260 KB of it, under uvloop)."""

    async def run() -> None:
        async with serving(context=context) as kit:
            for _ in range(5):
                async with kit.client() as client:
                    await client.hello()
                    await client.ask("STARTTLS")
                    await start_tls(client)
                    await client.hello()
                    if where == "behind a mail":
                        await client.mail(MESSAGE)
                    elif where == "within a message":
                        await client.ask("MAIL FROM:<a@example.net>")
                        await client.ask("RCPT TO:<b@example.org>")
                        await client.ask("DATA")
                        client.send(MESSAGE[:20])
                    client.writer.transport.abort()
            await until(lambda: kit.server.connections == 0)
            await until(lambda: tls_sessions() == 0, 5.0)

    on_both_loops(run)


def test_close_notify_while_an_answer_is_awaited(context: ssl.SSLContext) -> None:
    """The loops cannot write any more then (RFC 8446 section 6.1 would let them): no answer, and so no delivery."""

    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(context=context, filter=sieve) as kit, kit.client() as client:
            await client.hello()
            await client.ask("STARTTLS")
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_context().wrap_bio(incoming, outgoing)

            async def until_done(step: Callable[[], object]) -> None:
                async with asyncio.timeout(5):
                    while True:
                        try:
                            step()
                        except ssl.SSLWantReadError:
                            client.writer.write(outgoing.read())
                            incoming.write(await client.reader.read(65536))
                        else:
                            return client.writer.write(outgoing.read())

            await until_done(tls.do_handshake)
            for line in ("EHLO x", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>", "DATA"):
                tls.write(line.encode() + b"\r\n")
                await until_done(lambda: tls.read(65536))
            tls.write(MESSAGE + b".\r\n")
            client.writer.write(outgoing.read())
            await until(lambda: bool(sieve.seen))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            client.writer.write(outgoing.read())
            async with asyncio.timeout(5):
                incoming.write(await client.reader.read())  # to the end
            with contextlib.suppress(ssl.SSLError):
                assert tls.read(65536) == b"", "only its own close_notify comes back"
            await until(lambda: kit.server.connections == 0 and not kit.server.traffic.work)
            assert kit.hop.delivered == []

    on_both_loops(run)
