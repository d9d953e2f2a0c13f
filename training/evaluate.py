"""The figures of docs/learning.md, each by one command.

    python -m training.evaluate --corpus DIR --source spamassassin online [--noise 0.05] [--report FOLDER]
    python -m training.evaluate --corpus DIR --source spamassassin split
    python -m training.evaluate --corpus DIR --source all days
    python -m training.evaluate --corpus DIR --source spamassassin cost

`online` is the TREC spam track's protocol (classify, then learn, in the order of the index); `split` learns
the files with even numbers in their names and judges the odd ones; `days` judges all later mail after 0,
20, 50, ... labels, once from scratch and once on a base model that was fitted without that source; `cost`
is CPU time. Prints JSON; `--report` also makes plots. `training.peer_bogofilter` runs the same protocols on
bogofilter.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from filterd.classifier import Model, ModelSettings, load_shipped_or
from filterd.classifier.dataset import Dataset, extract
from filterd.classifier.features import Features
from filterd.classifier.fit import fit
from filterd.classifier.metrics import Metrics, measure
from filterd.classifier.protocol import Feedback, batch, days, online
from filterd.classifier.site import Example, SiteModel
from filterd.mail import Envelope, Mail, Message, Origin
from training.corpus import Item, even, made_by_hand, read_index, read_item

_ENVELOPE = Envelope(
    id="cost",
    received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    listener="cost",
    peer=None,
    client=Origin(),
    sender="",
    recipients=(),
)
_COUNT = 500  # messages whose cost is taken
DAYS = (0, 20, 50, 100, 200, 500)


def examples(items: Sequence[Item], dataset: Dataset) -> list[Example]:
    """What the site model takes, from arrays, without a base model."""
    return [Example.made(str(item.path), dataset.seen(row)) for row, item in enumerate(items)]


def run_online(items: Sequence[Item], jobs: int, noise: float) -> tuple[list[bool], np.ndarray, Metrics]:
    labels = [item.spam for item in items]
    scores = online(examples(items, extract(items, read_item, jobs)), labels, Feedback(noise=noise))
    return labels, scores, measure(labels, scores, bootstrap=200)


def run_split(items: Sequence[Item], jobs: int) -> Metrics:
    found = examples(items, extract(items, read_item, jobs))
    train = [(example, item.spam) for example, item in zip(found, items, strict=True) if even(item)]
    test = [(example, item.spam) for example, item in zip(found, items, strict=True) if not even(item)]
    return measure([spam for _, spam in test], batch(train, [one for one, _ in test]), bootstrap=200)


def run_days(everything: Sequence[Item], source: str, jobs: int) -> dict[str, dict[str, dict[str, float]]]:
    """1-ROCA % after so many labels, from scratch and on a base that never saw the source; `all` is each source."""
    dataset = extract(everything, read_item, jobs)
    fitted = fit(dataset, [item.spam for item in everything], [item.source for item in everything], jobs=jobs)
    both = sorted({one.source for one in everything if one.spam} & {one.source for one in everything if not one.spam})
    return {
        name: {
            "scratch": _curve(everything, dataset, name, np.zeros(len(everything))),
            "on the base": _curve(everything, dataset, name, fitted.unseen),
        }
        for name in (both if source == "all" else [source])
    }


def _curve(everything: Sequence[Item], dataset: Dataset, source: str, base: np.ndarray) -> dict[str, float]:
    rows = [row for row, item in enumerate(everything) if item.source == source]
    labels = [everything[row].spam for row in rows]
    found = [Example.made(str(row), dataset.seen(row), float(base[row])) for row in rows]
    counts = [count for count in DAYS if count < len(rows) / 2]
    scores, start = days(found, labels, counts)
    return {str(count): measure(labels[start:], scores[count]).one_minus_roca for count in counts}


def run_cost(items: Sequence[Item], model: Model) -> dict[str, float]:
    """CPU milliseconds a message of 4 to 6 kB, the message read before: what classifying and learning add."""
    chosen = [(item.spam, read_item(item)) for item in items[: 8 * _COUNT]]
    chosen = [(spam, raw) for spam, raw in chosen if 4_000 <= len(raw) <= 6_000][:_COUNT]
    messages = [Message(raw) for _, raw in chosen]
    for message in messages:
        message.text, message.links, message.attachments, message.defects, message.hidden_text  # noqa: B018
    mails = [Mail(_ENVELOPE, message, Origin()) for message in messages]
    found = {"messages": float(len(messages)), "mean bytes": sum(len(raw) for _, raw in chosen) / len(chosen)}
    found["base: features and score"] = _milliseconds(lambda: [_score(model, one) for one in messages], messages)
    found["base: opinion with evidence"] = _milliseconds(lambda: [model.opinion(mail) for mail in mails], mails)
    made: list[Example] = []
    found["site: features"] = _milliseconds(lambda: made.extend(Example.of(one, model) for one in messages), messages)
    site = SiteModel()
    found["site: learn"] = _milliseconds(
        lambda: [site.learn(one, spam) for one, (spam, _) in zip(made, chosen, strict=True)], made
    )
    found["site: score"] = _milliseconds(lambda: [site.score(one) for one in made], made)
    return {name: round(value, 3) for name, value in found.items()}


def _score(model: Model, message: Message) -> float:
    return model.log_odds(Features(message).portable)


def _milliseconds(work: Callable[[], object], of: Sequence[object]) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start) / len(of)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--source", default="spamassassin", help="a source of the corpus, or `all`")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="share of labels that come back wrong")
    parser.add_argument("--report", type=Path, help="a folder for plots (online)")
    parser.add_argument("protocol", choices=["online", "split", "days", "cost"])
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
    elif options.protocol == "cost":
        found = run_cost(items, load_shipped_or(ModelSettings()))
    else:
        found = run_days([*everything, *made_by_hand(held_out=False)], options.source, options.jobs)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
