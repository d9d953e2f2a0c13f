"""What can be told about the language and about one rule: for `rules show`, the JSON Schema and docs/rules.md.

Everything is made from the declarations that the compiler itself uses, so none of it can be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from filterd.findings import Symbol
from filterd.mail.envelope import Direction
from filterd.ruleset.cases import CASE_KEYS
from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.operators import OPERATORS
from filterd.ruleset.place import Place
from filterd.ruleset.rule import FORCED, GROUP_KEYS, MAX_SCORE, NAME, RULE_KEYS
from filterd.ruleset.ruleset import Ruleset


def describe(ruleset: Ruleset, name: str) -> dict[str, Any] | None:
    """One rule or check as it is in force, and where each part came from; None when there is none."""
    symbol = next((one for one in ruleset.symbols if one.name == name), None)
    rule = next((one for one in ruleset.loaded.rules if one.name == name), None)
    if symbol is None and rule is None:
        return None
    symbol = symbol or (rule.symbol if rule else Symbol(name, 0.0, ""))
    points = ruleset.weight(name)
    declared, declared_at = symbol.score, symbol.source
    if rule is not None and "score" in rule.place:
        declared, declared_at = rule.place.data["score"], str(rule.place["score"])
    told: dict[str, Any] = {
        "name": name,
        "about": symbol.about,
        "score": declared if points is None else points / 100,
        "score_from": declared_at if points is None else "rules.scores",
        "source": symbol.source,
        "disabled": "rules.disable" if name in ruleset.disabled else None,
        "decisive": symbol.decisive,
    }
    if points is not None:
        told["score_was"] = declared
    if rule is not None:
        told["replaces"] = [str(place) for place in ruleset.loaded.replaced.get(name, ())]
        told["lists"] = {
            words: list(ruleset.loaded.lists[words].files) for words in sorted(_lists(ruleset, rule.place))
        }
        told["asks"] = sorted(rule.asks)
        told |= {
            key: value for key, value in rule.place.data.items() if key not in ("name", "about", "score", "decisive")
        }
    return told


def _lists(ruleset: Ruleset, place: Place) -> set[str]:
    """The names of lists in a rule's condition."""

    def inside(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key in ("in", "words") and isinstance(inner, str):
                    yield inner
                else:
                    yield from inside(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from inside(inner)

    return set(inside(place.data.get("when"))) & ruleset.loaded.lists.keys()


def schema_of_rules() -> dict[str, Any]:
    """JSON Schema (2020-12) of a rules file."""
    conditions: dict[str, Any] = {field.name: _test(field) for field in CATALOGUE.fields.values()}
    for thing in CATALOGUE.elements.values():
        inner = {last: _test(field) for last, field in thing.fields.items()}
        inner["count"] = {"$ref": "#/$defs/comparison"}
        conditions[thing.name] = _object(inner, thing.about)
    several = {"type": "array", "items": {"$ref": "#/$defs/condition"}, "minItems": 1}
    conditions |= {
        "all": several,
        "any": several,
        "not": {"$ref": "#/$defs/condition"},
        "some": _object({"at_least": {"type": "integer", "minimum": 1}, "of": several}),
        "found": {"$ref": "#/$defs/texts"},
    }
    families = {f"^{family.prefix}\\.": _test(family.field("x")) for family in CATALOGUE.families.values()}
    condition = _object(conditions) | {"patternProperties": families, "minProperties": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules of filterd",
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/rule"}, {"$ref": "#/$defs/group"}]},
        "$defs": {
            "rule": _rule(),
            "group": _described(GROUP_KEYS, group={"type": "string"}, cap={"type": "number", "exclusiveMinimum": 0})
            | {"required": ["group", "cap"]},
            "condition": condition,
            "texts": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "quantity": {"anyOf": [{"type": "number"}, {"type": "string"}]},
            "comparison": {
                "anyOf": [
                    {"type": "number"},
                    _object({name: {"$ref": "#/$defs/quantity"} for name in ("above", "below", "at_least", "at_most")}),
                ]
            },
            "cases": {"type": "array", "items": {"anyOf": [{"type": "string"}, _described(CASE_KEYS)]}},
            **{f"{kind}_test": _operators(kind) for kind in Kind},
        },
    }


def _rule() -> dict[str, Any]:
    score = {"type": "number", "minimum": -MAX_SCORE, "maximum": MAX_SCORE}
    action = {"enum": list(FORCED)}
    cases = {"$ref": "#/$defs/cases"}
    texts = {"$ref": "#/$defs/texts"}
    directions = {"items": {"enum": [str(one) for one in Direction]}}
    return _described(
        RULE_KEYS,
        name={"type": "string", "pattern": f"^{NAME.pattern}$"},
        score=score,
        when={"$ref": "#/$defs/condition"},
        applies=_object({"direction": texts | directions, "recipient": texts, "listener": texts}),
        decisive={"type": "boolean"},
        silent={"type": "boolean"},
        backtracking={"type": "boolean"},
        force={"anyOf": [action, _object({"action": action, "text": {"type": "string"}})]},
        hits=cases,
        misses=cases,
        examples=_object({"hits": cases, "misses": cases}),
    ) | {"required": ["name", "about", "when"]}


def _test(field: Field) -> dict[str, Any]:
    return {"description": field.about, "$ref": f"#/$defs/{field.kind}_test"}


def _operators(kind: Kind) -> dict[str, Any]:
    """What may stand to the right of a field of this kind."""
    value = {"type": "boolean"} if kind is Kind.FLAG else {"$ref": "#/$defs/quantity"}
    plain = value if kind is Kind.FLAG or kind.numeric else {"$ref": "#/$defs/texts"}
    again = {"$ref": f"#/$defs/{kind}_test"}
    special: dict[str, Any] = {
        "equals": plain,
        "near": _object({"patterns": {"$ref": "#/$defs/texts"}, "within": {"type": "integer"}}),
        "length": {"$ref": "#/$defs/comparison"},
    }
    operators = {
        one.name: special.get(one.name, {"$ref": "#/$defs/quantity" if kind.numeric else "#/$defs/texts"})
        | {"description": one.about}
        for one in OPERATORS.values()
        if kind in one.kinds
    }
    operators |= {"not": again, "any": {"type": "array", "items": again}, "exists": {"type": "boolean"}}
    operators["count"] = {"$ref": "#/$defs/comparison"}
    return {"anyOf": [*([] if kind is Kind.TEXT else [plain]), _object(operators)]}


def _object(properties: dict[str, Any], about: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | {"description": about} if about else made


def _described(keys: dict[str, str], **kinds: Any) -> dict[str, Any]:
    return _object({key: kinds.get(key, {}) | {"description": about} for key, about in keys.items()})


def reference() -> str:
    """The part of docs/rules.md that lists every field and operator."""
    return "\n".join([*_operators_table(), "", *_fields_table()]) + "\n"


def _operators_table() -> Iterator[str]:
    yield "| operator | fits | what it says | example |"
    yield "|---|---|---|---|"
    for one in OPERATORS.values():
        fits = "all" if len(one.kinds) == len(Kind) else ", ".join(kind for kind in Kind if kind in one.kinds)
        yield f"| `{one.name}` | {fits} | {one.about} | `{{{_cell(one.example)}}}` |"


def _fields_table() -> Iterator[str]:
    yield "| field | kind | what it is | example |"
    yield "|---|---|---|---|"
    for family in CATALOGUE.families.values():
        name = f"{family.prefix}.{family.example_name}"
        yield f"| `{family.prefix}.NAME` | {family.kind} | {family.about} | `{{{name}: {_cell(family.example)}}}` |"
    for field in CATALOGUE.fields.values():
        yield f"| `{field.name}` | {field.kind} | {field.about} | `{{{field.name}: {_cell(field.example)}}}` |"


def _cell(example: str) -> str:
    return example.replace("|", "\\|")
