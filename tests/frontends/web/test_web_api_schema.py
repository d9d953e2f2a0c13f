"""Schemathesis asks the API what its description allows, and much that it forbids: no 5xx, and all as described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from filterd.access import parse_entry
from filterd.frontends.web import create_app
from filterd.frontends.web.operations import OPERATIONS, Operation
from filterd.store import RetentionSettings, Store
from tests.frontends.web.test_web_api import token
from tests.frontends.web.visitor import hold, site_of

TOKEN = "filterd_root"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    store = Store.open(tmp_path_factory.mktemp("state"), RetentionSettings(min_free=0))
    with site_of(store) as site:
        hold(store, "ann@example.org", "bob@example.org")
        store.access.add(parse_entry("deny bad.example"), "web:root")
        token(site, "root")
        yield schemathesis.openapi.from_asgi("/api/openapi.json", create_app(site))
    store.close()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_no_answer_but_those_described(api: schemathesis.BaseSchema, operation: Operation) -> None:
    described = api[f"/api/v1{operation.path}"][operation.method]

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=described.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(
            headers={"Authorization": f"Bearer {TOKEN}"},
            checks=[not_a_server_error, status_code_conformance, response_schema_conformance],
        )

    ask()
