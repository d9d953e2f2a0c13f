"""Defect: what is wrong with a message, as a value. Reading never raises; it says what it saw.

A defect that mail clients are known to read in different ways is `ambiguous`: what we judged may not be
what the recipient will see, although every reading that we know of was looked at.
"""

from __future__ import annotations

import enum


class Defect(enum.StrEnum):
    """The names that records, rules and `filterd scan --json` show; they do not change."""

    # the header block
    BARE_CR = "bare-cr"  # a CR that ends no line
    NUL = "nul"
    SPACE_BEFORE_COLON = "space-before-colon"  # "From : x"
    NO_COLON = "no-colon"  # a line in the header block that is no field
    MBOX_FROM = "mbox-from"  # a "From " line of an mbox file on top
    BLANK_FOLD = "blank-fold"  # a continuation line of white space only
    LONG_LINE = "long-line"  # over 998 characters (RFC 5322 section 2.1.1), in the header block
    LONG_HEADER = "long-header"
    EIGHT_BIT_HEADER = "8bit-header"  # neither ASCII nor UTF-8
    TOO_MANY_HEADERS = "too-many-headers"
    NO_BODY = "no-body"  # the header block has no end
    DUPLICATE_HEADER = "duplicate-header"  # of a field that may stand only once (RFC 5322 section 3.6)
    BAD_ENCODED_WORD = "bad-encoded-word"
    BAD_ADDRESS = "bad-address"
    BAD_DATE = "bad-date"

    # MIME
    DUPLICATE_CONTENT_TYPE = "duplicate-content-type"
    DUPLICATE_ENCODING = "duplicate-encoding"
    DUPLICATE_BOUNDARY = "duplicate-boundary"
    DUPLICATE_PARAMETER = "duplicate-parameter"
    BAD_CONTENT_TYPE = "bad-content-type"
    BAD_PARAMETER = "bad-parameter"
    UNKNOWN_ENCODING = "unknown-encoding"
    ENCODED_CONTAINER = "encoded-container"  # a multipart or message with a transfer encoding (RFC 2045 section 6.4)
    NO_BOUNDARY = "no-boundary"
    NO_DELIMITER = "no-delimiter"  # a multipart whose boundary never comes
    UNCLOSED_MULTIPART = "unclosed-multipart"
    PARTS_AFTER_END = "parts-after-end"
    BOUNDARY_PREFIX = "boundary-prefix"  # a line that starts with a delimiter and goes on
    TOO_DEEP = "too-deep"
    TOO_MANY_PARTS = "too-many-parts"
    TOO_MANY_PARAMETERS = "too-many-parameters"
    TOO_COMPLEX = "too-complex"  # more readings than we were ready to look at
    NAMES_DIFFER = "names-differ"  # file names of one part that are not the same
    PARTIAL_MESSAGE = "partial-message"  # message/partial or message/external-body: the content is elsewhere

    # transfer encodings and text
    BASE64_JUNK = "base64-junk"
    BASE64_AFTER_PADDING = "base64-after-padding"
    BASE64_TRUNCATED = "base64-truncated"
    QP_JUNK = "qp-junk"
    UU_JUNK = "uu-junk"
    UNKNOWN_CHARSET = "unknown-charset"
    BAD_CHARACTERS = "bad-characters"

    # HTML, links, attachments
    HTML_CUT = "html-cut"  # larger, deeper or with more tags than we read
    TOO_MANY_LINKS = "too-many-links"
    TOO_MANY_ATTACHMENTS = "too-many-attachments"
    TOO_MUCH_TEXT = "too-much-text"

    @property
    def ambiguous(self) -> bool:
        return self in _AMBIGUOUS


_AMBIGUOUS = frozenset(
    {
        Defect.BARE_CR,
        Defect.NUL,
        Defect.SPACE_BEFORE_COLON,
        Defect.NO_COLON,
        Defect.TOO_MANY_HEADERS,
        Defect.DUPLICATE_CONTENT_TYPE,
        Defect.DUPLICATE_ENCODING,
        Defect.DUPLICATE_BOUNDARY,
        Defect.DUPLICATE_PARAMETER,
        Defect.BAD_CONTENT_TYPE,
        Defect.UNKNOWN_ENCODING,
        Defect.ENCODED_CONTAINER,
        Defect.NO_BOUNDARY,
        Defect.NO_DELIMITER,
        Defect.PARTS_AFTER_END,
        Defect.BOUNDARY_PREFIX,
        Defect.TOO_DEEP,
        Defect.TOO_MANY_PARTS,
        Defect.TOO_MANY_PARAMETERS,
        Defect.TOO_COMPLEX,
        Defect.NAMES_DIFFER,
        Defect.PARTIAL_MESSAGE,
        Defect.BASE64_AFTER_PADDING,
    }
)
