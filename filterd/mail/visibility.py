"""Does this element's own style hide its text from the reader? A pure question to a few attributes.

In: the inline style and presentational attributes of one element, and the background it stands on. Out: the
word for the way it is hidden, or None. Only what mail clients honour is looked at; nothing is rendered.
Never raises.
"""

from __future__ import annotations

import re

_MAX_STYLE = 2_000
_DECLARATION = re.compile(r"(?:^|[;{])\s*+(?:-webkit-)?([a-z-]{3,30})\s*+:([^;}]{0,200})")
_LENGTH = re.compile(r"(-?\d*\.?\d+)\s*(px|pt|em|rem|%|in|cm|mm|ex|ch|vw|vh|)")
_COLOUR = re.compile(r"#([0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{3,4})\b|rgba?\(([^)]{3,40})\)|\b([a-z]{3,20})\b")
_PIXELS = {
    "px": 1.0,
    "": 1.0,
    "pt": 1.33,
    "em": 16.0,
    "rem": 16.0,
    "ex": 8.0,
    "ch": 8.0,
    "%": 0.16,
    "in": 96.0,
    "cm": 37.8,
    "mm": 3.78,
    "vw": 8.0,
    "vh": 8.0,
}
_NAMED = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "lime": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "green": (0, 128, 0),
    "navy": (0, 0, 128),
    "ivory": (255, 255, 240),
    "snow": (255, 250, 250),
    "whitesmoke": (245, 245, 245),
    "ghostwhite": (248, 248, 255),
    "floralwhite": (255, 250, 240),
}
_CLOSE = 8  # colours nearer than that on each of red, green and blue are one to the eye

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)


def declarations(style: str) -> dict[str, str]:
    """The declarations of an inline style, lower case; of the same property the last."""
    lowered = style[:_MAX_STYLE].lower()
    return {match[1]: match[2].replace("!important", "").strip() for match in _DECLARATION.finditer(lowered)}


def hidden_by(style: dict[str, str]) -> str | None:
    """How these declarations hide the text, colours apart."""
    get = style.get
    if get("display") == "none":
        return "display"
    if get("visibility") in ("hidden", "collapse"):
        return "visibility"
    if "opacity" in style and _at_most(get("opacity"), 0.05):
        return "opacity"
    if "font-size" in style and _at_most(get("font-size"), 1.5):
        return "font-size"
    if "font" in style and re.match(r"(?:[a-z ]+ )?[01](?:px|pt)?[ /]", get("font", "")):
        return "font-size"
    clipped = get("overflow") == "hidden" or get("overflow-y") == "hidden"
    if clipped and any(_at_most(get(name), 1) for name in ("height", "max-height", "width", "max-width")):
        return "size"
    if _at_most(get("text-indent"), -500) or (
        get("position") in ("absolute", "fixed") and any(_at_most(get(name), -500) for name in ("left", "top"))
    ):
        return "off-screen"
    if re.match(r"rect\(\s*[01](?:px)?[\s,]+[01]", get("clip", "")):
        return "clip"
    return None


def _at_most(value: str | None, limit: float) -> bool:
    match = _LENGTH.match(value) if value else None
    if match is None:
        return False
    pixels = 1.0 if limit < 1 and match[2] != "%" and limit > 0 else _PIXELS.get(match[2], 1.0)
    return float(match[1]) * pixels <= limit


def colour(value: str | None) -> Colour | None:
    """A colour as CSS or HTML writes it; None when it is none that we know, or see-through."""
    match = _COLOUR.search(value.lower()) if value else None
    if match is None:
        return None
    digits, numbers, name = match.groups()
    if digits:
        if len(digits) in (3, 4):
            digits = "".join(2 * digit for digit in digits)
        return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if numbers:
        found = [int(float(n)) for n in re.findall(r"\d+(?:\.\d+)?", numbers)[:4]]
        return (found[0], found[1], found[2]) if len(found) >= 3 else None
    return _NAMED.get(name)


def is_transparent(value: str | None) -> bool:
    """Is text of that colour not there at all?"""
    if not value:
        return False
    if value.strip().lower() == "transparent":
        return True
    match = re.match(r"rgba\(.{0,30},\s*0?\.?0+\s*\)", value)
    return match is not None


def alike(first: Colour, second: Colour) -> bool:
    """Can the eye not tell them apart?"""
    return all(abs(a - b) <= _CLOSE for a, b in zip(first, second, strict=True))
