"""The pages in Chromium, over a real `filterd serve`: mail comes by SMTP, is seen, and leaves for its Maildir."""

from __future__ import annotations

import importlib.resources
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from filterd.learning.link import answers
from filterd.store import Person, Store
from tests.frontends.web.chromium import chromium
from tests.frontends.web.visitor import _HASH, PASSWORD
from tests.peers import require
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
        raw = MAIL.format(name=subject.lower(), to=to, subject=subject, gtube=GTUBE)
        with smtplib.SMTP(*self.service.smtp, timeout=60) as client:
            client.sendmail("shop@shop.example", [to], raw)

    @property
    def delivered(self) -> list[bytes]:
        folder = self.service.maildir / "new"
        return [path.read_bytes() for path in folder.iterdir()] if folder.is_dir() else []


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    require("chromium", package="chromium")
    folder: Path = tmp_path_factory.mktemp("pages")
    host, port = free_port()
    service = Serving(folder, web={"undo": "2s"})
    service.config["listeners"].append({"protocol": "web", "listen": f"{host}:{port}"})
    with service:
        store = Store.open(service.state, min_free=0)
        for name in ("ann", "bob"):
            store.people.add(Person(name=name, addresses=(f"{name}@example.org",)), _HASH)
        store.close()
        yield Pages(service, f"http://{host}:{port}")


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


def test_searched_read_released_and_found_at_the_next_hop(pages: Pages) -> None:
    pages.send("ann@example.org", "Walnuts")
    pages.send("ann@example.org", "Almonds")
    with chromium() as browser:
        login(browser, pages, "ann")
        browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("walnuts")
        until(
            browser, lambda: "Walnuts" in text(browser) and "Almonds" not in text(browser), "the search, as one types"
        )
        assert "q=walnuts" in browser.current_url
        browser.find_element(By.LINK_TEXT, "Walnuts").click()
        until(browser, lambda: "Why it is here" in text(browser), "the message")
        assert "GTUBE" in text(browser)
        browser.find_element(By.LINK_TEXT, "As it looks").click()
        until(browser, lambda: browser.find_elements(By.TAG_NAME, "iframe"), "the preview")
        browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
        assert "Hello walnuts" in text(browser)
        margin = browser.find_element(By.TAG_NAME, "body").value_of_css_property("margin-left")
        assert margin == "16px", "our style sheet reaches into the sandbox, and nothing else does"
        browser.switch_to.default_content()
        assert "owned" not in browser.title
        quiet(browser)
        browser.find_element(By.XPATH, "//button[text()='Release']").click()
        until(browser, lambda: "1 message is released in 2 seconds" in text(browser), "the notice")
        pages.service.until(lambda: any(b"Subject: Walnuts" in one for one in pages.delivered), "the delivery")
        browser.get(f"{pages.url}/quarantine?q=state:released")
        assert "Walnuts" in text(browser)
        browser.get(f"{pages.url}/history?q=walnuts")
        assert "quarantine" in text(browser)
        quiet(browser)
    mail = next(one for one in pages.delivered if b"Subject: Walnuts" in one)
    assert b"X-Filterd-Release: v1;" in mail


def test_by_keyboard_alone_and_undone(pages: Pages) -> None:
    pages.send("bob@example.org", "Figs")
    with chromium() as browser:

        def press(*keys: str) -> None:
            for key in keys:
                ActionChains(browser).send_keys(key).perform()

        browser.get(f"{pages.url}/login")
        press("bob", Keys.TAB, PASSWORD, Keys.ENTER)
        until(browser, lambda: "Figs" in text(browser), "the quarantine")
        press("?")
        until(browser, lambda: "next and previous message" in text(browser), "the list of keys")
        press(Keys.ESCAPE, "j", "o")
        until(browser, lambda: "Why it is here" in text(browser), "the message")
        press("u")
        until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-row]"), "the list")
        press("j", "d")
        until(browser, lambda: "1 message was deleted" in text(browser), "the deletion")
        press("z")
        until(browser, lambda: "1 message is back" in text(browser), "the undoing")
        press("j", "b")
        until(browser, lambda: "From now on figs@shop.example is blocked" in text(browser), "the block")
        press("z")
        until(browser, lambda: "1 message is back" in text(browser), "the undoing of the block")
        press("/")
        assert browser.switch_to.active_element.get_attribute("name") == "q"
        press("figs", Keys.ENTER)
        until(browser, lambda: "q=figs" in browser.current_url, "the search")
        quiet(browser)


