"""Train a version of the site's model from all labels, and hold it against the one in use.

In go stored labels, new ones, and the live model; out comes a `Trained`: the model that learnt everything, and what
the gate says. The gate trains a candidate without the newest stored labels and lets it judge these; the model in use
is measured by what it had said of them before it was told. Deterministic: the same labels give the same model. Writes
nothing but what `keep` and `put` are asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from filterd.classifier import Live, Manifest, Model
from filterd.classifier.features import VERSION
from filterd.classifier.learner import ETA, WRONG
from filterd.classifier.metrics import one_minus_roca
from filterd.classifier.points import SLOPE, TAG_POINTS
from filterd.classifier.shards import cut
from filterd.classifier.site import EPOCHS, REPLAY, Example, SiteModel
from filterd.learning.stored import Kept
from filterd.learning.versions import Versions, write_version
from filterd.store.labels import Label
from filterd.value import Value, pack

if TYPE_CHECKING:
    from filterd.store import Store

HELD_OUT = 0.2  # of the labels, the newest
MOST_HELD_OUT = 2_000
FEWEST = 20  # held out labels of each class, under which the gate has nothing to say
SLACK = 0.005  # of the spam that may be missed more: less than that is chance
_AT_ONCE = 500  # labels in one transaction
TAG_AT = TAG_POINTS / SLOPE  # log-odds


class Measured(Value):
    """How a model did on the held out labels, at the shipped tag threshold."""

    ham: int
    spam: int
    ham_tagged: int
    spam_missed: int
    one_minus_roca: float  # percent


@dataclass(frozen=True, eq=False, slots=True)
class Trained:
    """A model that has learnt everything, and what the gate says of it."""

    model: SiteModel
    fresh: list[Kept]  # what was not stored before, with what the model had said of it
    candidate: Measured | None
    current: Measured | None
    objection: str  # why it should not go live; "" when it may


def train(
    stored: Sequence[Kept],
    fresh: Sequence[tuple[Example, bool]],
    live: Live | None,
    base_weight: float | None = None,
    step: Callable[[str], None] = lambda what: None,
) -> Trained:
    """Learn `stored` and then `fresh`, of which the last label of a message counts.

    `base_weight` fixes what the base model counts; `step` hears what is being done.
    """
    latest = {example.digest: spam for example, spam in fresh}
    kept = [one for one in stored if one[0].digest not in latest]
    step("what each new message would have been taken for")
    added = _one_by_one(kept, fresh, latest, base_weight)
    everything = kept + added
    step("the gate")
    candidate, current = _gate(kept, added, live, base_weight)
    step("everything again")
    model = SiteModel(base_weight=base_weight)
    model.restore(everything)
    return Trained(model, added, candidate, current, _objection(candidate, current))


def manifest_of(trained: Trained, base: Model | None, parent: str, days: tuple[str, str]) -> Manifest:
    """What is to be known of the version; its id comes when it is written."""
    measured = {"candidate, held out": trained.candidate, "in use, held out": trained.current}
    return Manifest(
        kind="site",
        features=VERSION,
        parents=tuple(filter(None, (base.id if base else "", parent))),
        ham=trained.model.ham,
        spam=trained.model.spam,
        sources={"given": _classes(trained.fresh)},
        first=days[0],
        last=days[1],
        parameters={"epochs": EPOCHS, "eta": ETA, "wrong": WRONG, "replay": REPLAY},
        metrics={name: _numbers(one) for name, one in measured.items() if one is not None},
        made_with={"numpy": np.__version__},
    )


def card_of(manifest: Manifest) -> str:
    """The version's page, for people."""
    measured = "".join(
        f"- {name}: " + ", ".join(f"{key} {value:g}" for key, value in found.items()) + "\n"
        for name, found in manifest.metrics.items()
    )
    return (
        "# A model of this site\n\n"
        f"Learnt {manifest.ham} ham and {manifest.spam} spam, on top of {', '.join(manifest.parents) or 'nothing'}.\n"
        f"{_dated(manifest)}\n"
        f"Held out, at the shipped tag threshold:\n\n{measured or '- too few labels to measure'}\n"
        "It knows this site's mail only, and holds features of it: keep it as private as the mail.\n"
    ).replace("\n\n\n", "\n\n")


def _dated(manifest: Manifest) -> str:
    return f"What was given is dated {manifest.first} to {manifest.last}.\n" if manifest.first else ""


