"""filterd rules import-sa, as a person at a terminal has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.cli import main

Run = Callable[..., tuple[int, str, str]]
TEXT = """\
body LOCAL_WATCH /replica watch/i
describe LOCAL_WATCH Sells watches
score LOCAL_WATCH 2.5
header LOCAL_EVAL eval:check_it()
"""


@pytest.fixture
def filterd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    config = tmp_path / "filterd.yaml"
    config.write_text(f"hostname: mx.example.org\nstate: {tmp_path}/state\nrules: {{paths: []}}\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "-c", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_rules_go_to_stdout_and_the_rest_is_named(filterd: Run, tmp_path: Path) -> None:
    file = tmp_path / "local.cf"
    file.write_text(TEXT)
    code, out, err = filterd("rules", "import-sa", str(file))
    assert code == 0
    assert out == (
        "- name: LOCAL_WATCH\n  about: 'Sells watches'\n  score: 2.5\n  when: {content: {regex: '(?i)replica watch'}}\n"
    )
    first, last = err.splitlines()
    assert first.startswith(f"{file}:4: header LOCAL_EVAL: an eval test is a program")
    assert last == "1 rules translated, 1 things left"


def test_what_is_written_passes_lint_and_finds(filterd: Run, tmp_path: Path) -> None:
    (tmp_path / "local.cf").write_text(TEXT)
    folder = tmp_path / "rules.d"
    folder.mkdir()
    assert filterd("rules", "import-sa", str(tmp_path), "-o", str(folder / "sa.yaml"))[:2] == (0, "")
    code, out, err = filterd("rules", "lint", str(folder))
    assert (code, err) == (0, ""), out
    assert "LOCAL_WATCH" in filterd("rules", "show", "LOCAL_WATCH", str(folder))[1]


def test_as_json(filterd: Run, tmp_path: Path) -> None:
    file = tmp_path / "local.cf"
    file.write_text(TEXT)
    code, out, err = filterd("rules", "import-sa", str(file), "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [one["name"] for one in found["rules"]] == ["LOCAL_WATCH"]
    assert [(one["line"], one["what"]) for one in found["untranslated"]] == [(4, "header LOCAL_EVAL")]


@pytest.mark.parametrize("name", ["missing.cf", "empty.cf"])
def test_nothing_to_read_is_one_sentence(filterd: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.cf").write_text("# nothing\n")
    code, out, err = filterd("rules", "import-sa", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert name in err


def test_a_file_that_is_no_text_is_named_once(filterd: Run, tmp_path: Path) -> None:
    file = tmp_path / "odd.cf"
    file.write_bytes(bytes(range(256)) * 40 + b"\nbody AA /\xff\xfe\x00/\n")
    assert filterd("rules", "import-sa", str(file)) == (
        2, "", f"{file}:1: the file: this is no text\n{file}: no rule could be made of it\n"
    )  # fmt: skip


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_settings_alone_make_no_rule(filterd: Run, tmp_path: Path, options: list[str]) -> None:
    file, output = tmp_path / "local.cf", tmp_path / "imported.yaml"
    file.write_text("required_score 5\nwhitelist_from a@b.example\n")
    assert filterd("rules", "import-sa", str(file), "-o", str(output), *options)[0] == 2
    assert not output.exists()
