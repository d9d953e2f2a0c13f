"""filterd's rules and SpamAssassin's on the same held-out half of the corpus, without any classifier.

    python -m training.compare_spamassassin DIR [--cache FILE] [--source NAME]... [--jobs 2] [--json]

Scores of the shipped rules are tuned on messages whose file name has an even number (`training.tune_rules`); judged
here are the odd ones. SpamAssassin runs as its own spamd with local tests only and without Bayes, so both sides see the
bytes of a message and nothing else. `--cache` keeps its scores, for it takes a while. For each source and for all: the
spam caught where 0.5 % of the ham is over the threshold, and ham and spam over each one's own threshold, 5. Needs
Debian's `spamd` and `spamassassin`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from filterd.classifier.metrics import spam_missed
from filterd.classifier.shards import in_shards
from training.corpus import Item, even, read_index
from training.rules_report import findings_of, rules_alone

SPAMD = ("spamd", "--local", "--nouser-config", "--max-children=1", "--cf=use_bayes 0", "--syslog=null")
RATE = 0.005  # of the ham, at which the spam caught is compared
TAG = 5.0
START = 60.0  # seconds that spamd may take to load its rules


@dataclass(frozen=True, slots=True)
class Scored:
    """One message of the held-out half, and what both sides gave it."""

    source: str
    spam: bool
    ours: float
    theirs: float


@contextlib.contextmanager
def spamd() -> Iterator[Path]:
    """A spamd of our own, on a socket in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spamd.sock")
        with subprocess.Popen([*SPAMD, f"--socketpath={path}", f"--pidfile={folder}/pid"]) as process:
            try:
                deadline = time.monotonic() + START
                while not path.exists() and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.2)
                yield path
            finally:
                process.terminate()


def ask(path: Path, raw: bytes) -> float:
    """SpamAssassin's score; the protocol of its spamd/PROTOCOL."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"CHECK SPAMC/1.2\r\nContent-length: %d\r\n\r\n" % len(raw) + raw)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read().decode()
    said = next(line for line in answer.splitlines() if line.startswith("Spam:"))
    return float(said.partition(";")[2].partition("/")[0])


def their_scores(items: Sequence[Item], corpus: Path, cache: Path | None) -> list[float]:
    """SpamAssassin's score of each message; those that the cache holds are not asked again."""
    names = [str(item.path.relative_to(corpus)) for item in items]
    known: dict[str, float] = json.loads(cache.read_text()) if cache is not None and cache.exists() else {}
    missing = [(name, item) for name, item in zip(names, items, strict=True) if name not in known]
    if missing:
        with spamd() as path:
            for count, (name, item) in enumerate(missing, 1):
                known[name] = ask(path, item.path.read_bytes())
                if cache is not None and (count % 100 == 0 or count == len(missing)):
                    cache.write_text(json.dumps(known))
    return [known[name] for name in names]


def our_scores(items: Sequence[Item], jobs: int) -> list[float]:
    """The score of checks and shipped rules alone."""
    return [score for part in in_shards(items, _scores, jobs) for score in part]


def _scores(items: Sequence[Item]) -> list[float]:
    ruleset = rules_alone()
    return [sum(one.points for one in findings_of(item.path.read_bytes(), ruleset)) / 100 for item in items]


def compared(scored: Sequence[Scored]) -> dict[str, float | int | None]:
    """Counts and shares of one group of messages."""
    spam = np.array([one.spam for one in scored])
    found: dict[str, float | int | None] = {"ham": int((~spam).sum()), "spam": int(spam.sum())}
    for side in ("ours", "theirs"):
        scores = np.array([getattr(one, side) for one in scored])
        both = spam.any() and not spam.all()
        found[f"{side}: spam caught at {RATE:.1%}"] = 100 - spam_missed(spam, scores, RATE) if both else None
        found[f"{side}: ham over {TAG:g}"] = int((scores[~spam] >= TAG).sum())
        found[f"{side}: spam over {TAG:g}"] = int((scores[spam] >= TAG).sum())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cache", type=Path, help="a file for SpamAssassin's scores")
    parser.add_argument("--source", action="append", help="a source of the corpus; without it, every one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    held_out = [item for item in read_index(given.corpus) if not even(item)]
    items = [item for item in held_out if not given.source or item.source in given.source]
    theirs = their_scores(items, given.corpus, given.cache)
    ours = our_scores(items, given.jobs)
    scored = [Scored(item.source, item.spam, *both) for item, *both in zip(items, ours, theirs, strict=True)]
    groups = {"all": scored, **{name: [one for one in scored if one.source == name] for name in sources(scored)}}
    figures = {name: compared(group) for name, group in groups.items()}
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    columns = ["source", *figures["all"]]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, values in figures.items():
        print(f"| {name} | {' | '.join(map(_cell, values.values()))} |")


def sources(scored: Sequence[Scored]) -> list[str]:
    return sorted({one.source for one in scored})


def _cell(value: float | int | None) -> str:
    return "" if value is None else f"{value:.2f} %" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
