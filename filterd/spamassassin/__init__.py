"""SpamAssassin's configuration as filterd's rules: what can be said in both tongues is translated, the rest is named.

In: the text of .cf files. Out: rules as plain data, their YAML, and a `Left` with file, line and reason for everything
that was not taken over. Pure; hostile or odd text never raises.
"""

from filterd.spamassassin.cf import Left, Line, read
from filterd.spamassassin.render import render
from filterd.spamassassin.translate import Imported, translate

__all__ = ["Imported", "Left", "Line", "read", "render", "translate"]
