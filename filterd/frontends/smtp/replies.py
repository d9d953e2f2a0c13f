"""What we say: every reply of the SMTP door that is not the next hop's or the filter's own, and how one is
written.

Each has an enhanced status code (RFC 3463) and a text that tells a stranger nothing about the site; the
mail's id, where there is one, is added by `about`.
"""

from __future__ import annotations

from filterd.reply import Reply

_LINE = 500  # octets of one reply line, of the 512 that RFC 5321 section 4.5.3.1.5 allows
_UNSPEAKABLE = dict.fromkeys((*range(32), 127), "?")

OK = Reply(250, "Ok", "2.0.0")
BYE = Reply(221, "Bye", "2.0.0")
GO_AHEAD = Reply(354, "End data with <CR><LF>.<CR><LF>")
CANNOT_VERIFY = Reply(252, "Cannot verify, send some mail and see", "2.5.2")
HELP = Reply(214, "See RFC 5321", "2.0.0")
READY_FOR_TLS = Reply(220, "Ready to start TLS", "2.0.0")

SHUTTING_DOWN = Reply(421, "Service is going down, try again later", "4.3.2")
TOO_BUSY = Reply(421, "Too many connections, try again later", "4.3.2")
MADE_ROOM = Reply(421, "Idle connection closed to make room for another", "4.3.2")
TOO_MANY_FROM_YOU = Reply(421, "Too many connections from your address", "4.7.0")
TOO_FAST = Reply(421, "Too many new connections from your address", "4.7.0")
TIMED_OUT = Reply(421, "Timed out waiting for you", "4.4.2")
TOO_SLOW = Reply(421, "Data comes too slowly", "4.4.2")
TOO_MANY_IDLE = Reply(421, "Too many commands that lead nowhere", "4.7.0")
TOO_MANY_BAD = Reply(421, "Too many commands that make no sense", "4.7.0")
NOT_SMTP = Reply(421, "This is a mail server", "4.7.0")
NO_TLS_NOW = Reply(454, "TLS is not available", "4.7.0")
INTERNAL_ERROR = Reply(421, "Trouble on our side, try again later", "4.3.0")

UNKNOWN_COMMAND = Reply(500, "Command not recognized", "5.5.1")
NOT_IMPLEMENTED = Reply(502, "Command not implemented", "5.5.1")
LINE_TOO_LONG = Reply(500, "Line too long", "5.5.2")
BARE_LINE_END = Reply(500, "Lines end with CR LF", "5.5.2")
UNPRINTABLE = Reply(501, "Control characters are not allowed in a command", "5.5.2")
NOT_ASCII = Reply(501, "Only ASCII is allowed here", "5.5.2")
NO_ARGUMENT = Reply(501, "No argument is allowed here", "5.5.4")
NEED_HELLO = Reply(503, "Introduce yourself first", "5.5.1")
NEED_MAIL = Reply(503, "MAIL first", "5.5.1")
NEED_RCPT = Reply(554, "No valid recipients", "5.5.1")
WITHIN_DATA = Reply(503, "The message has begun, go on with BDAT or RSET", "5.5.1")
BAD_CHUNK = Reply(501, "Write BDAT size, or BDAT size LAST", "5.5.4")
CANNOT_FOLLOW = Reply(421, "Your data cannot be told from commands any more", "4.5.0")
TOO_MANY_CHUNKS = Reply(421, "Too many chunks that are too small", "4.7.0")
NESTED_MAIL = Reply(503, "A transaction is open already", "5.5.1")
NOT_WITHIN_MAIL = Reply(503, "Not within a transaction", "5.5.1")
NEED_TLS = Reply(530, "STARTTLS first", "5.7.0")
NOT_TRUSTED = Reply(550, "Not authorized to say that", "5.7.1")
UNWELCOME = Reply(503, "You were refused as you connected", "5.5.1")  # RFC 5321 section 3.1
BAD_HELLO = Reply(501, "That is not a host name", "5.5.4")
TLS_ALREADY = Reply(503, "TLS is on already", "5.5.1")

