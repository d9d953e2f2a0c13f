"""Policies from the configuration to each recipient: who is covered, and that what differs for him adds up."""

from __future__ import annotations

import asyncio
import dataclasses
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filterd.app.build import setup_of
from filterd.app.report import as_json, as_text
from filterd.app.scan import Said, envelope_of
from filterd.authentication import Authentication, AuthResult, DmarcResult
from filterd.config import load
from filterd.decision import Action, Reason
from filterd.engine.engine import Engine, Generation, ask_nobody
from filterd.engine.inline import InlinePool
from filterd.engine.loading import load_judge
from filterd.engine.outcome import Outcome
from filterd.facts import NOTHING
from filterd.findings import Finding, total
from filterd.judge import LEARNT_SPAM, Judge
from filterd.mail.envelope import Envelope
from filterd.marking import render
from filterd.policies import OwnThresholds, Policies, PolicySettings, TaggingSettings, ThresholdSettings, is_listener
from filterd.record import Opinion
from filterd.ruleset import RuleErrors, Ruleset, RulesSettings
from filterd.sources import Found

RULES = """
- group: money
  about: Money adds no more than this.
  cap: 4
- {name: MONEY_ONE, about: A word., score: 3, group: money, when: {text: {contains: alpha}}}
- {name: MONEY_TWO, about: A word., score: 3, group: money, when: {text: {contains: alpha}}}
- {name: OTHER, about: A word., score: 4.5, when: {text: {contains: alpha}}}
- {name: AFTER, about: Another rule., score: 0.2, when: {found: OTHER}}
- {name: FORCING, about: A word., score: 0.1, force: {action: reject, text: Not here}, when: {text: {contains: omega}}}
"""
ANN, BEN = "ann@example.org", "ben@example.org"
GERMAN = (
    "Sehr geehrte Damen und Herren, wir haben Ihre Anfrage erhalten und werden sie so bald wie möglich bearbeiten. "
    "Bitte haben Sie noch etwas Geduld, denn es sind sehr viele Anfragen, die wir nicht alle sofort beantworten können."
)
ENGLISH = "We will be with you as soon as we can, so please have some patience with us and do not write to us again."


def judge_of(tmp_path: Path, config: str) -> tuple[Judge, Policies, str]:
    """The judge of a site with the rules above and no others, no checks and no classifier."""
    (tmp_path / "rules.d").mkdir(exist_ok=True)
    (tmp_path / "rules.d" / "rules.yaml").write_text(RULES)
    file = tmp_path / "filterd.yaml"
    file.write_text(
        f"hostname: mx.example.org\ndomains: [example.org]\nstate: {tmp_path}\n"
        f"rules: {{paths: [{tmp_path}/rules.d], shipped: false}}\n{textwrap.dedent(config)}"
    )
    site = load(file).config
    return dataclasses.replace(load_judge(setup_of(site)), model=None, checks=()), site.all_policies, site.hostname


def examined(tmp_path: Path, config: str, body: str, *recipients: str, head: str = "Subject: hello\r\n") -> Outcome:
    """What the engine makes of a mail on that site."""
    judge, policies, hostname = judge_of(tmp_path, config)
    raw = f"From: Jo <jo@shop.example>\r\n{head}\r\n{body}\r\n".encode()
    keeper: Any = None
    engine = Engine(Generation("c", hostname, policies, InlinePool(judge), ask_nobody), keeper)
    return asyncio.run(engine.examine(envelope(*recipients), raw))


def envelope(*recipients: str) -> Envelope:
    return envelope_of(Found("a", b"\r\n"), Said(recipients=recipients or (ANN,)), ("example.org",))


def test_a_rule_that_is_off_for_one_counts_for_the_other_and_both_sums_hold(tmp_path: Path) -> None:
    config = "policies: [{name: ann, recipients: [ann@*], rules_off: [MONEY_ONE]}]"
    record = examined(tmp_path, config, "alpha", ANN, BEN).record
    ann, ben = record.decisions
    assert (ann.action, ben.action) == (Action.TAG, Action.QUARANTINE)
    mine, others = record.verdict_of(ann), record.verdict_of(ben)
    assert (total(mine.findings), mine.points) == (770, 770)  # 3 + 4.5 + 0.2: alone under the cap
    assert (total(others.findings), others.points) == (870, 870)
    assert [(one.name, one.points, one.detail) for one in mine.findings[len(others.findings) :]] == [
        ("RULE_OFF", -300, "MONEY_ONE"),
        ("MONEY_CAP", 200, "MONEY_ONE, MONEY_TWO"),
    ]


