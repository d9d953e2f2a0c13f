"""The settings, described: a commented sample, a reference in Markdown, a JSON Schema; made from the types.

`docs/configuration.md` and `packaging/filterd.yaml` are the output of these functions; a test fails when they
are stale.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from filterd.config.explain import LISTENERS, settings_of
from filterd.config.model import Config
from filterd.settings import parse_duration, parse_size

_WIDTH = 100


def schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def nearest(word: str, names: list[str]) -> str:
    """`; did you mean X?`, or nothing."""
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def sample() -> str:
    """A configuration file with every setting at its default, each with its description above it."""
    head = "# filterd's configuration. Every setting is here with its default; what you leave out keeps it.\n"
    return head + "".join(_sample(Config, ""))


def _sample(model: type[BaseModel], indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name == "listeners":
            yield from _sample_listeners()
            continue
        yield "\n" if not indent else ""
        yield textwrap.indent("\n".join(textwrap.wrap(field.description or "", _WIDTH)), f"{indent}# ") + "\n"
        inner = settings_of(field.annotation)
        if inner is not None and not _is_list(field) and field.default is not None:
            yield f"{indent}{name}:\n"
            yield from _sample(inner, indent + "  ")
        else:
            yield f"{indent}{name}: {_default(field)}\n".replace(" \n", "\n")


def _sample_listeners() -> Iterator[str]:
    yield "\n# The doors; a list of listeners, each with its protocol.\nlisteners:\n"
    yield '  - {protocol: smtp, listen: "127.0.0.1:10025", relay: "smtp://127.0.0.1:10026"}\n'
    yield '  # - {protocol: submission, listen: ":587", relay: "smtp://127.0.0.1:10587"}\n'
    for protocol, port in (("milter", 11332), ("spamd", 783), ("http", 11333), ("web", 8080)):
        yield f'  # - {{protocol: {protocol}, listen: "127.0.0.1:{port}"}}\n'


def reference() -> str:
    """Every setting with its type, default and description, as a page."""
    head = (
        "# Configuration\n\n"
        "One YAML file, `/etc/filterd/filterd.yaml` or the one that `-c` names. Every key has a default; "
        "an unknown key is an error that names file, line and the nearest key. "
        "`filterd config check` reads it, `filterd config show` prints what is in force and from where.\n\n"
        "Durations are seconds, or a number with `ms`, `s`, `m`, `h`, `d` or `w`; sizes are bytes, or a "
        "number with `kB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB` (powers of 1024). "
        "`on`, `yes`, `off` and `no` are read as true and false where a setting is one of the two.\n\n"
        "This page is made from the settings themselves by `filterd config reference`.\n"
    )
    parts = [head, "\n## Top level\n\n", *_table(Config)]
    for name, field in Config.model_fields.items():
        inner = settings_of(field.annotation)
        if inner is not None and name != "listeners":
            parts += _section(name, inner, _is_list(field))
    for protocol, listener in LISTENERS.items():
        parts += [f"\n## listeners: protocol {protocol}\n\n{_doc(listener)}\n\n", *_table(listener)]
    return "".join(parts)


def _section(name: str, model: type[BaseModel], several: bool) -> list[str]:
    text = f"\n## {name}\n\n{_doc(model)}\n\n" if _doc(model) else f"\n## {name}\n\n"
    parts = [text + ("A list; each entry has these keys.\n\n" if several else ""), *_table(model)]
    for inner_name, field in model.model_fields.items():
        inner = settings_of(field.annotation)
        if inner is not None and inner_name not in Config.model_fields:
            parts += _section(f"{name}.{inner_name}", inner, _is_list(field))
    return parts


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | default | what it is |\n|---|---|---|\n"
    for name, field in model.model_fields.items():
        default = _default(field)
        shown = f"`{default}`" if default and len(default) < 60 else "see below" if default else ""
        yield f"| `{name}` | {shown} | {(field.description or '').replace('|', chr(92) + '|')} |\n"


def _doc(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _is_list(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) in (tuple, list, dict)


def _default(field: FieldInfo) -> str:
    """The default as YAML, on one line; "" when there is none."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return ""
    plain = to_jsonable_python(value)
    kinds = {getattr(one, "func", None) for one in field.metadata}
    if isinstance(plain, float) and parse_duration in kinds:
        return _duration(plain)
    if isinstance(plain, int) and parse_size in kinds:
        return _size(plain)
    return json.dumps(plain, ensure_ascii=False)


def _duration(seconds: float) -> str:
    """`30d`, `90`: the largest unit that leaves a whole number."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}"


def _size(count: int) -> str:
    """`50MB`, `500`: the largest unit that leaves a whole number."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return str(count)
