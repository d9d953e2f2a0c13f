"""People who visit the pages: a store with mail in it, and browsers without a screen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from starlette.types import ASGIApp

from filterd.frontends.web import Site, WebSettings, create_app
from filterd.store import Held, Person, QuarantineClass, Role, Store
from tests.store.stored import SPAM, make_record

PASSWORD = "correct horse battery"
_HASH = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)  # a hundred tests log in
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')


class _Transport(httpx.BaseTransport):
    """Asks an ASGI application, each time in an event loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app, client=("192.0.2.1", 1234))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(ask())


class Visitor:
    """Somebody's browser: cookies, forms, no JavaScript."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.page = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        response = self.client.get(path, headers=headers)
        self.page = response.text
        return response

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """Send the form of the page that is open, with its token."""
        token = CSRF.search(self.page)
        if token:
            fields.setdefault("csrf", token[1])
        response = self.client.post(path, data=fields, headers=headers)
        self.page = response.text
        return response

    def login(self, name: str, password: str = PASSWORD) -> httpx.Response:
        self.get("/login")
        return self.post("/login", name=name, password=password)


@contextmanager
def site_of(store: Store, **changes: Any) -> Iterator[Site]:
    """The site over this store; ann and bob are users, mo manages example.org, eve audits, root administers."""
    people = store.people
    people.add(Person(name="ann", addresses=("ann@example.org",)), _HASH)
    people.add(Person(name="bob", addresses=("bob@example.org", "robert@example.org")), _HASH)
    people.add(Person(name="mo", role=Role.MANAGER, addresses=("@example.org",)), _HASH)
    people.add(Person(name="eve", role=Role.AUDITOR), _HASH)
    people.add(Person(name="root", role=Role.ADMIN), _HASH)
    yield Site(store=store, secret=b"k" * 32, settings=WebSettings(**changes.pop("settings", {})), **changes)


def visitor(site: Site, name: str = "", **client: Any) -> Visitor:
    """A new browser; logged in when a name is given."""
    base = "https://filterd.example" if site.secure else "http://filterd.example"
    options = {"follow_redirects": True} | client
    found = Visitor(httpx.Client(transport=_Transport(create_app(site)), base_url=base, **options))
    if name:
        assert found.login(name).status_code == 200
        assert "Quarantine" in found.page
    return found


def hold(store: Store, *recipients: str, raw: bytes = SPAM, klass: str = "spam", **record: Any) -> list[str]:
    """Hold a message for these recipients; the items' ids."""
    to = recipients or ("ann@example.org",)
    made = make_record(recipients=to, **record)
    kept = [Held(one, QuarantineClass(klass), "It looks like spam.") for one in to]
    unique = raw + f"X-Test: {made.id}\r\n".encode() if not raw.endswith(b"\r\n\r\n") else raw
    return list(asyncio.run(store.hold(made, unique, kept)))


CASES = Path(__file__).parents[2] / "cases" / "web"
