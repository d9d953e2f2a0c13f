"""People of a real LDAP directory log in; a name, a password, a group and a certificate count only as what they are."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from filterd.frontends.web import Site, WebSettings
from filterd.frontends.web.directory import Directory, DirectoryError, LdapSettings, _address
from filterd.store import Role, Store
from tests.frontends.web.visitor import PASSWORD, hold, site_of, visitor
from tests.slapd import BASE, Slapd, slapd

pytestmark = pytest.mark.filterwarnings("ignore:.*(ssl.match_hostname|tagMap|typeMap):DeprecationWarning")  # of ldap3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


def settings(server: Slapd, **changes: Any) -> dict[str, Any]:
    return {
        "url": server.url,
        "ca": str(server.ca),
        "base": BASE,
        "bind_dn": f"cn=lookup,{BASE}",
        "bind_password_file": str(server.password_file),
        "group_attribute": "ou",
        "groups": [{"group": f"CN=Postmasters,{BASE}", "role": "manager", "addresses": ["@example.org"]}],
        **changes,
    }


def directory(server: Slapd, **changes: Any) -> Directory:
    return Directory(LdapSettings.model_validate(settings(server, **changes)))


@pytest.fixture
def site(store: Store, server: Slapd) -> Iterator[Site]:
    with site_of(store, settings={"ldap": settings(server)}) as site:
        yield site


def test_who_somebody_is(server: Slapd) -> None:
    for url in (server.url, server.tls_url):
        dora = directory(server, url=url).check("dora", "dora's own password")
        assert dora is not None
        assert (dora.name, dora.role, dora.source) == ("dora", Role.MANAGER, "ldap")
        assert dora.addresses == ("dora@example.org", "dora.smith@example.org", "@example.org")
        emil = directory(server, url=url).check("EMIL", "emil's own password")
        assert emil is not None
        assert (emil.name, emil.role, emil.addresses) == ("emil", Role.USER, ("emil@example.org",))


@pytest.mark.parametrize(
    ("name", "password"),
    [("dora", "emil's own password"), ("dora", ""), ("", "x"), ("*", "dora's own password"), ("nobody", "x"),
     ("dora)(uid=*", "dora's own password"), ("d*", "dora's own password"), ("emilia", "a twin's password"),
     ("dora\0", "dora's own password"), ("dora", "x" * 5000), ("dora", "dora's own password\0")],
)  # fmt: skip
def test_who_is_nobody(server: Slapd, name: str, password: str) -> None:
    assert directory(server).check(name, password) is None


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. .ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)  # ldap3 leaves it open
def test_a_server_that_cannot_be_trusted_or_asked(server: Slapd) -> None:
    for changes in (
        {"ca": None}, {"ca": None, "url": server.tls_url}, {"url": "ldap://localhost:9"},
        {"bind_dn": f"cn=nobody,{BASE}"}, {"bind_password_file": "/nonexistent"},
        {"url": f"ldaps://127.0.0.1:{server.tls_port}"}, {"filter": "(uid={name}"},
    ):  # fmt: skip
        with pytest.raises(DirectoryError):
            directory(server, **changes).check("dora", "dora's own password")
    gc.collect()


def test_logged_in_as_the_directory_says(site: Site, store: Store) -> None:
    (id_,) = hold(store, "emil@example.org")
    emil = visitor(site)
    assert emil.login("emil", "emil's own password").status_code == 200
    assert f"/quarantine/{id_}" in emil.page
    person = store.people.get("emil")
    assert person is not None
    assert (person.source, person.has_password) == ("ldap", False)
    store.people.give("emil", ["somebody@else.example"])
    assert visitor(site).login("emil", "emil's own password").status_code == 200
    person = store.people.get("emil")
    assert person is not None
    assert person.addresses == ("emil@example.org",), "the directory's word counts"
    assert visitor(site).login("emil", "wrong").status_code == 403


def test_an_account_of_ours_is_not_taken_over(site: Site, store: Store) -> None:
    assert visitor(site).login("ann", "the other ann's password").status_code == 403
    assert visitor(site).login("ann", PASSWORD).status_code == 200
    person = store.people.get("ann")
    assert person is not None
    assert person.addresses == ("ann@example.org",)


def test_a_directory_that_is_out_stops_nobody_of_ours(store: Store, server: Slapd) -> None:
    with site_of(store, settings={"ldap": settings(server, url="ldap://localhost:9")}) as site:
        assert visitor(site).login("ann", PASSWORD).status_code == 200
        answer = visitor(site).login("emil", "emil's own password")
        assert answer.status_code == 503
        assert "The directory does not answer now" in answer.text


def test_settings_that_cannot_be(server: Slapd) -> None:
    for changes in (
        {"url": "http://x"},
        {"filter": "(uid=x)"},
        {"timeout": 0},
        {"groups": [{"group": "", "role": "user"}]},
    ):
        with pytest.raises(ValidationError):
            WebSettings.model_validate({"ldap": settings(server, **changes)})


@pytest.mark.parametrize(
    ("value", "address"),
    [("ann@x.example", "ann@x.example"), ("SMTP:ann@x.example", "ann@x.example"), ("smtp:a@x.example", "a@x.example"),
     ("sip:ann@x.example", ""), ("ann", ""), ("@x.example", ""), ("X500:/o=x/cn=ann@x", "")],
)  # fmt: skip
def test_how_directories_write_addresses(value: str, address: str) -> None:
    assert _address(value) == address
