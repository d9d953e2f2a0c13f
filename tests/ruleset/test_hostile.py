"""Hostile mail against rules, and hostile rules against the host."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as example
from hypothesis import strategies as st

from filterd.engine.loading import builtin_symbols
from filterd.ruleset import RuleErrors, Ruleset, RulesSettings
from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.view import MAX_TIMEOUTS, MAX_VALUES


def rule(when: str, more: str = "", name: str = "SITE") -> str:
    return f"- name: {name}\n  about: A rule.\n  score: 1\n  when: {when}\n{more}"


def seconds(call) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_catastrophic_pattern_is_linear(load, find, pattern) -> None:
    ruleset = load(rule(f"{{text: {{regex: '{pattern}'}}}}"))
    short, long = ("Subject: x\n\n" + "a" * size + "!\n" for size in (10_000, 200_000))
    find(ruleset, short)
    quick = seconds(lambda: find(ruleset, short))
    assert seconds(lambda: find(ruleset, long)) < 20 * 10 * max(quick, 0.001)


def test_a_backtracking_pattern_has_a_time_budget_and_is_named(load, find) -> None:
    text = "".join(
        rule(f"{{text: {{regex: '(?<!b)(a+)+\\1zebra{n}$'}}}}", "  backtracking: true\n", f"SLOW_{n}")
        for n in range(1, 9)
    )
    ruleset = load(text)
    message = "Subject: x\n\n" + "".join(f"{'a' * 4000}y zebra{n}\n" for n in range(1, 9))
    spent = seconds(lambda: find(ruleset, message))
    timeouts = [one.detail for one in find(ruleset, message) if one.name == "RULE_TIMEOUT"]
    assert 1 <= len(timeouts) <= MAX_TIMEOUTS
    assert all(name.startswith("SLOW_") for name in timeouts)
    assert spent < 0.5


def test_a_backtracking_pattern_runs_only_after_its_literals(load, find) -> None:
    ruleset = load(rule("{content: {regex: 'free (?=gift|prize)\\w+'}}", "  backtracking: true\n"))
    (pattern,) = ruleset.loaded.patterns
    assert pattern.slow is not None
    assert [one.detail for one in find(ruleset, "Subject: x\n\nA free gift.\n")] == ["free gift"]
    assert find(ruleset, "Subject: x\n\nA free lunch.\n") == []


def test_a_sign_that_fails_leaves_its_rule_to_be_asked(load, find) -> None:
    ruleset = load(rule("{spf: none}") + rule("{subject: x}", name="GOOD"))

    def broken(view: object) -> bool:
        raise RuntimeError("no")

    assert ruleset._signs
    ruleset._signs = tuple((name, broken) for name, _ in ruleset._signs)
    assert {one.name for one in find(ruleset, "Subject: x\n\nHello.\n")} == {"SITE", "GOOD"}


def test_a_rule_that_fails_is_a_finding(load, find, monkeypatch) -> None:
    ruleset = load(rule("{size: {above: 1}}") + rule("{subject: x}", name="GOOD"))

    def broken(view: object) -> str:
        raise RuntimeError("no")

    bad = ruleset.rules[[one.name for one in ruleset.rules].index("SITE")]
    object.__setattr__(bad, "holds", broken)
    found = {one.name: one.detail for one in find(ruleset, "Subject: x\n\nHello.\n")}
    assert found == {"RULE_FAILED": "SITE: RuntimeError: no", "GOOD": "x"}


def test_a_field_that_fails_is_a_finding(load, find, monkeypatch) -> None:
    field = CATALOGUE.fields["subject"]
    object.__setattr__(field, "read", lambda view: 1 / 0)
    try:
        found = find(load(rule("{subject: {contains: x}}")), "Subject: x\n\nHello.\n")
    finally:
        object.__setattr__(field, "read", lambda view: view.message.subject or None)
    assert [one.detail for one in found] == ["field subject: ZeroDivisionError: division by zero"]


HOSTILE = {
    "headers": b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\nx",
    "links": b"Subject: x\r\n\r\n" + b"http://a.example/ " * 20_000,
    "text": b"Subject: x\r\n\r\n" + b"free gift card click here " * 40_000,
    "spaces": b"Subject: x\r\n\r\n" + b" " * 1_000_000,
    "subject": b"Subject: " + b"A ! " * 20_000 + b"\r\n\r\nx",
    "addresses": b"To: " + b"a@b.example, " * 5_000 + b"\r\nFrom: " + b"x" * 50_000 + b"@y\r\n\r\nx",
    "bytes": bytes(range(256)) * 400,
    "html": b"Content-Type: text/html\r\n\r\n"
    + b"<a href='http://x.example/'>pay</a><p style='font-size:0'>x</p>" * 3_000,
    "surrogates": "Subject: \ud800 \udfff\r\n\r\n\U0001d400\u202e".encode("utf-8", "surrogatepass"),
    "empty": b"",
}


@pytest.fixture(scope="module")
def everything() -> Ruleset:
    return Ruleset.load(RulesSettings(), builtin_symbols())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_judged_without_failing(everything, find, name) -> None:
    spent = seconds(lambda: find(everything, HOSTILE[name]))
    assert not [one for one in find(everything, HOSTILE[name]) if one.name in ("RULE_FAILED", "RULE_TIMEOUT")]
    assert spent < 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@example(st.binary(max_size=2_000))
def test_no_bytes_make_a_rule_fail(everything, find, raw) -> None:
    assert not [one for one in find(everything, raw) if one.name == "RULE_FAILED"]


def test_values_are_bounded(load, find) -> None:
    (found,) = find(load(rule("{header.x: {count: {at_least: 1}}}")), b"X: a\r\n" * 50_000 + b"\r\n")
    assert int(found.detail.split()[0]) <= MAX_VALUES


@pytest.mark.parametrize(
    "text",
    [
        "- name: !!python/object/apply:os.system [id]\n",
        "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{n}: [*b, *b]\n" for n in range(30)),
        "[" * 5_000,
        "- {name: A, name: B}\n",
        "- name: A\n  score: .inf\n",
        "- name: A\n  score: \x00\n",
        "\t- x",
        "- 3\n- [x]\n- null\n- {when: 3}\n- name: [x]\n- name: A\n  about: [x]\n  when: {all: 3}\n  score: {}\n",
        "- name: A\n  about: a\n  score: 1\n"
        "  when: {some: {at_least: 9, of: [{subject: x}]}, text: {near: {within: 5}}}\n",
        "- name: A\n  about: a\n  score: 1\n"
        "  when: {subject: {regex: [1, {}]}, link: 3, from: {}, size: {above: []}, text: {}}\n",
    ],
)
def test_hostile_yaml_is_refused_with_its_line(load, text) -> None:
    with pytest.raises(RuleErrors) as refused:
        load(text)
    assert all("site.yaml" in str(problem) for problem in refused.value.problems)


def test_a_rule_cannot_name_a_file(load) -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "passwd.txt", "."):
        with pytest.raises(RuleErrors, match="unknown list"):
            load(rule(f"{{from.domain: {{in: {name}}}}}"))
