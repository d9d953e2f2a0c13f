"""Each field and operator of the language: one condition, one message that it holds for, one that it does not."""

from __future__ import annotations

import pytest

from filterd.ruleset.catalogue import CATALOGUE
from filterd.ruleset.operators import OPERATORS
from filterd.yamlfile import parse_document

MAIL = """Received: from a.example.net (b.example.net [192.0.2.9])
\tby mx.example.org with ESMTPS; Tue, 11 Nov 2025 09:31:07 +0000
Message-ID: <4711@example.net>
Date: Tue, 11 Nov 2025 09:31:02 +0000
From: =?utf-8?Q?J=C3=BCrg?= <jurg@mail.example.net>
Sender: desk@example.net
Reply-To: Other <other@gmail.com>
To: Jon <jon@example.org>, ann@example.org
Cc: Ops <ops@example.org>
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= and   money
X-Tag: one
X-Tag: two
X-Long: left
 right
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html; charset=utf-8

<title>Page</title><p>Send the gift  card codes to <a href="http://user@evil.example.com:8080/p?q=jon@example.org">bank.example</a></p>
<p style="display:none">nothing to see</p><img src="http://192.0.2.1/x.png">
--x
Content-Type: application/pdf; name="report.pdf.exe"
Content-Disposition: attachment; filename="report.pdf.exe"
Content-Transfer-Encoding: base64

TVqQAAMAAAAEAAAA
--x--
"""
GIVEN = {
    "sender": "bounce@lists.example.net",
    "recipients": ["jon@example.org"],
    "client": "192.0.2.9",
    "client_name": "b.example.net",
    "helo": "a.example.net",
    "user": "jo",
    "direction": "outbound",
    "listener": "smtp 127.0.0.1:25",
    "received_at": "2025-11-12T23:31:02+00:00",
    "auth": {
        "spf": {"result": "fail", "domain": "lists.example.net", "helo": "none"},
        "dkim": [{"result": "pass", "domain": "example.net", "selector": "s1", "algorithm": "rsa-sha256"}],
        "dmarc": {"result": "fail", "policy": "reject", "domain": "example.net"},
        "arc": {"result": "pass"},
        "iprev": {"result": "fail"},
    },
    "facts": {
        "listings": [{"list": "zen", "item": "192.0.2.9", "codes": ["127.0.0.2"], "text": "bad"}],
        "programs": {"yara": "hit"},
        "senders": {
            "d:example.net": {"first": 1762900000.0, "last": 1762980000.0, "seen": 30, "good": 6.5},
            "a:jo@example.com": {"first": 1.0, "last": 2.0, "seen": 900},
            "n:192.0.2.0/24": {"first": 1762980000.0, "last": 1762980000.0, "seen": 3, "bad": 2.5},
        },
    },
    "probability": 0.75,
}

