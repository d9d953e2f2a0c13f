"""filterd quarantine, history, backup and restore, as a person at a terminal or a script has them."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.cli import main
from filterd.decision import Action
from filterd.store import QuarantineClass, RetentionSettings, Store
from tests.nexthop import FakeHop
from tests.store.stored import SPAM, held, make_record

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "filterd.yaml"
    file.write_text(f"state: {tmp_path}/state\nretention: {{min_free: 0}}\nrelease: {{relay: 'smtp://127.0.0.1:9'}}\n")
    return file


@pytest.fixture
def ids(tmp_path: Path) -> list[str]:
    """Items 0 to 9 of a store that no service has open."""
    store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))

    async def fill() -> list[str]:
        found = []
        for n in range(10):
            record = make_record(
                id=f"RECORD{n}",
                sender=f"s{n % 2}@bad{n}.example",
                subject=f"Subject \x1b[31m{n}",
                findings=("PILLS", "ODD") if n % 2 else ("PILLS",),
                ruleset=f"r{n % 5}",
                at=NOW - datetime.timedelta(days=n),
            )
            klass = QuarantineClass.VIRUS if n == 3 else QuarantineClass.SPAM
            found += await store.hold(record, SPAM + b"%d" % n, held(klass=klass))
        store.write(make_record(id="PASSED", action=Action.ACCEPT))
        await store.flush()
        return found

    made = asyncio.run(fill())
    store.close()
    return made


@pytest.fixture
def filterd(config: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-c", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


Run = Callable[..., tuple[int, str, str]]


def listed(filterd: Run, *options: str) -> list[dict[str, Any]]:
    code, out, err = filterd("quarantine", "list", "--json", *options)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


def test_an_empty_quarantine(filterd: Run) -> None:
    assert listed(filterd) == []
    assert filterd("quarantine", "list") == (0, "", "")


def test_list(filterd: Run, ids: list[str]) -> None:
    found = listed(filterd)
    assert [item["id"] for item in found] == ids[::-1]
    item = found[-1]
    assert item["sender"] == "s0@bad0.example"
    assert item["recipient"] == "ann@example.org"
    assert item["class"] == "spam"
    assert item["state"] == "held"
    assert item["score"] == 3.0
    assert item["findings"] == ["PILLS"]
    assert item["text"]
    for options, chosen in (
        (("--finding", "ODD"), [9, 7, 5, 3, 1]),
        (("--ruleset", "r2"), [7, 2]),
        (("--model", "base-1", "--limit", "2"), [9, 8]),
        (("--sender", "bad4.example"), [4]),
        (("--sender", "S1@bad5.example"), [5]),
        (("--recipient", "nobody@example.org"), []),
        (("--class", "virus"), [3]),
        (("--state", "deleted"), []),
        (("--state", "all", "--since", "1h"), list(range(9, -1, -1))),
        (("--since", "2999-01-01"), []),
        (("--until", "1h"), []),
        (("--text", "subject", "--finding", "ODD", "--limit", "1"), [9]),
    ):
        assert [item["id"] for item in listed(filterd, *options)] == [ids[n] for n in chosen], options


def test_learn(filterd: Run, ids: list[str]) -> None:
    code, out, _ = filterd("quarantine", "learn", "ham", "--finding", "ODD", "--dry-run", "--json")
    assert (code, len(json.loads(out))) == (0, 5)
    assert filterd("quarantine", "learn", "ham", ids[0], ids[1]) == (
        0,
        f"{ids[0]}\tdone\tlearnt\n{ids[1]}\tdone\tlearnt\n",
        "",
    )
    assert filterd("quarantine", "learn", "ham", ids[0])[1] == f"{ids[0]}\tdone\tknown already\n"
    code, out, _ = filterd("review", "list", "--state", "accepted", "--json")
    assert {(one["item"], one["record"], one["way"]) for one in json.loads(out)} == {
        (ids[0], "RECORD0", "button"),
        (ids[1], "RECORD1", "button"),
    }
    assert filterd("quarantine", "learn", "forget", ids[0])[1] == f"{ids[0]}\tdone\tforgotten\n"
    code, _, err = filterd("quarantine", "learn", "spam")
    assert (code, err[:18]) == (2, "name items by id, ")


def test_a_table_cannot_drive_the_terminal(filterd: Run, ids: list[str]) -> None:
    code, out, _ = filterd("quarantine", "list")
    assert code == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 10
    for command in ("show", "explain"):
        assert "\x1b" not in filterd("history", command, "RECORD3")[1]
    assert "\x1b" not in filterd("quarantine", "show", ids[3])[1]


def test_show(filterd: Run, ids: list[str]) -> None:
    code, out, _ = filterd("quarantine", "show", ids[3], "--json")
    assert code == 0
    assert json.loads(out)[0]["class"] == "virus"
    code, out, _ = filterd("quarantine", "show", ids[3])
    assert "PILLS" in out
    assert out.splitlines()[-1].split()[:2] == ["6.00", "score"]
    assert filterd("quarantine", "show", ids[3], "--raw")[1].encode() == SPAM + b"3"


def test_delete(filterd: Run, ids: list[str]) -> None:
    code, out, _ = filterd("quarantine", "delete", "--finding", "ODD", "--dry-run", "--json")
    assert code == 0
    assert [item["id"] for item in json.loads(out)] == [ids[n] for n in (9, 7, 5, 3, 1)]
    assert len(listed(filterd)) == 10
    code, out, _ = filterd("quarantine", "delete", "--finding", "ODD", "--json")
    assert code == 0
    assert {one["fate"] for one in json.loads(out)} == {"deleted"}
    code, out, _ = filterd("quarantine", "delete", ids[0], ids[2])
    assert code == 0
    assert {item["id"] for item in listed(filterd)} == {ids[n] for n in (4, 6, 8)}
    assert len(listed(filterd, "--state", "deleted")) == 7
    code, out, err = filterd("quarantine", "delete", ids[0])
    assert code == 2
    assert "1 of 1 were not deleted" in err
    code, out, _ = filterd("quarantine", "expire")
    assert (code, out) == (0, "0 items, 0 records and 7 messages went\n")


def point(config: Path, url: str) -> None:
    """Set where released mail goes."""
    config.write_text(config.read_text().replace("smtp://127.0.0.1:9", url))


def test_release(filterd: Run, ids: list[str], config: Path) -> None:
    code, out, err = filterd("quarantine", "release", ids[0])
    assert code == 2
    assert "1 of 1 were not released" in err
    assert err.count("\n") == 1
    assert len(listed(filterd)) == 10

    async def with_hop() -> tuple[list[str], tuple[int, str, str], tuple[int, str, str]]:
        async with FakeHop() as hop:
            point(config, hop.url)
            chosen = await asyncio.to_thread(filterd, "quarantine", "release", "--ruleset", "r0", "--json")
            again = await asyncio.to_thread(filterd, "quarantine", "release", ids[0])
            return [sent.content.decode() for sent in hop.messages], chosen, again

    sent, (code, out, _), again = asyncio.run(with_hop())
    assert code == 0
    assert [(one["id"], one["fate"]) for one in json.loads(out)] == [(ids[5], "released"), (ids[0], "released")]
    assert len(sent) == 2
    assert all(content.startswith("X-Filterd-Release: ") for content in sent)
    assert again[0] == 2
    assert "it was released by cli:" in again[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("quarantine", "delete"), "name items by id"),
        (("quarantine", "release", "X", "--finding", "Y"), "not both"),
        (("quarantine", "release", "NOPE"), "there is no item NOPE"),
        (("quarantine", "show", "a\x1bb"), "there is no item a\\u{1b}b"),
        (("quarantine", "list", "--class", "x"), "--class x is not one of spam, virus"),
        (("quarantine", "list", "--state", "x"), "--state x is not one of held"),
        (("quarantine", "list", "--since", "soon"), "--since soon is neither"),
        (("quarantine", "list", "--since", "99999999999999d"), "is neither"),
        (("history", "show", "NOPE"), "there is no record NOPE"),
        (("history", "find", "--action", "x"), "--action x is not one of accept"),
        (("restore", "nowhere.tar"), "nowhere.tar"),
        (("backup", "nowhere/b.tar"), "there is no such folder"),
    ],
)
def test_one_sentence_and_exit_code_2(filterd: Run, arguments: tuple[str, ...], sentence: str) -> None:
    code, out, err = filterd(*arguments)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert err.count("\n") == 1


def test_history(filterd: Run, ids: list[str]) -> None:
    code, out, _ = filterd("history", "find", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found) == 11
    assert found[0].keys() >= {"id", "time", "sender", "recipients", "from", "subject", "action", "reason", "score"}
    _, out, _ = filterd("history", "find", "--action", "accept", "--json")
    assert [one["id"] for one in json.loads(out)] == ["PASSED"]
    _, out, _ = filterd("history", "find", "bad7.example", "--finding", "ODD")
    assert out.startswith("RECORD7\t")
    _, out, _ = filterd("history", "show", "RECORD3", "--json")
    (shown,) = json.loads(out)
    assert (shown["score"], shown["action"]) == (6.0, "quarantine")
    assert shown["envelope"]["sender"] == "s1@bad3.example"
    _, out, _ = filterd("history", "explain", "RECORD3")
    assert "ann@example.org: quarantine, spam-score. It looks like spam." in out
    *_, odd, score = [line.split() for line in out.splitlines()]
    assert odd[:2] == ["+3.00", "ODD"]
    assert score[:2] == ["6.00", "score"]
    _, out, _ = filterd("history", "explain", "RECORD3", "--json")
    assert sum(one["score"] for one in json.loads(out)[0]["findings"]) == 6.0


def test_backup_and_restore(filterd: Run, ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    assert filterd("backup", str(file))[0] == 0
    filterd("quarantine", "delete", *ids[:5])
    code, out, _ = filterd("restore", str(file))
    assert code == 0
    assert "what was there before is in" in out
    assert len(listed(filterd)) == 10
    running = Store.open(tmp_path / "state")
    code, _, err = filterd("restore", str(file))
    running.close()
    assert code == 2
    assert "filterd is running" in err
