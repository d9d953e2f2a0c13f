"""The model card: what a postmaster should know of the shipped model, written from its manifest."""

from __future__ import annotations

from filterd.classifier.manifest import Manifest

_TEXT = """\
# The base model that filterd ships

What it is: logistic regression over the shape, words and letters of a message (feature version
{features}), fitted by scikit-learn, kept as plain arrays. It gives a probability and points, and never
acts alone: its points end under the quarantine threshold.

What it is for: the first days, until the site's own labels have taught the site model. It was made from
old and technical mail for the most part ({first} to {last}), and no site is like another: expect it to
miss much spam, and see below what it does on sources that it has not seen.

Made from {ham} ham and {spam} spam by `python -m training.build --corpus DIR -o models/default --seed
{seed}` ({made_with}).

| source | ham | spam |
|---|---|---|
{sources}

## At the tag threshold (5.0), by its points alone

`unseen X`: every message of X was scored by a model that was fitted without X. `held out X`: hand-made
ham that no model saw. In percent.

| protocol | ham | of it tagged | spam | of it tagged | 1-ROCA |
|---|---|---|---|---|---|
{metrics}

## What it does not look at

Received, To and other traces of delivery, addresses and host names, dates, character sets and languages
as such, and the verdicts of other filters: they tell one mailbox from another, not spam from ham.
Marketing that was asked for and marketing that was not look alike to it; authentication, the sender's
history and rules must tell them apart.
"""


def card(manifest: Manifest) -> str:
    """CARD.md for `manifest`."""
    return _TEXT.format(
        features=manifest.features,
        first=manifest.first,
        last=manifest.last,
        ham=manifest.ham,
        spam=manifest.spam,
        seed=manifest.seed,
        made_with=", ".join(f"{name} {version}" for name, version in manifest.made_with.items()),
        sources="\n".join(f"| {name} | {ham} | {spam} |" for name, (ham, spam) in manifest.sources.items()),
        metrics="\n".join(_row(name, figures) for name, figures in manifest.metrics.items()),
    )


def _row(name: str, figures: dict[str, float]) -> str:
    columns = ("ham", "ham tagged %", "spam", "spam tagged %", "1-ROCA %")
    return f"| {name} | " + " | ".join(f"{figures[one]:g}" if one in figures else "" for one in columns) + " |"
