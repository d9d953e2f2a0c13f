"""Rules of SpamAssassin as rules of filterd: what they find, and what is said about those that cannot be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.app.import_sa import Brought, bring, sources
from filterd.authentication import UNAUTHENTICATED
from filterd.checks import CHECKS
from filterd.facts import NOTHING
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.cases import make_mail
from filterd.spamassassin import Left, read, render, translate

SYMBOLS = [symbol for check in CHECKS for symbol in check.symbols]
SHIPPED = RulesSettings()
ALONE = RulesSettings(shipped=False)


def brought(text: str, tmp_path: Path, site: RulesSettings = ALONE) -> Brought:
    file = tmp_path / "local.cf"
    file.write_text(text, "utf-8")
    return bring([file], site, SYMBOLS)


def found(text: str, message: str, tmp_path: Path) -> dict[str, float]:
    """What the imported rules find in a message."""
    folder = tmp_path / "rules.d"
    folder.mkdir(exist_ok=True)
    (folder / "imported.yaml").write_text(brought(text, tmp_path).yaml, "utf-8")
    ruleset = Ruleset.load(RulesSettings(shipped=False, paths=(folder,)), SYMBOLS)
    mail = make_mail(message.replace("\n", "\r\n").encode(), {})
    return {one.name: one.score for one in ruleset.judge(mail, NOTHING, UNAUTHENTICATED)}


MAIL = """\
From: "Jo Grey" <jo@shop.example.com>
To: ann@example.org
Subject: Cheap WATCHES today
Message-ID: <1@shop.example.com>
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>Buy a watch.   A watch for you!</p><a href="http://watches.example.net/x?y=1">here</a>
"""


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ("header A Subject =~ /watches/i", True),
        ("header A Subject =~ /watches/", False),
        ("header A Subject !~ /clocks/", True),
        ("header A Subject !~ /WATCHES/", False),
        ("header A X-Absent !~ /x/", True),
        ("header A X-Absent =~ /^UNSET$/ [if-unset: UNSET]", True),
        ("header A X-Absent =~ /other/ [if-unset: UNSET]", False),
        ("header A exists:Message-ID", True),
        ("header A exists:X-Absent", False),
        ("header A From:addr =~ /^jo@shop/", True),
        ("header A From:name =~ /^Jo Grey$/", True),
        ("header A ToCc =~ /ann@/", True),
        ("header A ALL =~ /^Subject: Cheap/m", True),
        ("header A MESSAGEID =~ /^<1@/", True),
        ("body A /a watch for you/i", True),
        ("body A m{Buy\\ a (?:watch|clock)}", True),
        ("body A m,buy\\s+a\\s # a comment\n,x", False),
        ("body A /cheap watches/i", True),
        ("rawbody A /<p>Buy/", True),
        ("uri A m!^http://watches\\.example\\.net/!", True),
        ("uri A /\\.exe$/", False),
        ("full A /^Content-Type: text\\/html/m", True),
        ("body A /(w)atch.*\\1atch/", True),
        ("body A /watch(?! for)/", True),
        ("body A /watch(?! )/", True),
        ("body A /\\bBuy a++ watch/", True),
    ],
)
def test_one_rule(rule: str, hits: bool, tmp_path: Path) -> None:
    rule = rule.replace("header A", "header AA").replace("body A", "body AA").replace("uri A", "uri AA")
    rule = rule.replace("full A", "full AA")
    if "\n" in rule:
        assert "does not end" in brought(rule, tmp_path).left[0].why
        return
    assert ("AA" in found(rule, MAIL, tmp_path)) is hits


@pytest.mark.parametrize(
    ("expression", "hits"),
    [
        ("__YES && !__NO", True),
        ("__YES && __NO", False),
        ("(__NO || __YES) && (__ALSO)", True),
        ("__YES + __ALSO > 1", True),
        ("(__YES + __ALSO + __NO) >= 3", False),
        ("(__YES + __ALSO + __NO >= 2) && __YES", True),
        ("(__YES + __NO) == 1", True),
        ("(__YES + __ALSO) < 2", False),
        ("2 <= __YES + __ALSO", True),
        ("!(__YES && __NO)", True),
        ("!!__YES", True),
        ("__MANY > 1", True),
        ("__MANY > 2", False),
        ("__NO == 0", True),
        ("__YES && HTML_MESSAGE", True),
        ("__YES && SPF_PASS", False),
    ],
)
def test_meta_rules(expression: str, hits: bool, tmp_path: Path) -> None:
    text = f"""\