def keep(
    versions: Versions,
    trained: Trained,
    base: Model | None,
    parent: str,
    folder: Path | None = None,
    days: tuple[str, str] = ("", ""),
) -> str:
    """Write the version among the others, or to a folder of its own; its id. `days`: the earliest and the latest Date
    of what was given."""
    manifest = manifest_of(trained, base, parent, days)
    if folder is not None:
        return write_version(folder, trained.model, manifest, card_of(manifest)).id
    return versions.keep(trained.model, manifest, card_of(manifest)).id


def put(store: Store, trained: Trained, raw: Mapping[str, bytes | memoryview], quota: int, by: str) -> None:
    """Store the labels that are new, with those messages in `raw` (by digest). Raises StoreError."""
    for some in cut(iter(trained.fresh), _AT_ONCE):
        labels = [
            Label(
                digest=example.digest,
                spam=spam,
                example=pack(example),
                said=said,
                by=by,
                body=bytes(raw.get(example.digest, b"")) or None,
            )
            for example, spam, said in some
        ]
        store.labels.put(labels, quota)


def _one_by_one(
    kept: Sequence[Kept], fresh: Sequence[tuple[Example, bool]], latest: dict[str, bool], base_weight: float | None
) -> list[Kept]:
    """Each new label with what a model said that knew only those before it."""
    site = SiteModel(base_weight=base_weight)
    site.restore(kept)
    added: dict[str, Kept] = {}
    for example, _ in fresh:
        if example.digest not in added:
            spam = latest[example.digest]
            added[example.digest] = (example, spam, site.score(example))
            site.learn(example, spam)
    return list(added.values())


def _gate(
    kept: Sequence[Kept], added: Sequence[Kept], live: Live | None, base_weight: float | None
) -> tuple[Measured | None, Measured | None]:
    """Both models on the newest labels that were stored; where these are too few, on the newest of all."""
    rest, held = _held_out(kept)
    if held:
        rest += added
    else:
        rest, held = _held_out([*kept, *added])
    if not held:
        return None, None
    labels = [spam for _, spam, _ in held]
    site = SiteModel(base_weight=base_weight)
    site.restore(rest)
    candidate = measured(labels, [site.score(example) for example, _, _ in held])
    stored = {example.digest for example, _, _ in kept}
    said = [
        before if example.digest in stored else example.base if live is None else live.judge(example)
        for example, _, before in held
    ]
    return candidate, measured(labels, said)


def _held_out(kept: Sequence[Kept]) -> tuple[list[Kept], list[Kept]]:
    """The older, and the newest; nothing of these where they are too few of a class."""
    cut = len(kept) - min(int(HELD_OUT * len(kept)), MOST_HELD_OUT)
    held = list(kept[cut:])
    spam = sum(spam for _, spam, _ in held)
    return (list(kept[:cut]), held) if min(spam, len(held) - spam) >= FEWEST else (list(kept), [])


def measured(labels: Sequence[bool], scores: Sequence[float]) -> Measured:
    """Counts at the tag threshold; both classes must be there."""
    truth, values = np.array(labels, dtype=bool), np.array(scores, dtype=np.float64)
    return Measured(
        ham=int((~truth).sum()),
        spam=int(truth.sum()),
        ham_tagged=int((values[~truth] >= TAG_AT).sum()),
        spam_missed=int((values[truth] < TAG_AT).sum()),
        one_minus_roca=round(one_minus_roca(truth, values), 5),
    )


def _objection(candidate: Measured | None, current: Measured | None) -> str:
    if candidate is None or current is None:
        return f"there are too few labels to measure it: {FEWEST} of each class must be among the newest fifth"
    if candidate.ham_tagged > current.ham_tagged:
        return f"it tags {candidate.ham_tagged} of {candidate.ham} held out ham, the one in use {current.ham_tagged}"
    if candidate.spam_missed > current.spam_missed + SLACK * current.spam:
        return (
            f"it misses {candidate.spam_missed} of {candidate.spam} held out spam, the one in use {current.spam_missed}"
        )
    return ""


def _classes(kept: Sequence[Kept]) -> tuple[int, int]:
    spam = sum(spam for _, spam, _ in kept)
    return len(kept) - spam, spam


def _numbers(measured: Measured) -> dict[str, float]:
    return {name: float(getattr(measured, name)) for name in measured.__struct_fields__}  # type: ignore[attr-defined]
