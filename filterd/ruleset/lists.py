"""Lists: names for many words, domains, addresses or networks, kept in plain text files.

`lists/NAME.txt` beside the rules: one entry a line, `#` starts a comment. A list of the same name in a
later folder replaces the earlier; `NAME.add.txt` and `NAME.remove.txt` adjust it. What an entry means
depends on the field that is asked about, never on a piece of text: `good.com` is good.com and
mail.good.com, never evilgood.com or good.com.evil. A rule names a list; it cannot name a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filterd.mail.domains import to_ascii
from filterd.ruleset.fields import Kind
from filterd.ruleset.place import nearest
from filterd.settings import Networks, parse_network
from filterd.yamlfile import Problem

_FILE = re.compile(r"([a-z][a-z0-9_-]*)(?:\.(add|remove))?\.txt")
_NOT_LOCAL = re.compile(r'[\s<>()\[\]:;,@*"\\]')  # outside quotes (RFC 5322 section 3.2.3); globs are for `glob`
MAX_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    text: str  # lower case
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class WordList:
    """A named list, in the order of its file."""

    name: str
    entries: tuple[Entry, ...]
    files: tuple[str, ...]  # where it came from, the first one first

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(entry.text for entry in self.entries)


def read_lists(folders: Iterable[tuple[Path, str]], problems: list[Problem]) -> dict[str, WordList]:
    """The lists under `folders` (path, and its name in messages), later folders over earlier ones."""
    lists: dict[str, WordList] = {}
    for folder, shown in folders:
        found = sorted((folder / "lists").glob("*.txt"), key=lambda path: (path.name.count("."), path.name))
        for path in found:
            file = f"{shown}/lists/{path.name}"
            match = _FILE.fullmatch(path.name)
            if match is None:
                problems.append(Problem(file, 0, "a list's name is lower-case letters, digits, - and _"))
                continue
            name, how = match.groups()
            entries = _read(path, file, problems)
            lists[name] = _adjusted(name, how, lists, entries, file, problems)
    return lists


def _adjusted(
    name: str,
    how: str | None,
    others: Mapping[str, WordList],
    entries: tuple[Entry, ...],
    file: str,
    problems: list[Problem],
) -> WordList:
    if how is None:
        return WordList(name, entries, (file,))
    if (old := others.get(name)) is None:
        problems.append(Problem(file, 0, f"there is no list {name} to adjust{nearest(name, others)}"))
        return WordList(name, (), (file,))
    if how == "add":
        kept = old.entries + entries
    else:
        gone = {entry.text for entry in entries}
        kept = tuple(entry for entry in old.entries if entry.text not in gone)
    return WordList(name, kept, (*old.files, file))


def _read(path: Path, file: str, problems: list[Problem]) -> tuple[Entry, ...]:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        problems.append(Problem(file, 0, f"cannot be read: {error.strerror}"))
        return ()
    except UnicodeDecodeError as error:
        problems.append(Problem(file, data.count(b"\n", 0, error.start) + 1, "not UTF-8 text"))
        return ()
    except ValueError as error:
        problems.append(Problem(file, 0, str(error)))
        return ()
    stripped = ((number, line.partition("#")[0].strip().lower()) for number, line in enumerate(lines, 1))
    return tuple(Entry(text, file, number) for number, text in stripped if text)


Holds = Callable[[str], bool]


def membership(kind: Kind, entries: Iterable[str]) -> Holds:
    """Whether a value of that kind is one of the entries; raises ValueError naming an entry that cannot be."""
    match kind:
        case Kind.DOMAIN:
            return _domains(entries)
        case Kind.ADDRESS:
            return _addresses(entries)
        case Kind.IP:
            return Networks(parse_network(entry) for entry in entries).hold
        case _:
            words = frozenset(entry.casefold() for entry in entries)
            return lambda value: value.casefold() in words


def unusable(words: WordList, kind: Kind) -> list[Problem]:
    """The entries of a list that are nothing of that kind, each where it stands."""
    if kind not in (Kind.DOMAIN, Kind.ADDRESS, Kind.IP):
        return []
    problems = []
    for entry in words.entries:
        try:
            membership(kind, (entry.text,))
        except ValueError as error:
            problems.append(Problem(entry.file, entry.line, str(error)))
    return problems


def _domains(entries: Iterable[str]) -> Holds:
    names = frozenset(domain(entry) for entry in entries)

    def holds(value: str) -> bool:
        """The domain itself, or one under it, label by label."""
        rest = value.rstrip(".").lower()
        while rest:
            if rest in names:
                return True
            rest = rest.partition(".")[2]
        return False

    return holds


def _addresses(entries: Iterable[str]) -> Holds:
    """`user@example.org` is that address; `@example.org` or `example.org` everyone at or below it."""
    given = tuple(_everyone(entry) for entry in entries)
    whole = frozenset(_address(entry) for entry in given if entry.find("@") > 0)
    under = _domains(entry.removeprefix("@") for entry in given if entry.find("@") <= 0)
    return lambda value: value.lower() in whole or under(value.rpartition("@")[2])


def _everyone(entry: str) -> str:
    """`*@example.org` is another way to write `@example.org`."""
    return entry.removeprefix("*") if entry.startswith("*@") else entry


def _address(entry: str) -> str:
    """An address on a list in its comparable form; raises ValueError."""
    local, _, host = entry.lower().rpartition("@")
    if not local.startswith('"') and _NOT_LOCAL.search(local):
        raise ValueError(f"{entry} is not an address")
    if not host.startswith("["):
        domain(host)
    return f"{local}@{host}"


def domain(entry: str) -> str:
    """A domain on a list in its comparable form; raises ValueError."""
    name = entry.strip().lower().removeprefix("*").removeprefix(".").rstrip(".")
    ascii_name = name if name.isascii() else to_ascii(name)
    if not ascii_name or any(mark in ascii_name for mark in " @/:*") or ".." in ascii_name:
        raise ValueError(f"{entry} is not a domain")
    return ascii_name


def shadowed(words: WordList) -> list[tuple[Entry, str]]:
    """Entries that have no effect, and the earlier or wider entry that makes them so."""
    first: dict[str, Entry] = {}
    useless = []
    for entry in words.entries:
        if entry.text in first:
            useless.append((entry, entry.text))
        first.setdefault(entry.text, entry)
    return useless


def shadowed_as(words: WordList, kind: Kind) -> dict[Entry, str]:
    """Entries that lie within another one of the same list, for values of that kind; and that one."""
    match kind:
        case Kind.DOMAIN:
            return _within(words, {entry.text: entry.text for entry in words.entries}, _parents)
        case Kind.ADDRESS:
            meant = {_everyone(text): text for text in words.texts}
            whole = {form.removeprefix("@"): text for form, text in meant.items() if form.find("@") <= 0}
            return _within(words, whole, lambda text: _address_parents(_everyone(text)))
        case Kind.IP:
            return _within(words, {str(parse_network(one)): one for one in words.texts}, _networks_around)
        case _:
            return {}


def _within(words: WordList, named: Mapping[str, str], wider: Callable[[str], Iterable[str]]) -> dict[Entry, str]:
    found = {}
    for entry in words.entries:
        if (by := next((named[name] for name in wider(entry.text) if name in named), None)) is not None:
            found[entry] = by
    return found


def _parents(domain: str) -> Iterator[str]:
    while domain := domain.partition(".")[2]:
        yield domain


def _address_parents(text: str) -> Iterator[str]:
    """The domains of an address, and those above a domain."""
    local, at, domain = text.rpartition("@")
    if at and local:
        yield domain
    yield from _parents(domain)


def _networks_around(text: str) -> Iterator[str]:
    network = parse_network(text)
    while network.prefixlen:
        network = network.supernet()
        yield str(network)
