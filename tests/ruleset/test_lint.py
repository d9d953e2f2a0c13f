"""Each lint message has a case: a file whose first line says what must be found, with its line where it has one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from filterd.engine.loading import builtin_symbols
from filterd.resources import shipped
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.lint import lint

CASES = sorted((Path(__file__).parents[1] / "cases" / "ruleset" / "lint").glob("*.yaml"))


def problems(folder: Path, **settings) -> list[str]:
    return [str(one) for one in lint(RulesSettings(paths=(folder,), **settings), builtin_symbols())]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_each_mistake_is_said_at_its_place(case: Path, tmp_path: Path) -> None:
    shutil.copy(case, tmp_path / "site.yaml")
    expected = case.read_text().splitlines()[0].removeprefix("# ")
    line, _, text = expected.partition(": ")
    wanted = f"{tmp_path}/site.yaml:{line}: {text}" if line.isdigit() else expected
    found = problems(tmp_path)
    assert any(wanted in problem for problem in found), found


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    one = "- name: {}\n  about: a\n  score: {}\n  when: {{{}}}\n"
    (tmp_path / "a.yaml").write_text(one.format("A_RULE", "x", "subjct: y") + one.format("B_RULE", 1, "found: A_RULEE"))
    assert [problem.rpartition("a.yaml:")[2][:2] for problem in problems(tmp_path)] == ["3:", "4:", "8:"]


def test_a_file_that_would_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "site.yml").write_text("- name: x\n")
    assert problems(tmp_path) == [
        f"{tmp_path}/site.yml: would not be read: rules are in *.yaml, lists in lists/, cases in cases/"
    ]


def test_names_in_the_overlay() -> None:
    settings = RulesSettings(disable=("REPLYTO_FREEMAL",), scores={"DATE_MISING": 1, "HEADERS_CAP": 1})
    assert [str(one) for one in lint(settings, builtin_symbols())] == [
        "rules.disable: unknown rule or check REPLYTO_FREEMAL; did you mean REPLYTO_FREEMAIL?",
        "rules.scores: unknown rule or check DATE_MISING; did you mean DATE_MISSING?",
        "rules.scores: HEADERS_CAP is the cap of a group; its points follow from the cap",
    ]


def test_lists_without_effect(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "shorteners.add.txt").write_text("www.bit.ly\nbit.ly # again\n")
    (tmp_path / "lists" / "none.add.txt").write_text("x\n")
    (tmp_path / "lists" / "idle.txt").write_text("x\n")
    (tmp_path / "lists" / "Strange Name.txt").write_text("x\n")
    found = problems(tmp_path)
    assert f"{tmp_path}/lists/none.add.txt: there is no list none to adjust" in found
    assert f"{tmp_path}/lists/Strange Name.txt: a list's name is lower-case letters, digits, - and _" in found
    for path in ("none.add.txt", "Strange Name.txt"):
        (tmp_path / "lists" / path).unlink()
    assert problems(tmp_path) == [
        f"{tmp_path}/lists/idle.txt: no rule uses the list idle",
        f"{tmp_path}/lists/shorteners.add.txt:1: www.bit.ly has no effect: bit.ly is on the list",
        f"{tmp_path}/lists/shorteners.add.txt:2: bit.ly has no effect: bit.ly is on the list",
    ]


LISTS = """
- {name: BY_ADDRESS, about: On it., score: 1, when: {from.address: {in: people}}}
- {name: BY_NETWORK, about: On it., score: 1, when: {client.address: {in: networks}}}
- {name: BY_DOMAIN, about: On it., score: 1, when: {from.domain: {in: both}}}
- {name: BY_TEXT, about: On it., score: 1, when: {header.x-word: {in: both}}}
"""


def test_entries_that_are_nothing_of_their_kind_are_said_where_they_stand(tmp_path: Path) -> None:
    rule = "- {{name: {0}, about: A rule., score: 1, when: {{{1}: {{in: {2}}}}}}}\n"
    asked = [("from.domain", "hosts"), ("from.address", "people"), ("client.address", "nets")]
    lines = [rule.format(f"SITE_{number}", field, words) for number, (field, words) in enumerate(asked)]
    (tmp_path / "site.yaml").write_text("".join(lines))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "hosts.txt").write_text("good.example\nnot a host\nhttp://x.example/\n")
    (tmp_path / "lists" / "people.txt").write_text(
        "ann@good.example\n<bob@good.example>\n*@fine.example\nc*@x.example\n"
    )
    (tmp_path / "lists" / "nets.txt").write_text("192.0.2.0/24\n10.0.0.1/24\n")
    (tmp_path / "lists" / "none.txt").write_bytes(b"fine\n\xff\n")
    (tmp_path / "lists" / "freemial.add.txt").write_text("x.example\n")
    assert problems(tmp_path) == [
        f"{tmp_path}/lists/freemial.add.txt: there is no list freemial to adjust; did you mean freemail?",
        f"{tmp_path}/lists/hosts.txt:2: not a host is not a domain",
        f"{tmp_path}/lists/hosts.txt:3: http://x.example/ is not a domain",
        f"{tmp_path}/lists/nets.txt:2: not a network: 10.0.0.1/24 has host bits set",
        f"{tmp_path}/lists/none.txt:2: not UTF-8 text",
        f"{tmp_path}/lists/people.txt:2: <bob@good.example> is not an address",
        f"{tmp_path}/lists/people.txt:4: c*@x.example is not an address",
    ]


def test_an_empty_list_is_doubtful(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("- {name: SITE, about: A rule., score: 1, when: {from.domain: {in: ours}}}\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "ours.txt").write_text("# nobody yet\n")
    assert problems(tmp_path) == [f"{tmp_path}/lists/ours.txt: nothing is on the list ours"]


def test_a_score_of_the_site_that_decides_alone() -> None:
    settings = RulesSettings(scores={"DATE_MISSING": 9})
    assert [str(one) for one in lint(settings, builtin_symbols())] == [
        "rules.scores: DATE_MISSING alone reaches the tag threshold, 5"
    ]


def test_scores_have_two_decimals() -> None:
    with pytest.raises(ValidationError, match="two decimals"):
        RulesSettings(scores={"DATE_MISSING": 1.234})


def test_a_broken_group_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("- {group: money, kap: 3}\n")
    assert problems(tmp_path) == [
        f"{tmp_path}/site.yaml:1: unknown key kap; did you mean cap?",
        f"{tmp_path}/site.yaml:1: a group has a cap; this one has none",
    ]


def test_entries_that_lie_within_others(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "own.yaml").write_text(LISTS)
    people = ["jo@good.example", "@good.example", "x@mail.good.example", "jo@evilgood.example", "mail.good.example"]
    (tmp_path / "lists" / "people.txt").write_text("\n".join(people))
    (tmp_path / "lists" / "networks.txt").write_text(
        "192.0.2.7\n192.0.2.0/24\n192.0.0.0/16\n2001:db8::1\n198.51.100.0/24\n"
    )
    (tmp_path / "lists" / "both.txt").write_text("good.example\nmail.good.example\n")  # as a word, the second counts
    assert problems(tmp_path) == [
        f"{tmp_path}/lists/networks.txt:1: 192.0.2.7 has no effect: 192.0.2.0/24 is on the list",
        f"{tmp_path}/lists/networks.txt:2: 192.0.2.0/24 has no effect: 192.0.0.0/16 is on the list",
        f"{tmp_path}/lists/people.txt:1: jo@good.example has no effect: @good.example is on the list",
        f"{tmp_path}/lists/people.txt:3: x@mail.good.example has no effect: mail.good.example is on the list",
        f"{tmp_path}/lists/people.txt:5: mail.good.example has no effect: @good.example is on the list",
    ]


def test_a_rule_about_a_disabled_rule(tmp_path: Path) -> None:
    found = problems(tmp_path / "none", disable=("ATTACHED_PAGE",))
    assert any("PHISH_WITH_LINK asks about ATTACHED_PAGE, which is disabled" in problem for problem in found)


def test_the_shipped_rules_are_clean() -> None:
    assert lint(RulesSettings(), builtin_symbols()) == []


def test_the_shipped_rules_keep_their_promises() -> None:
    ruleset = Ruleset.load(RulesSettings(), builtin_symbols())
    assert len(ruleset.rules) >= 60
    for rule in ruleset.rules:
        cases = ruleset.cases(rule, [])
        assert {case.hits for case in cases} == {True, False}, f"{rule.name} wants a hit and a miss"
        assert rule.symbol.decisive or rule.symbol.points < 500, rule.name
        assert rule.symbol.about.endswith("."), rule.name


def test_shipped_lists_say_where_they_come_from() -> None:
    for path in (shipped("rules") / "lists").glob("*.txt"):
        head = path.read_text().splitlines()[:3]
        assert [line.split(":")[0] for line in head[1:]] == ["# Source", "# Date"], path.name
