"""`filterd campaigns`: a text that came many times is listed, shown with its messages, and forgotten."""

from __future__ import annotations

import asyncio
import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from filterd.cli import main
from filterd.facts import Facts, Near, TextNote
from filterd.store import HistoryFilter, RetentionSettings, Store
from filterd.value import replace
from tests.store.stored import make_record

BANDS = (1, 2, 3, 4)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A store with a campaign of six messages, four of them spam, the first one R0; and one other message."""
    store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))
    now = datetime.datetime.now(datetime.UTC)

    async def fill() -> None:
        for n in range(6):
            near = Near(n, 0, 0.0, "R0" if n else "", BANDS)
            store.write(replace(make_record(id=f"R{n}", subject=f"Offer \x1b[31m{n}", at=now), facts=Facts(near=near)))
            await store.remember([], [TextNote(BANDS, n > 1, f"R{n}", f"Offer \x1b[31m{n}")], 1.0)
        store.write(make_record(id="OTHER", at=now))
        await store.flush()

    asyncio.run(fill())
    store.close()
    file = tmp_path / "filterd.yaml"
    file.write_text(f"state: {tmp_path}/state\nretention: {{min_free: 0}}\n")
    return file


def run(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["campaigns", arguments[0], "-c", str(config), *arguments[1:]])
    assert isinstance(ended.value.code, int)
    return ended.value.code, *capsys.readouterr()


def test_list_show_and_forget(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, out, _ = run(capsys, config, "list", "--json")
    (one,) = json.loads(out)
    assert (code, one["id"], one["seen"], one["spam"]) == (0, "R0", 6, 4)
    shown: dict[str, Any] = json.loads(run(capsys, config, "show", "R0", "--json")[1])
    assert shown["campaign"] == one
    assert [message["id"] for message in shown["messages"]] == [f"R{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert "6 times, 4 of them spam" in run(capsys, config, "show", "R0", "--limit", "2")[1]
    assert run(capsys, config, "forget", "R0")[0] == 0
    assert json.loads(run(capsys, config, "list", "--least", "1", "--json")[1]) == []
    assert run(capsys, config, "forget", "R0") == (2, "", "there is no campaign R0\n")


def test_what_strangers_wrote_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert "\x1b" not in run(capsys, config, "list")[1] + run(capsys, config, "show", "R0")[1]


def test_seldom_texts_are_no_campaigns(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert run(capsys, config, "list", "--least", "7")[1] == ""


def test_the_history_finds_the_messages_of_a_campaign(config: Path) -> None:
    store = Store.open(config.parent / "state", RetentionSettings(min_free=0))
    assert [row.id for row in store.history.each(HistoryFilter(campaign="OTHER"))] == []
    assert len(list(store.history.each(HistoryFilter(campaign="R0")))) == 6
    store.close()
