"""Two recipients with different outcomes, at every door: the table of docs/doors.md, a test for each of its cells.

Real doors on loopback; the filter decides by the recipient's name, and what follows is the engine's own. A word for
each recipient says what became of his copy: clean, marked, held, gone, or the reply that he alone got.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from pathlib import Path

import pytest

from filterd.decision import Action
from tests.frontends import milter_kit, smtp_kit
from tests.frontends.advising import MAIL, Verdicts, ask, http, opened, spamd

PAGE = Path(__file__).parents[2] / "docs" / "doors.md"

#  one         another     SMTP            LMTP             milter          spamd, HTTP
TABLE = """
   accept      tag         clean,marked    clean,marked     marked,marked   tag
   accept      quarantine  clean,held      clean,held       clean,held      quarantine
   tag         quarantine  marked,held     marked,held      marked,held     quarantine
   accept      discard     clean,gone      clean,gone       clean,gone      discard
   tag         discard     marked,gone     marked,gone      marked,gone     discard
   accept      defer       clean,held      clean,451        clean,held      defer
   tag         defer       marked,held     marked,451       marked,held     defer
   accept      reject      clean,held      clean,550        clean,held      reject
   tag         reject      marked,held     marked,550       marked,held     reject
   quarantine  discard     held,gone       held,gone        held,gone       discard
   quarantine  defer       held,held       held,451         held,held       defer
   discard     defer       gone,held       gone,451         gone,held       defer
   quarantine  reject      held,held       held,550         held,held       reject
   discard     reject      gone,held       gone,550         gone,held       reject
   defer       reject      held,held       451,550          held,held       reject
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = [tuple(row[:2]) for row in ROWS]


def sieve() -> milter_kit.Sieve:
    """A recipient's name says what is decided for him; a tag is what the score makes of it."""
    return milter_kit.Sieve(
        action=lambda who: Action(who.partition("@")[0]), tag_at=lambda who: -1 if who.startswith("tag") else 500
    )


def word(name: str, code: str, passed: dict[str, bytes], held: list[str]) -> str:
    if name in passed:
        return "marked" if b"X-Spam-Flag: YES" in passed[name] else "clean"
    return "held" if name in held else "gone" if code == "250" else code


async def by_smtp(names: tuple[str, ...], *, lmtp: bool) -> str:
    filter = sieve()
    async with smtp_kit.serving(filter=filter, lmtp=lmtp) as kit, kit.client() as client:
        await client.ask(f"{'LHLO' if lmtp else 'EHLO'} client.example")
        first = await client.mail(MAIL, *(f"{name}@example.org" for name in names))
        codes = [first[:3], (await client.reply())[:3]] if lmtp else [first[:3]] * 2
        passed = {one.address.partition("@")[0]: mail.message for mail in kit.hop.delivered for one in mail.recipients}
    held = [one.recipient.partition("@")[0] for one in filter.keeper.held]
    return ",".join(word(name, code, passed, held) for name, code in zip(names, codes, strict=True))


async def by_milter(names: tuple[str, ...]) -> str:
    filter = sieve()
    async with milter_kit.serving(filter=filter) as kit, kit.mta() as mta:
        answer = await mta.mail(MAIL, *(f"{name}@example.org" for name in names))
    left = [] if answer.letter == "d" else [one.partition("@")[0] for one in answer.recipients]
    assert answer.letter in "cd"
    held = [one.recipient.partition("@")[0] for one in filter.keeper.held]
    return ",".join(word(name, "250", dict.fromkeys(left, answer.header), held) for name in names)


async def by_http(names: tuple[str, ...]) -> str:
    rcpt = b"".join(b"Rcpt: %s@example.org\r\n" % name.encode() for name in names)
    head = b"POST /checkv2 HTTP/1.0\r\n%bContent-Length: %d\r\n\r\n" % (rcpt, len(MAIL))
    async with opened(http(filter=Verdicts(action=lambda who: Action(who.partition("@")[0])))) as port:
        _, _, body = (await ask(port, head + MAIL)).partition(b"\r\n\r\n")
    return str(json.loads(body)["filterd"]["action"])


async def by_spamd(names: tuple[str, ...]) -> str:
    """Its `Spam:` line, or the exit code that stands for no verdict."""
    stamps = b"From a@example.net\nX-Envelope-To: %s\n"  # as Exim puts them above a message
    body = stamps % ", ".join(f"{name}@example.org" for name in names).encode() + MAIL
    head = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(body)
    async with opened(spamd(filter=Verdicts(action=lambda who: Action(who.partition("@")[0])))) as port:
        status, _, rest = (await ask(port, head + body)).partition(b"\r\n")
    return rest.split()[1].decode() if status.endswith(b" 0 EX_OK") else status.split()[1].decode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:2]))
def test_a_row(row: list[str]) -> None:
    one, another, *cells = row

    async def main() -> list[str]:
        names = (one, another)
        smtp = [await by_smtp(names, lmtp=lmtp) for lmtp in (False, True)]
        advice = await by_http(names)
        assert await by_spamd(names) == ("75" if advice == "defer" else "True"), "docs/doors.md has the words"
        return [*smtp, await by_milter(names), advice]

    assert asyncio.run(main()) == cells


def test_every_pair_has_a_row_here_and_on_the_page() -> None:
    order = ["accept", "tag", "quarantine", "discard", "defer", "reject"]
    assert set(PAIRS) == set(itertools.combinations(order, 2))
    rows = re.findall(r"^\| ([a-z ]+) \| ([a-z]+) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    shown = [(one, another) for left, another in rows for one in left.split(" or ")]
    assert [pair for pair in shown if pair in PAIRS] == PAIRS
