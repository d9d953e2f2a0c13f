"""Judging again from a record is judging the message again, and what it cannot know it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as replace_judge
from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.authentication import Authentication, AuthResult, DmarcPolicy, DmarcResult
from filterd.classifier import ModelSettings, load_shipped_or
from filterd.decision import Action
from filterd.engine.loading import builtin_symbols
from filterd.facts import NOTHING
from filterd.findings import Finding
from filterd.judge import FORWARDER, FORWARDER_CAP, Judge
from filterd.mail import Envelope, Mail, Message, Origin, Recipient, Source
from filterd.mail.envelope import Moment
from filterd.policies import OwnThresholds, Policies, PolicySettings, ThresholdSettings
from filterd.policy import decide
from filterd.record import Generation, Opinion, Record
from filterd.replay import LANGUAGE, MODEL, Flip, Side, as_recorded, fate, flip, judged_otherwise
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.again import Reach, plan, reach_of
from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.view import View
from filterd.settings import parse_network
from filterd.store.store import header_block
from filterd.value import replace
from filterd.wishes import DmarcSettings, OnReject, Wishes

HERE = Path(__file__).parent
MESSAGES = sorted([*(HERE / "cases").rglob("*.eml"), *(HERE.parent / "rules" / "cases").rglob("*.eml")])[:120]
GREETING = b"From: a@sender.example\r\nSubject: hello\r\n\r\nHello.\r\n"
WINTER = datetime(2026, 1, 5, tzinfo=UTC)
DEFAULT = Policies(thresholds=ThresholdSettings())


@pytest.fixture(scope="module")
def now() -> Ruleset:
    return Ruleset.load(RulesSettings(), builtin_symbols())


def judge(ruleset: Ruleset, policies: Policies = DEFAULT) -> Judge:
    return Judge(ruleset, None, "mx.example.org", policies=policies)


def record_of(raw: bytes, ruleset: Ruleset, opinion: Opinion | None = None, policies: Policies = DEFAULT) -> Record:
    """The record that the service would make, of mail to two of our own."""
    message = Message(raw)
    client = Origin("192.0.2.9", None, "dyn-9.example.net", Source.PEER)
    envelope = Envelope(
        id="A",
        received_at=message.date or WINTER,
        listener="smtp 127.0.0.1:25",
        peer="192.0.2.9",
        client=client,
        sender="bounce@sender.example",
        recipients=(Recipient("ann@example.org"), Recipient("ben@example.org")),
    )
    mail, inspection = judge(ruleset, policies).inspect(envelope, raw)
    judged = judge(ruleset, policies).judge(mail, NOTHING, opinion=opinion or Opinion(0.97, 420, "base-1"))
    return Record(
        id="A",
        envelope=envelope,
        origin=mail.origin,
        outline=inspection.outline,
        auth=judged.auth,
        verdict=judged.verdict,
        opinion=judged.opinion,
        decisions=decide(judged.verdict, envelope, policies),
        generation=Generation(ruleset=ruleset.hash, model="base-1"),
    )


def tagged(ruleset: Ruleset) -> Record:
    """A greeting that the thresholds of its day tagged."""
    record = record_of(GREETING, ruleset, Opinion(0.99, 550, "base-1"))
    score = record.verdict.points / 100
    then = Policies(thresholds=ThresholdSettings(tag=score - 1, quarantine=score + 1))
    return replace(record, decisions=decide(record.verdict, record.envelope, then))


def messages() -> Iterator[bytes]:
    for path in MESSAGES:
        yield path.read_bytes()


def weights(side: Side, record: Record, raw: bytes | None = None) -> dict[str, int]:
    trial = side.whole(record, raw) if raw is not None else side.again(record)
    assert not trial.missing
    assert trial.verdict.points == sum(one.points for one in trial.verdict.findings)
    return {one.name: one.points for one in trial.verdict.findings}


def other(folder: Path, text: str = "", **settings: object) -> Ruleset:
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(text)
    return Ruleset.load(RulesSettings(paths=(folder,), **settings), builtin_symbols())  # type: ignore[arg-type]


def test_there_is_mail_to_try() -> None:
    assert len(MESSAGES) > 20


def test_the_same_rules_on_a_record_make_the_record(now: Ruleset) -> None:
    side = Side(judge(now), DEFAULT)
    for raw in messages():
        record = record_of(raw, now)
        trial = side.again(record)
        assert sorted(trial.verdict.findings, key=repr) == sorted(record.verdict.findings, key=repr)
        assert trial.decisions == record.decisions
        assert flip(as_recorded(record), trial) is None


RULES_OF_THE_RECORD = """
- group: spread
  cap: 1.5
