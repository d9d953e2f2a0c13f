"""The figures of docs/learning.md, each by one command.

    python -m training.evaluate --corpus DIR --source spamassassin online [--noise 0.05] [--report FOLDER]
    python -m training.evaluate --corpus DIR --source spamassassin split
    python -m training.evaluate --corpus DIR --source list-nvdimm days

`online` is the TREC spam track's protocol (classify, then learn, in the order of the index); `split` learns the files
with even numbers in their names and judges the odd ones; `days` judges all later mail after 0, 20, 50, ... labels,
once from scratch and once on a base model that was fitted without that source. Prints JSON; `--report` also makes
plots. `training.peer_bogofilter` runs the same protocols on bogofilter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from filterd.classifier.dataset import Dataset, extract
from filterd.classifier.fit import fit
from filterd.classifier.metrics import Metrics, measure
from filterd.classifier.protocol import Feedback, batch, days, online
from filterd.classifier.site import Example
from training.corpus import Item, even, made_by_hand, read_index, read_item

DAYS = (0, 20, 50, 100, 200, 500)


def examples(items: Sequence[Item], dataset: Dataset, base: Sequence[float] | None = None) -> list[Example]:
    """What the site model takes, from arrays; `base` are the base model's log-odds."""
    return [
        Example.made(item.path.name, (dataset.raw[row], dataset.text[row]), 0.0 if base is None else base[row])
        for row, item in enumerate(items)
    ]


def run_online(items: Sequence[Item], jobs: int, noise: float) -> tuple[list[bool], np.ndarray, Metrics]:
    labels = [item.spam for item in items]
    scores = online(examples(items, extract(items, read_item, jobs)), labels, Feedback(noise=noise))
    return labels, scores, measure(labels, scores, bootstrap=200)


def run_split(items: Sequence[Item], jobs: int) -> Metrics:
    found = examples(items, extract(items, read_item, jobs))
    train = [(example, item.spam) for example, item in zip(found, items, strict=True) if even(item)]
    test = [(example, item.spam) for example, item in zip(found, items, strict=True) if not even(item)]
    return measure([spam for _, spam in test], batch(train, [one for one, _ in test]), bootstrap=200)


def run_days(everything: Sequence[Item], source: str, jobs: int) -> dict[str, dict[str, float]]:
    """1-ROCA % after so many labels, from scratch and on a base that never saw the source."""
    dataset = extract(everything, read_item, jobs)
    fitted = fit(dataset, [item.spam for item in everything], [item.source for item in everything], jobs=jobs)
    rows = [row for row, item in enumerate(everything) if item.source == source]
    items = [everything[row] for row in rows]
    labels = [item.spam for item in items]
    curve: dict[str, dict[str, float]] = {}
    for name, base in (("scratch", None), ("on the base", fitted.unseen)):
        found = [
            Example.made(str(row), (dataset.raw[row], dataset.text[row]), 0.0 if base is None else base[row])
            for row in rows
        ]
        counts = [count for count in DAYS if count < len(rows) / 2]
        scores, start = days(found, labels, counts)
        curve[name] = {str(count): measure(labels[start:], scores[count]).one_minus_roca for count in counts}
    return curve


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--source", default="spamassassin", help="a source of the corpus, or `all`")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="share of labels that come back wrong")
    parser.add_argument("--report", type=Path, help="a folder for plots (online)")
    parser.add_argument("protocol", choices=["online", "split", "days"])
    options = parser.parse_args()
    everything = read_index(options.corpus)
    items = [item for item in everything if options.source in (item.source, "all")]
    if options.protocol == "online":
        labels, scores, metrics = run_online(items, options.jobs, options.noise)
        found: object = metrics.to_dict()
        if options.report:
            from filterd.classifier.report import write_report

            write_report(options.report, f"{options.source}, online", labels, scores, metrics)
    elif options.protocol == "split":
        found = run_split(items, options.jobs).to_dict()
    else:
        found = run_days([*everything, *made_by_hand(held_out=False)], options.source, options.jobs)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
