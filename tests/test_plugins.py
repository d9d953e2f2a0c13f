"""Checks and probes of other packages: really installed beside filterd, in its workers too; and their conformance."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import filterd
from filterd.authentication import Authentication
from filterd.checks import CHECKS
from filterd.facts import Facts, Questions
from filterd.findings import Check, Finding, Symbol, check
from filterd.mail import Mail
from filterd.probes import Net
from filterd.testing import check_check, check_probe

GOOD = '''
from filterd.findings import Symbol, check

LOUD = Symbol("LOUD_SUBJECT", 2.5, "The subject is all capital letters.")

@check(LOUD)
def loud(mail, facts, auth):
    """Does the subject shout?"""
    if mail.message.subject.isupper():
        yield LOUD.found(mail.message.subject[:20])

async def scanner(questions, net):
    return {"infected": True, "host": questions.origin.address}
'''


class Installed:
    """A Python of its own that has filterd, what it needs, and one more package."""

    def __init__(self, folder: Path, code: str, points: str) -> None:
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / "bin" / "python"
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        needed = [path for path in sys.path if path.endswith("site-packages")]
        (site / "all.pth").write_text("\n".join([str(Path(filterd.__file__).parents[1]), *needed]))
        (site / "extra.py").write_text(code)
        info = site / "extra_checks-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-checks\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(textwrap.dedent(points))
        self.config = folder / "filterd.yaml"
        self.rules = folder / "rules.d"
        self.rules.mkdir()
        self.config.write_text(f"hostname: mx.example.org\nstate: {folder}\nrules: {{paths: [{self.rules}]}}\n")

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.python, "-m", "filterd", *arguments, "-c", self.config],
            input=stdin,
            capture_output=True,
            check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )


def test_an_installed_package_adds_a_check_and_a_probe(tmp_path: Path) -> None:
    points = "[filterd.checks]\nloud = extra:loud\n[filterd.probes]\nscanner = extra:scanner\n"
    installed = Installed(tmp_path, GOOD, points)
    (installed.rules / "own.yaml").write_text(
        "- {name: SCANNER, about: It says so., score: 4, decisive: true,\n"
        "   when: {program.scanner: {contains: '\"infected\": true'}}}\n"
    )
    listed = json.loads(installed.run("rules", "list", "--json").stdout)
    (row,) = (one for one in listed if one["name"] == "LOUD_SUBJECT")
    assert (row["score"], row["source"]) == (2.5, "extra")
    mail = b"From: a@a.example\r\nSubject: BUY NOW\r\n\r\nhello\r\n"
    done = installed.run("scan", "--json", "--jobs", "2", "--ip", "192.0.2.9", "-", stdin=mail)
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert (found["LOUD_SUBJECT"]["score"], found["LOUD_SUBJECT"]["detail"]) == (2.5, "BUY NOW")
    assert "SCANNER" in found
    installed.config.write_text(installed.config.read_text() + "policies: [{name: p, rules_off: [LOUD_SUBJECT]}]\n")
    assert b"good" in installed.run("config", "check").stdout


@pytest.mark.parametrize(
    ("code", "point", "said"),
    [
        ("x = 1", "extra:x", "a check is made with filterd.findings.check, and this is int"),
        ("x = 1", "extra:y", "AttributeError: module 'extra' has no attribute 'y'"),
        ("raise RuntimeError('no licence')", "extra:x", "RuntimeError: no licence"),
        (
            GOOD.replace("LOUD_SUBJECT", "loud-subject"),
            "extra:loud",
            "'loud-subject': a symbol's name is capital letters",
        ),
        (GOOD.replace("2.5", "2.555"), "extra:loud", "a score is from -100 to 100, with at most two decimals"),
        (GOOD.replace("LOUD_SUBJECT", "DATE_MISSING"), "extra:loud", "DATE_MISSING, which is a name of filterd's own"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(code: str, point: str, said: str, tmp_path: Path) -> None:
    installed = Installed(tmp_path, code, f"[filterd.checks]\nloud = {point}\n")
    done = installed.run("scan", "--jobs", "2", "-", stdin=b"Subject: x\r\n\r\n")
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    if "own" not in said:
        assert "the package extra-checks, filterd.checks: loud" in done.stderr.decode()


FOUND = Symbol("PLUGIN_FOUND", 1.0, "Found by a plugin.")


@pytest.mark.parametrize("one", CHECKS, ids=lambda one: one.name)
def test_our_own_checks_conform(one: Check) -> None:
    renamed = {symbol.name: f"OWN_{symbol.name}" for symbol in one.symbols}

    @check(*(Symbol(renamed[symbol.name], symbol.score, symbol.about) for symbol in one.symbols))
    def same(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
        for found in one(mail, facts, auth):
            yield Finding(renamed[found.name], found.points, found.about, found.detail)

    check_check(same)


def raises(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    yield FOUND.found(mail.message.headers.all("From")[0].text)


def undeclared(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    yield Symbol("OTHER_NAME", 1.0, "Other.").found()


def moody(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    yield FOUND.found(str(random.random()))


def curious(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    with open("/etc/hostname", "rb"):
        yield FOUND.found()


def halves(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    points: Any = 1.5
    yield Finding(FOUND.name, points)


def lines(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    yield FOUND.found("two\nlines")


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (raises, "raises IndexError"),
        (undeclared, "raises UndeclaredSymbol"),
        (moody, "does not find the same twice"),
        (curious, "asks the outside world"),
        (halves, "whole hundredths"),
        (lines, "one printable line"),
    ],
)
def test_what_does_not_conform_is_said(look: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_check(check(FOUND)(look))


def test_declarations_are_looked_at_too() -> None:
    with pytest.raises(AssertionError, match="filterd has a symbol of that name"):
        check_check(CHECKS[0])
    with pytest.raises(AssertionError, match="at least one symbol"):
        check_check(Check("x", (), raises))


async def honest(questions: Questions, net: Net) -> Any:
    return {"status": (await net.dns.txt("example.org")).status.value}


async def wordless(questions: Questions, net: Net) -> Any:
    return object()


async def chatty(questions: Questions, net: Net) -> Any:
    return "x" * 200_000


def test_probes_conform() -> None:
    check_probe(honest)
    for probe, said in ((wordless, "what JSON can say"), (chatty, "at most 100000 characters")):
        with pytest.raises(AssertionError, match=said):
            check_probe(probe)
