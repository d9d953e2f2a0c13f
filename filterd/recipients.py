"""Recipients: who can be written to, by the site's own list, for next hops that do not say. Pure.

In: lines. Out: whether the list has an address. One line is one entry; a line that is none is a ValueError with one
sentence.

    ann@example.org        # this address, with ann+anything@example.org
    @example.net           # everybody there: a catch-all

A list speaks for the domains that it names; of others it knows nothing, and the next hop decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from filterd.mail.domains import to_ascii


def parse_recipient(line: str) -> tuple[str, str] | None:
    """Local part and domain of a line, both as they are compared, the local part empty for a catch-all; None for an
    empty line. Raises ValueError."""
    said = line.partition("#")[0].strip()
    if not said:
        return None
    local, at, domain = said.rpartition("@")
    ascii_domain = to_ascii(domain.lower()) if domain else None
    if not at or ascii_domain is None or any(character.isspace() for character in said):
        raise ValueError(f"{said!r} is neither an address nor @ and a domain")
    return local.casefold(), ascii_domain


class RecipientList:
    """The entries of a list, asked about addresses."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._known = {entry for line in lines if (entry := parse_recipient(line)) is not None}
        self._domains = {domain for _, domain in self._known}

    def lacks(self, local: str, domain: str) -> bool:
        """Does the list speak for this domain, and not have this address? `local` is unquoted.

        Postmaster is always there (RFC 5321 section 4.5.1).
        """
        ascii_domain = to_ascii(domain.lower()) or ""
        if ascii_domain not in self._domains:
            return False
        name = local.casefold()
        found = {name, name.partition("+")[0] or name, ""}  # RFC 5233: ann+detail is ann
        return name != "postmaster" and not any((one, ascii_domain) in self._known for one in found)
