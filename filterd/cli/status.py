"""`filterd status`: is the service well?"""

from __future__ import annotations

import sys
from typing import Any

from filterd.app.control import ask
from filterd.app.state import Bypass
from filterd.cli.common import ConfigOption, JsonOption, print_json, state_folder
from filterd.learning.words import LEFT_OUT, SAY_AGAIN
from filterd.printable import printable

LEVELS = {"ok": 0, "degraded": 1, "down": 2}


def command(config: ConfigOption = None, as_object: JsonOption = False) -> int:
    """Exit code 0: well, 1: degraded, 2: down."""
    state = state_folder(config)
    report = ask(state)
    if report is None:
        report = {
            "status": "down",
            "down": [f"no service answers on {state}"],
            "degraded": [],
            "bypass": None,
        }
        if said := Bypass(state).said():
            report["bypass"] = said
    if as_object:
        print_json(report)
    else:
        sys.stdout.writelines(f"{printable(line)}\n" for line in _lines(report))
    return LEVELS.get(str(report.get("status")), 2)


def _name_server(address: str, one: dict[str, Any]) -> str:
    how = "in use" if one["in_use"] else "ready" if one["alive"] else "does not answer"
    return "{} {how}, {asked} asked, {silent} silent, {failed} failed, {milliseconds} ms".format(
        address, how=how, **one
    )


def _next_hop(url: str, one: dict[str, Any]) -> str:
    how = "answers" if one["up"] else f"DOWN: {one['last_error']}"
    counts = "{delivered} delivered, {deferred} put off, {refused} refused".format(**one)
    return f"{url} {how}, since {one['since']}; {counts}"


def _verdicts(learnt: bool, ham: int, spam: int) -> list[str]:
    """What was learnt from verdicts of our own: never silently."""
    lines = ["  LEARNS FROM ITS OWN VERDICTS (learn.from_verdicts)"] if learnt else []
    if ham or spam:
        lines.append(
            f"  {ham} ham and {spam} spam were learnt from its own verdicts; "
            "`filterd learn forget --from verdicts` takes them out"
        )
    return lines


def _left_out(left_out: int) -> list[str]:
    """What was taught and an upgrade lost: never silently."""
    return [f"  {LEFT_OUT.format(left_out)}. {SAY_AGAIN}"] if left_out else []


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [str(report["status"])]
    lines += [f"  {sentence}" for sentence in (*report["down"], *report["degraded"])]
    if workers := report.get("workers"):
        load = ", ".join(f"{name} {value}" for name, value in report["load"].items())
        generation = ", ".join(f"{name} {value}" for name, value in report["generation"].items())
        lines += [
            f"  filterd {report['version']}, {report['config'] or 'embedded defaults'}",
            f"  doors: {', '.join(report['doors'])}",
            *(f"  next hop {_next_hop(*one)}" for one in report["next_hops"].items()),
            f"  workers: {workers['alive']} of {workers['wanted']}; in work: {load}",
            f"  generation: {generation}",
            f"  name servers: {'; '.join(_name_server(*one) for one in report['dns'].items())}",
            "  suggestions: {pending} wait for a review, {doubtful} contradict the model".format(
                **report["suggestions"]
            ),
        ]
        lines += _verdicts(**report["verdicts"])
        lines += _left_out(**report["labels"])
    return lines