def test_taught_and_undone(pages: Pages) -> None:
    pages.send("ann@example.org", "Quinces")
    store = Store.open(pages.service.state, min_free=0)
    pages.service.until(lambda: answers(pages.service.state), "the learning process")
    try:
        before = store.labels.counts()
        with chromium() as browser:
            login(browser, pages, "ann")
            browser.get(f"{pages.url}/quarantine?q=quinces")
            browser.find_element(By.LINK_TEXT, "Quinces").click()
            until(browser, lambda: "Why it is here" in text(browser), "the message")
            ActionChains(browser).send_keys("s").perform()
            until(browser, lambda: "1 message was deleted. It was learnt." in text(browser), "the lesson")
            assert store.labels.counts().spam == before.spam + 1
            ActionChains(browser).send_keys("z").perform()
            until(browser, lambda: "1 message is back" in text(browser), "the undoing")
            assert store.labels.counts().spam == before.spam
            quiet(browser)
    finally:
        store.close()


def test_blocked_refused_and_taken_away_again(pages: Pages) -> None:
    pages.send("ann@example.org", "Raisins")
    with chromium() as browser:
        login(browser, pages, "ann")
        browser.get(f"{pages.url}/quarantine?q=raisins")
        browser.find_element(By.LINK_TEXT, "Raisins").click()
        until(browser, lambda: "Why it is here" in text(browser), "the message")
        browser.find_element(By.XPATH, "//button[text()='Block sender']").click()
        until(browser, lambda: "From now on raisins@shop.example is blocked" in text(browser), "the block")
        browser.find_element(By.LINK_TEXT, "Senders").click()
        until(browser, lambda: browser.find_elements(By.LINK_TEXT, "raisins@shop.example"), "the entry")
        pages.service.until(lambda: refused(pages, "ann@example.org", "Raisins"), "the refusal")
        assert not refused(pages, "bob@example.org", "Raisins")
        browser.find_element(By.CSS_SELECTOR, "[data-row] input[name=id]").click()
        browser.find_element(By.XPATH, "//button[text()='Remove']").click()
        until(browser, lambda: "1 was removed" in text(browser), "the removal")
        pages.service.until(lambda: not refused(pages, "ann@example.org", "Raisins"), "the mail")
        quiet(browser)


def refused(pages: Pages, to: str, subject: str) -> bool:
    """Is a good mail from that sender refused?"""
    raw = MAIL.format(name=subject.lower(), to=to, subject="Tomorrow", gtube="See you at nine.")
    try:
        with smtplib.SMTP(*pages.service.smtp, timeout=60) as client:
            client.sendmail("shop@shop.example", [to], raw)
    except smtplib.SMTPDataError as error:
        return error.smtp_code == 550
    return False


def test_two_users_do_not_see_each_other_s_mail(pages: Pages) -> None:
    pages.send("ann@example.org", "Secret")
    with chromium() as browser:
        login(browser, pages, "ann")
        browser.get(f"{pages.url}/quarantine?q=secret")
        path = browser.find_element(By.LINK_TEXT, "Secret").get_attribute("href")
        assert path
    with chromium() as browser:
        login(browser, pages, "bob")
        browser.get(f"{pages.url}/quarantine?q=secret")
        assert "Nothing is held here" in text(browser)
        browser.get(path)
        assert "it is not yours to see" in text(browser)
        assert "shop.example" not in text(browser)


def test_without_javascript(pages: Pages) -> None:
    pages.send("bob@example.org", "Olives")
    with chromium(javascript=False) as browser:
        login(browser, pages, "bob")
        box = browser.find_element(By.CSS_SELECTOR, "input[type=search]")
        box.send_keys("olives", Keys.ENTER)
        until(browser, lambda: "Olives" in text(browser), "the search")
        browser.find_element(By.CSS_SELECTOR, "input[name=id]").click()
        browser.find_element(By.XPATH, "//button[text()='Delete']").click()
        until(browser, lambda: "1 message was deleted" in text(browser), "the deletion")
        browser.find_element(By.XPATH, "//button[text()='Undo']").click()
        until(browser, lambda: "1 message is back" in text(browser), "the undoing")
        browser.find_element(By.LINK_TEXT, "Olives").click()
        until(browser, lambda: "Why it is here" in text(browser), "the message")
        browser.find_element(By.LINK_TEXT, "Source").click()
        until(browser, lambda: "Message-ID: <Olives@shop.example>" in text(browser), "the source")


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (False, True), (True, False)])
def test_everybody_can_use_it(pages: Pages, phone: bool, dark: bool) -> None:
    pages.send("bob@example.org", "Grapes")
    with chromium(phone=phone, dark=dark) as browser:
        browser.get(f"{pages.url}/login")
        assert serious(browser) == []
        login(browser, pages, "bob")
        message = browser.find_element(By.CSS_SELECTOR, ".subject a").get_attribute("href")
        for path in ("/quarantine?q=grapes", f"{message}", "/history", "/senders", "/account"):
            browser.get(path if path.startswith("http") else pages.url + path)
            assert serious(browser) == [], path
            wide = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} has to be moved sideways"
        quiet(browser)
