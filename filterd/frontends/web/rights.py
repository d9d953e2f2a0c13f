"""Rights: who sees which mail, and who may do what with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from filterd.frontends.web.settings import WebSettings
from filterd.mail.envelope import domain_of
from filterd.store import Person, QuarantineClass, QuarantineItem, Role
from filterd.store.text import fold

NOWHERE = ("@invalid.",)  # a scope that no recipient is in: for accounts without addresses


def sees_everything(person: Person) -> bool:
    """Admins, and auditors without addresses of their own."""
    return person.role is Role.ADMIN or (person.role is Role.AUDITOR and not person.addresses)


def scope(person: Person) -> tuple[str, ...]:
    """For the store's filters: whose mail; () is everybody's."""
    return () if sees_everything(person) else person.addresses or NOWHERE


def sees(person: Person, recipients: Iterable[str]) -> bool:
    """Is mail to one of these recipients theirs to see?"""
    return sees_everything(person) or bool(own(person, recipients))


def own(person: Person, recipients: Iterable[str]) -> list[str]:
    """Those of the recipients whose mail this person sees."""
    if sees_everything(person):
        return list(recipients)
    mine = frozenset(person.addresses)
    return [one for one in recipients if fold(one) in mine or f"@{domain_of(fold(one))}" in mine]


def acts(person: Person) -> bool:
    """May this person change anything?"""
    return person.role is not Role.AUDITOR


def may_release(person: Person, klass: QuarantineClass, settings: WebSettings) -> bool:
    """By role and class; that the item is theirs to see is asked elsewhere."""
    match person.role:
        case Role.ADMIN:
            return True
        case Role.MANAGER:
            return klass is not QuarantineClass.VIRUS
        case Role.USER:
            return klass in settings.users_release and klass is not QuarantineClass.VIRUS
    return False


def may_teach(person: Person, settings: WebSettings) -> bool:
    return acts(person) and person.role in settings.teach


def reviews(person: Person) -> bool:
    """Does this person look at what others say about mail? Who also decides is said by `acts`."""
    return person.role is not Role.USER


def sees_item(person: Person, item: QuarantineItem) -> bool:
    return sees(person, [item.recipient])


def lists(person: Person, recipient: str, settings: WebSettings) -> bool:
    """May this person say whose mail passes to `recipient`: an address, a domain, or "" for everybody?"""
    if person.role is Role.ADMIN:
        return True
    if person.role not in settings.list_senders or not acts(person):
        return False
    return bool(recipient) and recipient in (*own(person, [recipient]), *_domains(person))


def _domains(person: Person) -> list[str]:
    """The domains that a manager looks after."""
    return [one[1:] for one in person.addresses if one.startswith("@")] if person.role is Role.MANAGER else []


def choices(person: Person, settings: WebSettings) -> list[str]:
    """For whom this person can say it, as a form offers it: own addresses, then domains, then everybody."""
    if person.role is not Role.ADMIN and person.role not in settings.list_senders:
        return []
    mine = [one for one in person.addresses if not one.startswith("@")]
    return [*mine, *_domains(person), *([""] if person.role is Role.ADMIN else [])]
