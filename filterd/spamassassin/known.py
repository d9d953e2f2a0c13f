"""What SpamAssassin has by itself, and what filterd says for it."""

from __future__ import annotations

from typing import Any

# Pseudo-headers of header tests, and the fields that hold the same; none where there is nothing.
HEADERS: dict[str, tuple[str, ...]] = {
    "all": ("headers",),
    "tocc": ("header.to", "header.cc"),
    "messageid": ("message_id",),
    "envelopefrom": ("mail_from.address",),
} | dict.fromkeys(
    (
        "all-trusted",
        "all-untrusted",
        "all-internal",
        "all-external",
        "x-spam-relays-trusted",
        "x-spam-relays-untrusted",
        "x-spam-relays-internal",
        "x-spam-relays-external",
        "x-spam-relay-country",
        "x-relay-countries",
        "x-languages",
    ),
    (),
)

# Tests of its plugins that meta rules ask about.
KNOWN: dict[str, dict[str, Any]] = {
    "SPF_PASS": {"spf": "pass"},
    "SPF_FAIL": {"spf": "fail"},
    "SPF_SOFTFAIL": {"spf": "softfail"},
    "SPF_NEUTRAL": {"spf": "neutral"},
    "SPF_NONE": {"spf": "none"},
    "SPF_HELO_PASS": {"spf.helo": "pass"},
    "SPF_HELO_FAIL": {"spf.helo": "fail"},
    "DKIM_VALID": {"dkim.result": "pass"},
    "__DKIM_EXISTS": {"header.dkim-signature": {"exists": True}},
    "DKIM_SIGNED": {"header.dkim-signature": {"exists": True}},
    "DMARC_PASS": {"dmarc": "pass"},
    "DMARC_REJECT": {"all": [{"dmarc": "fail"}, {"dmarc.policy": "reject"}]},
    "DMARC_QUAR": {"all": [{"dmarc": "fail"}, {"dmarc.policy": "quarantine"}]},
    "DMARC_NONE": {"all": [{"dmarc": "fail"}, {"dmarc.policy": "none"}]},
    "HTML_MESSAGE": {"part.type": "text/html"},
    "MIME_HTML_ONLY": {"all": [{"part.type": "text/html"}, {"not": {"part.type": "text/plain"}}]},
    "FREEMAIL_FROM": {"from.domain": {"in": "freemail"}},
    "ALL_TRUSTED": {"direction": ["outbound", "internal"]},
    "BAYES_00": {"probability": {"below": 0.01}},
    "BAYES_50": {"probability": {"at_least": 0.4, "below": 0.6}},
    "BAYES_80": {"probability": {"at_least": 0.8, "below": 0.95}},
    "BAYES_95": {"probability": {"at_least": 0.95, "below": 0.99}},
    "BAYES_99": {"probability": {"at_least": 0.99}},
    "BAYES_999": {"probability": {"at_least": 0.999}},
    "MISSING_SUBJECT": {"not": {"header.subject": {"regex": r"\S"}}},
    "MISSING_DATE": {"header.date": {"exists": False}},
    "MISSING_MID": {"header.message-id": {"exists": False}},
}

# Flags of tests that say nothing which rules of filterd would have to say too.
QUIET_FLAGS = frozenset({"nice", "multiple", "publish", "nopublish", "net", "userconf"})

# Directives that are no rules: where what they say belongs in filterd.
_ALLOW = "belongs into filterd's allow list, where an entry needs an authenticated match"
SETTINGS = {
    "required_score": "the threshold of filterd is thresholds.tag",
    "required_hits": "the threshold of filterd is thresholds.tag",
    "rewrite_header": "filterd marks with headers of its own",
    "add_header": "filterd writes its own headers",
    "report_safe": "filterd never wraps a message",
    "trusted_networks": "belongs into networks.relays",
    "internal_networks": "belongs into networks.relays",
    "whitelist_from": _ALLOW,
    "welcomelist_from": _ALLOW,
    "whitelist_auth": _ALLOW,
    "welcomelist_auth": _ALLOW,
    "whitelist_from_rcvd": _ALLOW,
    "welcomelist_from_rcvd": _ALLOW,
    "whitelist_from_dkim": _ALLOW,
    "welcomelist_from_dkim": _ALLOW,
    "whitelist_from_spf": _ALLOW,
    "welcomelist_from_spf": _ALLOW,
    "blacklist_from": "belongs into filterd's deny list",
    "blocklist_from": "belongs into filterd's deny list",
    "use_bayes": "filterd's classifier is set under model and learn",
    "test": "examples of SpamAssassin are not carried over; give the rule hits and misses",
    "lang": "descriptions in other languages are not carried over",
    "tflags noautolearn": "filterd learns only from what people say, never from its own score",
    "tflags autolearn_force": "filterd learns only from what people say, never from its own score",
    "tflags learn": "filterd's classifier is no rule",
    "tflags maxhits": "filterd counts at most 1000 matches of a pattern",
    "tflags nosubject": "filterd's content holds the subject too",
    "replace_tag": "tags of the plugin ReplaceTags have no counterpart; filterd reads lookalike letters as plain ones",
    "replace_inter": "tags of the plugin ReplaceTags have no counterpart",
    "replace_pre": "tags of the plugin ReplaceTags have no counterpart",
    "replace_post": "tags of the plugin ReplaceTags have no counterpart",
    "loadplugin": "filterd loads no code of SpamAssassin",
    "include": "give that file as an argument of its own",
    "util_rb_2tld": "filterd knows the public suffix list",
    "util_rb_3tld": "filterd knows the public suffix list",
}
