"""The shipped rules on the labelled corpus: human list mail is left alone, and most mail is."""

from __future__ import annotations

from pathlib import Path

from training.rules_report import measure

HUMAN = ("list-ntfs-dev", "list-oprofile", "list-usrp-users")
# an advance-fee letter ("CAN YOU HELP ME OUT?") that came through the list and that the corpus labels as ham
MISLABELLED = "data/list-usrp-users/00423-2eae88.eml"


def test_no_human_list_mail_reaches_the_quarantine_threshold(corpus: Path) -> None:
    lines = [line for line in (corpus / "index").read_text().splitlines() if line.split("/")[1] in HUMAN]
    tally = measure(corpus, lines, tag=500, quarantine=800)
    assert sum(tally.messages.values()) > 3_500
    assert [path for points, path, _ in tally.worst_ham if points >= 800] in ([], [MISLABELLED])


def test_few_of_all_ham_are_tagged(corpus: Path) -> None:
    lines = [line for line in (corpus / "index").read_text().splitlines() if line.startswith("ham ")][::5]
    tally = measure(corpus, lines, tag=500, quarantine=800)
    assert sum(tally.tagged.values()) < 0.008 * sum(tally.messages.values())
