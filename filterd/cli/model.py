"""`filterd model`: the versions of the site's model, and the base model under it."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from filterd.classifier import Live, Manifest, ModelError, load_shipped_or, open_live
from filterd.cli.common import ConfigOption, Fail, JsonOption, print_json, print_table, read_config
from filterd.cli.learn import learning
from filterd.cli.storing import print_array, who
from filterd.config import Config
from filterd.learning import LearningError, Request
from filterd.learning.versions import Versions
from filterd.printable import printable

app = typer.Typer()

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A version, as `filterd model list` has it.")]


@app.command("list")
def list_(config: ConfigOption = None, as_objects: JsonOption = False) -> None:
    """All versions, the latest last, and which is in use."""
    settings = read_config(config)
    used = Versions(settings.state).used()[-1:]
    found = list(Versions(settings.state).all())
    if as_objects:
        print_array({**msgspec.to_builtins(one), "in_use": [one.id] == used} for one in found)
        return
    print_table(
        ("version", "ham", "spam", "held out 1-ROCA %", ""),
        ((one.id, one.ham, one.spam, _roca(one), "in use" if [one.id] == used else "") for one in found),
    )


@app.command()
def show(
    version: Annotated[str, typer.Argument(metavar="[ID]", help="A version; without it, what judges now.")] = "",
    config: ConfigOption = None,
    as_object: JsonOption = False,
) -> None:
    """A version's card; without an id the base model, the live site model, and how much each counts."""
    settings = read_config(config)
    try:
        if version:
            versions = Versions(settings.state)
            manifest = versions.manifest(version)
            if as_object:
                print_json(msgspec.to_builtins(manifest))
            else:
                sys.stdout.write("\n".join(map(printable, versions.card(version).splitlines())) + "\n")
            return
        now = _now(settings)
    except (LearningError, ModelError) as error:
        raise Fail(str(error)) from error
    if as_object:
        print_json(now)
    else:
        for name, value in now.items():
            sys.stdout.write(f"{name}: {value}\n")


@app.command()
def use(version: IdArgument, config: ConfigOption = None) -> None:
    """Judge by this version from now on; every worker does so at once. Labels stay as they are."""
    _take_over(read_config(config), version)


@app.command()
def rollback(config: ConfigOption = None) -> None:
    """Go back to the version that was used before this one."""
    settings = read_config(config)
    before = Versions(settings.state).used()[-2:-1]
    if not before:
        raise Fail("no version was used before this one")
    _take_over(settings, before[0])


@app.command()
def check(config: ConfigOption = None) -> int:
    """Verify the base model, every version and the live arrays. Exit code 1: one of them is not well."""
    settings = read_config(config)
    broken = list(Versions(settings.state).broken())
    try:
        load_shipped_or(settings.model)
        if (settings.state / "site").exists():
            Live(settings.state / "site")
    except ModelError as error:
        broken.append(str(error))
    for sentence in broken:
        sys.stdout.write(printable(sentence) + "\n")
    if not broken:
        sys.stdout.write("all models are well\n")
    return 1 if broken else 0


def _take_over(settings: Config, version: str) -> None:
    try:
        Versions(settings.state).arrays(version)
        with learning(settings) as handle:
            handle(Request(use=version, by=who()))
    except LearningError as error:
        raise Fail(str(error)) from error
    sys.stdout.write(f"{version} is in use\n")


def _now(settings: Config) -> dict[str, object]:
    live = open_live(settings.state)
    found: dict[str, object] = {"base": load_shipped_or(settings.model).id}
    if live is None or not live.taught:
        return {**found, "site": "nothing was taught yet"}
    return {
        **found,
        "site": live.id,
        "ham": live.ham,
        "spam": live.spam,
        "base_weight": round(live.base_weight, 4),
        "may quarantine by itself": live.trusted,
        **({"stored, not in it": live.left_out} if live.left_out else {}),
    }


def _roca(manifest: Manifest) -> str:
    found = manifest.metrics.get("candidate, held out", {})
    return f"{found['one_minus_roca']:g}" if "one_minus_roca" in found else ""
