"""Training: the same mail and seed give the same model, and a source that leaks is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filterd.classifier.dataset import extract
from filterd.classifier.fit import balance, calibration, fit
from filterd.classifier.leaks import Leak, Presence
from filterd.classifier.metrics import measure
from filterd.classifier.report import PLOTS, write_report


def messages() -> tuple[list[bytes], list[bool], list[str]]:
    """Three sources of a small made-up world."""
    raws, labels, sources = [], [], []
    for place in range(90):
        spam, source = place % 2 == 0, f"site-{place % 3}"
        topic = b"claim your cheap prize money now!!!" if spam else b"minutes of the meeting on the new roof"
        raws.append(
            b"From: a%d@example.net\nSubject: message %d\n\nDear list %d,\n%s\nRegards\n"
            % (place, place, place % 3, topic)
        )
        labels.append(spam)
        sources.append(source)
    return raws, labels, sources


def test_the_same_mail_and_seed_give_the_same_model() -> None:
    raws, labels, sources = messages()
    one, two = (fit(extract(raws, bytes), labels, sources, seed=7) for _ in range(2))
    assert (one.weights == two.weights).all()
    assert (one.curve == two.curve).all()


def test_unseen_sources_are_told_apart_and_the_curve_rises() -> None:
    raws, labels, sources = messages()
    fitted = fit(extract(raws, bytes), labels, sources)
    assert measure(labels, fitted.unseen).one_minus_roca == 0.0
    assert (np.diff(fitted.curve, axis=1) > 0).all()
    assert np.abs(fitted.curve[1]).max() < 6.3


def test_several_jobs_give_the_same_features() -> None:
    raws, _, _ = messages()
    seen: list[int] = []
    many = extract(raws * 6, bytes, jobs=2, progress=seen.append)
    one = extract(raws * 6, bytes, jobs=1)
    for view, other in zip(many.site, one.site, strict=True):
        assert (view.indices == other.indices).all()
        assert (view.starts == other.starts).all()
    assert seen == [250, 500, 540]


def test_one_class_is_refused() -> None:
    raws, labels, sources = messages()
    with pytest.raises(ValueError, match="both ham and spam"):
        fit(extract(raws, bytes), [True] * len(labels), sources)


def test_balance() -> None:
    labels = np.array([True] * 90 + [False] * 10)
    sources = np.array(["a"] * 81 + ["b"] * 9 + ["a"] * 10)
    weights = balance(labels, sources)
    assert weights[labels].sum() == pytest.approx(weights[~labels].sum())
    assert weights[:81].sum() / weights[81:90].sum() == pytest.approx(3.0)


def test_calibration_is_not_surer_than_it_may_be() -> None:
    scores = np.linspace(-1, 1, 50)
    knots = calibration(scores, scores > 0, np.ones(50))
    assert np.abs(knots[1]).max() < 6.3


def test_a_telling_header_is_a_leak() -> None:
    headers = [["Subject", "X-Campaign"]] * 30 + [["Subject", "List-Id"]] * 24 + [["subject"]] * 6
    labels = [True] * 30 + [False] * 30
    presence = Presence()
    for place, (names, spam) in enumerate(zip(headers, labels, strict=True)):
        presence.add(names, spam)
        if place == 30:
            assert presence.leaks() == []
    assert presence.leaks() == [Leak("x-campaign", 1.0, True), Leak("list-id", 0.9, False)]


def test_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    random = np.random.default_rng(0)
    labels = list(random.random(300) < 0.5)
    scores = random.normal(size=300) + 2 * np.array(labels)
    write_report(tmp_path / "report", "A <test>", labels, scores, measure(labels, scores))
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {"index.html", "metrics.json", *(f"{plot}.png" for plot in PLOTS)}
    assert "A &lt;test&gt;" in (tmp_path / "report" / "index.html").read_text()
