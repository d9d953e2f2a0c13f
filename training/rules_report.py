"""How each rule fares on labelled mail: hits in ham and spam, by source, and what the rules alone decide.

    python -m training.rules_report DIR [--tag 5.0] [--quarantine 8.0] [--jobs 2] [--rules] [--ham NAME] [--json]

DIR holds `index` (TREC style: `spam data/x/1.eml`) and the messages. Only rules and checks on the message itself are
measured: the corpus has no DNS facts, so SPF, DKIM and DMARC stay `none`. S/O is spam hits over all hits, each
as a share of its class.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from joblib import Parallel, delayed

from filterd.app.scan import Said, envelope_of
from filterd.authentication import UNAUTHENTICATED
from filterd.checks import CHECKS
from filterd.facts import NOTHING
from filterd.findings import Finding, total
from filterd.mail import Mail, Message, Origin
from filterd.ruleset import Ruleset, RulesSettings
from filterd.sources import Found

NOWHERE = Origin()


@dataclass
class Tally:
    """What was counted, by (label, source)."""

    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    tagged: Counter[tuple[str, str]] = field(default_factory=Counter)
    quarantined: Counter[tuple[str, str]] = field(default_factory=Counter)
    hits: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    worst_ham: list[tuple[int, str, str]] = field(default_factory=list)  # points, path, findings

    def add(self, other: Tally) -> None:
        self.messages += other.messages
        self.tagged += other.tagged
        self.quarantined += other.quarantined
        for name, counts in other.hits.items():
            self.hits[name] += counts
        self.worst_ham += other.worst_ham


def rules_alone() -> Ruleset:
    """The shipped rules, beside the checks on a message alone."""
    return Ruleset.load(RulesSettings(), [symbol for check in CHECKS for symbol in check.symbols])


def findings_of(raw: bytes, ruleset: Ruleset) -> list[Finding]:
    """Checks and rules on the bytes alone; the mail arrived when its newest Received line says so."""
    mail = Mail(envelope_of(Found("", raw), Said(), ()), Message(raw), NOWHERE)
    found = [finding for check in CHECKS for finding in check(mail, NOTHING, UNAUTHENTICATED)]
    return found + ruleset.judge(mail, NOTHING, UNAUTHENTICATED, found)


def measure(root: Path, lines: list[str], tag: int, quarantine: int) -> Tally:
    ruleset, tally = rules_alone(), Tally()
    for label, path in (line.split(None, 1) for line in lines):
        key = (label, path.split("/")[1])
        findings = findings_of((root / path).read_bytes(), ruleset)
        points = total(findings)
        tally.messages[key] += 1
        tally.tagged[key] += points >= tag
        tally.quarantined[key] += points >= quarantine
        for name in {finding.name for finding in findings}:
            tally.hits[name][key] += 1
        if label == "ham" and points >= tag:
            tally.worst_ham.append((points, path, " ".join(f"{one.name}={one.score:g}" for one in findings)))
    return tally


def report(tally: Tally, rules: bool, ham: str | None) -> Iterator[str]:
    of_label = {label: sum(n for (one, _), n in tally.messages.items() if one == label) for label in ("ham", "spam")}
    yield f"{'class':5} {'source':22} {'messages':>8} {'tagged':>8} {'':>7} {'quarantined':>11}"
    for key in sorted(tally.messages):
        label, source = key
        n, tagged, kept = tally.messages[key], tally.tagged[key], tally.quarantined[key]
        yield f"{label:5} {source:22} {n:8} {tagged:8} {tagged / n:7.2%} {kept:11} {kept / n:7.2%}"
    for label, n in of_label.items():
        tagged = sum(count for (one, _), count in tally.tagged.items() if one == label)
        kept = sum(count for (one, _), count in tally.quarantined.items() if one == label)
        yield f"{label:5} {'all':22} {n:8} {tagged:8} {tagged / n:7.2%} {kept:11} {kept / n:7.2%}"
    if rules:
        yield ""
        yield f"{'rule':40} {'spam':>6} {'ham':>6} {'spam %':>7} {'ham %':>7} {'S/O':>6}"
        for name, counts in sorted(tally.hits.items()):
            spam = sum(n for (label, _), n in counts.items() if label == "spam")
            good = sum(n for (label, _), n in counts.items() if label == "ham")
            share, wrong = spam / max(1, of_label["spam"]), good / max(1, of_label["ham"])
            by_source = ", ".join(f"{source} {n}" for (label, source), n in counts.items() if label == "ham")
            yield f"{name:40} {spam:6} {good:6} {share:7.2%} {wrong:7.2%} {share / (share + wrong):6.3f}  {by_source}"
    if ham is not None:
        yield ""
        for points, path, said in sorted(tally.worst_ham, reverse=True):
            if ham in said or ham in path:
                yield f"{points / 100:6.2f} {path}: {said}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--tag", type=float, default=5.0)
    parser.add_argument("--quarantine", type=float, default=8.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="every nth message only")
    parser.add_argument("--rules", action="store_true", help="each rule's hits")
    parser.add_argument("--ham", nargs="?", const="", help="ham over the tag threshold, with what it was taken for")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    lines = (given.corpus / "index").read_text().splitlines()[:: given.every]
    tag, quarantine = round(given.tag * 100), round(given.quarantine * 100)
    tally = Tally()
    for part in Parallel(n_jobs=given.jobs)(
        delayed(measure)(given.corpus, lines[start :: given.jobs * 4], tag, quarantine)
        for start in range(given.jobs * 4)
    ):
        tally.add(part)
    if given.json:
        hits = {name: {" ".join(key): n for key, n in counts.items()} for name, counts in tally.hits.items()}
        json.dump({"messages": {" ".join(key): n for key, n in tally.messages.items()}, "hits": hits}, sys.stdout)
    else:
        sys.stdout.writelines(f"{line}\n" for line in report(tally, given.rules, given.ham))


if __name__ == "__main__":
    main()