body __YES /watch/
body __ALSO /Buy/
body __NO /clock/
body __MANY /watch\\b/
tflags __MANY multiple
meta THE_META {expression}
score THE_META 2.5
"""
    assert found(text, MAIL, tmp_path).get("THE_META") == (2.5 if hits else None)


def test_scores_descriptions_and_names(tmp_path: Path) -> None:
    made = brought(
        """\
body LOCAL_ONE /one/
describe LOCAL_ONE It says one: "one"
score LOCAL_ONE 0.1 0.2 0.3 3.456
body LOCAL_NICE /two/
tflags LOCAL_NICE nice
body T_TRIAL /three/
body LOCAL_SURE /four/
score LOCAL_SURE 100
body DATE_MISSING /five/
body lower_case /six/
body __SUB /seven/
meta LOCAL_META __SUB && lower_case
""",
        tmp_path,
    )
    rules = {one["name"]: one for one in made.rules}
    assert {name: (one.get("score"), one.get("silent"), one.get("decisive")) for name, one in rules.items()} == {
        "LOCAL_ONE": (3.46, None, None),
        "LOCAL_NICE": (-1.0, None, None),
        "T_TRIAL": (0.01, None, None),
        "LOCAL_SURE": (100.0, None, True),
        "SA_DATE_MISSING": (1.0, None, None),
        "SA_LOWER_CASE": (1.0, None, None),
        "SA_SUB": (None, True, None),
        "LOCAL_META": (1.0, None, None),
    }
    assert rules["LOCAL_ONE"]["about"] == 'It says one: "one"'
    assert rules["LOCAL_META"]["when"] == {"all": [{"found": "SA_SUB"}, {"found": "SA_LOWER_CASE"}]}
    assert made.left == ()


def test_a_shipped_rule_is_never_replaced(tmp_path: Path) -> None:
    made = brought("body GTUBE /x77/\nbody MONEY_CAP /x78/\n", tmp_path, SHIPPED)
    assert [one["name"] for one in made.rules] == ["SA_GTUBE", "SA_MONEY_CAP"]


LEFT = [
    ("header AA eval:check_for_x()", "an eval test is a program"),
    ("body AA eval:html_range('x','1')", "an eval test is a program"),
    ("body AA /x/\nscore AA 0", "its score is 0"),
    ("meta AA BB && CC", "it asks about BB, which is not in these files"),
    ("meta AA AA", "it asks about AA, which cannot be translated"),
    ("body BB eval:x()\nmeta AA BB", "it asks about BB, which cannot be translated"),
    ("body BB /x/\nmeta AA BB * 2 > 1", "* in a meta rule"),
    ("body BB /x/\nmeta AA (BB", "a bracket that is not closed"),
    ("body BB /x/\nmeta AA BB &&", "ends too soon"),
    ("body BB /x/\nmeta AA BB > 2", "never reaches"),
    ("meta AA 1", "holds always or never"),
    ("header AA X-Spam-Relays-External =~ /x/", "made by SpamAssassin itself"),
    ("header AA Received:revip =~ /x/", "has no counterpart"),
    ("header AA Subject /x/", "a header test"),
    ("header AA Subject =~ x", "no pattern"),
    ("header AA Subject =~ /x", "does not end"),
    ("body AA /x\\Ky/", "\\K of Perl's patterns"),
    ("body AA //", "empty pattern"),
    ("body AA /x/q", "the flag q"),
    ("body AA /x\\ny/", "crosses lines"),
    ("rawbody AA /^x/", "start or end of a line"),
    ("body AA /" + "(" * 3_000 + "/", "filterd refuses it"),
    ("body AA /(/", "filterd refuses it: the pattern cannot be used"),
    ("body AA /(?=a)|b/", "filterd refuses it: the pattern cannot be used"),
    ("body AA /x*/", "filterd refuses it: the pattern matches every text"),
    ("mimeheader AA Content-Type =~ /x/", "mimeheader tests have no counterpart"),
    ("uri_detail AA raw =~ /x/", "uri_detail tests have no counterpart"),
    ("body AA /<A>/\nreplace_rules AA", "tags of the plugin ReplaceTags"),
    ("body BB /x/\ntflags BB wondrous", "no counterpart among rules"),
    ("score AA 3", "no test of that name"),
    ("score AA three", "a score is a name and one number, or four"),
    ("required_score 6", "thresholds.tag"),
    ("whitelist_from *@example.com", "allow list"),
    ("wondrous thing", "no counterpart among rules"),
    ("body", "a rule has a name"),
    ("endif", "there is no if before it"),
    ("if (version > 3", "a condition that cannot be read"),
    ("if (version > 3)", "it has no endif"),
]


@pytest.mark.parametrize(("text", "why"), LEFT)
def test_what_is_left_is_named_with_its_place(text: str, why: str, tmp_path: Path) -> None:
    made = brought(f"# a comment\n{text}\n", tmp_path)
    assert "AA" not in {one["name"] for one in made.rules}
    assert any(why in one.why for one in made.left), made.left
    assert all(one.file.endswith("local.cf") and one.line > 1 for one in made.left)


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    """Every rule is either among the rules or named among what was left."""
    names = [f"RULE_{n}" for n in range(len(LEFT))]
    text = "".join(f"{line.replace('AA', name)}\n" for name, (line, _) in zip(names, LEFT, strict=True) if "AA" in line)
    made = brought(text, tmp_path)
    told = {one["name"] for one in made.rules} | {one.what.split()[-1] for one in made.left}
    assert {name for name in names if name in text} <= told


def test_blocks(tmp_path: Path) -> None:
    text = """\