HOLDS = r"""
subject: {equals: 'GRÜSSE and   money'}
subject: Grüße and   money
subject: {regex: '^Gr\S+ '}
subject: {words: [MONEY]}
subject: {length: {at_least: 10, below: 30}}
subject: {any: [{contains: absent}, {contains: money}]}
link.url: {holds: to.address, not: {contains: unsub}}
raw.subject: {regex: '^=\?utf-8\?Q'}
header.x-tag: two
header.x-tag: {count: {at_least: 2}}
header.X-Tag: one
header.x-long: left right
header.x-none: {exists: false}
headers: {regex: '(?i)^x-tag: two$'}
header_names: X-Long
header_names: {regex: '^X-', count: 3}
message_id: {contains: '@example.net'}
from.name: Jürg
from.address: JURG@mail.example.net
from.local: {in: [jurg, hans]}
from.domain: {in: [example.net]}
from.registrable: {equals: [example.net]}
from: {name: {contains: j}, domain: {in: [example.net]}}
sender.address: {in: ['@example.net']}
reply_to.domain: {in: freemail}
reply_to.registrable: {not: {same_as: from.registrable}}
to.address: {count: 2}
to: {name: Jon, local: jon}
cc.name: {glob: 'o?s'}
author.domain: mail.example.net
author.registrable: example.net
link.host: {in: [example.com]}
link.domain: example.com
link.user: user
link.port: {equals: '8080'}
link.top: com
link.url: {holds: to.address}
link.url: {regex: '(?i)/P\?Q='}
link.text: bank.example
link: {host: {in: [example.com]}, text: {contains: bank}, scheme: http}
link: {source: html, count: {at_least: 2}}
link.count: {at_least: 2}
attachment.name: {glob: '*.pdf.exe'}
attachment.extension: exe
attachment.declared: application/pdf
attachment: {extension: exe, size: {below: 1kB}}
part.type: text/html
part.charset: utf-8
part.content: {regex: '^MZ'}
part.encoding: base64
part: {disposition: attachment, name: {contains: exe}}
part.size: {below: 1kB}
html.title: Page
html.images: {at_least: 1}
html.flags: hidden-text
html.hidden_by: display
content: {contains: gift card codes}
content: {near: {patterns: ['(?i)codes', '(?i)gift'], within: 20}}
content: {regex: 'gift', not: {contains: absent}}
text: {contains: codes}
hidden: {contains: nothing to see}
hidden.length: {above: 5}
text.length: {above: 20}
body: {contains: 'TVqQAAMAAAAEAAAA'}
size: {above: 500, below: 10kB}
date.age: {above: 1d, below: 2d}
received.by: {in: [example.org]}
received.helo: a.example.net
received.address: {in: [192.0.2.0/24]}
received.protocol: ESMTPS
received.count: 1
mail_from.address: bounce@lists.example.net
mail_from.domain: {in: [example.net]}
mail_from.registrable: {same_as: author.registrable}
rcpt.address: jon@example.org
rcpt.domain: {same_as: to.domain}
client.address: {in: ['192.0.2.0/24']}
client.name: {in: [example.net]}
client.helo: {glob: 'a.*'}
client.source: request
direction: outbound
listener: {glob: 'smtp *'}
user: jo
tls: {exists: false}
spf: [fail, softfail]
spf.domain: {in: [example.net]}
spf.helo: none
dkim: {result: pass, domain: {in: [example.net]}}
dkim.selector: s1
dkim.testing: false
dmarc: fail
dmarc.policy: {equals: [quarantine, reject]}
dmarc.aligned: false
arc: pass
iprev: fail
vouched.domain: example.net
listing: {list: zen, codes: 127.0.0.2}
remembered: {what: domain, whom: example.net, seen: {above: 20}, good: {above: 5}, since: {above: 12h}}
remembered: {what: network, bad: {above: 2}, since: {below: 4h}}
not: {remembered.what: address}
remembered.seen: {count: 2}
program.yara: {contains: hit}
time.hour: {at_least: 23}
time.weekday: 3
probability: {above: 0.7, at_most: 0.75}
ambiguous: false
all: [{subject: {contains: money}}, {direction: outbound}]
any: [{subject: {contains: absent}}, {direction: outbound}]
not: {subject: {contains: absent}}
some: {at_least: 2, of: [{spf: fail}, {dmarc: pass}, {iprev: fail}]}
direction: outbound, subject: {contains: money}
"""

HOLDS_NOT = r"""
language: {equals: [en, de]}
subject: {equals: money}
subject: {words: [mone]}
subject: {length: {above: 100}}
header.x-tag: three
header.x-tag: {count: {above: 2}}
header.x-tag: {exists: false}
headers: {regex: 'left\nright'}
headers: {regex: '^one$'}
from.domain: {in: [ample.net]}
from.domain: {in: [mail.example.net.evil]}
from.domain: {equals: example.net}
from.address: {in: ['urg@mail.example.net']}
from: {name: {contains: Other}, domain: {in: [example.net]}}
link: {host: {in: [example.com]}, text: {contains: nothing}}
link: {count: {above: 99}}
attachment.extension: pdf
content: {near: {patterns: ['(?i)send', '(?i)bank'], within: 12}}
content: {regex: 'gift', not: {contains: codes}}
hidden: {contains: gift}
text: {contains: nothing to see}
date.age: {above: 30d}
client.address: {in: ['198.51.100.0/24']}
spf: pass
dkim: {result: pass, domain: {in: [example.com]}}
probability: {above: 0.76}
some: {at_least: 3, of: [{spf: fail}, {dmarc: pass}, {iprev: fail}]}
direction: outbound, subject: {contains: absent}
found: OTHER
subject: {regex: '^$'}
subject: {regex: '^.{0,3}$'}
"""


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def rule(condition: str) -> str:
    other = "- name: OTHER\n  about: o\n  score: 0\n  when: {subject: never}\n"
    return f"{other}- name: IT\n  about: a\n  score: 1\n  when: {{{condition}}}\n"


