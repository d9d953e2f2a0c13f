"""Attachments by their content, their names as a reader is tempted by them, and what an archive lists."""

from __future__ import annotations

import base64
import io
import struct
import zipfile

import pytest

from filterd.mail import Attachment, Message, filenames
from filterd.mail.archive import list_zip
from filterd.mail.attachments import identify


def attach(
    content: bytes, name: str = "file.bin", declared: str = "application/octet-stream"
) -> tuple[Attachment, ...]:
    head = f'Content-Type: {declared}; name="{name}"\nContent-Transfer-Encoding: base64\n\n'
    return Message(head.encode() + base64.encodebytes(content)).attachments


def archive(*names: str, prefix: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name in names:
            writer.writestr(name, b"12345")
    return prefix + buffer.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504


@pytest.mark.parametrize(
    ("content", "kind", "flags"),
    [
        (b"MZ\x90\0" + b"\0" * 64, "application/x-msdownload", []),
        (b"\x7fELF" + b"\0" * 64, "application/x-executable", []),
        (b"%PDF-1.7\n", "application/pdf", []),
        (b"%PDF-1.7\n/Encrypt /OpenAction", "application/pdf", ["encrypted", "active"]),
        (b"{\\rtf1 \\objdata}", "application/rtf", ["embedded-object"]),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 32, "image/png", []),
        (b" \r\n<!DOCTYPE HTML><p>", "text/html", []),
        (b"<svg onload=x>", "image/svg+xml", []),
        (b"#!/bin/sh\n", "text/x-script", []),
        (OLE + "WordDocument".encode("utf-16-le"), "application/msword", []),
        (OLE + "Workbook_VBA_PROJECT".encode("utf-16-le"), "application/vnd.ms-excel", ["macro"]),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "application/x-ole-storage", ["encrypted"]),
        (
            archive("[Content_Types].xml", "word/document.xml"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            [],
        ),
        (
            archive("[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ["macro"],
        ),
        (archive("META-INF/MANIFEST.MF"), "application/java-archive", []),
        (archive("a.txt"), "application/zip", []),
        (b"\0" * 0x8001 + b"CD001", "application/x-iso9660-image", []),
        (b"just text", "text/plain", []),
        (b"\0\1\2\3", "application/octet-stream", []),
        (b"", "application/x-empty", []),
    ],
)
def test_type_by_content(content: bytes, kind: str, flags: list[str]) -> None:
    found, _, marks = identify(content)
    assert (found, marks) == (kind, flags)
    assert attach(content)[0].type == kind


def test_an_archive_lists_its_files_one_level() -> None:
    outer, inner, script = attach(archive("inner.zip", "a/../run.js"), "outer.zip")
    assert (outer.path, inner.path, script.path) == (
        ("outer.zip",),
        ("outer.zip", "inner.zip"),
        ("outer.zip", "a/../run.js"),
    )
    assert (inner.size, inner.type, inner.digest) == (5, "", "")
    assert {"executable", "path"} <= set(script.flags)
    assert len(outer.digest) == 64


def test_an_archive_behind_other_bytes() -> None:
    assert [entry.name for entry in list_zip(archive("a.exe", prefix=b"x" * 100)).entries] == ["a.exe"]


def test_an_encrypted_archive() -> None:
    content = bytearray(archive("a.doc"))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", content, content.find(mark) + offset, 1)
    outer, inner = attach(bytes(content), "a.zip")
    assert "encrypted" in outer.flags
    assert "encrypted" in inner.flags


def test_a_truncated_archive_is_read_by_its_local_headers() -> None:
    listing = list_zip(archive("a.txt", "b.exe")[:100])
    assert listing.flags == ("truncated",)
    assert [entry.name for entry in listing.entries] == ["a.txt", "b.exe"]


def test_files_that_the_directory_does_not_name() -> None:
    content = archive("a.txt", "hidden.exe").replace(b"hidden.exe", b"shown_.txt")
    local = content.replace(b"shown_.txt", b"hidden.exe", 1)
    listing = list_zip(local)
    assert listing.flags == ("hidden-entries",)
    assert [entry.name for entry in listing.entries] == ["a.txt", "shown_.txt", "hidden.exe"]


def test_many_entries_are_cut() -> None:
    listing = list_zip(archive(*(f"{n}.txt" for n in range(600))))
    assert len(listing.entries) == 500
    assert listing.flags == ("too-many-entries",)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("report.pdf", ()),
        ("report.pdf.exe", ("executable", "double-extension")),
        ("report.PDF.Js", ("executable", "double-extension")),
        ("v1.2.exe", ("executable",)),
        ("budget.xlsm", ("macro-type",)),
        ("gpj.\u202eexe", ("executable", "bidi")),
        ("a\u200b.exe", ("executable", "invisible")),
        ("a.exe.", ("executable", "trailing-dots")),
        ("a.exe   ", ("executable", "trailing-dots")),
        ("a.pdf" + " " * 200 + ".scr", ("executable", "double-extension", "many-spaces")),
        ("..\\..\\a.txt", ("path",)),
        ("a\r\nb.txt", ("control",)),
        ("", ()),
        ("...", ()),
    ],
)
def test_file_names(name: str, flags: tuple[str, ...]) -> None:
    assert filenames.flags(name) == flags


def test_the_worst_of_several_names_is_taken() -> None:
    assert filenames.worst(["a.txt", "a.docm", "a.js", "a.zip", "b.exe"]) == "a.js"
    assert filenames.worst([]) == ""


def test_what_is_no_attachment() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: text/html\n\n<p>x\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: y\n\nz\n--b\nContent-Type: text/plain; name=a.txt\n\nc\n--b--\n"
    )
    assert [item.name for item in Message(raw).attachments] == ["a.txt"]
