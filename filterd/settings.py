"""The base of every settings class, and the few kinds of value a postmaster writes in YAML.

Settings live beside the code that uses them; `filterd.config` composes them, and nobody below imports it.
An unknown key is an error. Field descriptions are the documentation: the settings reference is made from them.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

Network = IPv4Network | IPv6Network

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.ASCII | re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Settings(BaseModel):
    """Typed, frozen settings; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def parse_duration(value: Any) -> float:
    """Seconds from `90`, `"30d"`, `"1.5h"`; raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _SECONDS[match[2]]
    else:
        raise ValueError("a duration is a number of seconds, or a number with ms, s, m, h, d or w, as in 30d")
    if seconds < 0:
        raise ValueError("a duration cannot be negative")
    return seconds


def parse_size(value: Any) -> int:
    """Bytes from `1000`, `"50MB"`, `"1GiB"` (a power of 1024 with the i, of 1000 without); raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        base = 1024 if (match[3] or "").lower().startswith("i") else 1000
        return int(float(match[1]) * base ** " kmgt".index(match[2].lower() or " "))
    raise ValueError("a size is a number of bytes, or a number with kB, MB, GB (or KiB, MiB, GiB), as in 50MB")


def parse_network(value: Any) -> Network:
    """A network from `10.0.0.0/8` or a single address; host bits are an error, for they hide a typing mistake."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"not a network: {error}") from error


Duration = Annotated[float, BeforeValidator(parse_duration)]
Size = Annotated[int, BeforeValidator(parse_size)]
NetworkField = Annotated[Network, BeforeValidator(parse_network)]


class Networks(tuple[Network, ...]):
    """Some networks, asked whether an address is in one of them. IPv4-mapped IPv6 counts as IPv4."""

    __slots__ = ()

    def hold(self, address: str | None) -> bool:
        if not address or not self:
            return False
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        if (mapped := getattr(ip, "ipv4_mapped", None)) is not None:
            ip = mapped
        return any(ip in network for network in self if network.version == ip.version)
