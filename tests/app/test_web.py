"""The web process as `filterd serve` runs it: over HTTP and TLS, reloaded, killed, and asked for digests."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from filterd.app.digests import Sent, send_due
from filterd.app.jobs import release
from filterd.config.load import load
from filterd.store import Held, ItemState, Person, QuarantineClass, Store
from tests.serving import Serving, free_port
from tests.store.stored import SPAM, make_record

FORM = re.compile(r'name="csrf" value="(\w+)"')


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[tuple[Serving, str]]:
    """A service with pages, and their address."""
    host, port = free_port()
    service = Serving(folder, **settings)
    service.config["listeners"].append({"protocol": "web", "listen": f"{host}:{port}"})
    with service:
        yield service, f"{'https' if 'tls' in settings else 'http'}://{host}:{port}"


def filterd(service: Serving, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "filterd", *words, "-c", str(service.config_file)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)


def web_processes(service: Serving) -> list[int]:
    assert service.process is not None
    command = ["ps", "--ppid", str(service.process.pid), "-o", "pid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "filterd.app.web" in line]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/login", timeout=10, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_from_a_link_to_the_list_reloaded_and_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as (service, url):
        service.until(lambda: answers(url), "the pages")
        added = filterd(service, "user", "add", "postmaster", "--role", "admin", "--link")
        assert added.stdout.startswith(f"{url}/link/"), added.stderr
        with httpx.Client(follow_redirects=True, timeout=60) as browser:
            link = added.stdout.strip()
            form = FORM.search(browser.get(link).text)
            assert form
            page = browser.post(link, data={"csrf": form[1]})
            assert page.url.path == "/quarantine"
            (before,) = web_processes(service)
            service.signal(signal.SIGHUP)
            service.until(lambda: web_processes(service) not in ([before], []), "another process")
            service.until(lambda: before not in web_processes(service), "the end of the first")
            assert browser.get(f"{url}/quarantine").url.path == "/quarantine", "nobody is logged out by a reload"
            (pid,) = web_processes(service)
            os.kill(pid, signal.SIGKILL)
            service.until(lambda: pid not in web_processes(service) and answers(url), "the pages to be back")
        assert (service.state / "filterd.db").stat().st_mode & 0o777 == 0o600
        assert (service.state / "secret").stat().st_mode & 0o777 == 0o600


def test_over_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    with serving(tmp_path, tls={"certificate": str(certificate), "key": str(key)}) as (service, url):
        service.until(lambda: answers(url), "the pages")
        answer = httpx.get(f"{url}/login", verify=False)
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https:", "http:"))
    assert ssl.OPENSSL_VERSION


def test_accounts_by_command(tmp_path: Path) -> None:
    service = Serving(tmp_path)
    service.write_config()
    done = filterd(service, "user", "add", "Ann", "--address", "ann@example.org", stdin="a good long password\n")
    assert (done.returncode, done.stderr) == (0, "")
    for words, stdin, sentence in (
        (["add", "ann", "--address", "a@b.example"], "a good long password\n", "there is already a user ann"),
        (["add", "bob", "--address", "a@b.example"], "short\n", "at least 10 characters"),
        (["add", "bob"], "a good long password\n", "needs --address"),
        (["add", "bob", "--role", "king"], "", "is not one of user, manager, auditor, admin"),
        (
            ["add", "bob", "--role", "admin", "--digest", "often"],
            "",
            "not one of at once, hourly, daily, weekly, never",
        ),
        (["remove", "bob"], "", "there is no user bob"),
        (["passwd", "bob"], "x\n", "there is no user bob"),
    ):
        done = filterd(service, "user", *words, stdin=stdin)
        assert done.returncode == 2, words
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
    assert filterd(service, "user", "change", "ann", "--role", "manager", "--address", "@example.org").returncode == 0
    listed = filterd(service, "user", "list", "--json").stdout
    assert '"name": "ann", "role": "manager", "addresses": ["@example.org"]' in listed
    assert "argon2" not in listed
    assert filterd(service, "user", "remove", "ann").returncode == 0
    assert filterd(service, "user", "list", "--json").stdout == "[]\n"


def test_a_digest_arrives_once(tmp_path: Path) -> None:
    service = Serving(tmp_path, web={"url": "https://quarantine.example.org"})
    service.write_config()
    config = load(service.config_file).config
    store = Store.open(config.store, config.retention)
    try:
        store.people.add(Person(name="ann", addresses=("ann@example.org",), digest="daily", language="it"))
        store.people.add(Person(name="bob", addresses=("bob@example.org",)))
        store.people.digested("ann", 1)
        held = [Held(name, QuarantineClass.SPAM, "Spam.") for name in ("ann@example.org", "bob@example.org")]
        asyncio.run(store.hold(make_record(recipients=("ann@example.org", "bob@example.org")), SPAM, held))

        async def send(*, dry_run: bool = False, only: str | None = None) -> list[Sent]:
            return [one async for one in send_due(store, config, dry_run=dry_run, only=only)]

        assert [one.sent for one in asyncio.run(send(dry_run=True))] == [False]
        assert asyncio.run(send(dry_run=True, only="at once")) == []
        store.people.change("ann", digest="at once")
        assert [one.person for one in asyncio.run(send(dry_run=True, only="at once"))] == ["ann"]
        store.people.change("ann", digest="daily")
        assert [(one.person, one.items, one.sent) for one in asyncio.run(send())] == [("ann", 1, True)]
        assert asyncio.run(send()) == []
        (path,) = (service.maildir / "new").iterdir()
        letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        assert letter["Subject"] == "1 messaggio trattenuto per te"
        assert letter["From"].addresses[0].addr_spec == "postmaster@example.org"
    finally:
        store.close()
    done = filterd(service, "quarantine", "digest", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_digests_need_an_address(tmp_path: Path) -> None:
    service = Serving(tmp_path)
    service.write_config()
    done = filterd(service, "quarantine", "digest")
    assert done.returncode == 2
    assert "web.url" in done.stderr


def test_what_waits_for_its_release_goes_without_the_pages_too(tmp_path: Path) -> None:
    service = Serving(tmp_path)
    service.write_config()
    config = load(service.config_file).config
    store = Store.open(config.store, config.retention)
    try:
        (id_,) = asyncio.run(store.hold(make_record(), SPAM, [Held("ann@example.org", QuarantineClass.SPAM, "")]))
        item = store.quarantine.get(id_)
        assert item is not None
        store.quarantine.schedule([id_], "web:ann", item.time)
        asyncio.run(release(store, config))
        item = store.quarantine.get(id_)
        assert item is not None
        assert item.state is ItemState.RELEASED
        assert len(list((service.maildir / "new").iterdir())) == 1
    finally:
        store.close()
