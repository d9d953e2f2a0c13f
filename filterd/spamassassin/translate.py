"""Directives to rules: each test becomes a condition over filterd's fields.

In: the lines of all files together, for a score may stand in another file than its rule; and names that filterd has
already. Out: an `Imported`: rules as plain data in the order of their definition, where each came from, and what was
left. A later line about the same rule replaces the earlier one, as in SpamAssassin. Never raises.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from filterd.spamassassin.cf import Left, Line
from filterd.spamassassin.known import HEADERS, KNOWN, QUIET_FLAGS, SETTINGS
from filterd.spamassassin.meta import Condition, condition
from filterd.spamassassin.perl import Literal, NotTranslated, backtracks, literal

TESTS = frozenset({"header", "body", "rawbody", "uri", "full", "meta"})
OTHER_TESTS = frozenset({"mimeheader", "uri_detail", "urirhsbl", "urirhssub", "uridnsbl", "uridnssub", "askdns"})
DECISIVE = 5.0  # what SpamAssassin calls spam: a rule that says so alone means it
MAX_SCORE = 100.0
MAX_NAME = 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HEADER = re.compile(r"(exists:)?([A-Za-z0-9_-]+)((?::[a-z]+)*)$", re.ASCII)
_PARTS = {"addr": "address", "name": "name", "user": "local", "domain": "registrable", "host": "domain"}
_PEOPLE = {"from": "from", "to": "to", "cc": "cc", "reply-to": "reply_to", "sender": "sender"}


@dataclass(slots=True)
class Imported:
    """What came of it."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    sources: dict[str, tuple[str, Line]] = field(default_factory=dict)  # by its name here: its name there, and where
    left: list[Left] = field(default_factory=list)


@dataclass(slots=True)
class _Told:
    """All that the files say, by SpamAssassin's names."""

    tests: dict[str, Line] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    flags: dict[str, set[str]] = field(default_factory=dict)
    flag_lines: dict[str, Line] = field(default_factory=dict)
    tagged: dict[str, Line] = field(default_factory=dict)  # rules whose patterns hold replace tags
    score_lines: dict[str, Line] = field(default_factory=dict)


def translate(lines: Iterable[Line], taken: Set[str] = frozenset()) -> Imported:
    """Everything at once; `taken` are names that these rules must not have."""
    made = Imported()
    told = _gather(lines, made.left)
    names = _names(told.tests, taken)
    work = _Work(told, names)
    for name, line in told.tests.items():
        try:
            made.rules.append(work.rule(name, line))
            made.sources[names[name]] = name, line
        except NotTranslated as error:
            made.left.append(Left(line.file, line.line, f"{line.word} {name}", str(error)))
    for name, line in told.score_lines.items():
        if name not in told.tests:
            why = "no test of that name is in these files"
            made.left.append(Left(line.file, line.line, f"score {name}", why))
    made.left.sort(key=lambda one: (one.file, one.line))
    return made


def _gather(lines: Iterable[Line], left: list[Left]) -> _Told:
    told = _Told()
    quiet: Counter[str] = Counter()
    first: dict[str, Line] = {}
    for line in lines:
        name, _, rest = line.rest.partition(" ")
        name, rest = name.partition("\t")[0], f"{name.partition(chr(9))[2]} {rest}".strip()
        match line.word:
            case word if word in TESTS | OTHER_TESTS:
                if _NAME.fullmatch(name) and rest:
                    told.tests.pop(name, None)
                    told.tests[name] = Line(word, rest, line.file, line.line)
                else:
                    left.append(
                        Left(line.file, line.line, word, "a rule has a name of letters, digits and _, and a test")
                    )
            case "score":
                _score(name, rest, line, told, left)
            case "describe":
                told.about[name] = rest
            case "tflags":
                told.flags.setdefault(name, set()).update(rest.split())
                told.flag_lines[name] = line
            case "replace_rules":
                told.tagged |= dict.fromkeys(line.rest.split(), line)
            case word:
                quiet[word] += 1
                first.setdefault(word, line)
    for name, flags in told.flags.items():
        for flag in flags - QUIET_FLAGS:
            quiet[f"tflags {flag.partition('=')[0]}"] += 1
            first.setdefault(f"tflags {flag.partition('=')[0]}", told.flag_lines[name])
    for word, count in quiet.items():
        why = SETTINGS.get(word, "a setting of SpamAssassin that has no counterpart among rules")
        times = f" ({count} times, this is the first)" if count > 1 else ""
        left.append(Left(first[word].file, first[word].line, word, f"{why}{times}"))
    return told