@pytest.mark.parametrize("condition", lines(HOLDS))
def test_holds(load, find, condition):
    assert [one.name for one in find(load(rule(condition), {"freemail": "gmail.com\n"}), MAIL, **GIVEN)] == ["IT"]


@pytest.mark.parametrize("condition", lines(HOLDS_NOT))
def test_holds_not(load, find, condition):
    assert find(load(rule(condition)), MAIL, **GIVEN) == []


def test_every_field_and_operator_is_tried():
    tried = HOLDS + HOLDS_NOT
    untried = {
        "defects",
        "date.ahead",
        "html.length",
        "html.zero_width",
        "link.flags",
        "attachment.type",
        "attachment.flags",
    }
    untried |= {
        "attachment.path",
        "attachment.digest",
        "dkim.algorithm",
        "dkim.reason",
        "dkim.key_bits",
        "received.name",
    }
    untried |= {"listing.item", "listing.text", "protocol", "parameters", "dmarc.domain"}
    said = parse_document("\n".join(f"- {{{condition}}}" for condition in lines(tried))).data

    def names(value, prefix=""):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield f"{prefix}.{key}"
                yield from names(inner, key)
        elif isinstance(value, list):
            for inner in value:
                yield from names(inner, prefix)

    used = set(names(said))
    shared = {name for name in CATALOGUE.fields if name.partition(".")[0] in ("sender", "cc", "to", "reply_to")}
    assert CATALOGUE.fields.keys() - used - untried - shared == set()
    assert OPERATORS.keys() - used == set()


@pytest.mark.parametrize(
    "name", [*CATALOGUE.fields, *(f"{one.prefix}.{one.example_name}" for one in CATALOGUE.families.values())]
)
def test_the_example_of_each_field_compiles(load, name):
    field = CATALOGUE.find(name)
    lists = {
        "freemail": "gmail.com\n",
        "shorteners": "bit.ly\n",
        "executables": "exe\n",
        "brands": "paypal\n",
        "known_bad": "ff\n",
    }
    load(rule(f"{name}: {field.example}"), lists)


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=[operator.name for operator in OPERATORS.values()])
def test_the_example_of_each_operator_compiles(load, operator):
    load(rule(operator.example), {"freemail": "gmail.com\n", "brands": "paypal\n"})


def test_a_pattern_for_nothing_finds_only_nothing(load, find):
    rules = load(rule(r"header.x-tag: {regex: '^\s*$'}"))
    assert [one.name for one in find(rules, "X-Tag:\n\nx\n")] == ["IT"]
    assert find(rules, "X-Tag: hello\n\nx\n") == []


def test_everybody_of_a_domain_may_be_written_with_a_star(load, find):
    rules = load(rule("from.address: {in: ['*@example.net']}"))
    assert [one.name for one in find(rules, "From: ann@mail.example.net\n\nx\n")] == ["IT"]
    assert find(rules, "From: ann@badexample.net\n\nx\n") == []


def test_evidence_is_what_was_found(load, find):
    (finding,) = find(load(rule("content: {regex: '(?i)gift *card'}")), MAIL)
    assert (finding.detail, finding.points, finding.about) == ("gift card", 100, "a")
    assert finding.source.endswith("site.yaml:5")


def test_no_match_spans_two_values(load, find):
    both = "header.x-tag: {regex: 'one[^a-z]*two'}"
    assert find(load(rule(both)), MAIL) == []
    assert find(load(rule("header.x-tag: {regex: '^two$'}")), MAIL) != []
