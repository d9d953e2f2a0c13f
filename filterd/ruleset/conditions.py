"""Conditions: the `when` of a rule, compiled to a plain function from a View to evidence.

A condition gives the evidence that it holds (perhaps an empty text), or None. A mapping of several keys
holds when all of them do. Whatever is wrong in the YAML is refused at its place, and the condition then
never holds; nothing raises. Each condition knows its guards: what must be seen in the mail for it to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from filterd.ruleset.comparing import COMPARISONS, bounds
from filterd.ruleset.fields import Element, Field, Kind
from filterd.ruleset.guards import ALWAYS, NEVER, UNSURE, Guards, Sure, either, every, of_forms, presence
from filterd.ruleset.operators import OPERATORS, Context, Matcher
from filterd.ruleset.place import Place, shown, unknown
from filterd.ruleset.view import View

COMBINERS = ("all", "any", "not", "some", "found")
FIELD_TESTS = ("not", "any", "exists", "count")  # beside the operators


@dataclass(frozen=True, slots=True)
class Condition:
    holds: Callable[[View], str | None]
    guards: Guards = ALWAYS
    sure: Sure = UNSURE


@dataclass(frozen=True, slots=True)
class Test:
    """What is asked of the values of a field, wherever they come from: the mail, or one element of it."""

    check: Callable[[Sequence[Any], View], str | None]
    guards: Guards = ALWAYS
    sure: Sure = UNSURE


_NO_CONDITION = Condition(lambda view: None, NEVER)
_NO_TEST = Test(lambda values, view: None, NEVER)


def condition(place: Place, context: Context) -> Condition:
    """The condition that stands at `place`."""
    if not isinstance(place.data, dict) or not place.data:
        place.refuse(f"a condition is a mapping such as subject: {{contains: text}}, not {_given(place)}")
        return _NO_CONDITION
    return all_of([_entry(name, inner, context) for name, inner in place.items()])


def _entry(name: str, place: Place, context: Context) -> Condition:
    match name:
        case "all":
            _refuse_contradictions(place, context)
            return all_of(_several(place, context))
        case "any":
            return any_of(_several(place, context))
        case "not":
            return not_(condition(place, context), context)
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
    return _NO_CONDITION


def _several(place: Place, context: Context) -> list[Condition]:
    if not isinstance(place.data, list) or not place.data:
        place.refuse(f"a list of conditions is wanted, not {_given(place)}")
        return [_NO_CONDITION]
    same: dict[str, int] = {}
    for index, one in enumerate(place.data):
        if same.setdefault(repr(one), index) != index:
            place[index].refuse("this condition stands in the list already")
        if any(repr(opposite) in same for opposite in _opposites(one)):
            place[index].refuse("a condition and its opposite stand in one list")
    return [condition(one, context) for one in place.each()]


def _given(place: Place) -> str:
    """What stands there in place of conditions."""
    return "an empty one" if place.data in ([], {}) else shown(place.data)


def _opposites(one: Any) -> Iterator[Any]:
    """The ways to write the opposite of a condition."""
    yield {"not": one}
    if not isinstance(one, dict) or len(one) != 1:
        return
    ((name, test),) = one.items()
    if name == "not":
        yield test
    elif isinstance(test, dict) and len(test) == 1 and isinstance(test.get("exists"), bool):
        yield {name: {"exists": not test["exists"]}}


def _refuse_contradictions(place: Place, context: Context) -> None:
    """Of a field that has one of a few words, conditions that hold together leave a word."""
    left: dict[str, set[str]] = {}
    for one in place.each():
        for name, test in one.items() if isinstance(one.data, dict) else ():
            field = context.catalogue.find(name)
            if field is None or not field.choices or field.many or field.element is not None:
                continue
            said = test.data.get("equals") if isinstance(test.data, dict) else test.data
            words = {word for word in (said if isinstance(said, list) else [said]) if isinstance(word, str)}
            if words and not left.setdefault(name, set(field.choices)) & words:
                one.refuse(f"{name} cannot be this and what the conditions before it say")
            if words:
                left[name] &= words


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Holds when all do. What needs no pattern is asked first; a pattern's match is the evidence that is shown."""
    if len(conditions) == 1:
        return conditions[0]
    cheap = tuple(one.holds for one in conditions if not by_pattern(one.guards))
    dear = tuple(one.holds for one in conditions if by_pattern(one.guards))

    def first(asked: Sequence[Callable[[View], str | None]], view: View) -> str | None:
        evidence = ""
        for ask in asked:
            if (said := ask(view)) is None:
                return None
            evidence = evidence or said
        return evidence

    def holds(view: View) -> str | None:
        if (little := first(cheap, view)) is None or (much := first(dear, view)) is None:
            return None
        return much or little

    return Condition(holds, every(one.guards for one in conditions))


