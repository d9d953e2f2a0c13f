"""Each file in tests/cases/config is wrong, and says in its first lines what must be said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.cli import main

CASES = sorted((Path(__file__).parents[1] / "cases" / "config").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_says_file_line_and_one_sentence(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = [line[2:] for line in case.read_text(errors="replace").splitlines() if line.startswith("# ")]
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", "-c", str(case)])
    out, said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.splitlines() == [f"{case}:{line}" for line in head]
    assert out == ""


def test_a_folder_of_rules_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "filterd.yaml"
    config.write_text(
        f"hostname: mx.example.org\nrules:\n  paths: [{tmp_path}/rulez.d]\n  scores: {{DATE_MISSING: 9}}\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["rules", "lint", "-c", str(config)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{config}:4: rules.scores: DATE_MISSING alone reaches the tag threshold, 5",
        f"{config}:3: rules.paths: there is no {tmp_path}/rulez.d, so no rule is read there",
    ]


def test_the_usual_folder_of_rules_may_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "filterd.yaml"
    config.write_text("hostname: mx.example.org\nrules: {disable: []}\n")
    with pytest.raises(SystemExit) as ended:
        main(["rules", "lint", "-c", str(config)])
    assert (ended.value.code, capsys.readouterr().err) == (0, "")


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", "-c", str(tmp_path / "none.yaml")])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n"
