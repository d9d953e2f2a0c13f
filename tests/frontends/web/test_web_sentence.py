"""The whole sentence in Chromium: log in, search, read, release, find it at the next hop, teach, see the same kind of
message pass, undo, and see the kind held again. By keyboard alone, on a phone, and without JavaScript.
"""

from __future__ import annotations

import re

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from filterd.learning.link import answers
from tests.frontends.web.browsing import Pages, quiet, text, until
from tests.frontends.web.chromium import chromium
from tests.frontends.web.visitor import PASSWORD

# The words differ from one test to the next: held over and over, a text would be known as spam.
KIND = """\
From: Orchard offers <offers@{orchard}.example>
To: bob@example.org
Subject: Cheap {fruit}, order now!!!
Message-ID: <{fruit}@{orchard}.example>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<html><body><h1>Cheap {fruit}, order now!!!</h1><p>Dear {orchard} customer, click here to buy now: our {orchard} offer
of {fruit} is 100% free at {orchard}, limited time only, act now! Order cheap {fruit} online, no {orchard} prescription
required, best price guaranteed at {orchard}.</p>
<p>You were selected by {orchard} as a winner. <a href="http://{orchard}.example/{fruit}">Click here to claim it</a></p>
<p>To unsubscribe {orchard} <a href="http://{orchard}.example/u/{fruit}">click here</a></p></body></html>
"""


class Mouse:
    """Links and buttons."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def log_in(self, name: str) -> None:
        self.browser.find_element(By.NAME, "name").send_keys(name)
        self.browser.find_element(By.NAME, "password").send_keys(PASSWORD)
        self.button("Log in")

    def search(self, words: str) -> None:
        def typed() -> bool:
            box = self.browser.find_element(By.CSS_SELECTOR, "input[type=search]")
            box.clear()
            box.send_keys(words, Keys.ENTER)
            return True

        until(self.browser, typed, "the search box")

    def open(self, subject: str) -> None:
        self._click(By.PARTIAL_LINK_TEXT, subject)

    def button(self, name: str) -> None:
        self._click(By.XPATH, f"//button[text()='{name}']")

    def _click(self, by: str, what: str) -> None:
        until(self.browser, lambda: self.browser.find_element(by, what).click() is None, what)


class Keyboard(Mouse):
    """Nothing but keys, from the login on."""

    KEYS = {"Release": "r", "Not spam": "h", "Undo": "z"}

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.browser).send_keys(key).perform()

    def log_in(self, name: str) -> None:
        self.press(name, Keys.TAB, PASSWORD, Keys.ENTER)

    def search(self, words: str) -> None:
        self.press("/", words, Keys.ENTER)

    def open(self, subject: str) -> None:
        def opened() -> bool:  # again, where the list was just about to be another one
            self.press("j")
            if subject in self.browser.switch_to.active_element.text:
                self.press("o")
            return "Why it is here" in text(self.browser)

        until(self.browser, opened, "the message that stands alone in the list")

    def button(self, name: str) -> None:
        self.press(self.KEYS[name])


@pytest.mark.parametrize(
    ("hands", "options"),
    [(Keyboard, {}), (Mouse, {"phone": True, "dark": True}), (Mouse, {"javascript": False})],
    ids=["keyboard", "phone", "without-javascript"],
)
def test_the_whole_sentence(pages: Pages, hands: type[Mouse], options: dict[str, bool]) -> None:
    orchard = re.sub(r"\W", "", hands.__name__ + "".join(options)).lower()
    pages.service.until(lambda: answers(pages.service.state), "the learning process")

    def send(fruit: str) -> str:
        pages.deliver("bob@example.org", KIND.format(fruit=fruit, orchard=orchard))
        return f"<{fruit}@{orchard}.example>"

    walnuts, _ = send("walnuts"), send("almonds")
    with chromium(**options) as browser:
        on = hands(browser)
        browser.get(f"{pages.url}/login")
        on.log_in("bob")
        until(browser, lambda: "Cheap almonds" in text(browser), "the quarantine")

        on.search(f"walnuts@{orchard}")
        until(browser, lambda: "almonds" not in text(browser) and "Cheap walnuts" in text(browser), "the search")
        on.open("Cheap walnuts")
        until(browser, lambda: "Why it is here" in text(browser), "the message")
        assert "the score, which is their sum" in text(browser)
        assert "best price guaranteed" in text(browser)

        on.button("Release")
        until(browser, lambda: "1 message is released in 2 seconds." in text(browser), "the notice")
        pages.service.until(lambda: pages.arrived(walnuts), "the message at the next hop")

        on.search(f"almonds@{orchard}")
        until(browser, lambda: "Cheap almonds" in text(browser), "the other one")
        on.open("Cheap almonds")
        until(browser, lambda: "Why it is here" in text(browser), "the other message")
        on.button("Not spam")
        until(browser, lambda: "It was learnt." in text(browser), "the lesson")
        assert pages.arrived(send("cherries")), "the same kind of message passes"

        on.button("Undo")
        until(browser, lambda: "What it taught was taken back." in text(browser), "the undoing")
        assert not pages.arrived(send("grapes")), "the kind is held again"
        on.search(f"grapes@{orchard}")
        until(browser, lambda: "Cheap grapes" in text(browser), "it in the quarantine")
        if options.get("javascript", True):
            quiet(browser)
