"""Build the model that filterd ships, from the labelled corpus, by one command.

    python -m training.build --corpus DIR -o models/default [--jobs N] [--seed S]

DIR holds `index` and the messages that it names. The same corpus and seed give the same model, byte for
byte, with the same versions of numpy and scikit-learn. What it measured stands in the manifest and in
CARD.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn
from numpy.typing import NDArray

from filterd.classifier.dataset import extract
from filterd.classifier.features import VERSION
from filterd.classifier.fit import ALPHA, EPOCHS, fit
from filterd.classifier.manifest import Manifest, write_folder
from filterd.classifier.metrics import one_minus_roca
from filterd.classifier.model import CURVE, WEIGHTS, assemble
from filterd.classifier.points import TAG_POINTS, points
from filterd.mail import Message
from training.card import card
from training.corpus import Item, made_by_hand, read_index, read_item

Floats = NDArray[np.float64]


def build(items: Sequence[Item], held_out: Sequence[Item], folder: Path, seed: int, jobs: int) -> Manifest:
    """Extract, fit, measure, write."""
    dataset = extract(items, read_item, jobs, _progress)
    labels = np.array([item.spam for item in items])
    sources = np.array([item.source for item in items])
    fitted = fit(dataset, labels, sources, seed, jobs)
    model = assemble(Manifest(kind="base", features=VERSION), fitted.weights, fitted.curve)
    unseen = extract(held_out, read_item, jobs)
    said = np.array([model.log_odds(unseen.portable(row)) for row in range(len(unseen))])
    first, last = _dates(items)
    manifest = Manifest(
        kind="base",
        features=VERSION,
        ham=int((~labels).sum()),
        spam=int(labels.sum()),
        sources={
            name: (int((~labels[sources == name]).sum()), int(labels[sources == name].sum()))
            for name in sorted(set(sources))
        },
        first=first,
        last=last,
        seed=seed,
        parameters={"alpha": ALPHA, "epochs": EPOCHS},
        metrics={
            **{f"unseen {name}": _at_tag(labels[part], fitted.unseen[part]) for name, part in _parts(sources)},
            **{
                f"held out {name}": _at_tag(np.zeros(part.sum(), dtype=bool), said[part])
                for name, part in _parts(np.array([item.source for item in held_out]))
            },
        },
        made_with={"numpy": np.__version__, "scikit-learn": sklearn.__version__},
    )
    return write_folder(folder, manifest, {WEIGHTS: fitted.weights, CURVE: fitted.curve}, card(manifest))


def _parts(sources: NDArray[np.str_]) -> list[tuple[str, NDArray[np.bool_]]]:
    return [("all", np.ones(len(sources), dtype=bool))] + [(str(n), sources == n) for n in np.unique(sources)]


def _at_tag(labels: NDArray[np.bool_], log_odds: Floats) -> dict[str, float]:
    """What the classifier's points alone would do at the shipped tag threshold, in percent."""
    tagged = np.array([points(value) >= TAG_POINTS for value in log_odds])
    found: dict[str, float] = {}
    if not labels.all():
        found["ham"] = float((~labels).sum())
        found["ham tagged %"] = round(100 * float(tagged[~labels].mean()), 3)
    if labels.any():
        found["spam"] = float(labels.sum())
        found["spam tagged %"] = round(100 * float(tagged[labels].mean()), 3)
    if labels.any() and not labels.all():
        found["1-ROCA %"] = round(one_minus_roca(labels, log_odds), 4)
    return found


def _dates(items: Sequence[Item]) -> tuple[str, str]:
    """Days of the earliest and the latest message, those with an absurd date left out."""
    dates = [Message(read_item(item)).date for item in items]
    days = sorted(date.date().isoformat() for date in dates if date is not None and 1995 < date.year < 2030)
    return (days[0], days[-1]) if days else ("", "")


def _progress(done: int) -> None:
    print(f"\r{done} messages read", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="the folder with `index`")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model's folder")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    items = [*read_index(options.corpus), *made_by_hand(held_out=False)]
    manifest = build(items, made_by_hand(held_out=True), options.output, options.seed, options.jobs)
    print(f"\n{manifest.id}")
    for name, figures in manifest.metrics.items():
        print(f"  {name}: " + ", ".join(f"{key} {value:g}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
