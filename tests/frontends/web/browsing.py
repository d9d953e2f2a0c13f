"""A real `filterd serve` with pages, and what somebody in front of a browser does with them."""

from __future__ import annotations

import importlib.resources
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from filterd.store import Person, Role, Store
from tests.frontends.web.visitor import _HASH, PASSWORD
from tests.serving import Serving, free_port

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MAIL = (
    "From: {name} <{name}@shop.example>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@shop.example>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    '<p>Hello <b>{name}</b></p><script>document.title="owned"</script><img src="http://127.0.0.1:9/track.png">'
    "<p>{gtube}</p>\r\n"
)


class Pages:
    """A running service with pages, and mail for ann and bob in its quarantine."""

    def __init__(self, service: Serving, url: str) -> None:
        self.service = service
        self.url = url

    def send(self, to: str, subject: str) -> None:
        self.deliver(to, MAIL.format(name=subject.lower(), to=to, subject=subject, gtube=GTUBE))

    def deliver(self, to: str, raw: str) -> None:
        with smtplib.SMTP(*self.service.smtp, timeout=60) as client:
            client.sendmail("shop@shop.example", [to], raw.encode())

    def arrived(self, sign: str) -> bool:
        """Is such a message at the next hop?"""
        return any(sign.encode() in one for one in self.delivered)

    @property
    def delivered(self) -> list[bytes]:
        folder = self.service.maildir / "new"
        return [path.read_bytes() for path in folder.iterdir()] if folder.is_dir() else []


@contextmanager
def serving_pages(folder: Path) -> Iterator[Pages]:
    """ann and bob are users, mo manages example.org, eve audits, root administers; a release waits two seconds."""
    host, port = free_port()
    url = f"http://{host}:{port}"
    service = Serving(folder, web={"undo": "2s", "url": url})
    service.config["listeners"].append({"protocol": "web", "listen": f"{host}:{port}"})
    with service:
        store = Store.open(service.state, min_free=0)
        for name in ("ann", "bob"):
            store.people.add(Person(name=name, addresses=(f"{name}@example.org",)), _HASH)
        store.people.add(Person(name="mo", role=Role.MANAGER, addresses=("@example.org",)), _HASH)
        store.people.add(Person(name="eve", role=Role.AUDITOR), _HASH)
        store.people.add(Person(name="root", role=Role.ADMIN), _HASH)
        store.close()
        yield Pages(service, url)


def until(browser: Chrome, true: Callable[[], object], what: str) -> None:
    away = (WebDriverException,)  # one page is about to take another's place
    WebDriverWait(browser, 30, 0.1, away).until(lambda _: true(), what)


def text(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def login(browser: Chrome, pages: Pages, name: str) -> None:
    browser.get(f"{pages.url}/login")
    browser.find_element(By.NAME, "name").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD, Keys.ENTER)
    until(browser, lambda: "Log out" in text(browser), "the quarantine")


def quiet(browser: Chrome) -> None:
    """No error and no violation of the policy in the console."""
    assert [one["message"] for one in browser.get_log("browser") if one["level"] in ("SEVERE", "WARNING")] == []


def serious(browser: Chrome) -> list[str]:
    """What axe-core finds wrong for those who cannot see, point or hear."""
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    browser.execute_script(axe)
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
