"""Rules in YAML: read, checked, compiled, and asked about each mail. See docs/rules.md for the language."""

from filterd.ruleset.place import RuleErrors
from filterd.ruleset.ruleset import OWN_SYMBOLS, Ruleset
from filterd.ruleset.settings import RulesSettings

__all__ = ["OWN_SYMBOLS", "RuleErrors", "RulesSettings", "Ruleset"]