- {name: OWN_META, about: Both., score: 1.1, group: spread, when: {all: [{found: OWN_CLIENT}, {found: OWN_HIDDEN}]}}
- {name: OWN_CLIENT, about: Dynamic., score: 0.7, group: spread, when: {client.helo: {regex: '^dyn'}}}
- {name: OWN_HIDDEN, about: Nobody vouches., silent: true, when: {dmarc: none}}
- {name: OWN_LEARNT, about: Learnt., score: 0.3, when: {probability: {above: 0.9}, rcpt.domain: example.org}}
- {name: EXTORTION, about: Ours now., score: 4.5, when: {mail_from.domain: sender.example}}
"""


def test_scores_switches_metas_and_caps_are_exact_from_a_record(now: Ruleset, tmp_path: Path) -> None:
    scores = {"DATE_MISSING": 3.3, "LEARNT_SPAM": 2.0}
    changed = other(tmp_path / "rules", RULES_OF_THE_RECORD, scores=scores, disable=("LINK_FREE_HOST",))
    side = Side(judge(changed), DEFAULT, (now,))
    tried = 0
    for raw in messages():
        record = record_of(raw, now)
        if side.needs(record) is not Reach.RECORD:  # it had a finding that is gone, and that other rules ask about
            continue
        tried += 1
        assert weights(side, record) == weights(side, record, raw)
    assert tried > 50


def test_going_back_from_other_scores_is_exact(now: Ruleset, tmp_path: Path) -> None:
    heavy = other(tmp_path / "rules", scores={"DATE_MISSING": 3.3, "LEARNT_SPAM": 9.0})
    side = Side(judge(now), DEFAULT, (heavy,))
    for raw in messages():
        assert weights(side, record_of(raw, heavy)) == weights(side, record_of(raw, now))


def test_caps_follow_the_new_thresholds(now: Ruleset) -> None:
    record = record_of(MESSAGES[0].read_bytes(), now, Opinion(0.999, 950, "base-1"))
    record = replace(record, auth=Authentication(dmarc=DmarcResult(AuthResult.PASS)))
    low = Judge(now, None, "mx.example.org", tag_at=300)
    found = {one.name: one.points for one in Side(low, DEFAULT).again(record).verdict.findings}
    assert (found["LEARNT_SPAM"], found["DMARC_CAP"]) == (950, 299 - 950)


HEADER_RULE = "- {name: OWN_HEADER, about: A header., score: 9, decisive: true, when: {subject: {regex: .}}}\n"
BODY_RULE = "- {name: OWN_BODY, about: A text., score: 9, decisive: true, when: {size: {above: 1}}}\n"


def test_a_new_rule_takes_what_it_reads(now: Ruleset, tmp_path: Path) -> None:
    raw = GREETING
    record = record_of(raw, now)
    side = Side(judge(other(tmp_path / "rules", HEADER_RULE + BODY_RULE)), DEFAULT, (now,))
    assert side.needs(record) is Reach.MESSAGE

    bare = side.best(record, None, None)
    assert set(bare.missing) == {"OWN_HEADER", "OWN_BODY"}
    assert bare.verdict.points == record.verdict.points

    headed = side.best(record, None, header_block(raw))
    assert (headed.missing, headed.reach) == (("OWN_BODY",), Reach.HEADERS)
    assert headed.verdict.points == record.verdict.points + 900

    whole = side.best(record, raw, None)
    assert (whole.missing, whole.reach) == ((), Reach.MESSAGE)
    assert whole.verdict.points == record.verdict.points + 1800

    change = flip(as_recorded(record), whole)
    assert change is not None
    assert change.after is Action.QUARANTINE
    assert change.recipients == 2
    assert {share.name: share.points for share in change.shares} == {"OWN_HEADER": 900, "OWN_BODY": 900}


def test_a_changed_list_or_silent_rule_makes_its_rules_look_again(tmp_path: Path) -> None:
    rule = "- {name: OWN, about: Listed., score: 1, when: {all: [{subject: {in: words_of_ours}}, {found: QUIET}]}}\n"
    quiet = "- {name: QUIET, about: Quiet., silent: true, when: {text: {contains: %s}}}\n"
    made = []
    for number, (word, phrase) in enumerate((("hello", "one"), ("goodbye", "one"), ("hello", "two"))):
        folder = tmp_path / str(number)
        (folder / "lists").mkdir(parents=True)
        (folder / "lists" / "words_of_ours.txt").write_text(f"{word}\n")
        made.append(other(folder, rule + quiet % phrase))
    first, listed, silent = made
    assert plan(first, first).anew([]) == {}
    for changed in (listed, silent):
        assert plan(first, changed).anew([]) == {"OWN": Reach.MESSAGE, "QUIET": Reach.MESSAGE}


def test_a_check_that_was_off_takes_the_message(now: Ruleset, tmp_path: Path) -> None:
    off = other(tmp_path / "rules", disable=("DATE_MISSING",))
    raw = GREETING
    side, record = Side(judge(now), DEFAULT, (off,)), record_of(raw, off)
    assert side.best(record, None, None).missing == ("DATE_MISSING",)
    assert "DATE_MISSING" in weights(side, record, raw)


def test_rules_that_are_gone_are_taken_as_recorded_and_it_says_so(now: Ruleset) -> None:
    raw = GREETING
    record = replace(record_of(raw, now), generation=Generation(ruleset="0" * 16, model="base-1"))
    side = Side(judge(now), DEFAULT)
    trial = side.best(record, None, None)
    assert trial.assumed
    assert trial.verdict.points == record.verdict.points
    assert not side.best(record, raw, None).assumed


def test_another_model_takes_the_message(now: Ruleset) -> None:
    model = load_shipped_or(ModelSettings())
    raw = MESSAGES[0].read_bytes()
    record = record_of(raw, now)
    side = Side(Judge(now, model, "mx.example.org"), DEFAULT, model=True)
    assert side.best(record, None, None).missing == (MODEL,)
    assert side.best(record, raw, None).verdict.probability != record.verdict.probability
    assert not Side(Judge(now, model, "mx.example.org"), DEFAULT).best(record, None, None).missing


def test_thresholds_flip_without_a_finding(now: Ruleset) -> None:
    record = tagged(now)
    score = record.verdict.points / 100
    assert fate(as_recorded(record)) is Action.TAG
    side = Side(judge(now), Policies(thresholds=ThresholdSettings(tag=score - 0.5, quarantine=score)))
    assert flip(as_recorded(record), side.again(record)) == Flip(
        Action.TAG, Action.QUARANTINE, 2, (), record.verdict.points, record.verdict.points, "the thresholds"
    )


def test_the_access_list_and_dmarc_are_followed_again(now: Ruleset) -> None:
    record = record_of(GREETING, now)
    denied = Side(judge(now), Policies(access=("deny sender.example for ben@example.org",)))
    change = flip(as_recorded(record), denied.again(record))
    assert change is not None
    assert (change.after, change.recipients) == (Action.REJECT, 1)
    failed = DmarcResult(AuthResult.FAIL, DmarcPolicy.REJECT, "sender.example")
    record = replace(record, auth=Authentication(dmarc=failed))
    strict = Side(judge(now), DEFAULT, wishes=Wishes(dmarc=DmarcSettings(reject=OnReject.REJECT)))
    assert fate(strict.again(record)) is Action.REJECT


def test_mail_whose_fate_was_no_score_is_left_alone(now: Ruleset) -> None:
    record = record_of(MESSAGES[0].read_bytes(), now)
    assert judged_otherwise(record) == ""
    assert judged_otherwise(replace(record, moment=Moment.RCPT)) == record.decisions[0].reason  # there is no message
    assert judged_otherwise(replace(record, error="ask: it took too long")) == "error"


@pytest.mark.parametrize("name", CATALOGUE.names)
def test_what_is_said_to_be_in_the_record_or_the_headers_is_there(name: str, now: Ruleset) -> None:
    field, reach = CATALOGUE.find(name), reach_of(name)
    assert field is not None
    if reach is Reach.MESSAGE:
        return
    for raw in MESSAGES[:40]:
        whole = raw.read_bytes()
        record = record_of(whole, now)
        kept = b"" if reach is Reach.RECORD else header_block(whole)
        views = [
            View(Mail(record.envelope, Message(text), record.origin), NOTHING, record.auth, {}, 0.5)
            for text in (whole, kept)
        ]
        assert views[0].values(field) == views[1].values(field), raw


OFF = ("DATE_MISSING", "LEARNT_SPAM", "LINK_FREE_HOST", "MESSAGE_ID_MISSING")
FOR_ANN = Policies(
    policies=(
        PolicySettings(name="ann", recipients=("ann@*",), rules_off=OFF, thresholds=OwnThresholds(tag=1, quarantine=2)),
        PolicySettings(name="rest", domains=("example.org",), thresholds=OwnThresholds(tag=3)),
    )
)


def test_policies_are_exact_from_a_record(now: Ruleset) -> None:
    """Whoever changes his policies sees what the service would have done, recipient by recipient."""
    side, apart, flips = Side(judge(now, FOR_ANN), FOR_ANN, (now,)), 0, 0
    for raw in messages():
        record, served = record_of(raw, now), record_of(raw, now, policies=FOR_ANN)
        trial = side.again(record)
        assert not trial.missing
        assert trial.decisions == served.decisions
        for one in trial.decisions:
            mine, theirs = trial.verdict.under(one.policy), served.verdict_of(one)
            assert mine.points == theirs.points == sum(found.points for found in mine.findings)
            assert sorted(mine.findings, key=repr) == sorted(theirs.findings, key=repr)
        apart += bool(trial.verdict.apart)
        flips += flip(as_recorded(record), trial) is not None
    assert apart > 20
    assert flips > 5


def test_a_flip_names_the_finding_that_did_it_for_the_recipient(now: Ruleset) -> None:
    record = tagged(now)
    site = ThresholdSettings(tag=record.verdict.points / 100 - 1, quarantine=record.verdict.points / 100 + 1)
    policy = PolicySettings(name="ann", recipients=("ann@*",), rules_off=("LEARNT_SPAM",))
    off = Policies(thresholds=site, policies=(policy,))
    found = flip(as_recorded(record), Side(judge(now, off), off).again(record))
    assert found is not None
    assert (found.before, found.after, found.recipients) == (Action.TAG, Action.ACCEPT, 1)
    assert [(one.name, one.points) for one in found.shares] == [("RULE_OFF", -550)]
    assert found.points_after == found.points_before - 550


@pytest.mark.parametrize(
    ("policies", "why"),
    [
        (Policies(access=("deny 192.0.2.9  # noisy",)), "The access list says `deny 192.0.2.9/32` (noisy)."),
        (Policies(policies=(PolicySettings(name="trap", action="discard"),)), "The policy trap says so, whatever"),
        (Policies(policies=(PolicySettings(name="p", thresholds=OwnThresholds(tag=0.1)),)), "the thresholds"),
    ],
)
def test_a_flip_without_a_finding_says_what_else(policies: Policies, why: str, now: Ruleset) -> None:
    record = record_of(GREETING, now, Opinion(0.5, 0, "base-1"))
    found = flip(as_recorded(record), Side(judge(now, policies), policies).again(record))
    assert found is not None
    assert found.why.startswith(why)
    assert not found.shares


def test_a_language_that_nobody_asked_for_takes_the_message(now: Ruleset) -> None:
    raw = GREETING + b"Sehr geehrte Damen und Herren, bitte warten Sie auf uns, wir sind noch nicht da. " * 4
    policies = Policies(policies=(PolicySettings(name="english", languages=("en",), foreign=7),))
    side = Side(judge(now, policies), policies)
    record = record_of(raw, now)
    assert side.needs(record) is Reach.MESSAGE
    assert side.best(record, None, None).missing == (LANGUAGE,)
    assert side.best(record, raw, None).verdict.under("english").points == record.verdict.points + 700
    asked = record_of(raw, now, policies=policies)
    assert side.best(asked, None, None).decisions == asked.decisions
    assert not side.best(asked, None, None).missing


def test_the_cap_of_a_trusted_forwarder_counts_once(now: Ruleset) -> None:
    trusting = replace_judge(judge(now), dmarc=DmarcSettings(forwarders=(parse_network("192.0.2.9"),)))
    record = record_of(GREETING, now)
    mail = Mail(record.envelope, Message(GREETING), record.origin)
    failed = Authentication(dmarc=DmarcResult(AuthResult.FAIL, domain="sender.example"))
    found = [Finding("DMARC_FAIL", 250), FORWARDER.found("192.0.2.9")]
    verdict = trusting.conclude(found, failed, Opinion(), mail.envelope).verdict
    assert [one.name for one in verdict.findings if one.name == FORWARDER_CAP.name]
    kept = replace(record, verdict=verdict, auth=failed, opinion=Opinion())
    assert Side(trusting, DEFAULT).again(kept).verdict.points == verdict.points
