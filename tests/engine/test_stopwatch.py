"""CPU time by stage, as a worker measures it: under its own CPU limit, where the process's clock only ticks."""

from __future__ import annotations

import signal

from filterd.engine.worker import Stopwatch


def test_a_short_stage_is_measured_while_the_limit_is_armed() -> None:
    signal.setitimer(signal.ITIMER_PROF, 60)
    try:
        for _ in range(50):
            watch = Stopwatch()
            sum(range(5_000))
            watch("stage")
            assert 0 < watch.seconds["stage"] < 0.1
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
