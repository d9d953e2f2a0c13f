"""What a value is here: frozen, slotted, comparable, and able to cross a socket or a decade.

Every word of the house (Envelope, Facts, Finding, Decision, Record, ...) is a `Value`. A value is a
msgspec struct, so the same declaration is the type, the schema that hostile bytes are checked against,
and the stored form; the codec knows field names, never class names. New fields get defaults, so that an
old record still reads; a field is never renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from typing import dataclass_transform

    # What the line in the other branch does, told to a type checker: `frozen` is inherited.
    @dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
    class Value:
        """The base of every word: immutable, with slots, equal by content."""

        def __init_subclass__(cls, *, kw_only: bool = False, tag: str | None = None) -> None: ...

else:

    class Value(msgspec.Struct, frozen=True):
        """The base of every word: immutable, with slots, equal by content."""


T = TypeVar("T")


class CodecError(ValueError):
    """Bytes that are not the value they were said to be."""


def replace(value: T, **fields: Any) -> T:
    """The same value with other fields."""
    return msgspec.structs.replace(value, **fields)  # type: ignore[type-var]


_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def pack(value: Any) -> bytes:
    """The binary form of a value (MessagePack)."""
    return _encoder.encode(value)


def unpack(data: bytes | bytearray | memoryview, kind: type[T]) -> T:
    """The value that `data` holds, checked against the declaration of `kind`; raises CodecError."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(str(error)) from error