def by_pattern(guards: Guards) -> bool:
    """Whether it takes a pattern's match, which is dear to find and good evidence."""
    return bool(of_forms(guards))


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Holds when one does."""
    asked = tuple(one.holds for one in conditions)

    def holds(view: View) -> str | None:
        return next((said for ask in asked if (said := ask(view)) is not None), None)

    return Condition(holds, either(one.guards for one in conditions), UNSURE.union(*(one.sure for one in conditions)))


def not_(inner: Condition, context: Context) -> Condition:
    ask = inner.holds
    return Condition(lambda view: "" if ask(view) is None else None, context.signs.unless(inner.sure))


def _some(place: Place, context: Context) -> Condition:
    """`some: {at_least: 2, of: [...]}`."""
    entries = place.mapping("some", ("at_least", "of"))
    if set(entries) != {"at_least", "of"}:
        place.refuse("some has at_least, a number, and of, a list of conditions")
        return _NO_CONDITION
    conditions = _several(entries["of"], context)
    least = entries["at_least"].data
    if not isinstance(least, int) or isinstance(least, bool) or not 1 <= least <= len(conditions):
        entries["at_least"].refuse(f"at_least is from 1 to the number of conditions, {len(conditions)}")
        return _NO_CONDITION

    def holds(view: View) -> str | None:
        said = [evidence for one in conditions if (evidence := one.holds(view)) is not None]
        return "; ".join(filter(None, said)) if len(said) >= least else None

    return Condition(holds, either(one.guards for one in conditions))


def _found(place: Place, context: Context) -> Condition:
    """`found: NAME`: that rule or check has found something; of several names, any."""
    names = place.texts("the name of a rule or check")
    if not names:
        return _NO_CONDITION
    context.asks.extend((name, place) for name in names)

    def holds(view: View) -> str | None:
        return next((name for name in names if name in view.found), None)

    return Condition(holds, (frozenset(names),))


def _field(field: Field, test: Test) -> Condition:
    check, needed = test.check, of_forms(test.guards)

    def holds(view: View) -> str | None:
        return check(view.values(field), view) if view.lets(needed) else None

    return Condition(holds, test.guards, test.sure)


def _element(thing: Element, place: Place, context: Context) -> Condition:
    """`link: {host: ..., text: ...}`: one and the same link passes every test; `count` says how many do."""
    if not isinstance(place.data, dict) or not place.data:
        place.refuse(f"{thing.name} is a group of fields: {', '.join(thing.fields)}; ask as {thing.name}: {{...}}")
        return _NO_CONDITION
    entries = place.mapping(thing.name, (*thing.fields, "count"))
    how_many = entries.pop("count", None)
    tests = [(thing.fields[name], field_test(inner, thing.fields[name], context)) for name, inner in entries.items()]
    tests.sort(key=lambda one: by_pattern(one[1].guards))  # what needs no pattern is asked first
    guards = every([_presence(thing, context), *(test.guards for _, test in tests)])
    needed = of_forms(guards)

    def found(view: View) -> Iterator[str]:
        """The evidence of each thing that passes every test."""
        if not view.lets(needed):
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

    if how_many is not None:
        return _counted(found, how_many, guards)
    return Condition(lambda view: next(found(view), None), guards)


def _presence(thing: Element | Field, context: Context) -> Guards:
    """That the mail has such a thing, or a value of the field, where that is cheap to see."""
    name = presence(thing.name)
    if isinstance(thing, Element):
        return context.signs.guard(name, lambda view: bool(view.elements(thing)))
    if thing.element is not None:
        return context.signs.guard(name, lambda view: any(view.column(thing)))
    return ALWAYS if thing.there is None else context.signs.guard(name, thing.there)


def _counted(found: Callable[[View], Iterator[str]], place: Place, guards: Guards) -> Condition:
    fits = _bounds(place)

    def holds(view: View) -> str | None:
        number = sum(1 for _ in found(view))
        return f"{number} times" if fits(number) else None

    return Condition(holds, ALWAYS if fits(0) else guards)


def _bounds(place: Place) -> Callable[[float], bool]:
    fits = bounds(place, Kind.NUMBER)
    return fits if fits is not None else lambda value: False


def field_test(place: Place, field: Field, context: Context) -> Test:
    """What stands to the right of a field: a plain value (equals), or operators for the same value."""
    if isinstance(place.data, dict):
        return _operators(place, field, context)
    matcher = _operator("equals", place, field, context)
    return _some_value(field, matcher, None, context) if matcher else _NO_TEST


def _operators(place: Place, field: Field, context: Context) -> Test:
    if not place.data:
        place.refuse("an empty test")
    entries = place.mapping(f"the test of {field.name}", (*OPERATORS, *FIELD_TESTS))
    if not entries:
        return _NO_TEST
    if "exists" in entries:
        return _exists(field, entries, place, context)
    how_many = entries.pop("count", None)
    comparing = [name for name in entries if name in COMPARISONS]
    if comparing and field.kind.numeric and how_many is None:
        compared = Place(place.document, place.key, {name: place.data[name] for name in comparing}, place.problems)
        bounds(compared, field.kind, field.least, field.most)
    if not entries and how_many is not None:
        return _some_value(field, Matcher(lambda value, view: ""), how_many, context)
    made = [_operator(name, inner, field, context) for name, inner in entries.items()]
    matchers = [matcher for matcher in made if matcher is not None]
    if len(matchers) < len(made):
        return _NO_TEST
    return _some_value(field, _together(matchers), how_many, context)


def _operator(name: str, place: Place, field: Field, context: Context) -> Matcher | None:
    if name == "not":
        return _none(field_test(place, field, context), field, context)
    if name == "any":
        return _either([field_test(one, field, context) for one in place.each()])
    one = OPERATORS[name]
    if field.kind not in one.kinds:
        fitting = ", ".join(other.name for other in OPERATORS.values() if field.kind in other.kinds)
        place.refuse(f"{name} does not fit {field.name}, which is a {field.kind}; it takes {fitting}")
        return None
    return one.build(place, field, context)


def _none(test: Test, field: Field, context: Context) -> Matcher:
    """A value that fails the test: where one passes for sure, there must be another."""
    guards = context.signs.unless(test.sure, f" alone in {field.name}", lambda view: len(view.values(field)) > 1)
    return Matcher(lambda value, view: "" if test.check((value,), view) is None else None, guards)


def _either(tests: Sequence[Test]) -> Matcher:
    def passes(value: Any, view: View) -> str | None:
        return next((said for test in tests if (said := test.check((value,), view)) is not None), None)

    return Matcher(passes, either(test.guards for test in tests), sure=UNSURE.union(*(test.sure for test in tests)))


def _exists(field: Field, entries: dict[str, Place], place: Place, context: Context) -> Test:
    wanted = entries["exists"].data
    if not isinstance(wanted, bool) or len(entries) > 1:
        place.refuse("exists is true or false, and stands alone")
    if wanted:
        return Test(lambda values, view: "" if values else None, _presence(field, context))
    return Test(lambda values, view: None if values else "")


def _together(matchers: Sequence[Matcher]) -> Matcher:
    """All of them pass the same value."""
    if len(matchers) == 1:
        return matchers[0]
    ordered = sorted(matchers, key=lambda matcher: not by_pattern(matcher.guards))

    def passes(value: Any, view: View) -> str | None:
        evidence = ""
        for matcher in ordered:
            if (said := matcher.passes(value, view)) is None:
                return None
            evidence = evidence or said
        return evidence

    return Matcher(passes, every(matcher.guards for matcher in matchers))


def _some_value(field: Field, matcher: Matcher, how_many: Place | None, context: Context) -> Test:
    passes, guards = matcher.passes, every([_presence(field, context), matcher.guards])
    if how_many is None:
        return Test(
            lambda values, view: next((said for one in values if (said := passes(one, view)) is not None), None),
            guards,
            matcher.sure,
        )
    fits = _bounds(how_many)
    count = matcher.count or (lambda value, view: int(passes(value, view) is not None))

    def check(values: Sequence[Any], view: View) -> str | None:
        number = sum(count(value, view) for value in values)
        return f"{number} times" if fits(number) else None

    return Test(check, ALWAYS if fits(0) else guards)
