"""Answer and Head: what goes out, and what comes in before a body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec

from filterd.value import Value

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Answer(Value):
    status: int
    content_type: str
    body: bytes


Route = Callable[[], Awaitable[Answer]]


class Refused(Exception):
    """The request gets this answer instead of what it asks for."""

    def __init__(self, status: HTTPStatus, why: str = "") -> None:
        super().__init__(why or status.phrase)
        self.answer = json_answer({"error": why or status.phrase}, status)


class Head(Value):
    """A request before its body. Header names are in lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, bytes], ...]

    def first(self, name: str) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> tuple[bytes, ...]:
        return tuple(value for key, value in self.headers if key == name)


def json_answer(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status.value, JSON, msgspec.json.encode(content))


def text_answer(text: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status.value, TEXT, text.encode())
