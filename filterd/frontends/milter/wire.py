"""The milter protocol on the wire: versions 2 to 6, as libmilter's mfdef.h and Postfix's milter8.c have it.

In: bytes as the socket gives them, cut anywhere. Out: packets, and values from their data. Whatever cannot be
read is None or `Malformed`; nothing here raises or waits. The other half makes the bytes of answers. A packet
is its length (four bytes, big-endian), a letter, and data; strings end with NUL.
"""

from __future__ import annotations

import enum
import struct
from ipaddress import ip_address

from filterd.reply import Reply
from filterd.value import Value

VERSION = 6
OLDEST = 2
LONGEST = 1 << 19  # octets of a packet: a body chunk has 64 KB, a header field what the mail server allows

_LENGTH = struct.Struct(">I")
_OFFER = struct.Struct(">III")
_UNSPEAKABLE = dict.fromkeys((*range(32), 127), " ") | {ord("%"): "%%"}  # Sendmail takes the text for a format


class Command(enum.IntEnum):
    """What the mail server says."""

    ABORT = ord("A")
    BODY = ord("B")
    CONNECT = ord("C")
    MACRO = ord("D")
    END = ord("E")
    HELO = ord("H")
    QUIT_NC = ord("K")  # this client has gone, and another one comes
    HEADER = ord("L")
    MAIL = ord("M")
    END_OF_HEADER = ord("N")
    NEGOTIATE = ord("O")
    QUIT = ord("Q")
    RCPT = ord("R")
    DATA = ord("T")
    UNKNOWN = ord("U")


class Action(enum.IntEnum):
    """What a milter may ask for at the end of a message."""

    ADD_HEADERS = 0x01
    DELETE_RECIPIENTS = 0x08
    CHANGE_HEADERS = 0x10
    SET_MACROS = 0x100


class Step(enum.IntEnum):
    """What is left out of the dialogue, and how it is held."""

    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SILENT_HEADER = 0x80
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000  # header values come, and go, with the white space after the colon


class Stage(enum.IntEnum):
    """Where in the dialogue macros are sent."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RCPT = 3
    DATA = 4
    END = 5
    END_OF_HEADER = 6


class Packet(Value):
    command: int  # a letter; see `Command`
    data: bytes = b""


class Malformed(Value):
    """What came is not this protocol; the text is for the log."""

    text: str


class Offer(Value):
    """What the mail server has: SMFIC_OPTNEG."""

    version: int
    actions: int
    steps: int


class Connect(Value):
    """Whom the mail server speaks with."""

    name: str  # "unknown" or "[192.0.2.1]" where the reverse name is not known
    family: str  # "4", "6", "L" for a Unix socket, "U" for unknown
    address: str | None = None  # of families 4 and 6


class Packets:
    """Bytes in, packets out. Holds at most one packet and one chunk."""

    __slots__ = ("_at", "_data", "_later")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0  # what stands before that was taken
        self._later = bytearray()  # what came behind `_data`

    def __len__(self) -> int:
        return len(self._data) - self._at + len(self._later)

    def feed(self, data: bytes) -> None:
        if self._at == len(self._data):
            self._data, self._at = data, 0
        else:
            self._later += data

    def take(self) -> Packet | Malformed | None:
        """The next packet; None when it is not there yet."""
        if len(self._data) - self._at < 4 and not self._joined(4):
            return None
        (length,) = _LENGTH.unpack_from(self._data, self._at)
        if not 0 < length <= LONGEST:
            return Malformed(f"a packet of {length} octets")
        if len(self._data) - self._at < 4 + length and not self._joined(4 + length):
            return None
        start = self._at + 4
        self._at = start + length
        return Packet(self._data[start], self._data[start + 1 : self._at])

    def _joined(self, size: int) -> bool:
        """Have so many octets, which came in several pieces, in one. False: they are not there yet."""
        if len(self) < size:
            return False
        self._data, self._at = self._data[self._at :] + self._later, 0
        self._later.clear()
        return True


def parse_offer(data: bytes) -> Offer | None:
    return Offer(*_OFFER.unpack_from(data)) if len(data) >= _OFFER.size else None


def parse_connect(data: bytes) -> Connect | None:
    name, end, rest = data.partition(b"\0")
    family = rest[:1].decode("latin-1")
    if not end or family not in ("4", "6", "L", "U"):
        return None
    if family in ("L", "U"):
        return Connect(text(name), family)
    address = text(rest[3:].partition(b"\0")[0])  # after two octets of port
    try:
        ip = ip_address(address[5:] if address[:5].upper() == "IPV6:" else address)
    except ValueError:
        return None
    return Connect(text(name), family, str(getattr(ip, "ipv4_mapped", None) or ip))


def parse_strings(data: bytes) -> list[bytes] | None:
    """The strings of SMFIC_HELO, MAIL, RCPT and HEADER: at least one, each ended by NUL."""
    return data[:-1].split(b"\0") if data.endswith(b"\0") else None


def parse_macros(data: bytes) -> dict[str, str] | None:
    """Names (without braces) and values of SMFIC_MACRO, whose first octet is the command they go with."""
    if len(data) < 2:
        return {} if data else None
    strings = parse_strings(data[1:])
    if strings is None or len(strings) % 2:
        return None
    return {text(name).strip("{}"): text(value) for name, value in zip(strings[::2], strings[1::2], strict=True)}


def text(data: bytes) -> str:
    """UTF-8 (RFC 6531), or as much of it as there is."""
    return data.decode("utf-8", "replace")


def packet(letter: bytes, data: bytes = b"") -> bytes:
    return _LENGTH.pack(len(data) + 1) + letter + data


CONTINUE = packet(b"c")
DISCARD = packet(b"d")
PROGRESS = packet(b"p")


def negotiate(version: int, actions: int, steps: int, macros: dict[Stage, str]) -> bytes:
    """Our half of the negotiation. `macros`: the names that we want, by stage, instead of the usual ones."""
    lists = (_LENGTH.pack(stage) + names.encode("ascii") + b"\0" for stage, names in macros.items())
    return packet(b"O", _OFFER.pack(version, actions, steps) + b"".join(lists))


def reply_code(reply: Reply) -> bytes:
    """Refuse with our own words. Postfix wants the enhanced code to be there and of the same class."""
    enhanced = reply.enhanced or f"{reply.code // 100}.0.0"
    line = f"{reply.code} {enhanced} {reply.text.translate(_UNSPEAKABLE)}"
    return packet(b"y", line.encode("ascii", "replace")[:980] + b"\0")


def insert_header(index: int, name: str, value: bytes) -> bytes:
    """Put a field before the one that is at `index`, from 0. Folds in `value` are LF alone."""
    return packet(b"i", _LENGTH.pack(index) + name.encode("ascii") + b"\0" + value + b"\0")


def delete_header(name: str, occurrence: int) -> bytes:
    """Take away the nth field of that name, counted from 1."""
    return packet(b"m", _LENGTH.pack(occurrence) + name.encode("ascii") + b"\0\0")


def delete_recipient(recipient: bytes) -> bytes:
    """`recipient` as RCPT had it, brackets included."""
    return packet(b"-", recipient + b"\0")
