"""The workshop of the shipped scores: what it may change, and how it counts against a peer."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.resources import shipped
from filterd.ruleset import Ruleset, RulesSettings
from training.compare_spamassassin import Scored, compared
from training.rules_report import rules_alone
from training.tune_rules import FLOOR, HELD, HIGHEST, bounded, rewrite


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [(2.0, 2.6, 2.6), (2.0, 4.9, 3.0), (4.0, 4.9, HIGHEST), (4.7, 4.9, 4.7), (2.0, 0.0, FLOOR), (-1.0, -0.4, -0.4)],
)
def test_how_far_a_score_goes(before: float, after: float, wanted: float) -> None:
    assert bounded(before, after) == wanted


def test_only_scores_are_rewritten(tmp_path: Path) -> None:
    for path in shipped("rules").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (tmp_path / "lists").symlink_to(shipped("rules") / "lists")
    (tmp_path / "cases").symlink_to(shipped("rules") / "cases")
    rewrite(tmp_path, {"REPLYTO_FREEMAIL": 1.7, "LINK_ADDRESS": 0.3})
    symbols = [one for one in rules_alone().symbols if not one.source.startswith("rules/")]
    changed = Ruleset.load(RulesSettings(shipped=False, paths=(tmp_path,)), symbols)
    before = {rule.name: rule.symbol.score for rule in rules_alone().rules}
    after = {rule.name: rule.symbol.score for rule in changed.rules}
    assert after == before | {"REPLYTO_FREEMAIL": 1.7, "LINK_ADDRESS": 0.3}
    for path in shipped("rules").glob("*.yaml"):
        pairs = zip(
            path.read_text("utf-8").splitlines(), (tmp_path / path.name).read_text("utf-8").splitlines(), strict=True
        )
        assert all(one == other or one.startswith("  score: ") for one, other in pairs)


def test_what_is_held_is_there() -> None:
    assert {rule.name for rule in rules_alone().rules} >= HELD


def test_spam_caught_is_counted_over_the_threshold_that_so_much_ham_passes() -> None:
    scored = [Scored("x", False, ours=0.0, theirs=float(n % 10)) for n in range(1000)]
    scored += [Scored("x", True, ours=1.0, theirs=float(n % 20)) for n in range(100)]
    found = compared(scored)
    assert (found["ham"], found["spam"]) == (1000, 100)
    assert (found["ours: spam caught at 0.5%"], found["theirs: spam caught at 0.5%"]) == (100.0, 50.0)
    assert (found["ours: spam over 5"], found["theirs: spam over 5"]) == (0, 75)
    assert compared(scored[:10])["ours: spam caught at 0.5%"] is None
