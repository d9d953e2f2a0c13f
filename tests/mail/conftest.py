"""What the tests of reading share: look at everything, and see that it is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from filterd.mail import Message, preload

ATTRIBUTES = [name for name in dir(Message) if not name.startswith("_")]


@pytest.fixture(scope="session", autouse=True)
def _preloaded() -> None:
    preload()


@pytest.fixture
def read_all() -> Callable[[bytes], Message]:
    """Read every attribute of a message and of what is in it; whatever the bytes are, the output is bounded."""
    return _read_all


def _read_all(raw: bytes) -> Message:
    message = Message(raw)
    for name in ATTRIBUTES:
        getattr(message, name)
    for header in message.headers:
        assert raw[header.start : header.end].startswith(header.name.encode())
        assert isinstance(header.text, str)
    for part in message.parts:
        assert part.text is None or isinstance(part.text, str)
        assert isinstance(part.content, bytes)
    for attachment in message.attachments:
        assert isinstance(attachment.digest, str)
    assert len(message.headers) <= 2_500
    assert len(message.parts) <= 1_000
    assert len(message.links) <= 1_000
    assert len(message.attachments) <= 500
    assert len(message.received) <= 100
    assert len(message.author_domains) <= 50
    assert len(message.text) <= 2_000_000
    message.text.encode("utf-8")  # no lone surrogates
    return message


@pytest.fixture
def seconds(read_all: Callable[[bytes], Message]) -> Callable[[bytes], tuple[float, Message]]:
    """CPU seconds that reading everything takes, and the message."""

    def measure(raw: bytes) -> tuple[float, Message]:
        start = time.process_time()
        message = read_all(raw)
        return time.process_time() - start, message

    return measure
