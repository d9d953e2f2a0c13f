"""Conditions: the `when` of a rule, compiled to a plain function from a View to evidence.

A condition gives the evidence that it holds (perhaps an empty text), or None. A mapping of several keys
holds when all of them do. Whatever is wrong in the YAML is refused at its place, and the condition then
never holds; nothing raises. Each condition knows its guard: numbers of patterns of which one must match
somewhere in the mail for it to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from filterd.ruleset.fields import Element, Field, Kind
from filterd.ruleset.operators import COMPARISONS, OPERATORS, Context, Guard, Matcher, bounds
from filterd.ruleset.place import Place, shown, unknown
from filterd.ruleset.view import View

COMBINERS = ("all", "any", "not", "some", "found")
FIELD_TESTS = ("not", "any", "exists", "count")  # beside the operators


@dataclass(frozen=True, slots=True)
class Condition:
    holds: Callable[[View], str | None]
    guard: Guard = None


@dataclass(frozen=True, slots=True)
class Test:
    """What is asked of the values of a field, wherever they come from: the mail, or one element of it."""

    check: Callable[[Sequence[Any], View], str | None]
    guard: Guard = None


NEVER = Condition(lambda view: None, frozenset())
_NO_TEST = Test(lambda values, view: None, frozenset())


def condition(place: Place, context: Context) -> Condition:
    """The condition that stands at `place`."""
    if not isinstance(place.data, dict) or not place.data:
        place.refuse(f"a condition is a mapping such as subject: {{contains: text}}, not {shown(place.data)}")
        return NEVER
    return all_of([_entry(name, inner, context) for name, inner in place.items()])


def _entry(name: str, place: Place, context: Context) -> Condition:
    match name:
        case "all":
            return all_of(_several(place, context))
        case "any":
            return any_of(_several(place, context))
        case "not":
            return not_(condition(place, context))
        case "some":
            return _some(place, context)
        case "found":
            return _found(place, context)
    context.fields.append(name)
    if (thing := context.catalogue.elements.get(name)) is not None:
        return _element(thing, place, context)
    if (field := context.catalogue.find(name)) is not None:
        return _field(field, field_test(place, field, context))
    names = (*context.catalogue.names, *context.catalogue.elements, *COMBINERS)
    place.refuse(unknown("field", name, names))
    return NEVER


def _several(place: Place, context: Context) -> list[Condition]:
    if not isinstance(place.data, list) or not place.data:
        place.refuse(f"a list of conditions is wanted, not {shown(place.data)}")
        return [NEVER]
    same: dict[str, int] = {}
    for index, one in enumerate(place.data):
        if same.setdefault(repr(one), index) != index:
            place[index].refuse("this condition stands in the list already")
        if repr({"not": one}) in same or (isinstance(one, dict) and repr(one.get("not")) in same):
            place[index].refuse("a condition and its opposite stand in one list")
    return [condition(one, context) for one in place.each()]


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Holds when all do. Those with a guard are asked first: they mostly say no."""
    if len(conditions) == 1:
        return conditions[0]
    ordered = sorted(conditions, key=lambda one: one.guard is None)
    asked = tuple(one.holds for one in ordered)
    guards = [one.guard for one in conditions if one.guard is not None]

    def holds(view: View) -> str | None:
        evidence = ""
        for ask in asked:
            if (said := ask(view)) is None:
                return None
            evidence = evidence or said
        return evidence

    return Condition(holds, min(guards, key=len, default=None))


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Holds when one does."""
    asked = tuple(one.holds for one in conditions)

    def holds(view: View) -> str | None:
        return next((said for ask in asked if (said := ask(view)) is not None), None)

    return Condition(holds, _united(one.guard for one in conditions))


def not_(inner: Condition) -> Condition:
    ask = inner.holds
    return Condition(lambda view: "" if ask(view) is None else None)


def _united(guards: Iterable[Guard]) -> Guard:
    """The guard of "one of these": all numbers together, or none when one of them has no guard."""
    numbers: set[int] = set()
    for guard in guards:
        if guard is None:
            return None
        numbers |= guard
    return frozenset(numbers)


def _some(place: Place, context: Context) -> Condition:
    """`some: {at_least: 2, of: [...]}`."""
    entries = place.mapping("some", ("at_least", "of"))
    if set(entries) != {"at_least", "of"}:
        place.refuse("some has at_least, a number, and of, a list of conditions")
        return NEVER
    conditions = _several(entries["of"], context)
    least = entries["at_least"].data
    if not isinstance(least, int) or isinstance(least, bool) or not 1 <= least <= len(conditions):
        entries["at_least"].refuse(f"at_least is from 1 to the number of conditions, {len(conditions)}")
        return NEVER

    def holds(view: View) -> str | None:
        said = [evidence for one in conditions if (evidence := one.holds(view)) is not None]
        return "; ".join(filter(None, said)) if len(said) >= least else None

    return Condition(holds, _united(one.guard for one in conditions))


def _found(place: Place, context: Context) -> Condition:
    """`found: NAME`: that rule or check has found something; of several names, any."""
    names = place.texts("the name of a rule or check")
    if not names:
        return NEVER
    context.asks.extend((name, place) for name in names)
    return Condition(lambda view: next((name for name in names if name in view.found), None))


def _field(field: Field, test: Test) -> Condition:
    guard, check = test.guard, test.check
    if guard is None:
        return Condition(lambda view: check(view.values(field), view))

    def holds(view: View) -> str | None:
        return None if guard.isdisjoint(view.hits) else check(view.values(field), view)

    return Condition(holds, guard)


def _element(thing: Element, place: Place, context: Context) -> Condition:
    """`link: {host: ..., text: ...}`: one and the same link passes every test; `count` says how many do."""
    if not isinstance(place.data, dict) or not place.data:
        place.refuse(f"{thing.name} is a group of fields: {', '.join(thing.fields)}; ask as {thing.name}: {{...}}")
        return NEVER
    entries = place.mapping(thing.name, (*thing.fields, "count"))
    how_many = entries.pop("count", None)
    tests = [(thing.fields[name], field_test(inner, thing.fields[name], context)) for name, inner in entries.items()]
    tests.sort(key=lambda one: one[1].guard is not None)  # what needs no pattern is asked first
    guards = [test.guard for _, test in tests if test.guard is not None]

    def found(view: View) -> Iterator[str]:
        """The evidence of each thing that passes every test."""
        if any(guard.isdisjoint(view.hits) for guard in guards):
            return
        columns = [(view.column(field), test.check) for field, test in tests]
        for index in range(len(view.elements(thing))):
            evidence: str | None = ""
            for column, check in columns:
                if (said := check(column[index], view)) is None:
                    evidence = None
                    break
                evidence = said or evidence
            if evidence is not None:
                yield evidence

    guard = min(guards, key=len, default=None)
    if how_many is not None:
        return _counted(found, how_many, guard)
    return Condition(lambda view: next(found(view), None), guard)


def _counted(found: Callable[[View], Iterator[str]], place: Place, guard: Guard) -> Condition:
    fits = _bounds(place)

    def holds(view: View) -> str | None:
        number = sum(1 for _ in found(view))
        return f"{number} times" if fits(number) else None

    return Condition(holds, None if fits(0) else guard)


def _bounds(place: Place) -> Callable[[float], bool]:
    fits = bounds(place, Kind.NUMBER)
    return fits if fits is not None else lambda value: False


def field_test(place: Place, field: Field, context: Context) -> Test:
    """What stands to the right of a field: a plain value (equals), or operators for the same value."""
    if isinstance(place.data, dict):
        return _operators(place, field, context)
    matcher = _operator("equals", place, field, context)
    return _some_value(matcher, None) if matcher else _NO_TEST


def _operators(place: Place, field: Field, context: Context) -> Test:
    if not place.data:
        place.refuse("an empty test")
    entries = place.mapping(f"the test of {field.name}", (*OPERATORS, *FIELD_TESTS))
    if not entries:
        return _NO_TEST
    if "exists" in entries:
        return _exists(entries, place)
    how_many = entries.pop("count", None)
    comparing = [name for name in entries if name in COMPARISONS]
    if len(comparing) > 1 and field.kind.numeric:
        bounds(
            Place(place.document, place.key, {name: place.data[name] for name in comparing}, place.problems),
            field.kind,
        )
    if not entries and how_many is not None:
        return _some_value(Matcher(lambda value, view: ""), how_many)
    made = [_operator(name, inner, field, context) for name, inner in entries.items()]
    matchers = [matcher for matcher in made if matcher is not None]
    if len(matchers) < len(made):
        return _NO_TEST
    return _some_value(_together(matchers), how_many)


def _operator(name: str, place: Place, field: Field, context: Context) -> Matcher | None:
    if name == "not":
        return _none(field_test(place, field, context))
    if name == "any":
        return _either([field_test(one, field, context) for one in place.each()])
    one = OPERATORS[name]
    if field.kind not in one.kinds:
        fitting = ", ".join(other.name for other in OPERATORS.values() if field.kind in other.kinds)
        place.refuse(f"{name} does not fit {field.name}, which is a {field.kind}; it takes {fitting}")
        return None
    return one.build(place, field, context)


def _none(test: Test) -> Matcher:
    return Matcher(lambda value, view: "" if test.check((value,), view) is None else None)


def _either(tests: Sequence[Test]) -> Matcher:
    def passes(value: Any, view: View) -> str | None:
        return next((said for test in tests if (said := test.check((value,), view)) is not None), None)

    return Matcher(passes, _united(test.guard for test in tests))


def _exists(entries: dict[str, Place], place: Place) -> Test:
    wanted = entries["exists"].data
    if not isinstance(wanted, bool) or len(entries) > 1:
        place.refuse("exists is true or false, and stands alone")
    if wanted:
        return Test(lambda values, view: "" if values else None)
    return Test(lambda values, view: None if values else "")


def _together(matchers: Sequence[Matcher]) -> Matcher:
    """All of them pass the same value."""
    if len(matchers) == 1:
        return matchers[0]
    ordered = sorted(matchers, key=lambda matcher: matcher.guard is None)

    def passes(value: Any, view: View) -> str | None:
        evidence = ""
        for matcher in ordered:
            if (said := matcher.passes(value, view)) is None:
                return None
            evidence = evidence or said
        return evidence

    return Matcher(passes, ordered[0].guard)


def _some_value(matcher: Matcher, how_many: Place | None) -> Test:
    passes = matcher.passes
    if how_many is None:
        return Test(
            lambda values, view: next((said for one in values if (said := passes(one, view)) is not None), None),
            matcher.guard,
        )
    fits = _bounds(how_many)
    count = matcher.count or (lambda value, view: int(passes(value, view) is not None))

    def check(values: Sequence[Any], view: View) -> str | None:
        number = sum(count(value, view) for value in values)
        return f"{number} times" if fits(number) else None

    return Test(check, None if fits(0) else matcher.guard)
