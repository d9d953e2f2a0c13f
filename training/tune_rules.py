"""The scores in rules/: how they came to be. Fits them to half of the corpus and writes them into the YAML.

    python -m training.tune_rules DIR [--rate 0.003] [--jobs 2] [--write]

Learnt from are the messages whose file name has an even number, and the hand-made ham that is not held out; the other
half is for `training.compare_spamassassin`. Left out are the redacted source, whose makers changed dates and links, and
letters of fraud that the corpus labels as ham. Only rules are fitted, not checks, and not those of HELD. No score rises
by more than a point in one run; a rule that the corpus speaks against keeps a tenth of a point, for its subject may
come back. Without `--write` it prints what it would change.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from filterd.app.tune import heard, tuning
from filterd.cli.tuning import told
from filterd.config import Config
from filterd.engine.loading import builtin_symbols
from filterd.learning.labelled import Labelled
from filterd.resources import shipped
from filterd.ruleset import Ruleset
from training.corpus import Item, even, made_by_hand, read_index, read_item

RATE = 0.003  # of the ham: under what is promised, for mail of tomorrow
FLOOR = 0.1
HIGHEST = 4.5  # of a rule that does not decide alone
RISE = 1.0  # points that a score rises at most in one run
REDACTED = "cwl-redacted"
# What decent firms of today do too, of which the corpus has no mail: these keep the score that a person gave them.
HELD = frozenset(
    {
        "BAIT_OPEN_ATTACHMENT",
        "BAIT_ORDER",
        "BASE64_TEXT",
        "HTML_IMAGE_ONLY",
        "MAILER_SCRIPT",
        "ORDER_FROM_STRANGER",
        "PRIORITY_HIGH_FIRST_MAIL",
        "REPLYTO_FREEMAIL",
        "SCAM_MESSENGER",
        "SHORT_WITH_LINK",
    }
)
# Letters of fraud, loans and lists for sale that came through a list; the corpus labels them as ham.
MISLABELLED = frozenset(
    {
        "list-usrp-users/00423-2eae88.eml",
        "list-nvdimm/02873-465d52.eml",
        "list-nvdimm/04585-2f4c7f.eml",
        "list-nvdimm/04881-f9c8d3.eml",
        "list-nvdimm/05052-ac569f.eml",
        "list-nvdimm/05818-006eb6.eml",
        "list-nvdimm/06576-4e5d89.eml",
        "list-nvdimm/07048-422684.eml",
        "list-nvdimm/07262-3a9954.eml",
        "list-nvdimm/07564-c3a1e9.eml",
        "list-nvdimm/08205-74cfa3.eml",
        "list-nvdimm/08733-8cec25.eml",
        "list-nvdimm/08997-48a4be.eml",
        "list-nvdimm/09500-6d5d2b.eml",
        "list-nvdimm/09862-ee31cb.eml",
        "list-nvdimm/10327-d0e8be.eml",
    }
)


def learnt_from(corpus: Path) -> list[Item]:
    found = [item for item in read_index(corpus) if even(item) and item.source != REDACTED]
    return [item for item in found if f"{item.source}/{item.path.name}" not in MISLABELLED] + made_by_hand(False)


def labelled(items: list[Item]) -> Iterator[Labelled]:
    for item in items:
        yield Labelled(f"{item.source}/{item.path.name}", item.spam, read_item(item))


def bounded(before: float, after: float) -> float:
    return after if before < 0 else max(FLOOR, min(after, max(before, min(before + RISE, HIGHEST))))


def rewrite(folder: Path, scores: dict[str, float]) -> None:
    """Put the scores of these rules into the files, and touch nothing else."""
    for path in sorted(folder.glob("*.yaml")):
        name, lines = "", []
        for line in path.read_text().splitlines(keepends=True):
            if match := re.match(r"- name: (\w+)$", line):
                name = match[1]
            if name in scores and re.match(r"  score: ", line):
                line = f"  score: {scores[name]:.1f}\n"
            lines.append(line)
        path.write_text("".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    config = Config()
    rules = [
        rule.name
        for rule in Ruleset.load(config.rules, builtin_symbols(config.site)).rules
        if not rule.silent and rule.name not in HELD
    ]
    found = tuning(list(heard(labelled(learnt_from(given.corpus)), config, given.jobs)), config, given.rate, rules)
    scores = {row.name: bounded(row.before, row.after) for row in found.rows if row.tuned}
    for row in found.rows:
        if row.tuned and scores[row.name] != row.before:
            print(f"{row.name:40} {row.before:5.1f} -> {scores[row.name]:4.1f}   spam {row.spam:5} ham {row.ham:5}")
    print(f"before: {told(found.before)}\nafter, held out: {told(found.after)}")
    if given.write:
        rewrite(shipped("rules"), scores)


if __name__ == "__main__":
    main()
