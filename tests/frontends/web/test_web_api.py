"""The API: tokens with scopes, what is theirs, and no answer but those that its description names."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from filterd.frontends.web import Site
from filterd.frontends.web.api import OPERATIONS, openapi
from filterd.learning import LearningLimits
from filterd.learning.learner import open_learner
from filterd.store import Store
from tests.frontends.web.visitor import hold, site_of, visitor

ALL = ("read", "release", "delete", "teach", "senders", "history")


def call(site: Site, secret: str, method: str, path: str, **body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {secret}"}
    answer = visitor(site).client.request(method, f"/api/v1{path}", headers=headers, json=body or None)
    return answer.status_code, answer.json()


def token(site: Site, name: str, *scopes: str) -> str:
    secret = f"filterd_{name}"
    site.store.people.add_token(name, secret, "test", scopes or ALL)
    return secret


def test_a_token_is_made_on_the_account_page_and_taken_away(site: Site, store: Store) -> None:
    ann = visitor(site, "ann")
    ann.get("/account")
    ann.post("/account", part="token", title="my script", scope=["read", "nonsense"])
    found = re.search(r"<pre>(filterd_[\w-]+)</pre>", ann.page)
    assert found
    assert call(site, found[1], "GET", "/quarantine")[0] == 200
    assert call(site, found[1], "GET", "/history")[0] == 403
    assert found[1] not in ann.get("/account").text, "it is shown once"
    (kept,) = store.people.tokens("ann")
    ann.post("/account", part="untoken", token=kept.id)
    assert call(site, found[1], "GET", "/quarantine")[0] == 401


def test_cookies_count_for_nothing(site: Site) -> None:
    assert visitor(site, "ann").get("/api/v1/quarantine").status_code == 401


def test_each_sees_and_does_what_is_theirs(site: Site, store: Store) -> None:
    mine, other = hold(store, "ann@example.org", "bob@example.org")
    store.flush_now()
    secret = token(site, "ann")
    status, found = call(site, secret, "GET", "/quarantine")
    assert (status, [one["id"] for one in found["items"]]) == (200, [mine])
    assert call(site, secret, "GET", f"/quarantine/{other}")[0] == 404
    assert call(site, secret, "POST", "/quarantine/release", ids=[mine, other])[0] == 404
    status, found = call(site, secret, "GET", "/history")
    assert "bob@example.org" not in json.dumps(found)
    status, found = call(site, secret, "GET", f"/history/{found['messages'][0]['id']}")
    assert (status, "bob@example.org" in json.dumps(found)) == (200, False)
    assert sum(one["points"] for one in found["findings"]) / 100 == found["score"]
    assert call(site, secret, "GET", "/stats")[0] == call(site, secret, "GET", "/audit")[0] == 403
    assert call(site, secret, "POST", "/quarantine/delete", ids=[mine]) == (200, {"done": [mine]})
    assert call(site, secret, "POST", "/quarantine/undelete", ids=[mine]) == (200, {"done": [mine]})
    assert call(site, secret, "POST", "/quarantine/release", ids=[mine]) == (200, {"done": [mine]})
    assert [one.who for one in store.audit.find(mine) if one.what == "release-asked"] == ["api:ann"]


def test_an_auditor_s_token_changes_nothing(site: Site, store: Store) -> None:
    ids = hold(store)
    secret = token(site, "eve")
    for act in ("release", "delete", "undelete"):
        assert call(site, secret, "POST", f"/quarantine/{act}", ids=ids)[0] == 403
    assert call(site, secret, "GET", "/audit")[0] == call(site, secret, "GET", "/stats")[0] == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"ids": []}', b'{"ids": "x"}', b'{"ids": [1]}', b"[" * 50_000, b"\xff"]
)
def test_bodies_that_are_not_understood(site: Site, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token(site, 'root')}"}
    answer = visitor(site).client.post("/api/v1/quarantine/delete", content=body, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_the_description_names_every_operation(site: Site) -> None:
    assert visitor(site).get("/api/openapi.json").json() == openapi()
    assert sum(len(path) for path in openapi()["paths"].values()) == len(OPERATIONS)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    operation=some.sampled_from(OPERATIONS),
    id_=some.text(max_size=40),
    parameters=some.dictionaries(some.sampled_from(["q", "limit", "before", "x"]), some.text(max_size=60)),
    body=some.one_of(some.binary(max_size=60), some.just(b'{"ids": ["x", ""]}')),
)
def test_no_answer_but_those_described(
    site: Site, operation: Any, id_: str, parameters: dict[str, str], body: bytes
) -> None:
    if not site.store.people.tokens("root"):
        token(site, "root")
    path = operation.path.replace("{id}", re.sub(r"[^!-~]|[/?#%\\.]", "x", id_) or "x")
    readable = {name: value.encode("utf-8", "replace").decode() for name, value in parameters.items()}
    headers = {"Authorization": "Bearer filterd_root"}
    ask = visitor(site).client.request
    answer = ask(operation.method, f"/api/v1{path}", params=readable, content=body, headers=headers)
    assert answer.status_code in (200, 400, 403, 404)
    assert isinstance(answer.json(), dict)


def test_senders(site: Site, store: Store) -> None:
    secret = token(site, "ann")
    said = {
        "allow": False,
        "whom": "bad.example",
        "for": "ann@example.org",
        "until": "2030-01-31",
        "comment": "no more",
    }
    status, made = call(site, secret, "POST", "/senders", **said)
    assert (status, made["whom"], made["until"]) == (200, "bad.example", "2030-01-31")
    assert store.access.lines() == ["deny bad.example for ann@example.org until 2030-01-31 # no more"]
    assert [one["id"] for one in call(site, secret, "GET", "/senders?q=bad")[1]["entries"]] == [made["id"]]
    for changes, code in (({"for": "bob@example.org"}, 403), ({"for": ""}, 403), ({"whom": "a b"}, 400),
                          ({"until": "soon"}, 400), ({"whom": "10.0.0.0/4"}, 400), ({"allow": 1}, 400)):  # fmt: skip
        assert call(site, secret, "POST", "/senders", **{**said, **changes})[0] == code, changes
    assert call(site, token(site, "bob"), "POST", "/senders/remove", ids=[made["id"]])[0] == 404
    assert call(site, secret, "POST", "/senders/remove", ids=[made["id"]]) == (200, {"done": [made["id"]]})


def test_taught_reviewed_and_undone(store: Store) -> None:
    assert store.database.path is not None
    with (
        open_learner(store.database.path.parent, store, None, LearningLimits()) as learner,
        site_of(store, learn=learner.handle) as site,
    ):
        (id_,) = hold(store)
        ann, mo = token(site, "ann"), token(site, "mo")
        assert call(site, ann, "POST", "/quarantine/release", ids=[id_])[0] == 200
        assert call(site, ann, "GET", "/suggestions")[0] == 403
        (one,) = call(site, mo, "GET", "/suggestions")[1]["suggestions"]
        assert call(site, mo, "POST", "/suggestions/accept", ids=[one["id"]]) == (
            200,
            {"done": [one["id"]], "failed": []},
        )
        assert store.labels.counts().ham == 1
        assert call(site, mo, "GET", "/suggestions?view=learnt")[1]["suggestions"][0]["id"] == one["id"]
        assert call(site, mo, "GET", "/suggestions?view=x")[0] == 400
        assert call(site, mo, "POST", "/suggestions/undo", ids=[one["id"]])[0] == 200
        assert store.labels.counts().ham == 0
        assert call(site, ann, "POST", "/quarantine/keep", ids=[id_]) == (200, {"done": [id_]})
        status, said = call(site, ann, "POST", "/quarantine/learn", **{"ids": [id_], "class": "spam"})
        assert (status, said) == (200, {"text": "It was learnt."})
        assert store.labels.counts().spam == 1


def test_who_a_token_is_of(site: Site) -> None:
    status, me = call(site, token(site, "bob", "read"), "GET", "/me")
    assert (status, me["name"], me["addresses"]) == (200, "bob", ["bob@example.org", "robert@example.org"])
    assert "password" not in me
