"""Rates: buckets fill and leak, each for its own key, and the service answers 450 at MAIL and RCPT."""

from __future__ import annotations

import datetime
import smtplib
from pathlib import Path
from typing import Any

import pytest

from filterd.engine import rates
from filterd.engine.rates import Rates, RateSettings
from filterd.mail import Direction, Envelope, Origin, Recipient, Source
from tests.serving import Serving

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def envelope(seconds: float = 0, **fields: Any) -> Envelope:
    named = {"sender": "a@b.example", "client": Origin("203.0.113.9", source=Source.PEER), "recipients": ()} | fields
    received_at = NOW + datetime.timedelta(seconds=seconds)
    return Envelope(id="x", received_at=received_at, listener="t", peer=None, **named)


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        ("address", {}, {"client": Origin("203.0.113.8")}),
        ("network", {"client": Origin("203.0.113.8")}, {"client": Origin("203.0.114.9")}),
        ("network", {"client": Origin("203.0.113.1")}, {"client": Origin("2001:db8::1")}),
        ("sender", {"sender": "A@B.example"}, {"sender": "c@b.example"}),
        ("user", {"user": "ann"}, {"user": "bob"}),
        ("recipient", {"recipients": (Recipient("x@y.z"),)}, {"recipients": (Recipient("w@y.z"),)}),
    ],
)
def test_each_has_a_bucket_of_its_own(by: str, same: dict[str, Any], other: dict[str, Any]) -> None:
    some = Rates((RateSettings(by=by, limit=3, per=60.0),))  # type: ignore[arg-type]
    assert [some.take(envelope(**same)) is None for _ in range(5)] == [True] * 3 + [False] * 2
    assert some.take(envelope(**other)) is None
    reply = some.take(envelope(**same))
    assert reply is not None
    assert reply.code == 450
    assert some.take(envelope(21, **same)) is None  # a third has leaked
    assert some.take(envelope(21, **same)) is not None
    assert some.refused == 4


def test_our_own_users_do_not_fill_the_buckets_of_addresses() -> None:
    some = Rates((RateSettings(by="address", limit=1),))  # type: ignore[arg-type]
    assert all(some.take(envelope(direction=Direction.OUTBOUND)) is None for _ in range(5))


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MANY", 10)
    some = Rates((RateSettings(by="sender", limit=1),))  # type: ignore[arg-type]
    for number in range(100):
        some.take(envelope(sender=f"s{number}@b.example"))
    assert len(some._buckets) == 10


def test_serve_answers_450(tmp_path: Path) -> None:
    limits = [{"by": "recipient", "limit": 2}, {"by": "sender", "limit": 3}]
    with Serving(tmp_path, rates=limits) as service:

        def codes(sender: str, recipient: str) -> list[int]:
            with smtplib.SMTP(*service.smtp) as client:
                client.ehlo("client.example")
                return [client.mail(sender)[0], client.rcpt(recipient)[0]]

        assert [codes("a@b.example", "bob@example.org")[1] for _ in range(3)] == [250, 250, 450]
        assert codes("a@b.example", "ann@example.org")[0] == 450
        assert codes("c@b.example", "ann@example.org") == [250, 250]