def test_json_and_text_add_up_for_every_recipient(tmp_path: Path) -> None:
    config = "policies: [{name: ann, recipients: [ann@*], rules_off: [OTHER], thresholds: {tag: 2}}]"
    record = examined(tmp_path, config, "alpha", ANN, BEN).record
    said = as_json("a", record, "mx")
    assert sum(round(100 * one["score"]) for one in said["findings"]) == round(100 * said["score"]) == 870
    assert (said["thresholds"], said["policy"]) == ({"tag": 5.0, "quarantine": 8.0, "reject": None}, "")
    ann, ben = said["recipients"]
    common = sum(round(100 * one["score"]) for one in said["findings"])
    assert common + sum(round(100 * one["score"]) for one in ann["findings"]) == round(100 * ann["score"]) == 420
    assert (ann["thresholds"]["tag"], ann["policy"], ben["findings"]) == (2.0, "ann", [])
    alone = as_json("a", examined(tmp_path, config, "alpha", ANN).record, "mx")
    assert (alone["score"], alone["thresholds"]["tag"], alone["policy"]) == (4.2, 2.0, "ann")
    lines = list(as_text("a", record, explain=True))
    assert any(line.startswith("  for ann@example.org: tag 4.20") for line in lines)


def test_what_is_off_forces_nothing(tmp_path: Path) -> None:
    config = "policies: [{name: ann, recipients: [ann@*], rules_off: [FORCING]}]"
    ann, ben = examined(tmp_path, config, "omega", ANN, BEN).record.decisions
    assert (ann.action, ann.reason) == (Action.ACCEPT, Reason.CLEAN)
    assert (ben.action, ben.reason) == (Action.REJECT, Reason.RULE)


def test_headers_are_those_of_the_recipient(tmp_path: Path) -> None:
    config = "policies: [{name: ann, recipients: [ann@*], rules_off: [OTHER], thresholds: {tag: 2}}]"
    outcome = examined(tmp_path, f"{config}\nthresholds: {{quarantine: null}}", "alpha", ANN, BEN)
    heads = {copy.recipients: b"".join(bytes(one) for one in render(copy.edits, b"\r\n")) for copy in outcome.copies}
    assert b"X-Spam-Status: Yes, score=4.20 required=2.00\r\n" in heads[0,].replace(b" tests=", b"\r\n tests=")
    assert b"OTHER" not in heads[0,]
    assert b"RULE_OFF" not in heads[0,]
    assert b"score=8.70 required=5.00" in heads[1,]
    assert b"OTHER" in heads[1,]


EVERYBODY = {
    "ann@example.org",
    "jo7@example.org",
    "x@board.example.org",
    "a@s.sales.example.org",
    "ann@xn--bcher-kva.example.org",
}


@pytest.mark.parametrize(
    ("policy", "covered"),
    [
        ("groups: [board]", {"ann@example.org", "x@board.example.org"}),
        ("groups: [sales]", {"jo7@example.org", "a@s.sales.example.org"}),
        ("groups: [board, sales]", EVERYBODY - {"ann@xn--bcher-kva.example.org"}),
        ("domains: [Example.ORG]", {"ann@example.org", "jo7@example.org"}),
        ("domains: ['*.example.org']", EVERYBODY - {"ann@example.org", "jo7@example.org"}),
        ("recipients: ['*@board.example.org']", {"x@board.example.org"}),
        ("groups: [board], domains: [example.org]", {"ann@example.org"}),
        ("recipients: ['ann@bücher.example.org']", {"ann@xn--bcher-kva.example.org"}),
    ],
)
def test_whom_a_policy_covers(policy: str, covered: set[str], tmp_path: Path) -> None:
    config = f"""
        groups:
          board: [ann@example.org, board.example.org]
          sales: ["jo?@example.org", "*.sales.example.org"]
        policies: [{{name: p, {policy}}}]
        """
    policies = judge_of(tmp_path, config)[1]
    mail = envelope(*EVERYBODY, "ann@other.example", "postmaster", "example.org", "ann@example.org@evil.example")
    assert {one.address for one in mail.recipients if policies.covering(mail, one)} == covered


@pytest.mark.parametrize(
    ("wanted", "name", "same"),
    [
        ("127.0.0.1:10025", "smtp 127.0.0.1:10025", True),
        ("smtp", "smtp 127.0.0.1:10025", True),
        ("smtp 127.0.0.1:10025", "smtp 127.0.0.1:10025", True),
        ("127.0.0.1:25", "smtp 127.0.0.1:2525", False),
        ("27.0.0.1:10025", "smtp 127.0.0.1:10025", False),
        ("milter", "smtp 127.0.0.1:10025", False),
    ],
)
def test_a_listener_is_named_whole(wanted: str, name: str, *, same: bool) -> None:
    assert is_listener(wanted, name) is same


