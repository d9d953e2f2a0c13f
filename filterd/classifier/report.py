"""A report folder: metrics.json, four plots, and a page that shows them.

In go labels and scores in order of time; out come files in a folder. Needs matplotlib (the `plots` extra): without
it `write_report` raises ModuleNotFoundError, which names it. Writes nothing outside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.metrics import BINS, Metrics, one_minus_roca, probability, roc

PLOTS = ("roc", "learning", "calibration", "scores")
_WINDOWS = 20
_FLOOR = 1e-5  # of a rate, where an axis is logarithmic

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


def write_report(
    folder: Path, title: str, labels: Sequence[bool], scores: Sequence[float] | Floats, metrics: Metrics
) -> None:
    """Write everything into `folder`, which is made if need be."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    truth, values = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    for name, draw in zip(PLOTS, (_roc, _learning, _calibration, _scores), strict=True):
        figure, axes = pyplot.subplots(figsize=(6, 4.5), layout="constrained")
        draw(axes, truth, values)
        figure.savefig(folder / f"{name}.png", dpi=120)
        pyplot.close(figure)
    (folder / "metrics.json").write_text(json.dumps(metrics.to_dict(), indent=2) + "\n")
    (folder / "index.html").write_text(_page(title, metrics))


def _roc(axes: Any, truth: Booleans, values: Floats) -> None:
    blocked, missed = roc(truth, values)
    axes.loglog(np.maximum(blocked, _FLOOR), np.maximum(missed, _FLOOR), drawstyle="steps-post")
    axes.set(xlabel="ham blocked", ylabel="spam missed", title="ROC, both axes logarithmic")
    axes.grid(alpha=0.3)


def _learning(axes: Any, truth: Booleans, values: Floats) -> None:
    places, errors = [], []
    for part in np.array_split(np.arange(len(truth)), _WINDOWS):
        if truth[part].any() and not truth[part].all():
            places.append(part[-1] + 1)
            errors.append(max(one_minus_roca(truth[part], values[part]), 100 * _FLOOR))
    axes.semilogy(places, errors, marker="o")
    axes.set(xlabel="messages learnt", ylabel="1-ROCA % of the last window", title="Learning curve")
    axes.grid(alpha=0.3)


def _calibration(axes: Any, truth: Booleans, values: Floats) -> None:
    predicted = probability(values)
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), BINS) if len(part)]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([predicted[part].mean() for part in parts], [truth[part].mean() for part in parts], marker="o")
    axes.set(xlabel="said probability of spam", ylabel="share that was spam", title="Calibration")
    axes.grid(alpha=0.3)


def _scores(axes: Any, truth: Booleans, values: Floats) -> None:
    edges = np.linspace(values.min(), values.max() + 1e-9, 61)
    axes.hist([values[~truth], values[truth]], bins=edges, label=["ham", "spam"], histtype="stepfilled", alpha=0.6)
    axes.set(xlabel="score (log-odds)", ylabel="messages", yscale="log", title="Scores")
    axes.legend()


def _page(title: str, metrics: Metrics) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(json.dumps(value))}</td></tr>\n"
        for name, value in metrics.to_dict().items()
    )
    plots = "".join(f'<img src="{name}.png" alt="{name}">\n' for name in PLOTS)
    return (
        f"<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>{escape(title)}</title>\n"
        "<style>body{font-family:sans-serif;max-width:80em;margin:2em auto}th{text-align:left;font-weight:normal;"
        "padding-right:2em}img{max-width:48%}</style>\n"
        f"<h1>{escape(title)}</h1>\n<table>\n{rows}</table>\n{plots}</html>\n"
    )