ifplugin Mail::SpamAssassin::Plugin::X
body IN_PLUGIN /a1/
endif
if (version >= 3.004000) && !(version > 5)
body IN_VERSION /a2/
if can(Mail::SpamAssassin::Conf::feature_x)
body IN_CAN /a3/
else
body IN_ELSE /a4/
endif
endif
if !plugin(Mail::SpamAssassin::Plugin::X)
body IN_OTHER /a5/
endif
"""
    made = brought(text, tmp_path)
    assert [one["name"] for one in made.rules] == ["IN_PLUGIN", "IN_VERSION", "IN_CAN"]
    assert made.left == ()


def test_files_are_read_together_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "10_a.cf").write_text("body LOCAL_A /x1/\nscore LOCAL_A 1\n")
    (tmp_path / "20_b.cf").write_bytes(b"score LOCAL_A 2\ndescribe LOCAL_A caf\xe9\n")
    (tmp_path / "notes.txt").write_text("no rules")
    made = bring(sources([tmp_path]), ALONE, SYMBOLS)
    assert [(one["score"], one["about"]) for one in made.rules] == [(2.0, "café")]


def test_the_yaml_is_what_was_meant(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {
            "name": "ODD_TEXTS",
            "about": "It's: #odd, \t\u2028 'yes'",
            "score": 1.0,
            "when": {"subject": {"regex": "no"}},
        },
        {
            "name": "MORE_TEXTS",
            "about": "on",
            "score": -0.5,
            "when": {"any": [{"text": {"regex": "\\x{200B}'\"\\\\"}}]},
        },
    ]
    from filterd.yamlfile import parse_document

    assert parse_document(render(rules)).data == rules


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.sampled_from([line for line, _ in LEFT]),
            st.builds(
                "{} AA {}".format,
                st.sampled_from(["body", "header", "meta", "uri", "full", "score", "tflags", "describe"]),
                st.text("()!&|+>=<AB_ 019/\\[]{}?*im~:", max_size=40),
            ),
        ),
        max_size=12,
    )
)
def test_hostile_text_gives_sentences(lines: list[str]) -> None:
    left: list[Left] = []
    made = translate(list(read("\n".join(lines), "hostile.cf", left)))
    assert all(one.why and one.file == "hostile.cf" for one in [*left, *made.left])


@pytest.mark.parametrize(
    "text",
    [
        "meta AA " + "(" * 100_000,
        "meta AA " + "(" * 9_000 + "BB" + ")" * 9_000,
        "meta AA " + "!" * 15_000 + "BB",
        "meta AA " + "BB && " * 3_000 + "BB",
        "if " + "(" * 15_000,
        "if " + "!" * 19_000 + "1",
        "body AA /" + "[" * 15_000,
        "\n".join(f"meta M{n} M{n + 1}" for n in range(3_000)),
        "ifplugin X\n" * 3_000,
    ],
)
def test_deep_and_long_input_ends_soon(text: str) -> None:
    left: list[Left] = []
    made = translate(list(read(f"body BB /b/\n{text}", "hostile.cf", left)))
    assert left or made.left
