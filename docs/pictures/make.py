"""The pictures of the documentation: `python docs/pictures/make.py [FOLDER]` (`make pictures`).

Starts the demo, logs in by its link in Debian's Chromium, and photographs each page.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from PIL import Image
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from filterd.app.demo import Demo, running, send_all
from tests.frontends.web.chromium import chromium

HERE = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
COLOURS = 128  # of a picture, so that it is small


async def make() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as demo:
            async for _ in send_all(demo):
                pass
            await demo.service.store.flush()
            await asyncio.to_thread(photograph, demo)


def photograph(demo: Demo) -> None:
    base = f"http://{demo.web}"
    with chromium() as browser:
        browser.get(demo.link)
        browser.find_element(By.CSS_SELECTOR, "button.main").click()
        take(browser, "quarantine")
        ActionChains(browser).send_keys("j", "j", "r").perform()
        take(browser, "release")
        ActionChains(browser).send_keys("z").perform()
        take(browser, "undone", keep=False)
        message = browser.find_element(By.PARTIAL_LINK_TEXT, "account has been suspended").get_attribute("href")
        browser.get(str(message))
        take(browser, "message")
        browser.get(f"{base}/quarantine")
        ActionChains(browser).send_keys("j", "j", "j", "b").perform()
        take(browser, "blocked", keep=False)
        ActionChains(browser).send_keys("j", "j", "r").perform()
        take(browser, "released", keep=False)
        for page in ("senders", "review", "history", "overview"):
            browser.get(f"{base}/{page}")
            take(browser, page)
        session = browser.get_cookie("filterd")
    for name, options, path in (
        ("dark", {"dark": True}, message), ("phone", {"phone": True}, f"{base}/quarantine")
    ):  # fmt: skip
        with chromium(**options) as browser:
            browser.get(f"{base}/login")
            browser.add_cookie(session)
            browser.get(str(path))
            take(browser, name)


def take(browser: Chrome, name: str, *, keep: bool = True) -> None:
    time.sleep(0.7)  # for what moves
    if keep:
        path = HERE / f"{name}.png"
        browser.save_screenshot(str(path))
        Image.open(path).quantize(COLOURS).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(make())
