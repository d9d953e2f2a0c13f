"""Public keys of DKIM and ARC, as the DNS publishes them (RFC 6376 section 3.6.1, RFC 8463, RFC 8301).

In: a TXT record. Out: a Key, or the sentence that says why it is none. Pure; never raises.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from filterd.auth.library import parse_tags

_MAX_RECORD = 16_384
_MAX_BITS = 8_192
_MAX_EXPONENT = 1 << 33  # larger ones only serve to make verifying slow
_PADDING, _HASH = PKCS1v15(), Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class Key:
    """A key and what its record says about its use."""

    public: RSAPublicKey | Ed25519PublicKey
    bits: int
    testing: bool  # t=y
    strict: bool  # t=s: i= must have the very domain of d=

    @property
    def kind(self) -> str:
        return "rsa" if isinstance(self.public, RSAPublicKey) else "ed25519"

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Whether `signature` was made over the SHA-256 `digest` with this key."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, digest, _PADDING, _HASH)
            else:
                self.public.verify(signature, digest)  # RFC 8463 section 3: PureEdDSA over the digest
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=1_000)
def read_key(record: bytes) -> Key | str:
    """The key of a TXT record, or why there is none."""
    tags = parse_tags(record) if len(record) <= _MAX_RECORD else None
    if tags is None:
        return "key record unreadable"
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        return "key record of an unknown version"
    if b"p" not in tags:
        return "key record without a key"
    if not tags[b"p"]:
        return "key revoked"  # section 3.6.1: an empty p=
    if b"h" in tags and b"sha256" not in _words(tags[b"h"]):
        return "key does not allow SHA-256"  # section 6.1.2 step 6
    if b"s" in tags and not {b"*", b"email"} & _words(tags[b"s"]):
        return "key is not for mail"
    public = _public(tags.get(b"k", b"rsa"), tags[b"p"])
    if isinstance(public, str):
        return public
    flags = _words(tags.get(b"t", b""))
    bits = public.key_size if isinstance(public, RSAPublicKey) else 256
    return Key(public, bits, b"y" in flags, b"s" in flags)


def _words(value: bytes) -> set[bytes]:
    return {word.strip().lower() for word in value.split(b":")}


def _public(kind: bytes, encoded: bytes) -> RSAPublicKey | Ed25519PublicKey | str:
    try:
        data = base64.b64decode(b"".join(encoded.split()), validate=True)
        if kind == b"ed25519":
            return Ed25519PublicKey.from_public_bytes(data)
        if kind != b"rsa":
            return "key of an unknown type"
        key = load_der_public_key(data)  # SubjectPublicKeyInfo, or RSAPublicKey as some publish
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return "key unreadable"
    if not isinstance(key, RSAPublicKey):
        return "key of another type than it says"
    if key.key_size > _MAX_BITS or key.public_numbers().e > _MAX_EXPONENT:
        return "key too large"
    return key
