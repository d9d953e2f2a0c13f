"""`filterd rules`: what rules there are, where each came from, whether they are right, and whether they work."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, print_table, read_config
from filterd.cli.importing import import_sa
from filterd.cli.replaying import replay
from filterd.cli.tuning import tune
from filterd.config import find_config, load
from filterd.config.preflight import doubtful, placed, refused
from filterd.engine.loading import builtin_symbols
from filterd.findings import Symbol
from filterd.printable import printable
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.lint import lint as find_problems
from filterd.ruleset.place import unknown
from filterd.ruleset.reference import describe, schema_of_rules
from filterd.yamlfile import Problem

app = typer.Typer()
app.command()(replay)
app.command()(tune)
app.command("import-sa")(import_sa)

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]...", help="Folders or *.yaml files laid over the shipped rules, instead of rules.paths."
    ),
]


def _settings(config: Path | None, paths: list[Path] | None) -> tuple[RulesSettings, float]:
    """The rules section, with other paths when they are given, and the tag threshold."""
    loaded = read_config(config)
    tag = loaded.thresholds.tag
    if missing := [path for path in paths or () if not path.exists()]:
        raise Fail(f"{missing[0]}: no such file or folder")
    settings = loaded.rules.model_copy(update={"paths": tuple(paths)}) if paths else loaded.rules
    return settings, 5.0 if tag is None else tag


def _declared(config: Path | None) -> tuple[Symbol, ...]:
    """What code and the site's lists declare."""
    return builtin_symbols(read_config(config).site)


def _ruleset(config: Path | None, paths: list[Path] | None = None) -> Ruleset:
    return Ruleset.load(_settings(config, paths)[0], _declared(config))


@app.command()
def lint(paths: PathsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Find what is wrong or doubtful, each with file and line; exit code 2 when anything is.

    Without PATH, in the access list and the policies of the configuration as well.
    """
    settings, tag = _settings(config, paths)
    problems = find_problems(settings, _declared(config), tag)
    if not paths:
        loaded = load(find_config(config))
        problems = [placed(loaded, problem) for problem in problems] or refused(loaded)
        problems += doubtful(loaded, datetime.datetime.now(datetime.UTC).date())
    if as_json:
        print_json([_problem(problem) for problem in problems])
        raise typer.Exit(2 if problems else 0)
    if problems:
        raise Fail("\n".join(map(str, problems)))
    sys.stdout.write(f"{len(Ruleset.load(settings, _declared(config)).rules)} rules: good\n")


@app.command("test")
def run_cases(
    paths: PathsArgument = None,
    config: ConfigOption = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", metavar="NAME", help="Only these rules.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the cases of the rules: every hit must hit, every miss must miss; exit code 2 when one does not."""
    ruleset = _ruleset(config, paths)
    names = frozenset(rule) if rule else None
    for name in sorted((names or frozenset()) - {one.name for one in ruleset.rules}):
        raise Fail(unknown("rule", name, (one.name for one in ruleset.rules)))
    count, broken = ruleset.test(names)
    if as_json:
        print_json({"cases": count, "failed": [_problem(problem) for problem in broken]})
        raise typer.Exit(2 if broken else 0)
    if broken:
        raise Fail("\n".join(map(str, broken)))
    sys.stdout.write(f"{count} cases: all hold\n")


@app.command("list")
def list_rules(paths: PathsArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every rule and check: name, score in force, where it is defined, what it says."""
    ruleset = _ruleset(config, paths)
    rows = [_row(ruleset, symbol) for symbol in sorted(ruleset.symbols, key=lambda symbol: symbol.name)]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("name", "score", "from", "about"),
        [(row["name"], "off" if row["disabled"] else row["score"], row["source"], row["about"]) for row in rows],
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    paths: PathsArgument = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One rule or check: what it says, and where each part of it came from."""
    ruleset = _ruleset(config, paths)
    told = describe(ruleset, name)
    if told is None:
        raise Fail(unknown("rule or check", name, (symbol.name for symbol in ruleset.symbols)))
    if as_json:
        print_json(told)
        return
    for key, value in told.items():
        if value not in (None, [], ""):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            sys.stdout.write(f"{key:10} {printable(text)}\n")


@app.command()
def schema() -> None:
    """The JSON Schema of a rules file, for editors."""
    sys.stdout.write(json.dumps(schema_of_rules(), indent=2) + "\n")


def _problem(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "line": problem.line, "text": problem.text}


def _row(ruleset: Ruleset, symbol: Symbol) -> dict[str, Any]:
    points = ruleset.weight(symbol.name)
    return {
        "name": symbol.name,
        "score": symbol.score if points is None else points / 100,
        "about": symbol.about,
        "source": symbol.source,
        "decisive": symbol.decisive,
        "disabled": symbol.name in ruleset.disabled,
    }