NEED_LOGIN = Reply(530, "Authentication required", "5.7.0")  # RFC 4954 section 6
LOGIN_NEEDS_TLS = Reply(538, "Encryption required for authentication", "5.7.11")
LOGIN_TWICE = Reply(503, "Authenticated already", "5.5.1")
UNKNOWN_MECHANISM = Reply(504, "Mechanism not offered", "5.5.4")
BAD_BASE64 = Reply(501, "That is not base64", "5.5.2")
BAD_RESPONSE = Reply(501, "That does not name a user", "5.5.2")
LOGIN_LINE_TOO_LONG = Reply(500, "Authentication exchange line is too long", "5.5.6")
NO_LOGIN_NOW = Reply(454, "Temporary authentication failure", "4.7.0")
TOO_MANY_LOGINS = Reply(421, "Too many failed logins", "4.7.0")
HOP_DOWN = Reply(421, "The next server cannot be reached, try again later", "4.4.1")
HOP_LOST = Reply(421, "The next server closed your connection, log in again", "4.4.2")

BAD_SENDER = Reply(501, "Bad sender address, write MAIL FROM:<address>", "5.1.7")
BAD_RECIPIENT = Reply(501, "Bad recipient address, write RCPT TO:<address>", "5.1.3")
ADDRESS_NOT_ASCII = Reply(553, "This address needs SMTPUTF8", "5.6.7")
BAD_PARAMETER = Reply(501, "Bad parameter", "5.5.4")
UNKNOWN_PARAMETER = Reply(555, "Parameter not announced", "5.5.4")
UNKNOWN_RECIPIENT = Reply(550, "No such user here", "5.1.1")
NO_RELAY = Reply(550, "Relaying denied", "5.7.1")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients, send the rest in another message", "4.5.3")
HOP_UNKNOWN = Reply(451, "The next server cannot be reached, try again later", "4.4.1")
TOO_LARGE = Reply(552, "Message is too large", "5.3.4")
TOO_MUCH_MAIL = Reply(451, "Too much mail at the moment, try again later", "4.3.2")
NUL_IN_DATA = Reply(554, "Message holds a NUL character", "5.6.0")
BARE_IN_DATA = Reply(554, "Message holds a CR or LF that is not part of CR LF", "5.6.0")
NO_STORAGE = Reply(452, "No room to take this message, try again later", "4.3.1")
LOOP = Reply(554, "Too many hops, this mail loops", "5.4.6")
TROUBLE = Reply(451, "Local trouble, try again later", "4.3.0")
TOO_LATE = Reply(451, "Could not finish in time, try again later", "4.4.7")


def about(reply: Reply, mail: str) -> Reply:
    """The reply, with the id of the mail that it is about."""
    return Reply(reply.code, f"{reply.text} ({mail})", reply.enhanced)


def render(reply: Reply) -> bytes:
    """The reply on the wire. A line break in its text makes a further line; nothing else can break out."""
    status = f"{reply.enhanced} " if reply.enhanced else ""
    lines = [status + line.translate(_UNSPEAKABLE) for line in reply.text.split("\n")]
    last = len(lines) - 1
    longest = None if reply.code == 334 else _LINE  # a challenge is whole or worth nothing (RFC 4954 section 4)
    return b"".join(
        b"%d%c%b\r\n" % (reply.code, b"-"[0] if at < last else b" "[0], line.encode("ascii", "replace")[:longest])
        for at, line in enumerate(lines)
    )


def with_status(reply: Reply) -> Reply:
    """The reply, with a general enhanced code where another server gave none (RFC 2034 section 4)."""
    if reply.enhanced or reply.code < 200 or 300 <= reply.code < 400:
        return reply
    return Reply(reply.code, reply.text, f"{reply.code // 100}.0.0")


def passed_on(reply: Reply) -> Reply:
    """The next hop's reply in its own class; but a connection that it closes is not one that we close."""
    if reply.code == 421:
        return Reply(451, reply.text, reply.enhanced or "4.3.2")
    return with_status(reply)
