"""The words of the store: what is held, what is found again, and how the store says no.

Values only; nothing here knows a database.
"""

from __future__ import annotations

import datetime
import enum

import msgspec

from filterd.decision import Action, Edits
from filterd.told import Told
from filterd.value import Value


class StoreError(Told):
    """The store cannot do what it was asked; the text is one sentence for the postmaster."""


class StoreUnavailable(StoreError):
    """Not now: locked, read-only, failing. Nothing was written; the same request may succeed later."""


class StoreFull(StoreUnavailable):
    """The floor of free space is reached, or the disk is full. Nothing was written."""


class QuarantineClass(enum.StrEnum):
    """Why an item is there, as retention and permission to release see it."""

    SPAM = "spam"
    VIRUS = "virus"
    POLICY = "policy"
    UNDELIVERED = "undelivered"  # the next hop refused it when we could no longer say so
    SPLIT = "split"  # would be refused, but one reply spoke for several recipients
    UNJUDGED = "unjudged"


class ItemState(enum.StrEnum):
    HELD = "held"
    RELEASING = "releasing"  # one releaser has it, until its lease ends
    RELEASED = "released"
    DELETED = "deleted"  # the row stays until retention takes it


OPEN = (ItemState.HELD, ItemState.RELEASING)


class Held(Value):
    """One recipient's copy that is to be kept back."""

    recipient: str  # as in the envelope
    klass: QuarantineClass
    text: str = ""  # why, one sentence for a person
    edits: Edits | None = None  # what delivery would have changed


class QuarantineItem(Value, kw_only=True):
    """One held copy: a message for one recipient."""

    id: str
    record: str  # the record's id
    time: datetime.datetime
    sender: str
    recipient: str
    from_: str = msgspec.field(default="", name="from")
    subject: str = ""
    message_id: str = ""
    klass: QuarantineClass = msgspec.field(name="class")
    state: ItemState
    state_at: datetime.datetime
    state_by: str = ""
    text: str = ""
    reason: str = ""
    score: float = 0.0
    findings: tuple[str, ...] = ()
    size: int = 0  # bytes of the raw message
    client: str = ""
    ruleset: str = ""
    model: str = ""
    digest: str = ""
    reply: str = ""  # what the next hop, or the network, last said about a release
    tries: int = 0
    due: datetime.datetime | None = None  # held: the next try of its release; releasing: the end of the lease
    stored: bool = True  # the message itself is still there
    sender_parameters: tuple[str, ...] = ()
    recipient_parameters: tuple[str, ...] = ()


class Campaign(Value):
    """Nearly the same text, that came several times."""

    id: str  # of the record that it first came with
    seen: int
    spam: int  # how many of them were
    subject: str  # of the first
    first: datetime.datetime
    last: datetime.datetime


class HistoryRow(Value, kw_only=True):
    """One message as the history lists it; `History.show` has all of it."""

    id: str
    time: datetime.datetime
    sender: str
    recipients: tuple[str, ...] = ()
    from_: str = msgspec.field(default="", name="from")
    subject: str = ""
    message_id: str = ""
    action: Action
    reason: str = ""
    score: float = 0.0
    probability: float | None = None
    client: str = ""
    direction: str = ""
    listener: str = ""
    size: int = 0
    queue_id: str = ""
    ruleset: str = ""
    model: str = ""


class QuarantineFilter(Value, kw_only=True):
    """Which items. A field at its default does not ask; the others must all hold.

    `sender` and `recipient` are an address, or a domain with or without its @. `text` is part of the subject,
    the From header, an address or the message id, upper and lower case alike; `author` and `subject` are part of these
    headers. `score` and `size` are the least and the most, with None for no bound.
    """

    states: tuple[ItemState, ...] = OPEN
    klass: QuarantineClass | None = None
    finding: str = ""
    ruleset: str = ""
    model: str = ""
    sender: str = ""
    recipient: str = ""
    message_id: str = ""
    record: str = ""
    client: str = ""
    reason: str = ""
    author: str = ""
    subject: str = ""
    score: tuple[float | None, float | None] = (None, None)
    size: tuple[int | None, int | None] = (None, None)
    text: str = ""
    mine: tuple[str, ...] = ()  # to one of these addresses, or domains with their @; () is everybody's
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None


