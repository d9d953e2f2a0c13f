"""The peer's figures: Debian's bogofilter over the same messages, in the same protocols, judged by the same
metrics.

    python -m training.peer_bogofilter --corpus DIR --source spamassassin online
    python -m training.peer_bogofilter --corpus DIR --source spamassassin split
    python -m training.peer_bogofilter --corpus DIR --source modern-household days

`online` classifies each message and then teaches it, in the order of the index (TREC spam track); `split`
learns the even files and judges the odd ones; `days` learns the first k and judges all later ones, for
several k. Needs `bogofilter` on the path and writes only into a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from filterd.classifier.metrics import measure
from training.corpus import Item, even, read_index

DAYS = (20, 50, 100, 200, 500)


class Bogofilter:
    """One word list in `folder`, through the command line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _run(self, *arguments: str) -> str:
        command = ["bogofilter", "--no-config-file", "-d", str(self._folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 3:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def learn(self, items: Sequence[Item]) -> None:
        for flag, spam in (("-n", False), ("-s", True)):
            paths = [str(item.path) for item in items if item.spam is spam]
            for start in range(0, len(paths), 500):
                self._run(flag, "-B", *paths[start : start + 500])

    def scores(self, items: Sequence[Item]) -> list[float]:
        """Log-odds of bogofilter's spamicity, one for each message; 0 while it knows nothing."""
        spamicity: list[float] = []
        for start in range(0, len(items), 500):
            lines = self._run("-TT", "-B", *(str(item.path) for item in items[start : start + 500])).splitlines()
            spamicity += [float(line.split()[-1]) for line in lines]
        if len(spamicity) != len(items):
            raise RuntimeError(f"bogofilter answered {len(spamicity)} times for {len(items)} messages")
        p = np.clip(np.array(spamicity), 1e-16, 1 - 1e-16)
        return list(np.log(p / (1 - p)))


def online(items: Sequence[Item], folder: Path) -> dict[str, object]:
    peer = Bogofilter(folder)
    scores = []
    for count, item in enumerate(items):
        scores += peer.scores([item]) if count else [0.0]
        peer.learn([item])
    return measure([item.spam for item in items], scores).to_dict()


def split(items: Sequence[Item], folder: Path) -> dict[str, object]:
    peer = Bogofilter(folder)
    peer.learn([item for item in items if even(item)])
    odd = [item for item in items if not even(item)]
    return measure([item.spam for item in odd], peer.scores(odd)).to_dict()


def days(items: Sequence[Item], folder: Path) -> dict[str, object]:
    curve: dict[str, object] = {}
    counts = [count for count in DAYS if count < len(items) / 2]
    later = items[max(counts) :]
    for count in counts:
        peer = Bogofilter(folder / str(count))
        (folder / str(count)).mkdir()
        peer.learn(items[:count])
        curve[str(count)] = measure([item.spam for item in later], peer.scores(later)).to_dict()
    return curve


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--source", default="spamassassin")
    parser.add_argument("protocol", choices=["online", "split", "days"])
    options = parser.parse_args()
    items = [item for item in read_index(options.corpus) if item.source == options.source]
    protocol = {"online": online, "split": split, "days": days}[options.protocol]
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(protocol(items, Path(folder)), indent=2))


if __name__ == "__main__":
    main()
