"""filterd: a spam and security filter that stands in front of a mail server."""

__version__ = "0.1.0"
