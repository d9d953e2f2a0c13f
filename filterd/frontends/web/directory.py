"""Directory: people who log in with the password that an LDAP server knows. Blocks.

`Directory.check` looks a name up with the service's account, and proves the password by a bind as that very entry.
What the directory says of addresses and groups is who they are here. A name that is not there, two entries, an empty
password and a wrong one are all None; a server that does not answer is a `DirectoryError`. Passwords go over TLS only.
"""

from __future__ import annotations

import importlib.util
import math
import ssl
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from filterd.settings import Duration, Settings
from filterd.store import Person, Role
from filterd.store.text import fold
from filterd.told import Told

LONGEST = 1000


class DirectoryError(Told):
    """The directory does not answer, or not in a way that can be used."""


class GroupSettings(Settings):
    """What the members of a group may do."""

    group: str = Field(min_length=1, description="The group's distinguished name, as in `group_attribute`.")
    role: Role = Field(description="user, manager, auditor or admin. Of several groups the first counts.")
    addresses: tuple[str, ...] = Field((), description="Whose mail they see as well; `@example.org` is a domain.")


class LdapSettings(Settings):
    """An LDAP server whose people may log in; it needs `pip install 'filterd[ldap]'`."""

    url: str = Field(description="`ldaps://name`, or `ldap://name` with STARTTLS.")
    ca: Path | None = Field(None, description="Certificates to trust, as a PEM file; null: the system's.")
    base: str = Field(description="Where people are, as `ou=people,dc=example,dc=org`.")
    filter: str = Field("(uid={name})", description="Finds an entry by the name that was typed, `{name}`.")
    bind_dn: str | None = Field(None, description="Who looks names up; null: nobody in particular.")
    bind_password_file: Path | None = Field(None, description="A file with the password of `bind_dn`.")
    name_attribute: str = Field("uid", description="The attribute with the name of the account here.")
    address_attributes: tuple[str, ...] = Field(
        ("mail", "mailAlternateAddress", "proxyAddresses"), description="The attributes with their addresses."
    )
    group_attribute: str = Field("memberOf", description="The attribute with the groups that somebody is in.")
    groups: tuple[GroupSettings, ...] = Field((), description="Groups whose members are more than users.")
    timeout: Duration = Field(5.0, gt=0, le=60, description="How long the server may take.")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not url.startswith(("ldap://", "ldaps://")):
            raise ValueError("write ldaps://name or ldap://name")
        return url

    @field_validator("filter")
    @classmethod
    def _names(cls, text: str) -> str:
        if "{name}" not in text:
            raise ValueError("it must hold {name}, as in (uid={name})")
        return text

    @model_validator(mode="after")
    def _is_there(self) -> LdapSettings:
        if importlib.util.find_spec("ldap3") is None:
            raise ValueError("LDAP needs ldap3: pip install 'filterd[ldap]'")
        return self


class Directory:
    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings

    def check(self, name: str, password: str) -> Person | None:
        """Who that is, if the password is theirs. Raises DirectoryError."""
        from ldap3.core.exceptions import LDAPException

        if not password or not name or len(password) > LONGEST or "\0" in password + name:
            return None  # RFC 4513, 5.1.2: a bind with an empty password succeeds as nobody
        try:
            entry = self._find(name)
            if entry is None or not self._binds(entry["dn"], password):
                return None
        except (LDAPException, OSError, ValueError) as error:
            raise DirectoryError(f"the directory cannot be asked: {error}") from error
        return self._person(entry["attributes"], name)

    def _find(self, name: str) -> dict[str, Any] | None:
        """The one entry of this name."""
        from ldap3.utils.conv import escape_filter_chars

        said = self._settings
        secret = said.bind_password_file.read_text("utf-8").strip() if said.bind_password_file else None
        wanted = [said.name_attribute, said.group_attribute, *said.address_attributes]
        connection = self._connection(said.bind_dn, secret)
        try:
            if not connection.bind():
                raise ValueError(f"bind_dn is refused ({connection.result['description']})")
            text = said.filter.replace("{name}", escape_filter_chars(name))
            connection.search(said.base, text, attributes=[one for one in wanted if one], size_limit=2)
            found = [one for one in connection.response or () if one["type"] == "searchResEntry"]
            return found[0] if len(found) == 1 else None
        finally:
            connection.unbind()

    def _binds(self, dn: str, password: str) -> bool:
        connection = self._connection(dn, password)
        try:
            return bool(connection.bind())
        finally:
            connection.unbind()

    def _connection(self, dn: str | None, password: str | None) -> Any:
        """A connection over TLS, not bound yet."""
        import ldap3

        said = self._settings
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(said.ca) if said.ca else None)
        server = ldap3.Server(said.url, tls=tls, connect_timeout=said.timeout, get_info=ldap3.NONE)
        connection = ldap3.Connection(
            server,
            dn,
            password,
            auto_referrals=False,
            receive_timeout=math.ceil(said.timeout),
            check_names=False,
            read_only=True,
        )
        try:
            connection.open()
            if not server.ssl:
                connection.start_tls()
        except BaseException:
            if connection.socket is not None:
                connection.socket.close()  # which ldap3 leaves open
            raise
        return connection

    def _person(self, attributes: dict[str, Any], typed: str) -> Person | None:
        said = self._settings
        names = _values(attributes, said.name_attribute) or [typed]
        groups = {fold(one) for one in _values(attributes, said.group_attribute)}
        group = next((one for one in said.groups if fold(one.group) in groups), None)
        own = [_address(value) for one in said.address_attributes for value in _values(attributes, one)]
        addresses = [*(one for one in own if one), *(group.addresses if group else ())]
        role = group.role if group else Role.USER
        unique = tuple(dict.fromkeys(fold(one) for one in addresses))
        return Person(name=fold(names[0]), role=role, addresses=unique, source="ldap")


def _values(attributes: dict[str, Any], name: str) -> list[str]:
    """An attribute's values as text."""
    found: Any = next((value for key, value in attributes.items() if key.lower() == name.lower()), [])
    some = found if isinstance(found, list) else [found]
    return [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in some if one]


def _address(value: str) -> str:
    """An address as it stands, or as Active Directory writes it: `SMTP:ann@example.org`."""
    kind, colon, rest = value.partition(":")
    if colon:
        value = rest if kind.lower() == "smtp" else ""
    local, at, domain = value.strip().rpartition("@")
    return f"{local}@{domain}" if at and local and domain else ""
