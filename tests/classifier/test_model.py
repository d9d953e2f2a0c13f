"""The shipped model, as serving uses it."""

from __future__ import annotations

import datetime
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.classifier import Manifest, Model, ModelError, ModelSettings, load_shipped_or
from filterd.classifier.explain import AGAINST, FOR, REST
from filterd.classifier.features import PORTABLE_SIZE, VERSION, Features
from filterd.classifier.model import assemble
from filterd.classifier.points import HIGHEST, LOWEST
from filterd.mail import Envelope, Mail, Message, Origin
from filterd.resources import shipped

CASES = Path(__file__).parents[1] / "cases" / "classifier"
ENVELOPE = Envelope(
    id="x",
    received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    listener="test",
    peer=None,
    client=Origin(),
    sender="",
    recipients=(),
)


def mail(raw: bytes) -> Mail:
    return Mail(ENVELOPE, Message(raw), Origin())


@pytest.fixture(scope="module")
def model() -> Model:
    return load_shipped_or(ModelSettings())


def test_serving_never_imports_scikit_learn() -> None:
    code = (
        "import sys; from filterd.classifier import *; load_shipped_or(ModelSettings());"
        "print([name for name in ('sklearn', 'scipy', 'joblib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_small_and_quickly_loaded() -> None:
    folder = shipped("models") / "default"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000
    fastest = math.inf
    for _ in range(5):
        start = time.perf_counter()
        load_shipped_or(ModelSettings())
        fastest = min(fastest, time.perf_counter() - start)
    assert fastest < 0.05


def test_the_manifest_says_where_it_came_from(model: Model) -> None:
    manifest = model.manifest
    assert manifest.ham > 10_000
    assert manifest.spam > 5_000
    assert manifest.metrics["unseen all"]["ham tagged %"] <= 1.0
    assert manifest.metrics["held out handmade-romance"]["ham tagged %"] == 0.0
    card = (shipped("models") / "default" / "CARD.md").read_text()
    assert f"feature version {VERSION}" in " ".join(card.split())


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.eml")))
def test_evidence_adds_up(model: Model, name: str) -> None:
    opinion = model.opinion(mail((CASES / name).read_bytes()))
    assert opinion.model == model.id
    assert opinion.probability is not None
    assert 0 < opinion.probability < 1
    assert sum(one.points for one in opinion.evidence) == opinion.points
    assert len(opinion.evidence) <= FOR + AGAINST + 1
    assert all(one.token == REST or one.token.startswith(("shape: ", "word: ")) for one in opinion.evidence)


def test_the_prize_is_spam_and_the_notes_are_not(model: Model) -> None:
    prize, notes, letter = (
        model.opinion(mail((CASES / name).read_bytes())) for name in ("html.eml", "plain.eml", "portuguese.eml")
    )
    assert prize.points > 100
    assert notes.points < 100
    assert letter.points < 200


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\n\r\n", b"  "])
def test_no_opinion_about_nothing(model: Model, raw: bytes) -> None:
    assert model.opinion(mail(raw)).probability is None


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_always_finite_and_within_the_cap(raw: bytes) -> None:
    opinion = load_once().opinion(mail(b"Subject: " + raw))
    assert opinion.probability is not None
    assert math.isfinite(opinion.probability)
    assert LOWEST <= opinion.points <= HIGHEST
    assert sum(one.points for one in opinion.evidence) == opinion.points


def load_once(loaded: list[Model] = []) -> Model:  # noqa: B006  a cache for hypothesis, which takes no fixtures
    if not loaded:
        loaded.append(load_shipped_or(ModelSettings()))
    return loaded[0]


def test_as_sure_as_can_be_stays_under_quarantine() -> None:
    weights = np.full(PORTABLE_SIZE, 50, dtype=np.float16)
    sure = assemble(Manifest(kind="base", features=VERSION), weights, np.array([[0, 1], [-9, 9]], dtype=np.float32))
    opinion = sure.opinion(mail((CASES / "html.eml").read_bytes()))
    assert opinion.points == HIGHEST < 800
    assert sum(one.points for one in opinion.evidence) == HIGHEST


def test_a_hundred_megabytes_of_text(model: Model) -> None:
    big = mail(b"Subject: big\n\n" + b"spam and eggs, eggs and spam " * 3_600_000)
    assert len(big.message.text) > 0
    start = time.process_time()
    opinion = model.opinion(big)
    assert opinion.probability is not None
    assert time.process_time() - start < 1.0


def test_the_score_is_what_training_computes(model: Model) -> None:
    from filterd.classifier.dataset import extract

    raws = [path.read_bytes() for path in sorted(CASES.glob("*.eml"))]
    dataset = extract(raws, bytes)
    at_once = dataset.matrix() @ model.weights
    one_by_one = [model.score(Features(Message(raw)).portable) for raw in raws]
    assert at_once == pytest.approx(one_by_one, abs=1e-4)


def test_settings_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_shipped_or(ModelSettings(path=str(tmp_path / "none")))
