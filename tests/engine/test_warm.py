"""After warming up and rehearsing, judging opens no file and imports nothing: in a worker it could not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases"

_PROGRAM = """
import sys
from pathlib import Path
from filterd.engine.loading import load_judge
from filterd.engine.warmup import _ENVELOPE, rehearse
from filterd.engine.wire import Setup
from filterd.engine.worker import warm
from filterd.facts import NOTHING

judge = load_judge(Setup(hostname="mx.example.org"))
warm()
rehearse(judge)
raws = [path.read_bytes() for path in Path(sys.argv[1]).rglob("*.eml")]
for charset in ("koi8-r", "shift_jis", "gb18030", "big5", "euc-kr", "windows-1251", "utf-7", "no-such", "iso-2022-jp"):
    text = "Привет \\u3053\\u308c \\u8fd9 \\uc774 http://b\\u00fccher.example/ http://\\u4f8b.example/ ".encode(
        charset if charset != "no-such" else "utf-8", "replace"
    )
    for declared in (f"Content-Type: text/plain; charset={charset}\\n", ""):
        raws.append(b"From: a@\\xd0\\xbf.example\\nSubject: \\xcf\\xf0\\n" + declared.encode() + b"\\n" + text * 20)
assert len(raws) > 50
touched, names = set(), set(sys.modules)
def hook(event, arguments):
    if watching and event == "open":
        touched.add(str(arguments[0]))
watching = False
sys.addaudithook(hook)
watching = True
for raw in raws:
    mail, _ = judge.inspect(_ENVELOPE, raw)
    judge.judge(mail, NOTHING)
watching = False
print(*sorted(touched | set(sys.modules) - names), sep="\\n")
"""


def test_nothing_is_loaded_late() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(CASES)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-2000:]
