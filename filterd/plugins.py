"""Plugins: checks and probes of other packages, found by the entry points that their packages declare.

    [project.entry-points."filterd.checks"]      # a Check, made with `filterd.findings.check`
    loud = "my_package.checks:loud"
    [project.entry-points."filterd.probes"]      # async def (questions, net) -> what JSON can say
    scanner = "my_package.probes:scanner"

In: what is installed. Out: them, in the order of their names. What is not as `filterd.testing` wants it is a
PluginError that names the package and the entry point; the service then does not start, and a reload keeps the old.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from filterd.findings import Check, Symbol
from filterd.told import Told

CHECKS, PROBES = "filterd.checks", "filterd.probes"
NAME = re.compile(r"[A-Z][A-Z0-9_]{1,59}", re.ASCII)

Asking = Callable[[Any, Any], Awaitable[Any]]  # (questions, net)


class PluginError(Told):
    """Something that a package declares and that cannot be used."""


@cache
def plugin_checks() -> tuple[Check, ...]:
    """The checks of all installed packages; raises PluginError."""
    found = [(point, _loaded(point)) for point in _declared(CHECKS)]
    seen: dict[str, EntryPoint] = {}
    for point, check in found:
        for trouble in troubles(check):
            raise PluginError(f"{_where(point)}: {trouble}")
        for symbol in check.symbols:
            if symbol.name in seen:
                raise PluginError(f"{_where(point)}: {symbol.name} is already declared by {_where(seen[symbol.name])}")
            seen[symbol.name] = point
    return tuple(check for _, check in found)


@cache
def plugin_probes() -> dict[str, Asking]:
    """The probes of all installed packages, by name; raises PluginError."""
    found: dict[str, Asking] = {}
    for point in _declared(PROBES):
        probe = _loaded(point)
        if not inspect.iscoroutinefunction(probe):
            raise PluginError(f"{_where(point)}: a probe is `async def (questions, net)`, not {type(probe).__name__}")
        if point.name in found:
            raise PluginError(f"{_where(point)}: there are two probes of this name")
        found[point.name] = probe
    return found


def troubles(check: object) -> Iterator[str]:
    """What is wrong with the declaration of a check."""
    if not isinstance(check, Check):
        yield f"a check is made with filterd.findings.check, and this is {type(check).__name__}"
        return
    if not check.symbols:
        yield "a check declares at least one symbol"
    for symbol in check.symbols:
        yield from _symbol_troubles(symbol)


def _symbol_troubles(symbol: Symbol) -> Iterator[str]:
    if not NAME.fullmatch(symbol.name):
        yield f"{symbol.name!r}: a symbol's name is capital letters, digits and _"
    if not symbol.about.strip() or not symbol.about.isprintable():
        yield f"{symbol.name}: about is one sentence on one line"
    if not abs(symbol.score) <= 100 or abs(symbol.score * 100 - round(symbol.score * 100)) > 1e-6:
        yield f"{symbol.name}: a score is from -100 to 100, with at most two decimals"


def _declared(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"{_where(point)}: {type(error).__name__}: {error}") from error


def _where(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "?"
    return f"the package {package}, {point.group}: {point.name}"
