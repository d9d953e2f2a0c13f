"""The configuration: one YAML file, typed, with a place and a sentence for everything that is wrong in it."""

from filterd.config.load import ConfigError, Loaded, default_state, embedded, find_config, load, load_config
from filterd.config.model import Config

__all__ = [
    "Config",
    "ConfigError",
    "Loaded",
    "default_state",
    "embedded",
    "find_config",
    "load",
    "load_config",
]
