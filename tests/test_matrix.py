"""What becomes of the same six messages with every real peer and in every position that docs/ shows.

One row for each stand of tests/stands.py, one column for each message. clean, marked: in the mailbox, without or with
X-Spam-Flag. held: in filterd's quarantine. refused, later, queued: with whoever handed it in. The wire to the next
program breaks in the middle of the last message; when it is mended and the message is tried again, it arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cable import BREAK, Cable
from tests.serving import Serving, free_port
from tests.stands import CASES, EXAMPLES, PROGRAMS, STANDS, Program, Stand

MESSAGES = {path.stem: path.read_bytes().replace(b"\n", b"\r\n") for path in CASES.glob("*.eml")}
USER, STRICT = "user@example.org", "strict@example.org"
POLICIES = [{"name": "strict", "recipients": [STRICT], "thresholds": {"tag": -1000, "quarantine": -1000}}]

TABLE = """
position         ham    gtube    spam     eicar    two            broken
milter           clean  held     held     held     clean,held     later
before-queue     clean  held     held     held     clean,held     later
after-queue      clean  held     held     held     clean,held     queued
in-front         clean  held     held     held     clean,held     later
sendmail         clean  held     held     held     clean,held     later
exim-rspamd      clean  marked   marked   marked   marked,marked  later
exim-spamd       clean  refused  refused  refused  marked,marked  later
dovecot          clean  held     held     held     clean,held     later
submission       clean  held     held     held     clean,held     later
miltertest       clean  held     held     held     clean,held     later
spamc            clean  marked   marked   marked   clean,marked   later
rspamc           clean  marked   marked   marked   marked,marked  later
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()[1:]]


def played(stand: Stand, cable: Cable) -> list[str]:
    """The words of a row."""
    words = [stand.outcome(f"<{name}@", MESSAGES[name], USER) for name in ("ham", "gtube", "spam", "eicar")]
    words.append(stand.outcome("<two@", MESSAGES["ham"].replace(b"<ham@", b"<two@"), USER, STRICT))
    raw = MESSAGES["ham"].replace(b"<ham@", b"<broken@") + BREAK + b"\r\n"
    words.append(stand.outcome("<broken@", raw, USER, seconds=3.0))
    assert cable.breaks > 0
    cable.mend()
    assert stand.retried("<broken@", raw, USER) == ["clean"]
    return [",".join(word) for word in words]


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] in STANDS], ids=lambda row: row[0])
def test_mail_servers(row: list[str], tmp_path: Path) -> None:
    with Cable() as cable, STANDS[row[0]](row[0], tmp_path, cable, policies=POLICIES) as stand:
        assert played(stand, cable) == row[1:]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, dict[str, int]]]:
    """A service that programs ask, and the port of each protocol."""
    ports = {protocol: free_port()[1] for protocol, _ in PROGRAMS.values()}
    service = Serving(tmp_path_factory.mktemp("doors"), policies=POLICIES)
    for protocol, port in ports.items():
        service.config["listeners"].append({"protocol": protocol, "listen": f"127.0.0.1:{port}"})
    with service:
        yield service, ports


@pytest.mark.parametrize("row", [row for row in ROWS if row[0] in PROGRAMS], ids=lambda row: row[0])
def test_programs(row: list[str], doors: tuple[Serving, dict[str, int]]) -> None:
    service, ports = doors
    protocol, ask = PROGRAMS[row[0]]
    with Cable() as cable:
        assert played(Program(service, partial(ask, cable.to(ports[protocol]))), cable) == row[1:]


def test_the_page_shows_the_files_of_sendmail() -> None:
    page = (EXAMPLES.parent / "sendmail.md").read_text()
    assert not [path.name for path in (EXAMPLES / "sendmail").iterdir() if f"\n{path.read_text()}```" not in page]
