"""Certificates of the next hop: a chain made by openssl, names, issuers, dates, fingerprints, versions."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import warnings
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from filterd.mail.envelope import Origin, Recipient
from filterd.relay import Handover, RelaySettings, deliver, next_hop
from tests.nexthop import FakeHop
from tests.peers import require

BODY = b"Subject: hi\r\n\r\nhello\r\n"


class Authority:
    """A root, an issuer below it, and the certificates that it issues, as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl = str(require("openssl", package="openssl"))
        ca = "basicConstraints=critical,CA:TRUE"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "root.key", "-out", "root.pem",
                  "-subj", "/CN=Test Root", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
        self.issue("issuer", ca, "keyUsage=critical,keyCertSign", by="root")

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def issue(self, name: str, *extensions: str, by: str = "issuer", days: int = 30) -> None:
        self._run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                  "-subj", f"/CN={name}")  # fmt: skip
        (self.folder / "extensions").write_text("\n".join(extensions) + "\n")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial",
                  "-out", f"{name}.pem", "-days", str(days), "-extfile", "extensions")  # fmt: skip

    def fingerprint(self, name: str) -> str:
        said = self._run("x509", "-in", f"{name}.pem", "-noout", "-fingerprint", "-sha256")
        return said.strip().partition("=")[2]

    def context(self, name: str, *, chain: bool = True) -> ssl.SSLContext:
        """A server's; with the issuer's certificate or without."""
        both = self.folder / f"{name}.chain"
        issuer = (self.folder / "issuer.pem").read_text() if chain else ""
        both.write_text((self.folder / f"{name}.pem").read_text() + issuer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both, self.folder / f"{name}.key")
        return context

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([self._openssl, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("good", "subjectAltName=DNS:localhost")
    made.issue("other", "subjectAltName=DNS:elsewhere.example")
    made.issue("past", "subjectAltName=DNS:localhost", days=-1)
    return made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


async def sent(fake: FakeHop, **settings: Any) -> tuple[int, bool, str]:
    """The reply's code, whether it went under TLS, and what is wrong."""
    async with fake:
        scheme = fake.url.partition(":")[0]
        hop = next_hop(f"{scheme}://localhost:{fake.port}", RelaySettings(connect_timeout=3, **settings))
        wrong = await hop.healthy()
        transaction = hop.transaction(Handover(client=Origin()))
        [reply] = await deliver(transaction, "s@a", (), [Recipient("ann@b")], [BODY])
        await transaction.close()
        await hop.aclose()
        return reply.code, bool(fake.messages and fake.messages[0].session.tls), wrong or ""


IMPLICIT = pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "smtps"])


@IMPLICIT
def test_a_chain_up_to_the_root_is_good(authority: Authority, implicit: bool) -> None:
    async def test() -> None:
        fake = FakeHop(tls=authority.context("good"), implicit=implicit)
        assert await sent(fake, tls="verify", ca=authority.root) == (250, True, "")

    run(test())


@IMPLICIT
@pytest.mark.parametrize(
    ("name", "chain", "why"),
    [
        ("good", False, "unable to get local issuer certificate"),
        ("other", True, "Hostname mismatch"),
        ("past", True, "certificate has expired"),
    ],
)
def test_what_is_not_good(authority: Authority, name: str, chain: bool, why: str, implicit: bool) -> None:
    async def test() -> None:
        fake = FakeHop(tls=authority.context(name, chain=chain), implicit=implicit)
        code, _, wrong = await sent(fake, tls="verify", ca=authority.root)
        assert code == 451
        assert why in wrong

    run(test())


def test_another_root_is_not_trusted(authority: Authority) -> None:
    async def test() -> None:
        code, _, wrong = await sent(FakeHop(tls=authority.context("good")), tls="verify")
        assert code == 451
        assert "certificate verify failed" in wrong

    run(test())


@IMPLICIT
@pytest.mark.parametrize("tls", ["required", "verify"])
@pytest.mark.parametrize("name", ["other", "past"])
def test_a_known_fingerprint_is_enough(authority: Authority, name: str, tls: str, implicit: bool) -> None:
    async def test() -> None:
        known = ["00" * 32, authority.fingerprint(name)]
        fake = FakeHop(tls=authority.context(name), implicit=implicit)
        assert await sent(fake, tls=tls, fingerprints=known) == (250, True, "")

    run(test())


@IMPLICIT
def test_another_fingerprint_is_refused_although_the_chain_is_good(authority: Authority, implicit: bool) -> None:
    async def test() -> None:
        known = [authority.fingerprint("other")]
        fake = FakeHop(tls=authority.context("good"), implicit=implicit)
        code, _, wrong = await sent(fake, tls="verify", ca=authority.root, fingerprints=known)
        assert code == 451
        assert "in relay.fingerprints" in wrong
        assert authority.fingerprint("good").replace(":", "").lower() in wrong
        assert not [command for command in fake.commands if command.startswith("MAIL")]

    run(test())


@pytest.mark.parametrize("tls", ["off", "opportunistic", "required"])
def test_smtps_is_under_tls_whatever_is_set(authority: Authority, tls: str) -> None:
    async def test() -> None:
        fake = FakeHop(tls=authority.context("past"), implicit=True)
        assert await sent(fake, tls=tls) == (250, True, "")

    run(test())


def test_nothing_below_tls_1_2(authority: Authority) -> None:
    async def test() -> None:
        context = authority.context("good")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is deprecated is the point
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        code, _, wrong = await sent(FakeHop(tls=context), tls="required")
        assert code == 451
        assert "could not begin TLS" in wrong

    run(test())


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tls": "required", "fingerprints": ["12:34"]}, "64 hexadecimal digits"),
        ({"tls": "required", "fingerprints": ["g" * 64]}, "64 hexadecimal digits"),
        ({"fingerprints": ["ab" * 32]}, "need tls"),
        ({"tls": "off", "fingerprints": ["ab" * 32]}, "need tls"),
    ],
)
def test_settings_that_say_nothing(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RelaySettings(**settings)
