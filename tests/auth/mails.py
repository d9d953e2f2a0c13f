"""Mails to authenticate: made from bytes, signed with keys of their own, and asked about at a real name server."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from filterd.auth import authenticate, questions
from filterd.authentication import Authentication, AuthResult
from filterd.facts import DnsStatus, Facts, TxtAnswer
from filterd.mail import Direction, Envelope, Mail, Message, Origin, Recipient, Source
from filterd.net import Dns, DnsSettings
from filterd.probes import gather
from tests.nameserver import NameServer, Zone

SHORT_KEYS = Path(__file__).parents[1] / "data" / "short-rsa-keys.json"
NOW = datetime.datetime.now(datetime.UTC)  # dkimpy signs with the clock
PLAIN = b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nHello Bob.\r\n\r\nAnn\r\n"


def mail(
    raw: bytes,
    *,
    sender: str = "ann@example.org",
    helo: str | None = "mx.example.org",
    address: str | None = "192.0.2.1",
    direction: Direction = Direction.INBOUND,
    received_at: datetime.datetime = NOW,
) -> Mail:
    origin = Origin(address, helo=helo, source=Source.PEER if address else Source.UNKNOWN)
    envelope = Envelope(
        id="01",
        received_at=received_at,
        listener="test",
        peer=address,
        client=origin,
        sender=sender,
        recipients=(Recipient("bob@example.net"),),
        direction=direction,
    )
    return Mail(envelope, Message(raw), origin)


def answered(records: dict[str, Any]) -> Facts:
    """Facts with these TXT records: bytes or text, a list of them, or a DnsStatus; any other name does not exist."""

    class Txt(dict[str, TxtAnswer]):
        def get(self, name: str, default: Any = None) -> TxtAnswer:
            value = records.get(name)
            if value is None or isinstance(value, DnsStatus):
                return TxtAnswer(value or DnsStatus.NXDOMAIN, (), "test")
            texts = value if isinstance(value, list) else [value]
            return TxtAnswer(DnsStatus.OK, tuple(t if isinstance(t, bytes) else t.encode() for t in texts))

    return Facts(txt=Txt())


def ask(one: Mail, zone: Zone, *, timeout: float = 0.5) -> tuple[Authentication, NameServer]:
    """Authenticate over a real name server; the server is returned for its counts."""

    async def main() -> Facts:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=timeout))
        try:
            return await gather(questions(one), dns, 10)
        finally:
            await dns.aclose()

    with NameServer(zone) as server:
        facts = asyncio.run(main())
    return authenticate(one, facts), server


@cache
def rsa_key(bits: int = 2048) -> tuple[bytes, str]:
    """(private key in PEM, p= of its record)."""
    short = json.loads(SHORT_KEYS.read_text("ascii"))  # nobody makes such keys any more
    if str(bits) in short:
        return short[str(bits)]["private"].encode(), short[str(bits)]["public"]
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, base64.b64encode(public).decode()


@cache
def ed25519_key() -> tuple[bytes, str]:
    """(private key as dkimpy wants it, p= of its record)."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(private), base64.b64encode(public).decode()


def sign(
    raw: bytes,
    *,
    domain: str = "example.org",
    selector: str = "s",
    key: bytes | None = None,
    algorithm: str = "rsa-sha256",
    identity: str | None = None,
    canonical: tuple[str, str] = ("relaxed", "relaxed"),
    headers: Sequence[str] | None = None,
    length: bool = False,
    tags: Sequence[tuple[str, str]] = (),
) -> bytes:
    """`raw` with a DKIM-Signature by dkimpy on top; `tags` are added to it, and signed."""
    signer = dkim.DKIM(raw)
    make = signer.gen_header

    def with_tags(fields: list[tuple[bytes, bytes]], *rest: Any, **named: Any) -> bytes:
        added = [(tag.encode(), value.encode()) for tag, value in tags]
        names = {name for name, _ in added}
        kept = [field for field in fields if field[0] not in names]
        return make(kept[:1] + added + kept[1:], *rest, **named)  # type: ignore[no-any-return]

    signer.gen_header = with_tags
    field = signer.sign(
        selector.encode(),
        domain.encode(),
        key or (ed25519_key() if algorithm.startswith("ed") else rsa_key())[0],
        signature_algorithm=algorithm.encode(),
        identity=identity.encode() if identity else None,
        canonicalize=(canonical[0].encode(), canonical[1].encode()),
        include_headers=[name.encode() for name in headers] if headers else None,
        length=length,
    )
    return bytes(field) + raw


def key_record(p: str | None = None, tags: str = "", kind: str = "rsa") -> str:
    default = ed25519_key()[1] if kind == "ed25519" else rsa_key()[1]
    return f"v=DKIM1; k={kind}; {tags}{'; ' if tags else ''}p={default if p is None else p}"


def results(auth: Authentication) -> list[AuthResult]:
    return [one.result for one in auth.dkim]
