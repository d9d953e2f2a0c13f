"""`filterd user`: who may look into the quarantine."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from filterd.cli.common import ConfigOption, Fail, JsonOption, print_table, read_config
from filterd.cli.storing import chosen, opened, print_array, who
from filterd.config import Config
from filterd.frontends.settings import WebListener
from filterd.printable import printable
from filterd.store import Person, Role

LINK = 86_400.0  # seconds that a one-time link is good for

app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with.")]
AddressOption = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="A", help="Sees mail to this address; @example.org is a whole domain. Repeat."),
]
RoleOption = Annotated[str, typer.Option("--role", metavar="R", help=f"One of {', '.join(Role)}.")]
DigestOption = Annotated[
    str,
    typer.Option("--digest", metavar="D", help="Mail about what is held: 'at once', hourly, daily, weekly; or never."),
]
LinkOption = Annotated[bool, typer.Option("--link", help="Print a link that logs in once, within a day.")]
StdinOption = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command()
def add(
    name: NameArgument,
    role: RoleOption = Role.USER.value,
    address: AddressOption = None,
    digest: DigestOption = "",
    link: LinkOption = False,
    stdin: StdinOption = False,
    config: ConfigOption = None,
) -> None:
    """A new account. Asks for a password, unless a link is to do for now."""
    from filterd.frontends.web.passwords import hashed

    settings, as_role = read_config(config), chosen(role, Role, "--role") or Role.USER
    _known_digest(digest)
    if as_role in (Role.USER, Role.MANAGER) and not address:
        raise Fail(f"a {as_role} needs --address: whose mail is it to see?")
    told = "" if digest == "never" else digest
    person = Person(name=name, role=as_role, addresses=tuple(address or ()), digest=told)
    password = "" if link and not stdin else hashed(_password(stdin))
    with opened(settings) as store:
        store.people.add(person, password, who())
        if link:
            secret = secrets.token_urlsafe(32)
            store.people.add_link(name, secret, LINK, who())
            sys.stdout.write(f"{address_of(settings)}/link/{secret}\n")


@app.command()
def passwd(
    name: NameArgument, link: LinkOption = False, stdin: StdinOption = False, config: ConfigOption = None
) -> None:
    """A new password, which ends all sessions; or, with --link, a link that logs in once."""
    from filterd.frontends.web.passwords import hashed

    settings = read_config(config)
    with opened(settings) as store:
        if store.people.get(name) is None:
            raise Fail(f"there is no user {printable(name)}")
        if link:
            secret = secrets.token_urlsafe(32)
            store.people.add_link(name, secret, LINK, who())
            sys.stdout.write(f"{address_of(settings)}/link/{secret}\n")
        else:
            store.people.change(name, who(), password=hashed(_password(stdin)))


@app.command()
def change(
    name: NameArgument,
    role: RoleOption = "",
    address: AddressOption = None,
    digest: DigestOption = "",
    config: ConfigOption = None,
) -> None:
    """Another role, other addresses in place of the present ones, another rhythm of digests."""
    _known_digest(digest)
    as_role = chosen(role, Role, "--role")
    with opened(read_config(config)) as store:
        if store.people.get(name) is None:
            raise Fail(f"there is no user {printable(name)}")
        if as_role:
            store.people.change(name, who(), role=as_role.value)
        if address:
            store.people.give(name, address, who())
        if digest:
            store.people.change(name, who(), digest="" if digest == "never" else digest)


@app.command(name="list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Everybody who has an account."""
    with opened(read_config(config)) as store:
        people = store.people.everybody()
    if as_json:
        print_array(people)
    else:
        rows = [(one.name, one.role, "yes" if one.has_password else "no", " ".join(one.addresses)) for one in people]
        print_table(("name", "role", "password", "addresses"), rows)


@app.command()
def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Take an account away, with its sessions, links and tokens."""
    with opened(read_config(config)) as store:
        if not store.people.remove(name, who()):
            raise Fail(f"there is no user {printable(name)}")


def address_of(config: Config) -> str:
    """How people reach the pages."""
    if config.web.url:
        return config.web.url
    doors = (address for one in config.listeners if isinstance(one, WebListener) for address in one.listen)
    scheme = "https" if config.tls.certificate else "http"
    found = next((one for one in doors if one.port), None)
    return f"{scheme}://{found}" if found else f"{scheme}://localhost:8080"


def _known_digest(digest: str) -> None:
    from filterd.frontends.web.digest import EVERY

    if digest not in ("", "never", *EVERY):
        raise Fail(f"--digest {printable(digest)} is not one of {', '.join(EVERY)}, never")


def _password(stdin: bool) -> str:
    from filterd.frontends.web.passwords import weakness

    if stdin or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if why := weakness(password):
        raise Fail(why)
    return password
