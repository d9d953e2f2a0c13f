"""Block and allow lists as data: what a list is asked about, and what its answers weigh. Pure.

A list is an entry of the configuration; it makes one symbol, `LIST_` and its name. In: the listings among the Facts,
which `filterd.probes.lists` fetched. Out: at most one finding for each list, with the weight that is farthest from
zero among all codes that it gave. A list that is switched off, or did not answer, finds nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from pydantic import Field, field_validator, model_validator

from filterd.authentication import Authentication
from filterd.facts import Facts
from filterd.findings import Check, Finding, Symbol, check
from filterd.mail import Mail
from filterd.mail.domains import to_ascii
from filterd.settings import Duration, Settings

LOOPBACK = IPv4Network("127.0.0.0/8")
_BIT = re.compile(r"&(\d{1,3})")
_WILD = re.compile(r"(?=.*\*)127\.(\d{1,3}|\*)\.(\d{1,3}|\*)\.(\d{1,3}|\*)")


class Asks(enum.StrEnum):
    """What of a mail a list is asked about."""

    ADDRESS = "address"  # the host that handed it to us
    SENDER = "sender"  # domains of envelope sender, From and Reply-To
    LINK = "link"  # domains and addresses that links lead to
    MAILBOX = "mailbox"  # hashes of mail addresses: From, Reply-To, and those in the text
    FILE = "file"  # hashes of attachments

    @property
    def hashed(self) -> bool:
        return self in (Asks.MAILBOX, Asks.FILE)


class Hash(enum.StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"
    MD5 = "md5"


class Encoding(enum.StrEnum):
    HEX = "hex"
    BASE32 = "base32"


class ListSettings(Settings):
    """One block or allow list in the DNS (RFC 5782), or one of hashes; see docs/lists.md."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$", description="Makes the symbol: LIST_ and this, in capitals.")
    zone: str = Field(description="The domain under which it is asked.")
    asks: tuple[Asks, ...] = Field(
        (Asks.ADDRESS,),
        min_length=1,
        description="What it is asked about: address (the client), sender and link (domains), mailbox and file "
        "(hashes).",
    )
    codes: dict[str, float] = Field(
        {},
        description="What an answer weighs: by address (127.0.0.2), network (127.0.0.4/30), pattern "
        "(127.0.*.2), or bit of the last number (&64). The weight farthest from zero counts; a negative "
        "one makes an allow list.",
    )
    score: float | None = Field(
        None, description="What other answers in 127.0.0.0/8 weigh; null: nothing when codes are given, else 2."
    )
    refused: tuple[str, ...] = Field(
        ("127.255.255.0/24", "127.0.0.1"),
        description="Answers that mean: you may not ask. They switch the list off and never score.",
    )
    at_rcpt: bool = Field(
        False,
        description="A client that it lists, with a weight above 0, is refused at RCPT, whatever else its mail is. See "
        "docs/lists.md.",
    )
    hash: Hash = Field(Hash.SHA1, description="Of mail addresses, for lists of hashes. Files are always sha256.")
    encoding: Encoding = Field(Encoding.HEX, description="How a hash is written in the question.")
    listed: str | None = Field(
        None,
        description="A test point that is always listed, as an address, domain or label. null: 127.0.0.2, or "
        "`test`; for hashes nothing is tested.",
    )
    unlisted: str | None = Field(
        None, description="A test point that is never listed. null: 127.0.0.1, `invalid`, or a random hash."
    )
    every: Duration = Field(3600.0, gt=0, description="How often its test points are asked.")
    about: str = Field("", description="One sentence on what a listing means, shown with the finding.")

    @field_validator("zone")
    @classmethod
    def _zone(cls, zone: str) -> str:
        name = to_ascii(zone)
        if name is None or "." not in name:
            raise ValueError(f"{zone!r} is not a domain")
        return name

    @field_validator("codes")
    @classmethod
    def _codes(cls, codes: dict[str, float]) -> dict[str, float]:
        for code in codes:
            _matcher(code)
        return codes

    @field_validator("refused")
    @classmethod
    def _refused(cls, refused: tuple[str, ...]) -> tuple[str, ...]:
        for code in refused:
            _matcher(code)
        return refused

    @model_validator(mode="after")
    def _one_kind(self) -> ListSettings:
        if len({one.hashed for one in self.asks}) > 1:
            raise ValueError("a list of hashes cannot also be asked about addresses and domains; make two of it")
        if self.at_rcpt and Asks.ADDRESS not in self.asks:
            raise ValueError("at_rcpt needs a list that is asked about the address")
        return self

    @property
    def symbol(self) -> Symbol:
        """What it finds; its score is the heaviest that it can give."""
        text = self.about or f"The list {self.zone} knows this {' or '.join(one.value for one in self.asks)}."
        return Symbol("LIST_" + self.name.upper().replace("-", "_"), _heaviest(self._weights()), text)

    def weight(self, codes: Sequence[str]) -> float:
        """What these answers weigh together: the weight farthest from zero."""
        return _heaviest([self._weight(code) for code in codes])

    def refuses(self, code: str) -> bool:
        return any(_matches(one, code) for one in self.refused)

    def _weight(self, code: str) -> float:
        found = [weight for key, weight in self.codes.items() if _matches(key, code)]
        return _heaviest(found) if found else self._other()

    def _other(self) -> float:
        return self.score if self.score is not None else 0.0 if self.codes else 2.0

    def _weights(self) -> list[float]:
        return [*self.codes.values(), self._other()]


def list_check(lists: Sequence[ListSettings]) -> Check:
    """The check of these lists."""
    symbols = {one.name: one.symbol for one in lists}
    by_name = {one.name: one for one in lists}

    @check(*symbols.values())
    def listed(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
        """Weighs what block and allow lists said."""
        heaviest: dict[str, tuple[float, str]] = {}
        for one in facts.listings:
            if one.unknown or one.list not in by_name:
                continue
            weight = by_name[one.list].weight(one.codes)
            if abs(weight) > abs(heaviest.get(one.list, (0.0, ""))[0]):
                heaviest[one.list] = (weight, f"{one.item} {', '.join(one.codes)}")
        for name, (weight, detail) in heaviest.items():
            yield symbols[name].found(detail, weight)

    return listed


def _heaviest(weights: Sequence[float]) -> float:
    return max(weights, key=abs, default=0.0)


@lru_cache(maxsize=512)
def _matcher(code: str) -> Callable[[IPv4Address], bool]:
    """Whether an answer is what `code` names; raises ValueError."""
    if bit := _BIT.fullmatch(code):
        mask = int(bit[1])
        if not 1 <= mask <= 255:
            raise ValueError(f"{code} is no bit of a byte")
        return lambda answer: bool(int(answer) & mask)
    if wild := _WILD.fullmatch(code):
        parts = [None if part == "*" else int(part) for part in wild.groups()]
        return lambda answer: all(want in (None, got) for want, got in zip(parts, answer.packed[1:], strict=True))
    try:
        network = IPv4Network(code)
    except ValueError:
        raise ValueError(f"{code!r} is no address, no network, no 127.0.*.2 and no bit as &64") from None
    if not network.subnet_of(LOOPBACK):
        raise ValueError(f"{code} is not in 127.0.0.0/8, where lists answer (RFC 5782 section 2.1)")
    return network.__contains__


def _matches(key: str, code: str) -> bool:
    try:
        return _matcher(key)(IPv4Address(code))
    except ValueError:
        return False
