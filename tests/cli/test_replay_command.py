"""filterd rules replay, over a real store and over a labelled corpus, as a person at a terminal has it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.access import parse_entry
from filterd.app.scan import Said, Scanned, scan
from filterd.cli import main
from filterd.config import load
from filterd.decision import Action
from filterd.record import Record
from filterd.sources import Found
from filterd.store import QuarantineClass, RetentionSettings, Store
from filterd.store.settings import Keep
from tests.store.stored import held

Run = Callable[..., tuple[int, str, str]]

GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
MAILS = [
    b"From: ann@example.net\r\nSubject: <b>lunch</b> %d\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\nToday %s?\r\n"
    % (n, GTUBE if n < 3 else b"at noon")
    for n in range(12)
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "filterd.yaml"
    file.write_text(
        f"hostname: mx.example.org\nstate: {tmp_path}/state\nrules: {{paths: []}}\nretention: {{min_free: 0}}\n"
    )
    return file


@pytest.fixture
def filterd(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-c", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def records(config: Path, tmp_path: Path) -> list[Record]:
    """A store with MAILS as the service leaves them: what was quarantined whole, of the others 4 with headers."""

    async def fill() -> list[Record]:
        items = [Found(f"{n}.eml", raw) for n, raw in enumerate(MAILS)]
        found = [one async for one in scan(items, load(config), Said(ip="192.0.2.1"), offline=True)]
        made = [one.record for one in found if isinstance(one, Scanned)]
        for keep, chosen in ((Keep.FINDINGS, slice(0, 8)), (Keep.HEADERS, slice(8, None))):
            store = Store.open(tmp_path / "state", RetentionSettings(min_free=0, keep=keep))
            for record, raw in zip(made[chosen], MAILS[chosen], strict=True):
                if any(one.action is Action.QUARANTINE for one in record.decisions):
                    await store.hold(
                        record, raw, held(record.envelope.recipients[0].address, klass=QuarantineClass.SPAM)
                    )
                else:
                    store.write(record, raw)
            await store.flush()
            store.close()
        return made

    return asyncio.run(fill())


def replayed(filterd: Run, *options: str) -> dict[str, Any]:
    code, out, err = filterd("rules", "replay", "--json", "--since", "2026-01-01", *options)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_nothing_changes_where_nothing_was_changed(filterd: Run, records: list[Record]) -> None:
    report = replayed(filterd)
    assert (report["judged"], report["flips"], report["partly"], report["assumed"]) == (12, 0, 0, 0)
    assert report["exact"] == {"record": 12, "headers": 0, "message": 0}
    code, out, _ = filterd("rules", "replay", "--since", "2026-01-01")
    assert code == 0
    assert "12 messages judged again" in out


def test_other_thresholds(filterd: Run, records: list[Record]) -> None:
    report = replayed(filterd, "--thresholds", "tag=-10,quarantine=1000,reject=never")
    assert report["exact"]["record"] == 12
    assert {(one["before"], one["after"], one["count"]) for one in report["changes"]} == {
        ("accept", "tag", 9),
    } | {(Action.QUARANTINE.value, one["after"], 3) for one in report["changes"] if one["before"] != "accept"}
    plain = next(one for one in report["messages"] if one["before"] == "accept")
    assert plain["findings"] == []
    assert plain["subject"].startswith("<b>lunch</b>")


def test_a_rule_about_text_says_what_it_could_not_look_at(filterd: Run, records: list[Record], tmp_path: Path) -> None:
    rules = tmp_path / "new"
    rules.mkdir()
    (rules / "own.yaml").write_text(
        "- {name: OWN_NOON, about: Noon., score: 6, when: {content: {contains: noon}}}\n"
        "- {name: OWN_LUNCH, about: Lunch., score: 5, when: {subject: {contains: lunch}}}\n"
    )
    report = replayed(filterd, "--rules", str(rules))
    assert report["missing"] == {"OWN_NOON": 9, "OWN_LUNCH": 5}
    assert report["exact"] == {"record": 0, "headers": 0, "message": 3}
    assert report["partly"] == 9
    tagged = [one for one in report["messages"] if one["after"] == "tag"]
    assert len(tagged) == 4  # those whose headers were kept
    assert all({"name": "OWN_LUNCH", "score": 5.0} in one["findings"] for one in tagged)
    _, out, _ = filterd("rules", "replay", "--since", "2026-01-01", "--rules", str(rules))
    assert "OWN_NOON (9)" in out


def test_the_page_shows_what_strangers_wrote_as_text(filterd: Run, records: list[Record], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    replayed(filterd, "--thresholds", "tag=-10", "--html", str(page))
    text = page.read_text("utf-8")
    assert "&lt;b&gt;lunch" in text
    assert "<b>lunch" not in text
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_what_people_said_is_the_truth(filterd: Run, records: list[Record], tmp_path: Path) -> None:
    trace = b"Return-Path: <ann@example.net>\r\nReceived: from mx.example.org by imap.example.org; x\r\n"
    for label, number in (("spam", 5), ("ham", 6)):
        copy = tmp_path / f"{label}.eml"
        copy.write_bytes((trace + MAILS[number]).replace(b"\r\n", b"\n"))
        assert filterd("learn", label, str(copy))[0] == 0
    labelled = replayed(filterd, "--thresholds", "tag=-10")["labelled"]
    assert labelled["spam"] == {
        "messages": 1, "before": {"marked": 0, "kept_back": 0}, "after": {"marked": 1, "kept_back": 0}
    }  # fmt: skip
    assert labelled["ham"]["after"]["marked"] == 1


@pytest.fixture
def index(tmp_path: Path) -> Path:
    for number, raw in enumerate(MAILS):
        (tmp_path / f"{number}.eml").write_bytes(raw)
    lines = [f"{'spam' if number < 4 else 'ham'} {number}.eml" for number in range(len(MAILS))]
    path = tmp_path / "index"
    path.write_text("\n".join([*lines, "ham gone.eml"]) + "\n")
    return path


def test_a_labelled_corpus(filterd: Run, index: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.yaml").write_text("rules: {scores: {LEARNT_SPAM: 0, LEARNT_HAM: 0}}\n")

    def run(*options: str) -> dict[str, Any]:
        code, out, err = filterd("rules", "replay", "--index", str(index), "--json", *options)
        assert (code, err) == (0, "")
        report = json.loads(out)
        assert isinstance(report, dict)
        return report | {"seconds": 0, "per_second": 0}

    report = run("--thresholds", "tag=-20,quarantine=9", "--scores", str(tmp_path / "scores.yaml"))
    assert report["judged"] == 12
    assert report["not_judged"] == {"unreadable": 1}
    assert report["labelled"]["spam"]["messages"] == 4
    assert report["labelled"]["ham"]["after"]["marked"] == 8
    assert report["exact"]["message"] == 12
    assert (
        run("--thresholds", "tag=-20,quarantine=9", "--scores", str(tmp_path / "scores.yaml"), "--jobs", "2") == report
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--thresholds", "tag=x"), "tag is a number or never"),
        (("--thresholds", "tga=5"), "not one of tag, quarantine, reject"),
        (("--thresholds", "tag=4,tag=6"), "tag is there twice"),
        (("--thresholds", "tag=9,quarantine=5"), "thresholds must rise"),
        (("--rules", "/nowhere/at/all"), "no such file or folder"),
        (("--since", "yesterday"), "--since yesterday is neither"),
        (("--disable", "NO_SUCH_RULE"), "NO_SUCH_RULE"),
        (("--index", "/nowhere/index"), "No such file"),
        (("--model", "/nowhere/model"), "/nowhere/model"),
    ],
)
def test_what_is_wrong_is_one_sentence(filterd: Run, options: tuple[str, ...], said: str) -> None:
    code, out, err = filterd("rules", "replay", *options)
    assert (code, out) == (2, "")
    assert said in err
    assert "trace" not in err


def test_a_line_of_the_index_that_is_none(filterd: Run, index: Path) -> None:
    index.write_text("junk 1.eml\n")
    code, _, err = filterd("rules", "replay", "--index", str(index))
    assert code == 2
    assert f"{index}:1:" in err


def test_another_configuration_with_policies_and_an_access_list(
    filterd: Run, records: list[Record], config: Path, tmp_path: Path
) -> None:
    to = records[0].envelope.recipients[0].address
    new = tmp_path / "new.yaml"
    new.write_text(
        config.read_text()
        + f"policies: [{{name: hard, recipients: ['{to}'], thresholds: {{tag: -10}}, actions: {{tag: reject}}}}]\n"
        + "access: [deny 192.0.2.1 for nobody@example.net]\n"
    )
    report = replayed(filterd, "--new-config", str(new))
    assert (report["flips"], report["partly"], report["exact"]["record"]) == (9, 0, 12)
    assert [(one["before"], one["after"]) for one in report["changes"]] == [("accept", "reject")]
    assert {one["because"] for one in report["messages"]} == {"the thresholds"}
    new.write_text(config.read_text() + "access: [deny 192.0.2.1]\n")
    report = replayed(filterd, "--new-config", str(new))
    assert report["flips"] == 9  # of the others, a rule forces the action
    assert {one["because"] for one in report["messages"]} == {"The access list says `deny 192.0.2.1/32`."}


def test_what_people_said_of_senders_on_the_pages_counts(filterd: Run, records: list[Record], tmp_path: Path) -> None:
    store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))
    store.access.add(parse_entry("deny ann@example.net"), "ben")
    store.close()
    report = replayed(filterd)
    assert report["flips"] == 9
    assert {one["because"] for one in report["messages"]} == {"The access list says `deny ann@example.net`."}
    assert replayed(filterd, "--disable", "DATE_MISSING")["flips"] == 0  # it is said on both sides


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DATE_MISSING: 1\nDATE_MISING: 2\n", "2: unknown rule or check DATE_MISING; did you mean DATE_MISSING?"),
        ("rules:\n  scores:\n    DATE_MISSING: 1.234\n", "3: DATE_MISSING: a score has at most two decimals"),
    ],
)
def test_scores_that_are_wrong_are_named_with_their_line(filterd: Run, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "scores.yaml"
    file.write_text(text)
    assert filterd("rules", "replay", "--scores", str(file)) == (2, "", f"{file}:{said}\n")


def test_an_index_that_is_no_text_is_named(filterd: Run, tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"\x7fELF\xd0\xff")
    code, _, err = filterd("rules", "replay", "--index", str(tmp_path / "index"))
    assert (code, err) == (2, f"{tmp_path}/index: this is no text; a line is `spam PATH` or `ham PATH`\n")


def test_an_end_before_the_beginning(filterd: Run) -> None:
    code, _, err = filterd("rules", "replay", "--since", "1d", "--until", "2d")
    assert (code, err) == (2, "--until 2d is not after --since 1d: no mail is between the two\n")
