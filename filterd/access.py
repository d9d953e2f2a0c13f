"""Access: whose mail always passes and whose never does, by the site's own list. Pure.

In: lines, and what is known of a mail when it has been judged. Out: for each recipient the entry that holds, or None.
One line is one entry; a line that is none is a ValueError with one sentence.

    allow news@shop.example for ann@example.org until 2026-12-31  # until the contract ends
    deny  bad.example

An entry names an address, a domain with all below it, or a network. Names that somebody only claims are enough to deny
and never enough to allow: there the author's domain must vouch for the mail (aligned DKIM or SPF), or that of the
envelope sender, on mail that does not fail DMARC. No signature covers the envelope, so the address of an envelope
sender takes SPF; a DKIM signature stands for its domain alone. A network is the client's own address.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import takewhile

from filterd.authentication import Authentication, AuthResult
from filterd.mail.address import parse_addresses
from filterd.mail.domains import registrable, to_ascii
from filterd.mail.envelope import Recipient, domain_of
from filterd.record import Outline, Record
from filterd.settings import Network, parse_network

_BATV = re.compile(r"prvs=[0-9a-z]{6,}=", re.IGNORECASE)
_COUNTED = re.compile(r"[0-9]+(?:[-.][0-9]+)*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `whom` is lower case: an address, a domain, or empty where there is a network."""

    allows: bool
    whom: str
    network: Network | None = None
    recipient: str = ""  # an address or a domain of ours; "" is everybody
    until: datetime.date | None = None  # its last day, UTC
    comment: str = ""

    @property
    def text(self) -> str:
        return f"{'allow' if self.allows else 'deny'} {self.network or self.whom}"

    def covers(self, recipient: Recipient) -> bool:
        mine = self.recipient
        return not mine or mine == recipient.address.lower() or ("@" not in mine and mine == recipient.domain)

    def holds_on(self, today: datetime.date) -> bool:
        return self.until is None or today <= self.until

    @property
    def rank(self) -> tuple[int, int, bool]:
        """Of entries that hold, the highest decides: whom it is for, how narrow it is, and deny before allow."""
        whose = 2 if "@" in self.recipient else 1 if self.recipient else 0
        if self.network is not None:
            width = self.network.prefixlen - 1_000
        else:
            width = 1_000 if "@" in self.whom else 1 + self.whom.count(".")
        return whose, width, not self.allows


def parse_entry(line: str) -> Entry:
    """The entry of a line; raises ValueError."""
    said, _, comment = line.partition("#")
    words = said.split()
    if len(words) < 2 or words[0].lower() not in ("allow", "deny") or len(words) % 2:
        raise ValueError(
            f"{said.strip()!r}: an entry is `allow WHOM` or `deny WHOM`, then `for RECIPIENT`, `until DATE`"
        )
    options = dict(zip((word.lower() for word in words[2::2]), words[3::2], strict=True))
    if unknown := options.keys() - {"for", "until"}:
        raise ValueError(f"{said.strip()!r}: {min(unknown)!r} is neither for nor until")
    try:
        until = datetime.date.fromisoformat(options["until"]) if "until" in options else None
    except ValueError:
        raise ValueError(f"{said.strip()!r}: until takes a date, as 2026-12-31") from None
    network = _network(words[1])
    return Entry(
        allows=words[0].lower() == "allow",
        whom="" if network is not None else _name(words[1]),
        network=network,
        recipient=_name(options["for"]) if "for" in options else "",
        until=until,
        comment=comment.strip(),
    )


def _network(word: str) -> Network | None:
    try:
        return parse_network(word)
    except ValueError:
        return None


def _name(word: str) -> str:
    """An address, or a domain without its @, in comparable form."""
    local, _, host = word.lower().rpartition("@")
    domain = to_ascii(host.removeprefix("*."))
    if domain is None or "." not in domain:
        raise ValueError(f"{word!r} is neither an address, nor a domain, nor a network")
    return f"{local}@{domain}" if local else domain


