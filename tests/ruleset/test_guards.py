"""Guards only spare work: whichever rules are asked, what is found is the same."""

from __future__ import annotations

import pytest

from filterd.authentication import UNAUTHENTICATED
from filterd.engine.loading import builtin_symbols
from filterd.facts import NOTHING
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.cases import make_mail
from filterd.ruleset.view import View

TWO = "To: a@example.org\nTo: b@example.org\nSubject: Hello\n\nhello\n"


def asked(ruleset, message) -> set[str]:
    """The rules that were asked about a message."""
    view = View(make_mail(message.replace("\n", "\r\n").encode(), {}), NOTHING, UNAUTHENTICATED, {})
    seen = set()
    ask = ruleset._ask
    ruleset._ask = lambda rule, *rest: (seen.add(rule.name), ask(rule, *rest))
    ruleset._look(view)
    return seen


def ruled(when) -> str:
    return f"- name: IT\n  about: a\n  score: 1\n  when: {when}\n"


@pytest.mark.parametrize(
    ("when", "message", "is_asked", "holds"),
    [
        ("{header.to: {not: {regex: '@'}}}", "To: a@example.org\n\n", False, False),
        ("{header.to: {not: {regex: '@'}}}", "To: friends\n\n", True, True),
        ("{header.to: {not: {regex: a@}}}", TWO, True, True),
        ("{header.to: {not: {regex: '@'}}}", TWO, True, False),
        ("{not: {header.to: {regex: a@}}}", TWO, False, False),
        ("{not: {header.to: {regex: c@}}}", TWO, True, True),
        ("{not: {header.to: {regex: '@.{0,80}net'}}}", TWO, True, True),
        ("{not: {any: [{subject: {regex: Hello}}, {subject: {regex: never}}]}}", TWO, False, False),
        ("{not: {all: [{subject: {regex: Hello}}, {subject: {regex: never}}]}}", TWO, True, True),
        ("{not: {subject: {regex: Hello, not: {regex: ello}}}}", TWO, True, True),
        ("{not: {header.to: {regex: '@', count: 3}}}", TWO, True, True),
        ("{subject: {same_as: text}}", TWO, False, False),
        ("{mail_from.address: {same_as: from.address}}", "From: x@example.org\n\n", False, False),
    ],
)
def test_who_is_asked(load, find, when, message, is_asked, holds) -> None:
    ruleset = load(ruled(when))
    assert [one.name for one in find(ruleset, message)] == ["IT"] * holds
    assert asked(ruleset, message) == ({"IT"} if is_asked else set())


def test_what_is_found_does_not_hang_on_who_is_asked(corpus) -> None:
    ruleset = Ruleset.load(RulesSettings(), builtin_symbols())
    everybody = Ruleset.load(RulesSettings(), builtin_symbols())
    everybody._candidates = lambda seen: range(len(everybody.rules))
    for line in (corpus / "index").read_text().splitlines()[::150]:
        mail = make_mail((corpus / line.split()[1]).read_bytes(), {})
        found, all_found = View(mail, NOTHING, UNAUTHENTICATED, {}), View(mail, NOTHING, UNAUTHENTICATED, {})
        all_found.lets = lambda guards: True
        assert ruleset._look(found) == everybody._look(all_found), line
