"""People: who may look into the quarantine, and what proves that it is them. Blocks.

Passwords come in as argon2 hashes; sessions, one-time links and API tokens come in as the secret itself and
are kept as its SHA-256. A link is spent once. What has expired proves nothing and is swept away now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from filterd.store import rows
from filterd.store.audit import note
from filterd.store.database import Database
from filterd.store.people_tables import links, people, people_addresses, sessions, tokens
from filterd.store.text import ADDRESS, clean, fold
from filterd.store.words import Person, Role, StoreError, Token

NAME = 200


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, person: Person, password: str = "", by: str = "") -> None:
        """A new account; raises StoreError when the name is taken or empty."""
        name = fold(person.name.strip())
        if not name or len(name) > NAME or not name.isprintable():
            raise StoreError("a name has 1 to 200 printable characters")
        values = {"name": name, "role": person.role.value, "password": password}
        values |= {"language": person.language, "digest": person.digest, "source": person.source}
        try:
            with self._database.write() as connection:
                connection.execute(insert(people).values(**values, created=rows.now(), digested=rows.now()))
                _set_addresses(connection, name, person.addresses)
                note(connection, by, "user-added", [""], f"{name} {person.role}")
        except IntegrityError as error:
            raise StoreError(f"there is already a user {name}") from error

    def mirror(self, person: Person) -> Person | None:
        """The account of somebody whom a directory vouches for, as it says now; None: the name is one of our own."""
        known, name = self.get(person.name), fold(person.name)
        if known is not None and known.source != person.source:
            return None
        if known is None:
            self.add(person, by=person.source)
        elif known.role is not person.role:
            self.change(name, person.source, role=person.role.value)
        if known is not None and set(known.addresses) != set(person.addresses):
            self.give(name, person.addresses, person.source)
        return self.get(name)

    def change(self, name: str, by: str = "", **values: str) -> bool:
        """Set `role`, `password`, `language` or `digest`; a new password ends all sessions. False: nobody."""
        name = fold(name)
        with self._database.write() as connection:
            done = connection.execute(update(people).where(people.c.name == name).values(**values)).rowcount
            if done:
                if "password" in values:
                    for table in (sessions, links):
                        connection.execute(delete(table).where(table.c.name == name))
                note(connection, by, "user-changed", [""], f"{name}: {', '.join(values)}")
        return done == 1

    def give(self, name: str, addresses: Iterable[str], by: str = "") -> None:
        """Whose mail this person sees from now on."""
        name, given = fold(name), tuple(addresses)
        with self._database.write() as connection:
            _set_addresses(connection, name, given)
            note(connection, by, "user-addresses", [""], f"{name}: {' '.join(given)}")

    def remove(self, name: str, by: str = "") -> bool:
        name = fold(name)
        with self._database.write() as connection:
            done = connection.execute(delete(people).where(people.c.name == name)).rowcount
            for table in (people_addresses, sessions, links, tokens):
                connection.execute(delete(table).where(table.c.name == name))
            if done:
                note(connection, by, "user-removed", [""], name)
        return done == 1

    def get(self, name: str) -> Person | None:
        with self._database.read() as connection:
            return _person(connection, fold(name))

    def everybody(self) -> list[Person]:
        with self._database.read() as connection:
            names = connection.execute(select(people.c.name).order_by(people.c.name)).scalars().all()
            return [one for name in names if (one := _person(connection, name))]

    def with_address(self, address: str) -> Person | None:
        """Who has this very address."""
        found = select(people_addresses.c.name).where(people_addresses.c.address == fold(address))
        with self._database.read() as connection:
            name = connection.execute(found.limit(1)).scalar()
            return None if name is None else _person(connection, name)

    def password(self, name: str) -> str:
        """The argon2 hash; "" when there is no such person or no password."""
        with self._database.read() as connection:
            asked = select(people.c.password).where(people.c.name == fold(name))
            return str(connection.execute(asked).scalar() or "")

    def open_session(self, name: str, secret: str, seconds: float, client: str = "") -> None:
        stamp = rows.now()
        values = {"token": _hash(secret), "name": fold(name), "created": stamp}
        with self._database.write() as connection:
            connection.execute(insert(sessions).values(**values, expires=stamp + int(seconds * 1000)))
            connection.execute(delete(sessions).where(sessions.c.expires < stamp))
            note(connection, f"web:{fold(name)}", "login", [""], client)

    def session(self, secret: str, seconds: float, longest: float) -> Person | None:
        """Whose session this is; a session that is used lives on for `seconds`, at most for `longest` in all."""
        stamp, token = rows.now(), _hash(secret)
        with self._database.read() as connection:
            row = connection.execute(select(sessions).where(sessions.c.token == token)).first()
            if row is None or row.expires <= stamp:
                return None
            person = _person(connection, row.name)
        later = min(stamp + int(seconds * 1000), row.created + int(longest * 1000))
        if later - row.expires > seconds * 100:  # a tenth of its life has passed
            with self._database.write() as connection:
                connection.execute(update(sessions).where(sessions.c.token == token).values(expires=later))
        return person

    def close_session(self, secret: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token == _hash(secret)))

    def add_link(self, name: str, secret: str, seconds: float, by: str = "") -> None:
        """A link that lets this person in once."""
        stamp = rows.now()
        values = {"token": _hash(secret), "name": fold(name), "expires": stamp + int(seconds * 1000)}
        with self._database.write() as connection:
            connection.execute(delete(links).where(links.c.expires < stamp))
            connection.execute(insert(links).values(**values))
            note(connection, by, "link-made", [""], fold(name))

    def spend_link(self, secret: str) -> Person | None:
        """Whom the link lets in; a second time nobody."""
        token = _hash(secret)
        with self._database.write() as connection:
            row = connection.execute(select(links).where(links.c.token == token)).first()
            if row is None or connection.execute(delete(links).where(links.c.token == token)).rowcount != 1:
                return None
            return _person(connection, row.name) if row.expires > rows.now() else None

    def add_token(self, name: str, secret: str, title: str, scopes: Iterable[str], seconds: float = 0) -> None:
        stamp = rows.now()
        values = {"token": _hash(secret), "name": fold(name), "title": clean(title, 100)}
        values |= {"scopes": " ".join(sorted(set(scopes)))}
        expires = stamp + int(seconds * 1000) if seconds else 0
        with self._database.write() as connection:
            connection.execute(insert(tokens).values(**values, created=stamp, expires=expires))
            note(connection, f"web:{fold(name)}", "token-made", [""], title)

    def token(self, secret: str) -> tuple[Person, frozenset[str]] | None:
        """Whose API token this is, and what it may be used for."""
        stamp, token = rows.now(), _hash(secret)
        with self._database.read() as connection:
            row = connection.execute(select(tokens).where(tokens.c.token == token)).first()
            person = _person(connection, row.name) if row else None
        if row is None or person is None or (row.expires and row.expires <= stamp):
            return None
        if stamp - row.used > 60_000:
            with self._database.write() as connection:
                connection.execute(update(tokens).where(tokens.c.token == token).values(used=stamp))
        return person, frozenset(row.scopes.split())

    def tokens(self, name: str) -> list[Token]:
        wanted = select(tokens).where(tokens.c.name == fold(name)).order_by(tokens.c.created)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(wanted)]

    def remove_token(self, name: str, id_: str) -> bool:
        mine = (tokens.c.name == fold(name)) & tokens.c.token.startswith(id_, autoescape=True)
        with self._database.write() as connection:
            done = connection.execute(delete(tokens).where(mine)).rowcount if len(id_) == 12 else 0
            if done:
                note(connection, f"web:{fold(name)}", "token-removed", [""], id_)
        return done == 1

    def digested(self, name: str, until: int | None = None) -> int:
        """Up to when (milliseconds) the last digest told; with `until` that is set."""
        one = people.c.name == fold(name)
        if until is not None:
            with self._database.write() as connection:
                connection.execute(update(people).where(one).values(digested=until))
            return until
        with self._database.read() as connection:
            return int(connection.execute(select(people.c.digested).where(one)).scalar() or 0)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _set_addresses(connection: Connection, name: str, addresses: Iterable[str]) -> None:
    connection.execute(delete(people_addresses).where(people_addresses.c.name == name))
    folded = dict.fromkeys(fold(address.strip()) for address in addresses)
    values = [{"name": name, "address": clean(address, ADDRESS)} for address in folded if address]
    if values:
        connection.execute(insert(people_addresses), values)


def _person(connection: Connection, name: str) -> Person | None:
    row = connection.execute(select(people).where(people.c.name == name)).first()
    if row is None:
        return None
    listed: Select[Any] = select(people_addresses.c.address).where(people_addresses.c.name == name)
    addresses = connection.execute(listed.order_by(people_addresses.c.address)).scalars()
    return Person(
        name=row.name,
        role=Role(row.role),
        addresses=tuple(addresses),
        language=row.language,
        digest=row.digest,
        has_password=bool(row.password),
        source=row.source,
    )


def _token(row: Row[Any]) -> Token:
    scopes = tuple(row.scopes.split())
    return Token(id=row.token[:12], title=row.title, scopes=scopes, expires=row.expires, used=row.used)
