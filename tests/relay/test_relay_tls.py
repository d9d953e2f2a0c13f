"""STARTTLS to the next hop, with certificates made here and now."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from filterd.mail.envelope import Origin, Recipient
from filterd.relay import Handover, RelaySettings, deliver, next_hop
from tests.nexthop import DIE, KEYWORDS, FakeHop

BODY = b"Subject: hi\r\n\r\nhello\r\n"


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1 or another address, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hop")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    public, both = folder / "ca.pem", folder / "server.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + public.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return public, context


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


async def outcome(fake: FakeHop, **changes: Any) -> tuple[int, bool | None, str | None]:
    """The reply's code, whether the mail went under TLS, and what `healthy` says."""
    async with fake:
        hop = next_hop(fake.url, RelaySettings(connect_timeout=3, **changes))
        healthy = await hop.healthy()
        transaction = hop.transaction(Handover(client=Origin()))
        [reply] = await deliver(transaction, "s@a", (), [Recipient("ann@b")], [BODY])
        await transaction.close()
        await hop.aclose()
        under_tls = fake.messages[0].session.tls if fake.messages else None
        return reply.code, under_tls, healthy and healthy.removeprefix(f"The next hop {fake.url} ")


@pytest.mark.parametrize("tls", ["off", "opportunistic", "required", "verify"])
def test_with_a_good_certificate(tls: str, tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificate(tmp_path, "127.0.0.1")
        assert await outcome(FakeHop(tls=context), tls=tls, ca=ca) == (250, tls != "off", None)

    run(test())


@pytest.mark.parametrize("tls", ["opportunistic", "required", "verify"])
def test_with_somebody_elses_certificate(tls: str, tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificate(tmp_path, "192.0.2.1")
        code, under_tls, healthy = await outcome(FakeHop(tls=context), tls=tls, ca=ca)
        if tls == "verify":
            assert (code, under_tls) == (451, None)
            assert healthy is not None
            assert healthy.startswith("could not begin TLS: certificate verify failed")
            assert "192.0.2.1" in healthy or "127.0.0.1" in healthy
        else:
            assert (code, under_tls, healthy) == (250, True, None)

    run(test())


@pytest.mark.parametrize("tls", ["opportunistic", "required", "verify"])
def test_without_starttls(tls: str) -> None:
    async def test() -> None:
        code, under_tls, healthy = await outcome(FakeHop(), tls=tls)
        if tls == "opportunistic":
            assert (code, under_tls, healthy) == (250, False, None)
        else:
            assert (code, under_tls) == (451, None)
            assert healthy == f"does not announce STARTTLS, and `tls` is {tls}."

    run(test())


@pytest.mark.parametrize("said", ["454 4.7.0 Not now", DIE, b"220 go\r\n250 injected\r\n", b"220 go\r\nnoise"])
@pytest.mark.parametrize("tls", ["opportunistic", "required"])
def test_starttls_that_fails(said: Any, tls: str) -> None:
    """Refused, cut, or with plaintext behind the 220, which must not be taken for what TLS brings."""

    async def test() -> None:
        fake = FakeHop(keywords=(*KEYWORDS, "STARTTLS"), script={"STARTTLS": said})
        code, under_tls, healthy = await outcome(fake, tls=tls)
        if tls == "opportunistic":
            assert (code, under_tls, healthy) == (250, False, None)
        else:
            assert (code, under_tls) == (451, None)
            assert healthy

    run(test())


def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        next_hop("smtp://127.0.0.1:25", RelaySettings(tls="verify", ca=tmp_path / "none.pem"))


def test_a_large_message_under_tls(tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificate(tmp_path, "127.0.0.1")
        body = (b".dotted\r\n" * 100 + b"x" * 990 + b"\r\n") * 2000
        async with FakeHop(tls=context) as fake:
            hop = next_hop(fake.url, RelaySettings(tls="verify", ca=ca))
            for _ in range(2):
                transaction = hop.transaction(Handover(client=Origin()))
                [reply] = await deliver(transaction, "s@a", (), [Recipient("ann@b")], [body])
                await transaction.close()
                assert reply.code == 250
            await hop.aclose()
            assert [message.content == body for message in fake.messages] == [True, True]
            assert len(fake.sessions) == 1

    run(test())