def _score(name: str, rest: str, line: Line, told: _Told, left: list[Left]) -> None:
    """One score, or four: filterd asks the network and has a classifier, so the fourth is meant."""
    try:
        numbers = [float(one.strip("()")) for one in rest.split()]
        if len(numbers) not in (1, 4) or not all(abs(one) < 1e6 for one in numbers):
            raise ValueError
    except ValueError:
        left.append(Left(line.file, line.line, f"score {name}", "a score is a name and one number, or four"))
        return
    relative = rest.startswith("(")
    told.scores[name] = numbers[-1] + (told.scores.get(name, 1.0) if relative else 0.0)
    told.score_lines[name] = line


def _names(tests: Iterable[str], taken: Set[str]) -> dict[str, str]:
    """A name here for each: as it is where that can be, else with SA_ before it."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in tests:
        here = name.upper().strip("_")[: MAX_NAME - 8]
        if here != name or here in used or len(here) < 2 or not here[0].isalpha():
            here = f"SA_{here}"
        stem, number = here, 2
        while here in used:
            here, number = f"{stem}_{number}", number + 1
        used.add(here)
        found[name] = here
    return found


@dataclass(slots=True)
class _Work:
    told: _Told
    names: dict[str, str]
    asked: dict[str, bool] = field(default_factory=dict)  # can this test be translated?

    def rule(self, name: str, line: Line) -> dict[str, Any]:
        score = self._points(name, line)
        silent = name.startswith("__")
        if score == 0 and not silent:
            raise NotTranslated("its score is 0, so SpamAssassin does not run it")
        made = self.condition(name, 1)
        about = " ".join(self.told.about.get(name, "").split())
        if not about.isprintable() or not about:
            about = f"SpamAssassin's {name}, from {line.file}."
        rule: dict[str, Any] = {"name": self.names[name], "about": about}
        if silent:
            rule["silent"] = True
        else:
            rule["score"] = score
            if score >= DECISIVE:
                rule["decisive"] = True
        if any(map(backtracks, _patterns(made))):
            rule["backtracking"] = True
        return rule | {"when": made}

    def _points(self, name: str, line: Line) -> float:
        nice = "nice" in self.told.flags.get(name, ())
        ordinary = 0.01 if name.startswith("T_") else -1.0 if nice else 1.0
        return round(max(-MAX_SCORE, min(MAX_SCORE, self.told.scores.get(name, ordinary))), 2)

    def condition(self, name: str, least: int) -> Condition:
        line = self.told.tests[name]
        if line.word in OTHER_TESTS:
            raise NotTranslated(f"{line.word} tests have no counterpart")
        if line.word == "meta":
            return condition(line.rest, self._named)
        if name in self.told.tagged:
            raise NotTranslated("its pattern holds tags of the plugin ReplaceTags")
        if "eval:" in line.rest.partition("=~")[0]:
            raise NotTranslated("an eval test is a program, not a pattern; see filterd's own checks and rules")
        if line.word == "header":
            return _header(line.rest, least)
        return _content(line.word, line.rest, least)

    def _named(self, name: str, least: int) -> Condition:
        """What a meta rule means by a name: a rule of these files, or something that filterd knows by itself."""
        if name in self.told.tests and self._can(name):
            if least > 1:
                if self.told.tests[name].word == "meta":
                    raise NotTranslated(f"{name} is counted, and is a meta rule")
                return self.condition(name, least) if "multiple" in self.told.flags.get(name, ()) else _never(name)
            return {"found": self.names[name]}
        if name in KNOWN and least == 1:
            return KNOWN[name]
        why = "cannot be translated" if name in self.told.tests else "is not in these files"
        raise NotTranslated(f"it asks about {name}, which {why}")

    def _can(self, name: str) -> bool:
        if name not in self.asked:
            self.asked[name] = False  # what asks about itself in a circle cannot be
            try:
                self.rule(name, self.told.tests[name])
                self.asked[name] = True
            except (NotTranslated, RecursionError):
                pass
        return self.asked[name]


def _patterns(made: Any) -> Iterator[str]:
    """Every pattern within a condition."""
    if isinstance(made, list):
        for one in made:
            yield from _patterns(one)
    elif isinstance(made, dict):
        for key, inner in made.items():
            if key == "regex":
                yield inner
            else:
                yield from _patterns(inner)


def _never(name: str) -> Condition:
    raise NotTranslated(f"{name} is compared with a number that it never reaches, for it is not `multiple`")


def _counted(pattern: Literal, least: int) -> dict[str, Any]:
    return {"regex": pattern.text} | ({"count": {"at_least": least}} if least > 1 else {})


def _header(test: str, least: int) -> Condition:
    """`Subject =~ /x/ [if-unset: y]`, `X-Y !~ /x/`, `exists:X-Y`."""
    subject, sign, written = test.partition("=~")
    if not sign:
        subject, sign, written = test.partition("!~")
    match = _HEADER.fullmatch(subject.strip())
    if match is None:
        raise NotTranslated(f"a header test that is not understood: {test[:60]}")
    exists, header, parts = match.groups()
    fields = _fields(header, [one for one in parts.split(":") if one])
    if exists:
        if sign:
            raise NotTranslated("exists: stands alone")
        return _any([{field: {"exists": True}} for field in fields])
    if not sign:
        raise NotTranslated(f"a header test has =~ or !~: {test[:60]}")
    pattern, rest = literal(written)
    if pattern.crosses_lines:
        raise NotTranslated("its pattern crosses lines, and a header field here is one line")
    asked = _any([{field: _counted(pattern, least)} for field in fields])
    if sign == "!~":
        return {"not": asked}
    unset = re.fullmatch(r"\[if-unset:\s*(.*)\]", rest)
    if rest and unset is None:
        raise NotTranslated(f"what follows the pattern is not understood: {rest[:40]}")
    if unset is not None and _matches(pattern, unset[1]):
        return {"any": [asked, {"all": [{field: {"exists": False}} for field in fields]}]}
    return asked


def _any(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else {"any": conditions}


def _matches(pattern: Literal, text: str) -> bool:
    if len(text) > 200 or backtracks(pattern.text):
        raise NotTranslated("[if-unset] with a pattern that looks around, or a long text")
    try:
        return re.search(re.sub(r"\\x\{0*([0-9a-fA-F]{2})\}", r"\\x\1", pattern.text), text) is not None
    except re.error as error:
        raise NotTranslated(f"a pattern that cannot be used: {error}") from error


def _fields(header: str, parts: list[str]) -> list[str]:
    """The fields that hold that header, or that part of it."""
    lowered = header.lower()
    if lowered in HEADERS:
        found = HEADERS[lowered]
        if not found:
            raise NotTranslated(f"{header} is made by SpamAssassin itself")
        if parts:
            raise NotTranslated(f"{header}:{':'.join(parts)} has no counterpart")
        return list(found)
    parts = [one for one in parts if one not in ("first", "last")]
    if not parts:
        return [f"header.{lowered}"]
    if parts == ["raw"]:
        return [f"raw.{lowered}"]
    if len(parts) == 1 and lowered in _PEOPLE and parts[0] in _PARTS:
        return [f"{_PEOPLE[lowered]}.{_PARTS[parts[0]]}"]
    raise NotTranslated(f"{header}:{':'.join(parts)} has no counterpart")


def _content(kind: str, test: str, least: int) -> Condition:
    negated = test.startswith("!~")
    pattern, rest = literal(test.removeprefix("=~").removeprefix("!~"))
    if rest:
        raise NotTranslated(f"what follows the pattern is not understood: {rest[:40]}")
    asked = _counted(pattern, least)
    if kind != "full" and pattern.crosses_lines:
        raise NotTranslated("its pattern crosses lines, which are joined here")
    match kind:
        case "body":
            made: Condition = {"text" if pattern.anchored else "content": asked}
        case "rawbody":
            if pattern.anchored:
                raise NotTranslated("its pattern asks for the start or end of a line, and these are joined here")
            made = {"part": {"type": {"glob": "text/*"}, "content": asked}}
        case "uri":
            made = {"link.url": asked}
        case _:
            made = {"any": [{"headers": asked}, {"body": asked}]}
    return {"not": made} if negated else made
