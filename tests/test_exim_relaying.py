"""Real Exim as a client of the SMTP door: it sends by BDAT wherever CHUNKING is announced."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from tests.exim import Exim
from tests.frontends.test_smtp_tls import make_certificate
from tests.nexthop import Delivered, FakeHop
from tests.serving import Serving

pytestmark = pytest.mark.peer("exim4")

HEAD = b"From: ann@example.net\r\nTo: user@example.org\r\nSubject: chunks\r\n\r\n"
BODIES = {
    "short": b"One line.\r\n",
    "dots": b".\r\n..\r\n.x\r\nlast\r\n",
    "an end within": b"a\r\n.\r\nMAIL FROM:<x@example.net>\r\n",
    "large": b"A line of the text, and some more of it.\r\n" * 60_000,
}

ROUTERS = """
via_filterd:
  driver = manualroute
  transport = to_filterd
  route_list = * 127.0.0.1 byname
  self = send
"""
TRANSPORTS = """
to_filterd:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_try_chunking = *
"""


OVER_TLS = """
  hosts_require_tls = *
  tls_verify_hosts =
  tls_try_verify_hosts = :
"""


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_exim_sends_by_bdat_arrives_as_it_was(tmp_path: Path, tls: bool) -> None:
    certificate, key = map(str, make_certificate(tmp_path, "mx.example.org"))

    async def run() -> tuple[str, list[Delivered]]:
        async with FakeHop() as hop:
            settings = {"tls": {"certificate": certificate, "key": key}} if tls else {}
            service = Serving(tmp_path, relay=hop.url, **settings)
            await asyncio.to_thread(service.start)
            transports = TRANSPORTS.format(port=service.smtp[1]) + (OVER_TLS if tls else "")
            try:
                with Exim(routers=ROUTERS, transports=transports) as exim:
                    for body in BODIES.values():
                        await asyncio.to_thread(_send, exim.port, HEAD + body)
                    async with asyncio.timeout(30):
                        while exim.log.count(" Completed") < len(BODIES):  # noqa: ASYNC110
                            await asyncio.sleep(0.1)
                    return exim.log, list(hop.messages)
            finally:
                await asyncio.to_thread(service.stop)

    log, messages = asyncio.run(run())
    deliveries = [line for line in log.splitlines() if " => user@example.org " in line]
    assert len(deliveries) == len(BODIES), log
    assert all(" K " in line for line in deliveries), "K: CHUNKING was used"
    assert all((" X=TLS" in line) is tls for line in deliveries)
    arrived = {message.content.partition(b"\r\n\r\n")[2] for message in messages}
    assert arrived == set(BODIES.values())


def _send(port: int, message: bytes) -> None:
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    with smtplib.SMTP("127.0.0.1", port, "client.example.net", timeout=60) as client:
        client.ehlo()
        client.mail("ann@example.net")
        client.rcpt("user@example.org")
        client.putcmd("data")
        assert client.getreply()[0] == 354
        client.send(stuffed + b".\r\n")
        assert client.getreply()[0] == 250
