"""The demo: the real service on embedded defaults, and a dozen messages of different kinds sent through
it.

Everything lives in a folder that is gone afterwards: SQLite, a Maildir as the delivery server, a
configuration file that the other commands can be pointed at with `-c`. Ports are free ones on loopback,
DNS is a small zone of our own. The messages are sent over SMTP by the standard library's client, with
XFORWARD saying whom they are from, as a mail server in front of filterd would.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import email.utils
import secrets
import smtplib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from filterd.app.children import Child
from filterd.app.demo_dns import NameServer
from filterd.app.service import Service
from filterd.config.load import load
from filterd.frontends.settings import Address
from filterd.record import Record
from filterd.sources import wire_form
from filterd.store import Person, Role
from filterd.yamlfile import parse_document

_EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

_CONFIG = """\
hostname: mx.example.org
domains: [example.org]
state: {state}
listeners:
  - {{protocol: smtp, listen: "{smtp}", relay: "maildir:{maildir}"}}
  - {{protocol: http, listen: "{http}"}}
  - {{protocol: web, listen: "{web}"}}
dns: {{servers: ["{dns}"]}}
policies:
  - {{name: strict, recipients: [info@example.org], thresholds: {{tag: 1.0, quarantine: 2.0}}}}
log: {{level: warning}}
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """One of the demo's messages, and what became of it."""

    about: str
    reply: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class Demo:
    """The running demo."""

    service: Service
    config: Path
    maildir: Path
    http: Address
    web: Address
    link: str  # logs in once


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Demo]:
    """The service, in `folder`. Raises what starting it raises."""
    script = _script()
    server, dns = await NameServer.start(script["zone"])
    demo_config, maildir, (smtp, http, web) = folder / "filterd.yaml", folder / "Maildir", _free_addresses(3)
    text = _CONFIG.format(state=folder / "state", smtp=smtp, http=http, web=web, maildir=maildir, dns=dns)
    demo_config.write_text(text)
    service = Service(load(demo_config), lambda: load(demo_config))
    try:
        await service.start([Child("learning", "filterd.app.learning", [str(demo_config)])])
        try:
            yield Demo(service, demo_config, maildir, http, web, f"http://{web}/link/{_one_time(service)}")
        finally:
            await service.stop()
    finally:
        server.close()


async def send_all(demo: Demo) -> AsyncIterator[Sent]:
    """Send the messages one by one; each as soon as its reply is there."""
    records: dict[str, Record] = {}
    demo.service.on_record = lambda record: records.__setitem__(record.outline.message_id, record)
    script = _script()
    (address,) = demo.service.doors.addresses["smtp"]
    now = datetime.datetime.now(datetime.UTC)
    for mail in script["mails"]:
        raw = _message(mail["file"], now)
        reply = await asyncio.to_thread(_send, address, script["hosts"][mail["host"]], mail, raw)
        known = next((record for name, record in records.items() if name.encode() in raw), None)
        yield Sent(mail["about"], reply, known)
        records.clear()


def _one_time(service: Service) -> str:
    """An administrator of the quarantine pages, and the secret of a link that lets them in once."""
    secret = secrets.token_urlsafe(32)
    service.store.people.add(Person(name="demo", role=Role.ADMIN), by="demo")
    service.store.people.add_link("demo", secret, 86_400.0, by="demo")
    return secret


def _send(address: Address, host: dict[str, str], mail: dict[str, Any], raw: bytes) -> str:
    """Send one message on behalf of `host`; the server's last reply."""
    with smtplib.SMTP(address.host, address.port, local_hostname="edge.example.org", timeout=60) as client:
        client.ehlo()
        name = host["name"] or "[UNAVAILABLE]"
        helo = host["name"] or "localhost.localdomain"
        client.docmd("XFORWARD", f"NAME={name} ADDR={host['address']} PROTO=ESMTP HELO={helo}")
        client.mail(mail["from"])
        for recipient in mail["to"]:
            code, text = client.rcpt(recipient)
            if code >= 400:
                return f"{code} {text.decode('ascii', 'replace')}"
        code, text = client.data(raw)
        return f"{code} {text.decode('ascii', 'replace')}"


def _message(name: str, now: datetime.datetime) -> bytes:
    raw = (files("filterd") / "_demo" / name).read_bytes()
    raw = raw.replace(b"@DATE@", email.utils.format_datetime(now).encode())
    return wire_form(raw.replace(b"@EICAR@", base64.b64encode(_EICAR)))


def _script() -> dict[str, Any]:
    text = (files("filterd") / "_demo" / "demo.yaml").read_text("utf-8")
    data: dict[str, Any] = parse_document(text, "demo.yaml").data
    return data


def _free_addresses(count: int) -> list[Address]:
    """Addresses on loopback that nobody has at the moment."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [Address("127.0.0.1", one.getsockname()[1]) for one in opened]
    finally:
        for one in opened:
            one.close()
