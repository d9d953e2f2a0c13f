"""Real Exim that asks the running service, in both variants, with the files of docs/examples."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cable import Cable
from tests.exim import Exim
from tests.serving import Serving, free_port

pytestmark = pytest.mark.peer("exim4")

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
HAM = (
    "From: Ann <ann@example.net>\r\nTo: user@example.org\r\nSubject: lunch\r\nX-Spam-Flag: YES\r\n"
    "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nShall we say one o'clock?\r\n..\r\n"
)
SPAM = HAM.replace("X-Spam-Flag: YES", "X-Spam-Flag: NO").replace("Shall we say", GTUBE + "\r\n")
VARIANTS = ["rspamd", "spamd"]


@dataclass(slots=True)
class Pair:
    exim: Exim
    service: Serving

    def send(self, message: str, *recipients: str) -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", self.exim.port, "client.example.net", 60, ("127.0.0.2", 0)) as client:
            client.ehlo()
            client.mail("ann@example.net")
            for recipient in recipients or ("user@example.org",):
                assert client.rcpt(recipient)[0] == 250
            return client.data(message.encode())

    @property
    def last(self) -> dict[str, str]:
        """The fields of the service's last line about a message."""
        line = [line for line in self.service.log if " info message " in line][-1]
        return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))


@contextmanager
def pair(
    variant: str, folder: Path, door: dict[str, Any] | None = None, cable: Cable | None = None, **settings: Any
) -> Iterator[Pair]:
    """The files of an example, with nothing changed but ports and folders.

    `cable` is laid between Exim and filterd.
    """
    example = EXAMPLES / f"exim-{variant}"
    listed = yaml.safe_load((example / "filterd.yaml").read_text())
    port = free_port()[1]
    (listener,) = listed.pop("listeners")
    listener["listen"] = [f"127.0.0.1:{port}", "127.0.0.1:0"][: len(listener["listen"]) if variant == "rspamd" else 1]
    service = Serving(folder, **listed, **settings)
    service.config["listeners"].append({**listener, **(door or {})})
    asked = cable.to(port) if cable else port
    main = (example / "main.conf").read_text().replace("127.0.0.1 11333", f"127.0.0.1 {asked}")
    main = main.replace("127.0.0.1 783", f"127.0.0.1 {asked}")
    with service, Exim(main=main, acl=(example / "acl.conf").read_text()) as exim:
        yield Pair(exim, service)


@pytest.mark.parametrize("variant", VARIANTS)
def test_ham_spam_two_recipients_and_an_outage(variant: str, tmp_path: Path) -> None:
    policies = [
        {
            "name": "strict",
            "recipients": ["strict@example.org"],
            "thresholds": {"tag": -100, "quarantine": -99, "reject": -98},
        }
    ]
    with pair(variant, tmp_path, policies=policies) as both:
        assert both.send(HAM)[0] == 250
        mail = both.exim.mail("user")
        assert "X-Spam-Score: " in mail
        assert "X-Spam-Flag" not in mail  # what the sender claimed is gone
        assert mail.endswith("Shall we say one o'clock?\n..\n\n")
        assert (both.last["action"], both.last["fate"]) == ("accept", "advised")
        assert both.last["from"] == "<ann@example.net>"
        assert both.last["to"] == "user@example.org"
        if variant == "rspamd":
            assert both.last["client"].startswith("127.0.0.2")

        code, text = both.send(SPAM, "junk@example.org")
        assert both.last["action"] == "quarantine"
        if variant == "rspamd":  # advised to be delivered marked
            assert code == 250
            assert "X-Spam-Flag: YES\n" in both.exim.mail("junk")
        else:  # this ACL refuses from 15 points on
            assert (code, text) == (550, b"Refused as unwanted mail")

        code, _ = both.send(HAM, "user@example.org", "strict@example.org")
        assert both.last["action"] == "reject"  # the stricter of two
        if variant == "rspamd":
            assert code == 550
        else:
            assert "X-Spam-Flag: YES\n" in both.exim.mail("strict")

        both.service.stop()
        assert both.send(HAM) == (451, b"Please try again later")


def test_what_is_quarantined_may_be_refused_instead(tmp_path: Path) -> None:
    with pair("rspamd", tmp_path, door={"quarantine_as": "reject"}) as both:
        assert both.send(SPAM) == (550, b"Refused as unwanted mail")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_page_shows_these_files(variant: str) -> None:
    page = (EXAMPLES.parent / "exim.md").read_text()
    assert all(path.read_text() in page for path in (EXAMPLES / f"exim-{variant}").iterdir())