def test_thresholds_left_out_are_those_of_the_site() -> None:
    site = ThresholdSettings(tag=4, quarantine=6, reject=20)
    policies = Policies(thresholds=site)
    own = policies.thresholds_of(PolicySettings(name="p", thresholds=OwnThresholds(tag=2, reject=None)))
    assert (own.tag, own.quarantine, own.reject) == (200, 600, None)
    assert policies.thresholds_of(PolicySettings(name="p")) == site.value == policies.thresholds_of(None)


def test_the_caps_stay_under_the_thresholds_of_the_policy(tmp_path: Path) -> None:
    """A rule alone does not tag authenticated mail, and the classifier alone does not quarantine, for anybody."""
    config = "policies: [{name: ann, recipients: [ann@*], thresholds: {tag: 3, quarantine: 4}}]"
    judge = judge_of(tmp_path, config)[0]
    passed = Authentication(dmarc=DmarcResult(AuthResult.PASS, domain="shop.example"))
    found = [Finding("OTHER", 450), Finding(LEARNT_SPAM.name, 550)]
    verdict = judge.conclude(found, passed, Opinion(0.99, 550, "m"), envelope(ANN, BEN)).verdict
    assert verdict.points == 450 + 499
    assert verdict.under("ann").points == total(verdict.under("ann").findings) == 299 + 299


def test_thresholds_under_nothing_refuse_all_and_cap_no_lower_than_nothing(tmp_path: Path) -> None:
    config = "policies: [{name: strict, thresholds: {tag: -100, quarantine: -99, reject: -98}}]"
    judge, policies, _ = judge_of(tmp_path, config)
    judge = dataclasses.replace(judge, policies=policies)
    found = [Finding(LEARNT_SPAM.name, 90, "", ""), Finding("OTHER", -50, "", "")]
    passed = Authentication(dmarc=DmarcResult(result=AuthResult.PASS))
    verdict = judge.conclude(found, passed, Opinion(0.58, 90, "m"), envelope(ANN)).verdict
    assert verdict.under("strict").points == total(verdict.under("strict").findings) == -50
    assert [one.points for one in verdict.under("strict").findings if one.name.endswith("_CAP")] == [-90]


def test_actions_in_the_place_of_others(tmp_path: Path) -> None:
    config = """
        thresholds: {tag: 2, quarantine: 4, reject: 6}
        policies:
          - {name: soft, recipients: [ann@*], actions: {quarantine: tag, reject: quarantine}}
          - {name: trap, recipients: [ben@*], action: discard}
          - {name: all, domains: [example.org], action: accept}
        """
    decisions = examined(tmp_path, config, "alpha", ANN, BEN, "postmaster@example.org").record.decisions
    assert [one.action for one in decisions] == [Action.QUARANTINE, Action.DISCARD, Action.ACCEPT]
    assert [one.reason for one in decisions] == [Reason.SPAM_SCORE, Reason.POLICY, Reason.POLICY]
    assert "Under the policy soft it is quarantined instead." in decisions[0].text
    forced = examined(tmp_path, config, "omega", "carl@example.org").record.decisions[0]
    assert (forced.action, forced.reason) == (Action.REJECT, Reason.RULE)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (GERMAN, 250),
        (ENGLISH, 0),
        (GERMAN + "\r\n\r\n" + ENGLISH * 2, 0),  # mixed
        ("Sehr geehrte Damen und Herren, bitte warten Sie.", 0),  # short
        ("x1 " * 200, 0),  # nothing to tell it by
    ],
)
def test_languages_that_are_not_read(text: str, points: int, tmp_path: Path) -> None:
    config = "policies: [{name: ann, recipients: [ann@*], languages: [en, fr], foreign: 2.5}]"
    head = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n"
    record = examined(tmp_path, config, text, ANN, BEN, head=head).record
    ann, ben = record.decisions
    assert record.verdict_of(ann).points == points
    assert record.verdict_of(ben).points == 0
    if points:
        (finding,) = record.verdict_of(ann).findings
        assert (finding.name, finding.detail) == ("FOREIGN_LANGUAGE", "de")


def test_a_rule_may_ask_for_the_language(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "own.yaml").write_text(
        "- {name: IN_GERMAN, about: German., score: 1, when: {language: {equals: [de, nl]}}}\n"
    )
    ruleset = Ruleset.load(RulesSettings(paths=(tmp_path / "more",), shipped=False))
    judge = Judge(ruleset, None, "mx", checks=())
    for text, names in ((GERMAN, ["IN_GERMAN"]), (ENGLISH, [])):
        raw = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()
        mail, _ = judge.inspect(envelope(), raw)
        assert [one.name for one in judge.judge(mail, NOTHING).verdict.findings] == names


