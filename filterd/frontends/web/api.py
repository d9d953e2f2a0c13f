"""The API: what the pages do, as JSON, for programs. `/api/v1/...`, described by `/api/openapi.json`.

A program shows a token of somebody's account (`Authorization: Bearer filterd_...`); it sees and does what that person
may, within the token's scopes. Cookies count for nothing here. Every answer is JSON; an error is
`{"error": "one sentence"}` with 400, 401, 403, 404, 500 or 503; with 500 there is the `incident` that the log tells of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from filterd import __version__
from filterd.frontends.web import query
from filterd.frontends.web.operations import LIMIT, OPERATIONS, Body, Call, Operation, Wrong
from filterd.frontends.web.pages import review
from filterd.frontends.web.site import Site
from filterd.frontends.web.visit import BODY, NotFound, Refused, incident
from filterd.store import StoreError, StoreUnavailable


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
        if operation.body is not None:
            call.body = _read(body, operation.body)
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
    except Exception as error:  # noqa: BLE001  the last one who can say something of it
        return JSONResponse({"error": "something is broken here", "incident": incident(request, error)}, 500)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


def lost(status: int) -> Response:
    """There is no such address, or it is not asked like that."""
    return _error(status, "there is no such operation")


def _read(body: bytes, kind: type[Body]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Wrong(f"the body is not understood: {error}") from None


_PARAMETERS: dict[str, dict[str, Any]] = {
    "q": {"schema": {"type": "string", "maxLength": query.LONGEST}, "description": "What to search for."},
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": LIMIT}, "description": "Rows of a page."},
    "view": {"schema": {"enum": list(review.VIEWS)}, "description": "Which of them."},
    "before": {"schema": {"type": "integer", "minimum": 0}, "description": "`next` of the page before."},
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
        "components": {"schemas": _schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def _schemas() -> dict[str, Any]:
    """What bodies look like."""
    kinds = list(dict.fromkeys(one.body for one in OPERATIONS if one.body is not None))
    return msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")[1]


def _described(one: Operation) -> dict[str, Any]:
    parameters = [{"name": name, "in": "query", **_PARAMETERS[name]} for name in one.takes]
    if "{id}" in one.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    codes = {
        "200": "Done.",
        "400": "Not understood.",
        "401": "No token.",
        "403": "Not allowed.",
        "404": "Not there.",
        "413": "Too large.",
        "500": "Broken; the log tells more of the incident.",
        "503": "The database does not answer.",
    }
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
    if one.body is not None:
        schema = {"$ref": f"#/components/schemas/{one.body.__name__}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found
