"""The API: what the pages do, as JSON, for programs. `/api/v1/...`, described by `/api/openapi.json`.

A program shows a token of somebody's account (`Authorization: Bearer filterd_...`); it sees and does what that person
may, within the token's scopes. Cookies count for nothing here. Every answer is JSON; an error is
`{"error": "one sentence"}` with 400, 401, 403, 404 or 503.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from filterd import __version__
from filterd.frontends.web import query, rights
from filterd.frontends.web.pages.acts import AT_ONCE
from filterd.frontends.web.pages.history import seen
from filterd.frontends.web.pages.quarantine import theirs
from filterd.frontends.web.site import Site
from filterd.frontends.web.visit import BODY, NotFound, Refused, Visit
from filterd.store import StoreError, StoreUnavailable

LIMIT = 200  # rows of a page


class Wrong(Exception):
    """The request cannot be understood; the text says why."""


class Call(Visit):
    """A request by a program on behalf of a person."""

    @property
    def by(self) -> str:
        return f"api:{self.person.name}"


@dataclass(frozen=True)
class Operation:
    """One thing that the API does. `takes` are parameters of the query, or the word "ids" for a body of ids."""

    method: str
    path: str
    scope: str
    about: str
    run: Callable[[Call], Any]
    takes: tuple[str, ...] = ()


def routes(site: Site) -> Sequence[Route]:
    """All operations, and their description."""

    def description(_request: Request) -> Response:
        return JSONResponse(openapi())

    found = [Route(f"/api/v1{one.path}", _endpoint(site, one), methods=[one.method]) for one in OPERATIONS]
    return [Route("/api/openapi.json", description, methods=["GET"]), *found]


def _endpoint(site: Site, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY:
                return _error(413, "the body is too large")
        return await run_in_threadpool(_answer, site, request, operation, bytes(body))

    return answer


def _answer(site: Site, request: Request, operation: Operation, body: bytes) -> Response:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    call = Call(site, request)
    try:
        found = site.store.people.token(secret.strip()) if kind.lower() == "bearer" else None
        if found is None:
            return _error(401, "show a token: Authorization: Bearer filterd_...")
        call.visitor, scopes = found
        if operation.scope not in scopes:
            return _error(403, f"this token has no scope {operation.scope}")
        if operation.takes == IDS:
            call.form = {"id": _ids(body)}
        return JSONResponse(msgspec.to_builtins(operation.run(call)))
    except Wrong as error:
        return _error(400, str(error))
    except NotFound:
        return _error(404, "there is nothing here, or it is not yours to see")
    except Refused as error:
        return _error(403, str(error))
    except StoreUnavailable as error:
        return _error(503, str(error))
    except StoreError as error:
        return _error(400, str(error))


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


def _ids(body: bytes) -> list[str]:
    try:
        ids = json.loads(body)["ids"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Wrong('the body is JSON: {"ids": ["..."]}') from None
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or not 0 < len(ids) <= AT_ONCE:
        raise Wrong(f"ids is a list of 1 to {AT_ONCE} strings")
    return list(dict.fromkeys(ids))


def _page(call: Call) -> tuple[int, int | None]:
    """How many rows, and before which."""
    numbers = {}
    for name in ("limit", "before"):
        text = call.asked(name)
        if text and not (text.isascii() and text.isdigit() and len(text) < 19):
            raise Wrong(f"{name} is a number")
        numbers[name] = int(text) if text else None
    limit = numbers["limit"] if numbers["limit"] is not None else 50
    if not 0 < limit <= LIMIT:
        raise Wrong(f"limit is 1 to {LIMIT}")
    return limit, numbers["before"]


def _quarantine(call: Call) -> Any:
    wanted, wrong = query.quarantine(call.asked("q"), rights.scope(call.person))
    if wrong:
        raise Wrong(f"not understood: {', '.join(wrong)}")
    found = call.site.store.quarantine.find(wanted, *_page(call))
    return {"items": found.rows, "next": found.next}


def _item(call: Call) -> Any:
    item = theirs(call, call.request.path_params["id"])
    record = call.site.store.history.show(item.record)
    return {"item": item, "findings": record.verdict.findings if record else ()}


def _raw(call: Call) -> Any:
    item = theirs(call, call.request.path_params["id"])
    raw = call.site.store.quarantine.raw(item.id)
    if raw is None or not rights.may_release(call.person, item.klass, call.site.settings):
        raise NotFound
    call.site.store.audit.write(call.by, "downloaded", item.id)
    return {"id": item.id, "message": raw.decode("latin-1")}


def _release(call: Call) -> Any:
    items = [theirs(call, id_) for id_ in call.form["id"]]
    if not all(rights.may_release(call.person, item.klass, call.site.settings) for item in items):
        raise Refused("one of these is not yours to release; nothing was done")
    now = datetime.datetime.now(datetime.UTC)
    return {"done": call.site.store.quarantine.schedule([item.id for item in items], call.by, now)}


def _delete(call: Call) -> Any:
    return {"done": call.site.store.quarantine.delete(_changed(call), call.by)}


def _undelete(call: Call) -> Any:
    return {"done": call.site.store.quarantine.undelete(_changed(call), call.by)}


def _changed(call: Call) -> list[str]:
    if not rights.acts(call.person):
        raise Refused("an auditor changes nothing")
    return [theirs(call, id_).id for id_ in call.form["id"]]


def _history(call: Call) -> Any:
    wanted, wrong = query.history(call.asked("q"), rights.scope(call.person))
    if wrong:
        raise Wrong(f"not understood: {', '.join(wrong)}")
    found = call.site.store.history.find(wanted, *_page(call))
    return {"messages": [seen(call, row) for row in found], "next": found.next}


def _message(call: Call) -> Any:
    record = call.site.store.history.show(call.request.path_params["id"])
    recipients = [one.address for one in record.envelope.recipients] if record else []
    if record is None or not (own := rights.own(call.person, recipients)):
        raise NotFound
    return {
        "id": record.id,
        "received_at": record.envelope.received_at,
        "sender": record.envelope.sender,
        "outline": record.outline,
        "score": record.verdict.points / 100,
        "probability": record.verdict.probability,
        "findings": record.verdict.findings,
        "auth": record.auth,
        "decisions": [one for one in record.decisions if one.recipient in own],
        "deliveries": [one for one in record.deliveries if one.recipient in own],
    }


def _stats(call: Call) -> Any:
    if not rights.sees_everything(call.person):
        raise Refused("this is for administrators and auditors")
    classes, hours = call.site.store.stats(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=7))
    return {"held": classes, "hours": hours}


def _audit(call: Call) -> Any:
    if not rights.sees_everything(call.person):
        raise Refused("this is for administrators and auditors")
    return {"lines": call.site.store.audit.find(None, _page(call)[0])}


PAGED, IDS = ("q", "limit", "before"), ("ids",)
OPERATIONS = (
    Operation("GET", "/quarantine", "read", "Held mail, newest first; q as in the search box.", _quarantine, PAGED),
    Operation("GET", "/quarantine/{id}", "read", "One item, and the findings that add up to its score.", _item),
    Operation("GET", "/quarantine/{id}/raw", "read", "The message as it came, its bytes as Latin-1.", _raw),
    Operation("POST", "/quarantine/release", "release", "Deliver these to their own recipients, now.", _release, IDS),
    Operation("POST", "/quarantine/delete", "delete", "Delete these.", _delete, IDS),
    Operation("POST", "/quarantine/undelete", "delete", "Hold these again that were deleted.", _undelete, IDS),
    Operation("GET", "/history", "history", "Messages, newest first, whatever became of them.", _history, PAGED),
    Operation("GET", "/history/{id}", "history", "One message: what became of it, and why.", _message),
    Operation("GET", "/stats", "history", "What is held by class; messages of the week by hour and action.", _stats),
    Operation("GET", "/audit", "history", "The latest lines of the audit log.", _audit, ("limit",)),
)

_PARAMETERS: dict[str, dict[str, Any]] = {
    "q": {"schema": {"type": "string", "maxLength": query.LONGEST}, "description": "What to search for."},
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": LIMIT}, "description": "Rows of a page."},
    "before": {"schema": {"type": "integer", "minimum": 0}, "description": "`next` of the page before."},
}
_BODY = {
    "type": "object",
    "required": ["ids"],
    "properties": {"ids": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": AT_ONCE}},
}
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def openapi() -> dict[str, Any]:
    """The description of the API (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(f"/api/v1{one.path}", {})[one.method.lower()] = _described(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "filterd", "version": __version__, "description": "The quarantine and the history."},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _described(one: Operation) -> dict[str, Any]:
    parameters = [{"name": name, "in": "query", **_PARAMETERS[name]} for name in one.takes if name != "ids"]
    if "{id}" in one.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    codes = {"200": "Done.", "400": "Not understood.", "401": "No token.", "403": "Not allowed.", "404": "Not there."}
    answers = {
        code: {
            "description": text,
            "content": {"application/json": {"schema": {"type": "object"} if code == "200" else _ERROR}},
        }
        for code, text in codes.items()
    }
    found: dict[str, Any] = {
        "summary": one.about,
        "description": f"Scope: `{one.scope}`.",
        "operationId": (one.method + one.path).lower().replace("/", "-").replace("{", "").replace("}", ""),
        "parameters": parameters,
        "responses": answers,
    }
    if one.takes == ("ids",):
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _BODY}}}
    return found
