"""Questions and Facts: what must be asked of the outside world about a mail, and what it answered.

Questions are a capped superset, made by `inspect` without asking, so that one round of asking is enough. Facts are
all the answers, frozen, kept in the record, so that judging can be repeated. What could not be learnt is
`Unknown(reason)`, never a guess and never an absence that looks like a "no".
"""

from __future__ import annotations

import enum

from filterd.authentication import AuthResult
from filterd.mail.envelope import Origin
from filterd.value import Value


class Unknown(Value, tag="unknown"):
    """We asked and do not know: "timeout", "servfail", "not-asked", "over-budget", ..."""

    reason: str


class DnsStatus(enum.StrEnum):
    OK = "ok"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    TEMPERROR = "temperror"  # SERVFAIL, time-out, refused, no server: asked and not answered


class TxtAnswer(Value):
    """What DNS said to one TXT question: each record with its strings joined, as bytes."""

    status: DnsStatus
    records: tuple[bytes, ...] = ()
    reason: str = ""


class SpfQuestion(Value):
    """One SPF evaluation (RFC 7208 section 4): `check_host(address, domain, sender)`."""

    identity: str  # "mailfrom" or "helo"
    domain: str
    sender: str


class SpfAnswer(Value):
    """What the evaluation gave, in RFC 7208 words."""

    identity: str
    domain: str
    result: AuthResult
    reason: str = ""
    lookups: int = 0


class Iprev(Value):
    """Reverse DNS of the origin, forward-confirmed (RFC 8601 section 3)."""

    result: AuthResult
    names: tuple[str, ...] = ()  # the confirmed names first
    reason: str = ""


class Listing(Value):
    """One block or allow list's answer about one item; codes are the A records' text form."""

    list: str
    item: str
    codes: tuple[str, ...] = ()
    text: str = ""
    unknown: str = ""  # why we do not know; empty when we do


class Seen(Value):
    """What is remembered of a sender, as it was when it was last seen."""

    first: float  # seconds since 1970
    last: float
    seen: int = 0
    good: float = 0.0
    bad: float = 0.0
    told: int = 0  # messages of which people said what they are: counted in good and bad

    def faded(self, now: float, half_life: float) -> tuple[float, float]:
        """Good and bad as they weigh now."""
        left: float = 0.5 ** (max(0.0, now - self.last) / half_life)
        return self.good * left, self.bad * left


class Near(Value):
    """How often nearly the same text came before."""

    seen: int = 0
    bad: int = 0
    first: float = 0.0  # seconds since 1970
    record: str = ""  # the first message with it
    bands: tuple[int, ...] = ()  # of the text that was asked about


class SenderNote(Value):
    """What one mail adds to the memory of one sender key."""

    key: str
    good: float = 0.0
    bad: float = 0.0
    seen: int = 1


class TextNote(Value):
    """That a text came, and whether it was spam."""

    bands: tuple[int, ...]
    bad: bool = False
    record: str = ""
    subject: str = ""


class Questions(Value, kw_only=True):
    """What must be asked about one mail. Capped: never more than `LIMITS` says, however hostile the mail."""

    origin: Origin
    spf: tuple[SpfQuestion, ...] = ()
    txt: tuple[str, ...] = ()  # DNS names, lower-case A-labels: DKIM keys and DMARC tree-walk records
    exists: tuple[str, ...] = ()  # domains of which we must know whether they exist (DMARC's np=)
    reverse: str = ""  # the address whose names iprev confirms; "" when that is not asked
    domains: tuple[str, ...] = ()  # registrable domains and addresses that links lead to, for block lists
    senders: tuple[str, ...] = ()  # registrable domains of envelope sender, From and Reply-To, for block lists
    addresses: tuple[str, ...] = ()  # mail addresses, lower case, for hashed lists
    hashes: tuple[str, ...] = ()  # SHA-256 of decoded attachments
    memory: tuple[str, ...] = ()  # keys of senders that may be remembered; see `filterd.checks.remembering`
    bands: tuple[int, ...] = ()  # of the text, for near duplicates; see `filterd.checks.shingles`


class Facts(Value, kw_only=True):
    """All the answers. A probe that was not configured leaves its field at the default."""

    spf: tuple[SpfAnswer, ...] = ()
    txt: dict[str, TxtAnswer] = {}  # by name; a name of Questions.txt that is absent was not answered in time
    exists: dict[str, DnsStatus] = {}  # by domain: OK, NXDOMAIN, or TEMPERROR (RFC 9989 section 3.2.13)
    iprev: Iprev | None = None
    listings: tuple[Listing, ...] = ()
    senders: dict[str, Seen] | None = None  # by key, those that are remembered; None when nobody was asked
    near: Near | None = None
    programs: dict[str, str] = {}  # plugin probes: JSON text by probe name
    failed: dict[str, str] = {}  # probes that failed or timed out, by name, and why

    def text(self, name: str) -> TxtAnswer:
        """The TXT answer for `name`; a temporary error when there is none."""
        answer = self.txt.get(name)
        return answer if answer is not None else TxtAnswer(DnsStatus.TEMPERROR, (), "not answered in time")


NOTHING = Facts()
