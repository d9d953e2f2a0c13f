"""Make a Judge from its settings: the one place where rules and models are read from disk for judging."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from filterd.checks import CHECKS
from filterd.checks.site import SiteSettings, site_checks
from filterd.classifier import ModelSettings, load_shipped_or, open_live, open_taught
from filterd.engine.wire import Setup
from filterd.findings import Symbol
from filterd.judge import OWN_SYMBOLS, Judge
from filterd.plugins import PluginError, plugin_checks
from filterd.policies import Policies
from filterd.resources import shipped
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.place import RuleErrors, unknown
from filterd.settings import Networks
from filterd.wishes import DmarcSettings
from filterd.yamlfile import Problem

_NO_SITE = SiteSettings()


def builtin_symbols(site: SiteSettings = _NO_SITE) -> tuple[Symbol, ...]:
    """Every symbol that code and the site's settings declare; rules may refer to them, weigh or disable them."""
    own = (*OWN_SYMBOLS, *(symbol for check in (*CHECKS, *site_checks(site)) for symbol in check.symbols))
    plugged = tuple(symbol for check in plugin_checks() for symbol in check.symbols)
    if taken := sorted({symbol.name for symbol in own} & {symbol.name for symbol in plugged}):
        raise PluginError(f"a package declares {', '.join(taken)}, which is a name of filterd's own")
    return (*own, *plugged)


def shipped_list(name: str) -> tuple[str, ...]:
    """The entries of a list that stands beside the shipped rules."""
    lines = (shipped("rules") / "lists" / f"{name}.txt").read_text("utf-8").splitlines()
    return tuple(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))


def unknown_rules(policies: Policies, ruleset: Ruleset) -> list[tuple[int, str]]:
    """What is wrong with the rules that policies switch off: the policy's position and a sentence."""
    names = {symbol.name for symbol in ruleset.symbols}
    return [
        (position, unknown("rule or check", name, names))
        for position, policy in enumerate(policies.policies)
        for name in policy.rules_off
        if name not in names
    ]


def _policies(setup: Setup, ruleset: Ruleset) -> Policies:
    policies = Policies.model_validate_json(setup.policies)
    if wrong := unknown_rules(policies, ruleset):
        raise RuleErrors([Problem(f"policies[{position}].rules_off", 0, text) for position, text in wrong])
    return policies


def load_judge(setup: Setup) -> Judge:
    """The judge of one generation; raises RuleErrors or ModelError with what is wrong and where."""
    hosts = frozenset(shipped_list("freemail"))
    site = SiteSettings.model_validate_json(setup.site)
    ruleset = Ruleset.load(RulesSettings.model_validate_json(setup.rules), builtin_symbols(site))
    return Judge(
        ruleset=ruleset,
        model=load_shipped_or(ModelSettings.model_validate_json(setup.model)),
        hostname=setup.hostname,
        relays=Networks(ip_network(network) for network in setup.relays),
        believed=frozenset(setup.believed),
        tag_at=setup.tag_at,
        quarantine_at=setup.quarantine_at,
        policies=_policies(setup, ruleset),
        checks=(*CHECKS, *site_checks(site, shipped_list("brand_domains"), hosts), *plugin_checks()),
        asks=frozenset(asks for one in site.lists for asks in one.asks),
        ours=frozenset(site.domains),
        dmarc=DmarcSettings.model_validate_json(setup.dmarc),
        hosts=hosts if site.senders.remember else None,
        site=open_live(Path(setup.learnt)) if setup.learnt else None,
        taught=open_taught(Path(setup.learnt), setup.taught) if setup.learnt and setup.taught else None,
    )
