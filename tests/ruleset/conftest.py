"""Rules written in a test, and what they find in a message written in a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from filterd.authentication import UNAUTHENTICATED, Authentication
from filterd.facts import NOTHING, Facts
from filterd.findings import Finding, Symbol
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.cases import make_mail

Load = Callable[..., Ruleset]
Find = Callable[..., list[Finding]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load rules from YAML text, with lists by name; without the shipped ones unless asked."""

    def make(
        text: str, lists: dict[str, str] | None = None, extra: tuple[Symbol, ...] = (), **settings: Any
    ) -> Ruleset:
        folder = tmp_path / "rules.d"
        (folder / "lists").mkdir(parents=True, exist_ok=True)
        (folder / "site.yaml").write_text(text, encoding="utf-8")
        for name, entries in (lists or {}).items():
            (folder / "lists" / f"{name}.txt").write_text(entries, encoding="utf-8")
        return Ruleset.load(RulesSettings(**{"shipped": False, "paths": (folder,)} | settings), extra)

    return make


@pytest.fixture
def find() -> Find:
    """What a ruleset finds in a message: text with LF line ends, or bytes; `given` as in a case."""

    def look(ruleset: Ruleset, message: str | bytes, **given: Any) -> list[Finding]:
        raw = message if isinstance(message, bytes) else message.replace("\n", "\r\n").encode()
        return ruleset.judge(
            make_mail(raw, given),
            msgspec.convert(given["facts"], Facts) if "facts" in given else NOTHING,
            msgspec.convert(given["auth"], Authentication) if "auth" in given else UNAUTHENTICATED,
            given.get("found", ()),
            given.get("probability"),
        )

    return look