def test_tag_text_is_off_by_default_and_only_on_tagged_mail(tmp_path: Path) -> None:
    config = """
        thresholds: {quarantine: null}
        policies: [{name: ann, recipients: [ann@*], tagging: {subject: "[SPAM]", header: "X-Junk: yes"}}]
        """
    outcome = examined(tmp_path, config, "alpha", ANN, BEN)
    raw = b"From: Jo <jo@shop.example>\r\nSubject: hello\r\n\r\nalpha\r\n"
    ann, ben = (b"".join(map(bytes, render(copy.edits, raw))) for copy in outcome.copies)
    assert b"X-Junk: yes\r\n" in ann
    assert ann.count(b"Subject:") == 1
    assert b"\r\nSubject: [SPAM] hello\r\n" in ann
    assert ben.endswith(raw)
    assert b"X-Junk" not in ben
    clean = examined(tmp_path, config, "nothing", ANN)
    assert b"[SPAM]" not in b"".join(map(bytes, render(clean.copies[0].edits, raw)))


@pytest.mark.parametrize(
    ("head", "prefix", "line"),
    [
        ("", "[SPAM]", b"Subject: [SPAM]\r\n"),
        ("Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n", "[SPAM]", b"Subject: [SPAM] =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n"),
        ("Subject: [SPAM] again\r\n", "[SPAM]", None),
        ("Subject: one\r\nSUBJECT: two\r\n", "[SPAM]", b"Subject: [SPAM] one\r\n"),
        ("Subject: hello\r\n", "[Müll]", b"Subject: =?utf-8?b?W03DvGxsXSBoZWxsbw==?=\r\n"),
        ("Subject: a\r\n b\r\n", "[SPAM]", b"Subject: [SPAM] a b\r\n"),
    ],
)
def test_whatever_the_subject_is(head: str, prefix: str, line: bytes | None, tmp_path: Path) -> None:
    config = f'thresholds: {{quarantine: null}}\ntagging: {{subject: "{prefix}"}}\n'
    outcome = examined(tmp_path, config, "alpha", ANN, head=head)
    raw = f"From: Jo <jo@shop.example>\r\n{head}\r\nalpha\r\n".encode()
    edited = b"".join(map(bytes, render(outcome.copies[0].edits, raw)))
    assert edited.lower().count(b"\r\nsubject:") == 1
    assert b"\r\n" + (line or head.encode()) in edited


@pytest.mark.parametrize("wrong", ["Subject: x", "X-A: b\r\nBcc: c", "X-A", "X-Ä: b", "X-A: " + "x" * 300])
def test_a_header_field_of_ones_own_starts_with_x(wrong: str) -> None:
    with pytest.raises(ValidationError, match="a header field is"):
        TaggingSettings(header=wrong)


def test_a_rule_that_is_off_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(RuleErrors, match=r"unknown rule or check MONY_ONE; did you mean MONEY_ONE\?"):
        judge_of(tmp_path, "policies: [{name: ann, rules_off: [MONY_ONE]}]")


NAMES = ("MONEY_ONE", "MONEY_TWO", "OTHER", "AFTER", "FORCING", "LEARNT_SPAM")


@settings(max_examples=60, deadline=None)
@given(off=st.sets(st.sampled_from(NAMES)), hits=st.sets(st.sampled_from(NAMES)), passed=st.booleans())
def test_off_for_one_is_as_if_it_weighed_nothing_for_all(off: set[str], hits: set[str], passed: bool) -> None:
    """The findings of a policy add up to the score of a site where these rules are switched off."""
    auth = Authentication(dmarc=DmarcResult(AuthResult.PASS if passed else AuthResult.NONE))
    found = [Finding(name, 510 if name == "OTHER" else 300) for name in sorted(hits)]
    policies = Policies(policies=(PolicySettings(name="p", rules_off=tuple(sorted(off))),))
    mine = Judge(ONE, None, "mx", policies=policies).conclude(
        [*found, *ONE.over_caps(found)], auth, Opinion(), envelope()
    )
    less = [one for one in found if one.name not in off]
    plain = Judge(ONE, None, "mx").conclude([*less, *ONE.over_caps(less)], auth, Opinion(), envelope())
    under = mine.verdict.under("p")
    assert total(under.findings) == under.points == plain.verdict.points
    assert under.forced == plain.verdict.forced


@pytest.fixture(scope="module", autouse=True)
def _one(tmp_path_factory: pytest.TempPathFactory) -> None:
    global ONE
    folder = tmp_path_factory.mktemp("rules")
    (folder / "rules.yaml").write_text(RULES)
    ONE = Ruleset.load(RulesSettings(paths=(folder,), shipped=False), [LEARNT_SPAM])


ONE: Ruleset
