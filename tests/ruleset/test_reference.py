"""docs/rules.md, the JSON Schema and `rules show` say what the compiler does, and the rules do what docs say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from filterd.cli import main
from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.operators import OPERATORS
from filterd.ruleset.reference import reference, schema_of_rules
from filterd.ruleset.rule import RULE_KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


def test_every_field_and_operator_is_documented() -> None:
    for row in reference().splitlines():
        assert row in PAGE, f"docs/rules.md lacks: {row}"


def test_every_key_is_documented() -> None:
    for key in RULE_KEYS:
        assert f"`{key}`" in PAGE, key


def test_the_yaml_in_the_page_is_good(load) -> None:
    first = re.search(r"```yaml\n(- name:.*?)```", PAGE, re.DOTALL)
    assert first is not None
    load(first[1].replace("  misses: [cases/newsletter.eml]\n", ""), {"freemail": "gmail.com\n"})


def test_the_schema_knows_every_field_and_operator() -> None:
    schema = schema_of_rules()
    said = schema["$defs"]["condition"]["properties"]
    assert CATALOGUE.fields.keys() | CATALOGUE.elements.keys() <= said.keys()
    tests = json.dumps([schema["$defs"][f"{kind}_test"] for kind in ("text", "string", "number")])
    assert all(f'"{name}"' in tests for name in OPERATORS)
    refs = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert refs <= schema["$defs"].keys()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["rules", *arguments])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(
        "- name: SITE\n  about: A rule.\n  score: 1.5\n  when: {from.domain: {in: freemail}}\n"
        '  hits: ["From: a@gmail.com\\n\\nx\\n"]\n  misses: ["From: a@example.com\\n\\nx\\n"]\n'
        "- name: TO_MISSING\n  about: Mine.\n  score: 0.1\n  silent: false\n  when: {header.to: {exists: false}}\n"
    )
    return tmp_path


def test_lint_and_test(capsys, site: Path) -> None:
    assert run(capsys, "lint", str(site)) == (0, run(capsys, "lint", str(site))[1], "")
    assert run(capsys, "test", str(site), "--rule", "SITE") == (0, "2 cases: all hold\n", "")
    (site / "site.yaml").write_text("- name: SITE\n  about: A rule.\n  score: 1\n  when: {subjct: x}\n")
    code, out, err = run(capsys, "lint", str(site / "site.yaml"))
    assert (code, out) == (2, "")
    assert err == f"{site}/site.yaml:4: unknown field subjct; did you mean subject?\n"
    code, out, _ = run(capsys, "lint", "--json", str(site))
    assert code == 2
    assert json.loads(out) == [
        {"file": f"{site}/site.yaml", "line": 4, "text": "unknown field subjct; did you mean subject?"}
    ]
    assert run(capsys, "list", str(site))[0] == 2


def test_list_and_show(capsys, site: Path) -> None:
    rows = {row["name"]: row for row in json.loads(run(capsys, "list", "--json", str(site))[1])}
    assert rows["SITE"]["score"] == 1.5
    assert rows["SITE"]["source"] == f"{site}/site.yaml:1"
    assert "DATE_MISSING" in rows
    told = json.loads(run(capsys, "show", "TO_MISSING", "--json", str(site))[1])
    assert told["source"] == f"{site}/site.yaml:7"
    assert told["replaces"][0].startswith("rules/headers.yaml:")
    told = json.loads(run(capsys, "show", "SITE", "--json", str(site))[1])
    assert told["lists"] == {"freemail": ["rules/lists/freemail.txt"]}
    code, _, err = run(capsys, "show", "SIET", str(site))
    assert (code, err) == (2, "unknown rule or check SIET; did you mean SITE?\n")


def test_show_of_an_overlay(capsys, site: Path, tmp_path: Path) -> None:
    config = tmp_path / ".filterd.yaml"
    config.write_text(f"rules: {{paths: [{site}], disable: [EICAR], scores: {{SITE: 0.5}}}}\n")
    told = json.loads(run(capsys, "show", "SITE", "--json", "-c", str(config))[1])
    assert (told["score"], told["score_from"], told["score_was"]) == (0.5, "rules.scores", 1.5)
    assert json.loads(run(capsys, "show", "EICAR", "--json", "-c", str(config))[1])["disabled"] == "rules.disable"
