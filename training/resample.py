"""A corpus of any size from the labelled one: its messages again and again, each time with other headers.

    python -m training.resample --corpus DIR --count 100000 -o FOLDER

Every copy has another Message-ID, author, subject and last line, so that none is the same message; nothing else is
claimed for them: they are for measuring time and memory. Writes `index` and the messages, 1,000 to a folder. The same
corpus and count give the same bytes.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from pathlib import Path

from training.corpus import read_index

_WORDS = [
    first + second for first in ("ka", "lo", "mi", "ne", "tu", "ro", "be") for second in ("ra", "sel", "to", "vin")
]
_FIELD = re.compile(rb"^(message-id|from|subject):[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)


def changed(raw: bytes, number: int) -> bytes:
    """The message under other names."""
    chance = random.Random(number)
    name, *subject = chance.choices(_WORDS, k=5)
    head, blank, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = (
        f"Message-ID: <{number}.{chance.getrandbits(64):x}@{name}.example>\n"
        f"From: {name.title()} <{name}{chance.randrange(100)}@{subject[0]}.example>\n"
        f"Subject: {' '.join(subject)}\n"
    )
    kept = _FIELD.sub(b"", head + b"\n").rstrip(b"\n")
    return fields.encode() + kept + blank + body + f"\n{' '.join(chance.choices(_WORDS, k=12))}\n".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    lines = []
    for number, item in enumerate(itertools.islice(itertools.cycle(read_index(options.corpus)), options.count)):
        path = options.output / f"{number // 1000:03}" / f"{number}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(changed(item.path.read_bytes(), number))
        lines.append(f"{'spam' if item.spam else 'ham'} {path.relative_to(options.output)}\n")
    (options.output / "index").write_text("".join(lines))


if __name__ == "__main__":
    main()