class AccessList:
    """The entries, found by what they name. `shared` are domains where strangers have addresses beside each other."""

    def __init__(self, lines: Iterable[str], shared: Container[str] = ()) -> None:
        self._shared = shared
        self.entries = tuple(parse_entry(line) for line in lines if line.partition("#")[0].strip())
        self._names: dict[str, list[Entry]] = {}
        self._networks: dict[Network, list[Entry]] = {}
        for entry in self.entries:
            if entry.network is not None:
                self._networks.setdefault(entry.network, []).append(entry)
            else:
                self._names.setdefault(entry.whom, []).append(entry)
        self._allows: dict[str, list[Entry]] = {}  # by whom they are for, the highest rank first
        for entry in self.entries:
            if entry.allows:
                self._allows.setdefault(entry.recipient, []).append(entry)
        for some in self._allows.values():
            some.sort(key=lambda one: one.rank, reverse=True)
        self._widths = {(network.version, network.prefixlen) for network in self._networks}

    def holding(self, record: Record) -> tuple[Entry, ...]:
        """Every entry that holds for this mail, whoever it is for."""
        if not self.entries:
            return ()
        today = record.envelope.received_at.astimezone(datetime.UTC).date()
        authors = _authors(record.outline)
        sender = record.envelope.sender.lower()
        claimed = [*authors, *forms(sender)]
        vouched = _vouched(record.auth, authors, sender, self._shared)
        held = [entry for name in _names(claimed) for entry in self._names.get(name, ()) if not entry.allows]
        held += [entry for name in _names(vouched) for entry in self._names.get(name, ()) if entry.allows]
        held += self._of_client(record.origin.address)
        return tuple(entry for entry in held if entry.holds_on(today))

    def denying(self, known: Known) -> Iterator[Entry]:
        """The `deny` entries that hold for what is known, whoever it is for and whatever the message will say."""
        named = (entry for name in _names(forms(known.sender)) for entry in self._names.get(name, ()))
        for entry in (*named, *self._of_client(known.address)):
            if not entry.allows and known.is_for(entry):
                yield entry

    def may_allow(self, known: Known, over: Entry) -> bool:
        """May an `allow` entry that outranks `over` hold once the message is there? Its author may be anybody."""
        client = set(self._of_client(known.address))
        for some in self._allowing(known.recipient):
            for entry in takewhile(lambda one: one.rank > over.rank, some):
                certain = entry.network is not None and known.address is not None
                if known.may_be_for(entry) and (not certain or entry in client):
                    return True
        return False

    def claims_allowed(self, known: Known) -> bool:
        """Does an `allow` entry name the client, or the envelope sender that is claimed?"""
        named = (entry for name in _names(forms(known.sender)) for entry in self._names.get(name, ()))
        return any(entry.allows and known.may_be_for(entry) for entry in (*named, *self._of_client(known.address)))

    def _allowing(self, recipient: Recipient | None) -> Iterable[Sequence[Entry]]:
        """The `allow` entries that may be for this recipient, by whom they are for; for None all of them."""
        if recipient is None:
            return self._allows.values()
        return (self._allows.get(whose, ()) for whose in (recipient.address.lower(), recipient.domain, ""))

    def _of_client(self, address: str | None) -> Iterator[Entry]:
        """The entries with a network that the address is in; IPv4-mapped IPv6 counts as IPv4."""
        try:
            ip = ip_address(address or "")
        except ValueError:
            return
        ip = getattr(ip, "ipv4_mapped", None) or ip
        for version, width in self._widths:
            if version == ip.version:
                yield from self._networks.get(ip_network((ip, width), strict=False), ())


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a mail before its message."""

    today: datetime.date  # UTC
    sender: str = ""  # the envelope sender in lower case; "" is the null sender, or not known yet
    address: str | None = None  # the client's; None: not known, or not before the Received lines
    recipient: Recipient | None = None  # None: not known yet

    def is_for(self, entry: Entry) -> bool:
        """Does the entry hold for the recipient, whoever he will be?"""
        covers = not entry.recipient if self.recipient is None else entry.covers(self.recipient)
        return covers and entry.holds_on(self.today)

    def may_be_for(self, entry: Entry) -> bool:
        return (self.recipient is None or entry.covers(self.recipient)) and entry.holds_on(self.today)


def early(lists: Sequence[AccessList], known: Known) -> Entry | None:
    """The `deny` entry that decides whatever the message will turn out to be; None where that is not certain.

    So nothing is refused early that would have passed later: where an `allow` entry that outranks it might still come
    to hold, as for an author who is not known yet, the message is waited for.
    """
    denied = max((entry for one in lists for entry in one.denying(known)), key=lambda one: one.rank, default=None)
    if denied is None or any(one.may_allow(known, denied) for one in lists):
        return None
    return denied


def chosen(holding: Sequence[Entry], recipient: Recipient) -> Entry | None:
    """The entry that decides for this recipient."""
    return max((entry for entry in holding if entry.covers(recipient)), key=lambda one: one.rank, default=None)


def forms(sender: str) -> list[str]:
    """An envelope sender as it came, and the addresses that it may be a variable form of.

    `news+ann=example.org@x`, `news-17-ann=example.org@x` (VERP), `news-2026-3@x` and `prvs=0123456789=news@x` (BATV)
    are all forms of `news@x`.
    """
    local, at, domain = sender.rpartition("@")
    if not at:
        return []
    bare = _BATV.sub("", local, count=1) if _BATV.match(local) else local
    cuts = [place for place, mark in enumerate(bare) if place and mark in "+-" and _varies(bare[place:])]
    return list(dict.fromkeys(f"{one}@{domain}" for one in (local, bare, *(bare[:place] for place in cuts))))


def _varies(rest: str) -> bool:
    """Is that the part of a local part that differs from mail to mail?"""
    return rest.startswith("+") or "=" in rest or bool(_COUNTED.fullmatch(rest[1:]))


def _authors(outline: Outline) -> Sequence[str]:
    """Who the From fields say wrote it; of records that do not hold that yet, what the text of From gives."""
    return outline.authors or [box.address.lower() for box in parse_addresses(outline.from_).mailboxes]


def _vouched(auth: Authentication, authors: Sequence[str], sender: str, shared: Container[str]) -> list[str]:
    """The addresses, and domains as `@domain`, that a passing DKIM signature or SPF stands for."""
    if auth.dmarc.result is AuthResult.FAIL:
        return []
    domains = {registrable(domain) or domain for domain in auth.domains}
    found = [one for one in authors if len(authors) == 1 and (registrable(domain_of(one)) in domains)]
    own = domain_of(sender)
    if registrable(own) in domains:
        found.append(f"@{own}")
        spf = auth.spf
        if spf.result is AuthResult.PASS and registrable(spf.domain) == registrable(own):
            found += [sender] if registrable(own) in shared else forms(sender)
    return found


def _names(addresses: Iterable[str]) -> Iterator[str]:
    """What an entry may call any of these: each address, its domain, and every domain above that; each once."""
    seen: set[str] = set()
    for address in addresses:
        rest = to_ascii(domain_of(address)) or ""
        names = [f"{address.rpartition('@')[0]}@{rest}"]
        while rest:
            names.append(rest)
            rest = rest.partition(".")[2]
        yield from (name for name in names if name not in seen)
        seen.update(names)
