"""`filterd config`: is the configuration right, what does it say, and where does it say so?"""

from __future__ import annotations

import datetime
import json
import sys
from typing import Annotated, Any

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, print_table
from filterd.config import find_config, load
from filterd.printable import printable
from filterd.yamlfile import Key, dotted

app = typer.Typer()


@app.command()
def check(config: ConfigOption = None) -> None:
    """Read the configuration and its rules; each problem goes to stderr with file and line, and the exit code is 2.

    What is only doubtful, such as an entry of `access` that can never matter, goes there too, with exit code 0.
    """
    from filterd.config.preflight import doubtful, refused

    path = find_config(config)
    loaded = load(path)
    if problems := refused(loaded):
        raise Fail("\n".join(map(str, problems)))
    doubts = doubtful(loaded, datetime.datetime.now(datetime.UTC).date())
    for doubt in doubts:
        sys.stderr.write(printable(str(doubt)) + "\n")
    but = f", but for {len(doubts)} doubt{'s' if len(doubts) > 1 else ''}" if doubts else ""
    sys.stdout.write(f"{path or 'the embedded defaults'}: good{but}\n")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every setting as it is in force, and where its value came from."""
    loaded = load(find_config(config))
    values = loaded.config.model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    rows = [(dotted(key), _text(value), loaded.where(key)) for key, value in leaves(values)]
    print_table(("setting", "value", "from"), rows)


@app.command()
def schema() -> None:
    """The JSON Schema of the configuration, for editors."""
    from filterd.config.reference import schema as describe

    sys.stdout.write(json.dumps(describe(), indent=2) + "\n")


@app.command()
def where(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As in thresholds.tag or listeners[0].relay.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where the value of KEY came from: file:line, or the built-in default."""
    from filterd.config.reference import nearest

    loaded = load(find_config(config))
    values = loaded.config.model_dump(mode="json")
    found = [(place, value) for place, value in branches(values) if dotted(place) == key]
    if not found:
        raise Fail(f"there is no setting {printable(key)}{nearest(key, [dotted(k) for k, _ in branches(values)])}")
    place, value = found[0]
    if as_json:
        print_json({"key": key, "value": value, "from": loaded.where(place)})
    else:
        sys.stdout.write(f"{key} = {_text(value)}  ({loaded.where(place)})\n")


@app.command()
def sample() -> None:
    """A configuration with every setting, its default and what it is for."""
    from filterd.config.reference import sample as write

    sys.stdout.write(write())


@app.command()
def reference() -> None:
    """The settings reference, in Markdown."""
    from filterd.config.reference import reference as write

    sys.stdout.write(write())


def branches(value: Any, key: Key = ()) -> list[tuple[Key, Any]]:
    """Every setting and every group of settings, with its key."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [pair for step, inside in entries for pair in [((*key, step), inside), *branches(inside, (*key, step))]]


def leaves(value: Any) -> list[tuple[Key, Any]]:
    """Every setting that is not a group of others."""
    return [(key, inside) for key, inside in branches(value) if not inside or not isinstance(inside, dict | list)]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
