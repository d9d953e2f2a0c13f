"""The pages in Chromium, over a real `filterd serve`: mail comes by SMTP, is seen, and leaves for its Maildir."""

from __future__ import annotations

import smtplib

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from filterd.learning.link import answers
from filterd.store import Store
from tests.frontends.web.browsing import MAIL, Pages, login, quiet, text, until
from tests.frontends.web.chromium import chromium
from tests.frontends.web.visitor import PASSWORD


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
