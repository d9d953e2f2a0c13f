"""pydantic's errors as sentences for a postmaster: `file:line: key: what is wrong`, with the nearest name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from filterd.config.model import Config
from filterd.frontends.settings import AnyListener
from filterd.yamlfile import Document, Key, Problem, dotted

LISTENERS: dict[str, type[BaseModel]] = {
    get_args(kind.model_fields["protocol"].annotation)[0]: kind for kind in get_args(get_args(AnyListener)[0])
}


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """One problem for each error, in the order of the file."""
    problems = [_problem(detail, document) for detail in error.errors(include_url=False)]
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line)


def _problem(detail: ErrorDetails, document: Document) -> Problem:
    key = _key(detail["loc"], document)
    return Problem(document.file, document.line(key), f"{_sentence(detail, key)}")


def _key(location: tuple[int | str, ...], document: Document) -> Key:
    """pydantic's location without the steps that the file does not have (the tags of a union)."""
    key: Key = ()
    for position, step in enumerate(location):
        known = (*key, step) in document.lines
        if known or (position == len(location) - 1 and step not in LISTENERS):
            key = (*key, step)
    return key


def _sentence(detail: ErrorDetails, key: Key) -> str:
    name = dotted(key) or "the file"
    given = _shown(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key {name}{_nearest(detail['loc'])}"
        case "missing":
            return f"{name} is missing"
        case "union_tag_not_found":
            return f"{name} has no protocol; it is one of {', '.join(LISTENERS)}"
        case "union_tag_invalid":
            tag = detail["ctx"]["tag"]
            return f"{name}.protocol is {_shown(tag)}; it is one of {', '.join(LISTENERS)}"
        case "value_error" | "assertion_error":
            return f"{name} is {given}: {detail['ctx']['error']}"
        case "enum" | "literal_error":
            return f"{name} is {given}; it is {detail['ctx']['expected']}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{name} takes settings, `key: value`, not {given}"
        case "tuple_type" | "list_type":
            return f"{name} takes a list, not {given}"
    return f"{name} is {given}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _nearest(location: tuple[int | str, ...]) -> str:
    """`; did you mean X?` among the names that are known where the unknown one stands."""
    return _like(str(location[-1]), known_names(location[:-1]))


def _like(word: str, names: Any) -> str:
    near = get_close_matches(word, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def known_names(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys that may stand at a place in the file."""
    model: type[BaseModel] | None = Config
    for step in location:
        if isinstance(step, int) or model is None:
            continue
        if step in LISTENERS:
            model = LISTENERS[step]
        elif step in model.model_fields:
            model = settings_of(model.model_fields[step].annotation)
    return tuple(model.model_fields) if model else ()


def settings_of(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation such as `tuple[PolicySettings, ...]`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := settings_of(part))), None)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "empty" if value is None else repr(value)[:80]
