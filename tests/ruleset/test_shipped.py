"""The shipped rules as a set: how many, each with its cases, fair to every language, and cheap to try."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path

import pytest

from filterd.authentication import UNAUTHENTICATED
from filterd.facts import NOTHING
from filterd.findings import total
from filterd.resources import shipped
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.cases import make_mail
from filterd.yamlfile import Problem
from training.corpus import made_by_hand
from training.rules_report import findings_of, rules_alone

TAG = 500


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    return rules_alone()


def test_there_are_many_and_each_speaks(ruleset: Ruleset) -> None:
    spoken = [rule for rule in ruleset.rules if not rule.silent]
    assert len(spoken) >= 200
    assert [rule.name for rule in spoken if not rule.symbol.about.endswith(".")] == []


def test_each_has_messages_that_it_hits_and_misses(ruleset: Ruleset) -> None:
    problems: list[Problem] = []
    for rule in ruleset.rules:
        cases = ruleset.cases(rule, problems)
        assert {case.hits for case in cases} == {True, False}, rule.name
    assert problems == []


def test_none_decides_alone_without_saying_so(ruleset: Ruleset) -> None:
    assert [one.name for one in ruleset.rules if one.symbol.points >= TAG and not one.symbol.decisive] == []


def test_each_scores_something(ruleset: Ruleset) -> None:
    assert [one.name for one in ruleset.rules if not one.silent and one.symbol.points == 0] == []


def test_lists_say_where_they_come_from_and_when() -> None:
    for path in (shipped("rules") / "lists").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "# Source: " in text, path.name
        assert re.search(r"^# Date: \d{4}-\d\d-\d\d$", text, re.MULTILINE), path.name


def test_letters_of_people_and_notices_of_firms_are_no_spam_in_any_language(ruleset: Ruleset) -> None:
    """Made by hand: letters in English, Catalan, Spanish, Portuguese and Italian, notices in modern HTML."""
    items = [item for held_out in (False, True) for item in made_by_hand(held_out=held_out)]
    assert len(items) > 100
    scored = [(total(findings_of(item.made or b"", ruleset)), item.path.name) for item in items]
    assert [(points, name) for points, name in scored if points >= TAG] == []
    assert sum(points for points, _ in scored) < 150 * len(scored)


def test_the_test_file_for_scanners_is_found_where_it_is_decoded(ruleset: Ruleset) -> None:
    eicar = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    raw = (
        b"Subject: a file\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(eicar) + b"\r\n"
    )
    assert "EICAR" in {one.name for one in findings_of(raw, ruleset)}


HOSTILE = "Subject: x\r\n\r\n" + ("a" * 900 + "!\r\n") * 60


@pytest.mark.parametrize(
    ("pattern", "more"), [("(a+)+$", ""), ("(?<!b)(a+)+aaa$", "  backtracking: true\n")], ids=["linear", "backtracking"]
)
def test_a_catastrophic_pattern_costs_under_ten_milliseconds(pattern: str, more: str, tmp_path: Path) -> None:
    """CPU time of judging a body made for it, less that of judging it without the rule; the best of some."""

    def spent(when: str, more: str) -> float:
        (tmp_path / "site.yaml").write_text(
            f"- name: SITE\n  about: A rule.\n  score: 1\n  when: {when}\n{more}", "utf-8"
        )
        ruleset = Ruleset.load(RulesSettings(shipped=False, paths=(tmp_path,)))
        times = []
        for _ in range(7):
            mail = make_mail(HOSTILE.encode(), {})
            start = time.process_time()
            ruleset.judge(mail, NOTHING, UNAUTHENTICATED)
            times.append(time.process_time() - start)
        return min(times)

    plain = spent("{content: {contains: nowhere}}", "")
    assert spent(f"{{content: {{regex: '{pattern}'}}}}", more) - plain < 0.010
