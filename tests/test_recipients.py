"""The list of who can be written to."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from pathlib import Path

import pytest

from filterd.recipients import RecipientList, parse_recipient
from filterd.relay.hop import Capabilities
from tests.frontends.smtp_kit import Hop, serving
from tests.frontends.test_smtp_tls import make_certificate
from tests.serving import Serving

LIST = (
    "# ours",
    "",
    "Ann@Example.org  # of sales",
    "list+special@example.org",
    "@open.example",
    "jürgen@müller.example",
)


@pytest.mark.parametrize(
    ("local", "domain", "lacks"),
    [
        ("ann", "example.org", False),
        ("ANN", "EXAMPLE.ORG", False),
        ("ann+news", "example.org", False),
        ("ann+a+b", "example.org", False),
        ("+ann", "example.org", True),
        ("+", "example.org", True),
        ("bob", "example.org", True),
        ("ann ", "example.org", True),
        ("an", "example.org", True),
        ("list+special", "example.org", False),
        ("list", "example.org", True),
        ("", "example.org", True),
        ("Postmaster", "example.org", False),
        ("anybody", "open.example", False),
        ("ann", "sub.example.org", False),
        ("ann", "elsewhere.example", False),
        ("postmaster", "", False),
        ("jürgen", "müller.example", False),
        ("JÜRGEN", "xn--mller-kva.example", False),
        ("jurgen", "xn--mller-kva.example", True),
        ("x", "not a domain", False),
    ],
)
def test_who_is_there(local: str, domain: str, lacks: bool) -> None:
    assert RecipientList(LIST).lacks(local, domain) is lacks


def test_no_list_knows_nothing() -> None:
    assert not RecipientList().lacks("bob", "example.org")


@pytest.mark.parametrize("line", ["ann", "ann@", "@", "ann@exa mple.org", "ann@example.org bob@example.org", "ann@-x-"])
def test_what_is_no_entry(line: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor"):
        parse_recipient(line)


def test_unknown_recipients_are_refused_at_rcpt() -> None:
    """Also where the next hop cannot be asked, and in any spelling."""

    async def run() -> None:
        site = {"recipients": RecipientList(("ann@example.org", "@open.example")),
                "domains": frozenset(("example.org", "open.example", "other.example"))}  # fmt: skip
        async with serving(hop=Hop(Capabilities({"SIZE": ""})), site=site) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            for address in ("bob@example.org", '"bob"@example.org', "an\\n@example.org"):
                assert (await client.ask(f"RCPT TO:<{address}>"))[:4] in ("550 ", "501 ")
            assert not [verb for verb in kit.hop.verbs if verb.startswith("RCPT")]
            for address in ("ann@example.org", '"ann"@example.org', "ann+x@example.org", "x@open.example",
                            "y@other.example", "postmaster@example.org", "Postmaster"):  # fmt: skip
                assert (await client.ask(f"RCPT TO:<{address}>")).startswith("250 "), address
            assert (await client.ask("RCPT TO:<bob@example.org>")).startswith("550 5.1.1")

    asyncio.run(run())


def test_who_asks_for_many_is_stopped() -> None:
    async def run() -> None:
        site = {"recipients": RecipientList(("ann@example.org",))}
        async with serving(site=site, limits={"recipients": 10}) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            codes = [(await client.ask(f"RCPT TO:<x{n}@example.org>"))[:3] for n in range(12)]
            assert codes == ["550"] * 10 + ["452"] * 2

    asyncio.run(run())


def test_after_the_queue_nobody_is_refused() -> None:
    async def run() -> None:
        site = {"recipients": RecipientList(("ann@example.org",))}
        async with serving(site=site, position="after-queue") as kit, kit.client() as client:
            await client.hello()
            assert (await client.mail(b"Subject: x\r\n\r\n", "bob@example.org")).startswith("250 ")

    asyncio.run(run())


def test_a_list_and_a_certificate_that_change_on_disk_are_taken_over(tmp_path: Path) -> None:
    """And one that is broken is not: the last good one stays."""
    listed = tmp_path / "recipients"
    listed.write_text("ann@example.org\n")
    folder = tmp_path / "tls"
    folder.mkdir()
    certificate, key = make_certificate(folder, "mx.example.org")
    tls = {"certificate": str(certificate), "key": str(key)}

    def answer(address: str) -> tuple[int, bytes]:
        """The reply to RCPT, and the certificate that was shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as client:
            client.starttls(context=context)
            assert isinstance(client.sock, ssl.SSLSocket)
            shown = client.sock.getpeercert(binary_form=True) or b""
            client.ehlo()
            client.mail("a@example.net")
            return client.rcpt(address)[0], shown

    with Serving(tmp_path, recipients=str(listed), tls=tls) as service:
        code, first = answer("ann@example.org")
        assert (code, answer("bob@example.org")[0]) == (250, 550)
        listed.write_text("bob@example.org\n")
        service.until(lambda: answer("bob@example.org")[0] == 250, "the list to be read again")
        assert answer("ann@example.org") == (550, first)
        listed.write_text("no address\n")
        service.until(lambda: any("reload-failed" in line for line in service.log), "the list to be refused")
        assert f"{listed}:1: 'no address' is neither an address nor @ and a domain" in "".join(service.log)
        assert answer("bob@example.org")[0] == 250
        listed.write_text("bob@example.org\n")
        key.write_text("garbage\n")
        service.until(lambda: "do not work together" in "".join(service.log), "the key to be refused")
        assert answer("bob@example.org") == (250, first)
        make_certificate(folder, "mx.example.org")
        service.until(lambda: answer("bob@example.org")[1] not in (first, b""), "the new certificate to be shown")
