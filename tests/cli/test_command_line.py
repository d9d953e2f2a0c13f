"""The frame around the commands: help, mistakes, failures, and what a terminal is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from filterd.cli import COMMANDS, main
from filterd.cli.common import guarded
from filterd.printable import printable


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert COMMANDS[name].split(".")[0][:30] in " ".join(out.split())


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom filterd.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        "    loaded = [name for name in ('numpy', 'pydantic', 'sqlalchemy', 'rich') if name in sys.modules]\n"
        "    sys.exit(', '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_wrong_word_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (("learn",), ("learn", "maybe", "x.eml")):
        code, out, err = run(capsys, *given)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "\\u" not in err
        assert "Value error" not in err


def test_a_misspelt_command_is_one_sentence_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "confg")
    assert (code, out) == (2, "")
    assert err == "No such command 'confg'. Did you mean 'config'? Try filterd --help.\n"


def test_an_internal_error_is_one_sentence_and_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise KeyError("x\x1b[2J")

    assert guarded(broken) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err
    trace = Path(err.strip().rpartition(" ")[2])
    assert "KeyError" in trace.read_text()
    trace.unlink()


def test_nothing_printed_drives_a_terminal() -> None:
    assert printable("Grüße, 你好") == "Grüße, 你好"
    assert printable("a\x1b]0;b\x07\r\nc\u202ed\u2028e\udcff") == (
        "a\\u{1b}]0;b\\u{7}\\u{d}\\u{a}c\\u{202e}d\\u{2028}e\\u{dcff}"
    )


def test_where_says_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "filterd.yaml"
    path.write_text("hostname: mx.example.org\nthresholds:\n  tag: 4\n")
    assert run(capsys, "config", "where", "thresholds.tag", "-c", str(path))[1] == f"thresholds.tag = 4.0  ({path}:3)\n"
    assert run(capsys, "config", "where", "thresholds.reject", "-c", str(path))[1].endswith("(default)\n")
    code, _, err = run(capsys, "config", "where", "threshold.tag", "-c", str(path))
    assert (code, err) == (2, "there is no setting threshold.tag; did you mean thresholds.tag?\n")


def test_bypass_and_status_work_while_the_configuration_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "filterd.yaml"
    file.write_text(f"state: {tmp_path}\nhostnam: mx.example.org\n")
    assert run(capsys, "bypass", "on", "-c", str(file))[0] == 0
    code, out, err = run(capsys, "status", "-c", str(file))
    assert (code, err) == (2, "")
    assert f"no service answers on {tmp_path}" in out
    file.write_text("- a list\n")
    code, _, err = run(capsys, "bypass", "on", "-c", str(file))
    assert code == 2
    assert "filterd.yaml:1" in err
