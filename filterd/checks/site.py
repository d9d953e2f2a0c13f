"""The checks that a site's own settings make: its lists, the people and domains that it protects.

In: `SiteSettings`, composed by the configuration and handed to the workers. Out: the checks, in order. With settings
at their defaults they declare the same symbols, and find nothing that needs settings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from filterd.checks.impersonation import ProtectSettings, impersonation
from filterd.checks.lists import ListSettings, list_check
from filterd.checks.senders import SenderSettings, sender_check
from filterd.findings import Check
from filterd.settings import Settings


class SiteSettings(Settings):
    """What checks must know of the site."""

    domains: tuple[str, ...] = ()
    lists: tuple[ListSettings, ...] = ()
    protect: ProtectSettings = ProtectSettings()
    senders: SenderSettings = SenderSettings()


def site_checks(
    settings: SiteSettings, brands: Sequence[str] = (), hosts: Collection[str] = frozenset()
) -> tuple[Check, ...]:
    """The site's checks. `brands`: the domains of the shipped brands; `hosts`: where anybody may have an address."""
    return (
        list_check(settings.lists),
        impersonation(settings.protect, settings.domains, brands),
        sender_check(settings.senders, hosts),
    )