class HistoryFilter(Value, kw_only=True):
    """Which messages; read as `QuarantineFilter` is."""

    action: Action | None = None
    reason: str = ""
    finding: str = ""
    ruleset: str = ""
    model: str = ""
    sender: str = ""
    recipient: str = ""
    message_id: str = ""
    queue_id: str = ""
    client: str = ""
    direction: str = ""
    listener: str = ""
    campaign: str = ""  # with nearly the text that first came with this record
    author: str = ""
    subject: str = ""
    score: tuple[float | None, float | None] = (None, None)
    size: tuple[int | None, int | None] = (None, None)
    text: str = ""
    mine: tuple[str, ...] = ()  # to one of these addresses, or domains with their @; () is everybody's
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None


class Claim(Value):
    """The right to release one item until `until`; the token goes back with the outcome."""

    item: QuarantineItem
    token: str
    until: datetime.datetime


class Tally(Value):
    """How many messages met an action (and reason) in one hour."""

    hour: datetime.datetime
    action: str
    reason: str
    count: int


class ClassCount(Value, kw_only=True):
    """How much of one quarantine class is held."""

    klass: QuarantineClass = msgspec.field(name="class")
    count: int
    size: int  # bytes as stored


class AuditLine(Value):
    time: datetime.datetime
    who: str
    what: str
    item: str
    detail: str = ""


class Role(enum.StrEnum):
    USER = "user"  # sees and releases mail to their own addresses
    MANAGER = "manager"  # the same for whole domains
    AUDITOR = "auditor"  # sees everything, changes nothing
    ADMIN = "admin"


class Person(Value, kw_only=True):
    """One account. `addresses` are folded; one that starts with @ is a whole domain."""

    name: str
    role: Role = Role.USER
    addresses: tuple[str, ...] = ()
    language: str = ""
    digest: str = ""
    has_password: bool = False
    source: str = ""  # "" is an account of ours, "ldap" one that a directory vouches for


class Token(Value, kw_only=True):
    """An API token as its owner sees it; the secret was shown once."""

    id: str  # the first characters of its hash
    title: str
    scopes: tuple[str, ...]
    expires: int  # milliseconds since 1970; 0: never
    used: int


class Way(enum.StrEnum):
    """How somebody's word about a message came."""

    RELEASE = "release"  # a held message was released, which is to say: ham
    DENY = "deny"  # its sender was blocked: spam
    BUTTON = "button"  # Spam, or Not spam, was pressed on the pages or in a digest
    REPORT = "report"  # it was sent to a report address
    IMAP = "imap"  # it was moved into Junk, or out of it
    DOOR = "door"  # a mail server or a client said so over spamd or HTTP


class SuggestionState(enum.StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"  # learnt, by a reviewer's word or at once
    REJECTED = "rejected"
    UNDONE = "undone"  # was accepted or pending, and was taken back


class Suggestion(Value, kw_only=True):
    """Somebody's word about one message, and what was decided about it."""

    id: str = ""  # "" until it is stored
    time: datetime.datetime | None = None  # None until it is stored
    digest: str  # of the message, as labels know it
    spam: bool
    way: Way
    reporter: str = ""  # who said so
    address: str = ""  # whose mail it is: what a manager's domains are held against
    record: str = ""  # the record's id, where it is known
    item: str = ""  # the quarantine item's id, likewise
    from_: str = msgspec.field(default="", name="from")
    subject: str = ""
    message_id: str = ""
    said: float = 0.0  # log-odds of spam that the model had given before
    doubtful: bool = False  # the word contradicts a confident model: look at it first
    state: SuggestionState = SuggestionState.PENDING
    state_at: datetime.datetime | None = None
    decided_by: str = ""
    note: str = ""  # why it was not learnt, or a word of the reviewer's
    stored: bool = False  # the message itself is here: it was not accepted yet


class SuggestionFilter(Value, kw_only=True):
    """Which suggestions. A field at its default does not ask; the others must all hold."""

    states: tuple[SuggestionState, ...] = (SuggestionState.PENDING,)
    spam: bool | None = None
    way: Way | None = None
    reporter: str = ""
    doubtful: bool | None = None
    text: str = ""  # part of the subject, From, message id, reporter or address
    mine: tuple[str, ...] = ()  # whose mail: addresses, or domains with their @; () is everybody's
    since: datetime.datetime | None = None


class SuggestionCounts(Value):
    """What waits for a reviewer."""

    pending: int = 0
    doubtful: int = 0  # contradict a confident model and were not looked at: pending, or learnt at once
