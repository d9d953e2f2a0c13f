"""Attachments: what is carried beside the text, by its content, its name and its size.

In: the `Part`s of a message. Out: `Attachment`s, capped; the files that a zip archive lists follow it, with
a path of two names. The type comes from the content and never from the sender's word. Nothing is unpacked
or written. Never raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import filetype

from filterd.mail import encodings, filenames
from filterd.mail.archive import Listing, list_zip
from filterd.mail.part import Part

MAX_ATTACHMENTS = 500
_MAX_UU = 20
_UTF16 = "utf-16-le"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<svg", b"<iframe")
_SIGNATURES = (
    (b"MZ", "application/x-msdownload"),
    (b"\x7fELF", "application/x-executable"),
    (b"\x4c\x00\x00\x00\x01\x14\x02\x00", "application/x-ms-shortcut"),
    (b"{\\rt", "application/rtf"),
    (b"%PDF-", "application/pdf"),
    (b"#!", "text/x-script"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"ITSF", "application/vnd.ms-htmlhelp"),
    (b"\x78\x9f\x3e\x22", "application/ms-tnef"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "application/onenote"),
)
_OFFICE = (
    ("word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)
_PDF_ACTIONS = (b"/JavaScript", b"/JS", b"/OpenAction", b"/Launch", b"/EmbeddedFile")


@dataclass(eq=False)
class Attachment:
    """One attached file, or one file that an attached archive lists."""

    name: str  # the worst of its names; "" when it has none
    declared: str  # the type that the sender says it has; "" inside an archive
    type: str  # by content; inside an archive "" (nothing is unpacked)
    size: int  # bytes; inside an archive as the archive claims
    path: tuple[str, ...]  # ("inner.js",) or ("outer.zip", "inner.js")
    flags: tuple[str, ...] = ()  # "executable", "macro", "encrypted", "double-extension", "bidi", ...
    names: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)  # empty inside an archive

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, hex; "" inside an archive."""
        return hashlib.sha256(self.content).hexdigest() if len(self.path) == 1 else ""


def is_attachment(part: Part) -> bool:
    """Is this part carried beside the text?"""
    if part.type.startswith("multipart/"):
        return False
    if part.type.startswith(("text/", "message/")):
        return part.disposition == "attachment" or bool(part.names)
    return True


def read_attachments(parts: Iterable[Part]) -> tuple[tuple[Attachment, ...], bool]:
    """The attachments of those parts, and whether there were more than are kept."""
    found: list[Attachment] = []
    for attachment in _all(parts):
        if len(found) >= MAX_ATTACHMENTS:
            return tuple(found), True
        found.append(attachment)
    return tuple(found), False


def _all(parts: Iterable[Part]) -> Iterator[Attachment]:
    for part in parts:
        if is_attachment(part):
            yield from _read(part.name, part.type, part.content, part.names)
        if part.type.startswith("text/") and b"begin" in part.content:
            for name, content in encodings.uu_files(part.content, _MAX_UU):
                yield from _read(name, "", content, (name,))


def _read(name: str, declared: str, content: bytes, names: tuple[str, ...]) -> Iterator[Attachment]:
    kind, listing, flags = identify(content)
    path = (name,)
    for other in names or (name,):
        flags += [flag for flag in filenames.flags(other) if flag not in flags]
    if kind == "application/x-msdownload" and "executable" not in flags:
        flags.append("executable")
    yield Attachment(name, declared, kind, len(content), path, tuple(flags), names, content)
    for entry in listing.entries if listing else ():
        inner = list(filenames.flags(entry.name))
        if entry.encrypted:
            inner.append("encrypted")
        yield Attachment(entry.name, "", "", entry.size, (*path, entry.name), tuple(inner), (entry.name,))


def identify(content: bytes) -> tuple[str, Listing | None, list[str]]:
    """Type by content, the listing of an archive, and flags: "macro", "encrypted", "truncated", ..."""
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(content)
    if content.startswith(_OLE):
        return _ole(content)
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return kind, None, _pdf_flags(content) if kind == "application/pdf" else _rtf_flags(content, kind)
    if content[0x8001:0x8006] == b"CD001":
        return "application/x-iso9660-image", None, []
    start = content[:1_024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_HTML):
        return "image/svg+xml" if start.startswith(b"<svg") else "text/html", None, []
    guessed = filetype.guess_mime(content[:8_192]) if content else None  # type: ignore[no-untyped-call]
    if guessed:
        return str(guessed), None, []
    if start.startswith(b"<?xml"):
        return "image/svg+xml" if b"<svg" in start else "text/xml", None, []
    return _plain(content), None, []


def _plain(content: bytes) -> str:
    """Text, or bytes that nobody knows."""
    sample = content[:2_048]
    if not sample:
        return "application/x-empty"
    return (
        "application/octet-stream"
        if b"\0" in sample and not sample.startswith((b"\xff\xfe", b"\xfe\xff"))
        else "text/plain"
    )


def _zip(content: bytes) -> tuple[str, Listing | None, list[str]]:
    listing = list_zip(content)
    names = [entry.name for entry in listing.entries]
    flags = list(listing.flags)
    if any(entry.encrypted for entry in listing.entries):
        flags.append("encrypted")
    if "[Content_Types].xml" in names:
        if any(name.lower().endswith(("vbaproject.bin", "vbadata.xml", "macrosheets/sheet1.xml")) for name in names):
            flags.append("macro")
        for folder, kind in _OFFICE:
            if any(name.startswith(folder) for name in names):
                return kind, None, flags
    if "AndroidManifest.xml" in names:
        return "application/vnd.android.package-archive", None, flags
    if "META-INF/MANIFEST.MF" in names:
        return "application/java-archive", None, flags
    if "mimetype" in names and any(name.startswith("META-INF/manifest") for name in names):
        if any(name.startswith("Basic/") for name in names):
            flags.append("macro")
        return "application/vnd.oasis.opendocument", None, flags
    return "application/zip", listing, flags


def _ole(content: bytes) -> tuple[str, Listing | None, list[str]]:
    """An OLE compound file: Office before 2007, encrypted Office, an installer, an Outlook message."""
    flags = []
    if "EncryptedPackage".encode(_UTF16) in content:
        flags.append("encrypted")
    if "_VBA_PROJECT".encode(_UTF16) in content or "VBA".encode(_UTF16) + b"\0" in content:
        flags.append("macro")
    kind = "application/x-ole-storage"
    for stream, known in (
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    ):
        if stream.encode(_UTF16) in content:
            kind = known
            break
    return kind, None, flags


def _pdf_flags(content: bytes) -> list[str]:
    flags = ["encrypted"] if b"/Encrypt" in content else []
    return flags + (["active"] if any(word in content for word in _PDF_ACTIONS) else [])


def _rtf_flags(content: bytes, kind: str) -> list[str]:
    return ["embedded-object"] if kind == "application/rtf" and b"\\objdata" in content else []
