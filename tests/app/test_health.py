"""What is well, degraded and down."""

from __future__ import annotations

from typing import Any

import pytest

from filterd.app.health import Level, Vitals, conclude


@pytest.mark.parametrize(
    ("signs", "level", "word"),
    [
        ({}, Level.WELL, ""),
        ({"workers_alive": 1}, Level.DEGRADED, "1 of 2 worker"),
        ({"workers_alive": 0}, Level.DOWN, "no worker process"),
        ({"store": "the database is read-only"}, Level.DOWN, "read-only"),
        (
            {"next_hops": ((("smtp://a:1", None),), (("smtp://b:1", "it refuses"),))},
            Level.DOWN,
            "smtp://b:1: it refuses",
        ),
        (
            {"next_hops": ((("smtp://a:1", None), ("smtp://b:1", "it refuses")),)},
            Level.DEGRADED,
            "smtp://b:1: it refuses",
        ),
        ({"next_hops": ((("smtp://a:1", "gone"), ("smtp://b:1", "it refuses")),)}, Level.DOWN, "smtp://a:1: gone"),
        ({"bypass": "since noon"}, Level.DEGRADED, "since noon"),
        ({"enforcing": False}, Level.DEGRADED, "enforce is false"),
        ({"undelivered": 3}, Level.DEGRADED, "3 messages"),
        ({"children_down": ("jobs",)}, Level.DEGRADED, "jobs"),
        ({"reload_failed": "f.yaml:3: wrong"}, Level.DEGRADED, "f.yaml:3: wrong"),
    ],
)
def test_signs(signs: dict[str, Any], level: Level, word: str) -> None:
    health = conclude(Vitals(**{"workers_alive": 2, "workers_wanted": 2, **signs}))
    assert health.level is level
    assert word in " ".join((*health.down, *health.degraded))
