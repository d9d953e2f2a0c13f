"""Replies of a next hop, which may be hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.relay.answer import MAX_LINE, MAX_LINES, Answer, AnswerReader, BadAnswer
from filterd.reply import Reply


def test_replies_in_any_portions() -> None:
    wire = b"250-mx.example\r\n250-SIZE 100\r\n250 8BITMIME\r\n354 go\r\n550 5.1.1 no\r\n221\r\n"
    expected = [
        Answer(250, ("mx.example", "SIZE 100", "8BITMIME")),
        Answer(354, ("go",)),
        Answer(550, ("5.1.1 no",)),
        Answer(221, ("",)),
    ]
    for size in range(1, len(wire) + 1):
        reader = AnswerReader()
        answers = [a for at in range(0, len(wire), size) for a in reader.feed(wire[at : at + size])]
        assert answers == expected
        assert reader.idle


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (("2.0.0 Ok: queued as 4",), Reply(250, "Ok: queued as 4", "2.0.0")),
        (("Ok",), Reply(250, "Ok")),
        (("2.1.5",), Reply(250, "", "2.1.5")),
        (("5.1.1 wrong class",), Reply(250, "5.1.1 wrong class")),
        (("2.7.0 one", "2.7.0 two", "three"), Reply(250, "one two three", "2.7.0")),
        (("2.7.0", "2.7.0 two"), Reply(250, "two", "2.7.0")),
    ],
)
def test_an_answer_as_a_reply(lines: tuple[str, ...], reply: Reply) -> None:
    assert Answer(250, lines).reply() == reply


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"hello\r\n",
        b"\r\n",
        b"25 x\r\n",
        b"150 x\r\n",
        b"650 x\r\n",
        b"250x\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"x" * (MAX_LINE + 1),
        b"250-x\r\n" * (MAX_LINES + 1),
    ],
)
def test_what_is_not_a_reply_is_refused(wire: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader().feed(wire)


def test_control_characters_and_8_bit_do_not_get_through() -> None:
    [answer] = AnswerReader().feed(b"250 a\rb\x1b[2J\x00\xc3\xa9\r\n")
    assert answer.reply().text == "a?b?[2J???"


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_hostile_bytes_raise_nothing_else(portions: list[bytes]) -> None:
    reader = AnswerReader()
    try:
        for portion in portions:
            for answer in reader.feed(portion):
                text = answer.reply().text
                assert text.isascii()
                assert text.isprintable()
    except BadAnswer:
        pass
