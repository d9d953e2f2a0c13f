"""Shipped rules, then the site's: what replaces what, what weighs what, what a rule does to the score."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from filterd.engine.loading import builtin_symbols
from filterd.findings import Finding, Symbol
from filterd.resources import shipped
from filterd.ruleset import RuleErrors, Ruleset, RulesSettings
from filterd.ruleset.reference import describe

HELLO = "From: a@example.com\nSubject: hello\n\nHello.\n"


def rule(name: str, more: str = "", when: str = "{subject: hello}", score: float = 1) -> str:
    return f"- name: {name}\n  about: A rule.\n  score: {score}\n  when: {when}\n{more}"


def points(findings: list[Finding]) -> dict[str, int]:
    return {finding.name: finding.points for finding in findings}


def test_the_same_name_replaces(tmp_path: Path, find) -> None:
    (tmp_path / "site.yaml").write_text(rule("TO_MISSING", score=0.7))
    ruleset = Ruleset.load(RulesSettings(paths=(tmp_path,)), builtin_symbols())
    assert points(find(ruleset, HELLO.replace("\n\n", "\nTo: b@example.org\n\n", 1)))["TO_MISSING"] == 70
    told = describe(ruleset, "TO_MISSING")
    assert told is not None
    assert told["source"] == f"{tmp_path}/site.yaml:1"
    assert told["replaces"][0].startswith("rules/headers.yaml:")


def test_a_later_folder_wins_and_a_missing_one_is_empty(tmp_path: Path, find) -> None:
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(rule("SITE", score=number + 1))
    paths = (tmp_path / "one", tmp_path / "two", tmp_path / "three")
    ruleset = Ruleset.load(RulesSettings(paths=paths, shipped=False))
    assert points(find(ruleset, HELLO)) == {"SITE": 200}


def test_disable_and_scores(load, find) -> None:
    extra = (Symbol("DATE_MISSING", 1.0, "x"),)
    text = rule("ONE") + rule("TWO") + rule("THREE", when="{found: ONE}") + rule("FOUR", when="{found: DATE_MISSING}")
    ruleset = load(text, extra=extra, disable=("ONE", "DATE_MISSING"), scores={"TWO": -0.25})
    assert points(find(ruleset, HELLO, found=(Finding("DATE_MISSING", 100),))) == {"TWO": -25}
    assert ruleset.weight("TWO") == -25
    assert ruleset.weight("DATE_MISSING") is None
    assert ruleset.disabled == {"ONE", "DATE_MISSING"}


def test_lists_replace_add_and_remove(load, find) -> None:
    text = rule("SITE", when="{from.domain: {in: good}}")
    lists = {"good": "example.com # ours\nexample.net\n", "good.add": "example.org\n", "good.remove": "example.com\n"}
    ruleset = load(text, lists)
    found = {
        domain: bool(find(ruleset, f"From: a@{domain}\n\nx\n"))
        for domain in ("example.com", "example.net", "example.org")
    }
    assert found == {"example.com": False, "example.net": True, "example.org": True}


@pytest.mark.parametrize(
    "host", ["evilgood.com", "good.com.evil.net", "good.co", "goodcom", "xgood.com", "good.com.evil"]
)
def test_a_domain_is_not_a_piece_of_text(load, find, host) -> None:
    ruleset = load(
        rule("SITE", when="{any: [{from.domain: {in: good}}, {from.address: {in: good}}, {link.host: {in: good}}]}"),
        {"good": "good.com\n"},
    )
    assert find(ruleset, f"From: a@{host}\n\nhttp://{host}/\n") == []
    assert find(ruleset, "From: a@MAIL.Good.com.\n\nx\n") or find(ruleset, "From: a@mail.good.com\n\nx\n")


def test_groups_have_caps(load, find) -> None:
    text = "- {group: words, cap: 1.5, about: Words.}\n" + "".join(
        rule(f"R{n}", "  group: words\n", when=f"{{content: {{contains: {w}}}}}")
        for n, w in enumerate(("hello", "hell", "ello"))
    )
    ruleset = load(text)
    found = find(ruleset, HELLO)
    assert points(found) == {"R0": 100, "R1": 100, "R2": 100, "WORDS_CAP": -150}
    assert found[-1].detail == "R0, R1, R2"
    assert "WORDS_CAP" in {symbol.name for symbol in ruleset.symbols}


def test_meta_rules_in_any_order_and_silent_ones(load, find) -> None:
    text = (
        rule("TOP", when="{found: MIDDLE}")
        + rule("MIDDLE", when="{found: [LOW, NONE]}")
        + rule("LOW", "  silent: true\n")
        + rule("NONE", when="{subject: no}")
    )
    assert points(find(load(text), HELLO)) == {"MIDDLE": 100, "TOP": 100}


def test_shadow_decisive_and_forced(load, find) -> None:
    text = (
        rule("SHADOW", score=0)
        + rule("DECIDES", "  decisive: true\n")
        + rule("REFUSES", "  force: {action: reject, text: No thanks}\n")
        + rule("KEEPS", "  force: quarantine\n")
    )
    ruleset = load(text)
    found = {finding.name: finding for finding in find(ruleset, HELLO)}
    assert found["SHADOW"].points == 0
    assert found["DECIDES"].decisive
    assert ruleset.forced(found.values()) == ("reject", "REFUSES", "No thanks")
    assert ruleset.forced([found["KEEPS"], found["SHADOW"]]) == ("quarantine", "KEEPS", "")
    assert ruleset.forced([found["SHADOW"]]) is None
    assert load(text, scores={"REFUSES": 0}).forced(find(load(text, scores={"REFUSES": 0}), HELLO)) == (
        "quarantine",
        "KEEPS",
        "",
    )


@pytest.mark.parametrize(
    ("applies", "given", "found"),
    [
        ("{direction: inbound}", {}, True),
        ("{direction: [outbound, internal]}", {}, False),
        ("{recipient: '*@example.org'}", {"recipients": ["x@EXAMPLE.org", "y@example.com"]}, True),
        ("{recipient: ['*@example.org']}", {"recipients": ["x@notexample.org.net"]}, False),
        ("{listener: 'smtp *'}", {"listener": "smtp 127.0.0.1:25"}, True),
        ("{listener: 'milter *'}", {"listener": "smtp 127.0.0.1:25"}, False),
    ],
)
def test_applies(load, find, applies, given, found) -> None:
    assert bool(find(load(rule("SITE", f"  applies: {applies}\n")), HELLO, **given)) is found


def test_the_hash_is_of_what_judges(tmp_path: Path) -> None:
    def hashed(**settings: object) -> str:
        return Ruleset.load(RulesSettings(paths=(tmp_path,), **settings), builtin_symbols()).hash

    (tmp_path / "a.yaml").write_text(rule("SITE"))
    first = hashed()
    (tmp_path / "a.yaml").write_text("# a comment\n" + rule("SITE", "  misses: []\n"))
    assert hashed() == first
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert hashed() == first
    different = {first, hashed(scores={"SITE": 2.0}), hashed(disable=("SITE",))}
    (tmp_path / "b.yaml").write_text(rule("SITE", score=1.5))
    different.add(hashed())
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "freemail.add.txt").write_text("example.net\n")
    different.add(hashed())
    assert len(different) == 5


def test_a_bad_set_is_refused_whole(tmp_path: Path) -> None:
    shutil.copytree(shipped("rules"), tmp_path / "rules")
    (tmp_path / "rules" / "zz.yaml").write_text(rule("SITE", when="{subject: {regex: '('}}"))
    with pytest.raises(RuleErrors, match=r"zz\.yaml:4: the pattern cannot be used"):
        Ruleset.load(RulesSettings(paths=(tmp_path / "rules",), shipped=False), builtin_symbols())
