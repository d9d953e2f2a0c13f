"""File names as a reader is tempted by them: which of several is the worst, and what is wrong with one.

Pure string work on names that a sender chose; nothing here touches a file system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_NAME = 512


def words(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


EXECUTABLE = words("""
    ade adp apk app appimage appinstaller appref-ms appx appxbundle bas bat bin cab cdxml chm cmd com
    command cpl crt csh csc deb desktop diagcab dll dmg docb drv elf exe fxp gadget gho grp hlp hpj hta htc
    inf ins inx iqy isp isu jar job jnlp js jse jsp ksh lib library-ms lnk mad maf mag mam maq mar mas mat
    mau mav maw mcf mda mdb mde mdt mdw mdz mht mhtml msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix
    msixbundle mso msp mst msu nsh ocx ops osd paf pcd pif pkg pl plg prf prg printerexport ps1 ps1xml ps2
    ps2xml psc1 psc2 psd1 psdm1 psm1 pst py pyc pyo pyw pyz pyzw rdp reg rgs rpm run scf scpt scr sct
    search-ms settingcontent-ms sh shb shs slk sys theme tmp udl url vb vbe vbp vbs vbscript vhd vhdx
    vsmacros vsw vxd website webpnp wll ws wsb wsc wsf wsh xbap xll xnk xpi
""")
MACRO = words("docm dotm xlsm xltm xlam xlsb xla xlm pptm potm ppam ppsm ppa sldm one onepkg pub")
ARCHIVE = words("""
    7z ace alz arc arj bz2 daa egg gz img iso lha lz lzh r00 rar tar taz tbz tgz txz udf uue wim xz z zip
    zipx zst
""")
ACTIVE = words("htm html shtml xhtml xht svg svgz xml rtf pdf swf")
_DOCUMENT = words("""
    txt doc docx xls xlsx ppt pptx pdf rtf odt ods jpg jpeg png gif bmp mp3 mp4 avi wav csv htm html zip rar
    eml msg
""")

# Characters that reorder what is shown (UAX 9), and characters that are not shown at all.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200d\u2060-\u2064\ufeff\ufff9-\ufffb]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPACES = re.compile(r"[ \u00a0\u2000-\u200a\u3000]{8}")


def base(name: str) -> str:
    """The last component, for a sender's folder means nothing to us, without what is not shown."""
    name = _CONTROL.sub("", _INVISIBLE.sub("", _BIDI.sub("", name[:MAX_NAME])))
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def extension(name: str) -> str:
    """The lower-case extension that the reader's system acts on; it ignores trailing dots and spaces."""
    stem, dot, last = base(name).rstrip(". \u00a0\u3000").rpartition(".")
    return last.strip().lower() if dot and (stem or last) else ""


def danger(name: str) -> int:
    """0 (plain) to 4 (runs when opened)."""
    last = extension(name)
    for rank, group in ((4, EXECUTABLE), (3, MACRO), (2, ARCHIVE), (1, ACTIVE)):
        if last in group:
            return rank
    return 0


def worst(names: Iterable[str]) -> str:
    """The most dangerous of `names`; of equals the first; "" of none."""
    return max(names, key=danger, default="")


def flags(name: str) -> tuple[str, ...]:
    """What is wrong with a name, as words that rules can ask for, in a fixed order."""
    shown = base(name)
    pieces = shown.rstrip(". ").lower().split(".")
    found = {
        "executable": danger(name) == 4,
        "macro-type": danger(name) == 3,
        "double-extension": len(pieces) > 2 and pieces[-1].strip() in EXECUTABLE and pieces[-2].strip() in _DOCUMENT,
        "bidi": _BIDI.search(name) is not None,
        "invisible": _INVISIBLE.search(name) is not None,
        "control": _CONTROL.search(name) is not None,
        "trailing-dots": shown.rstrip() != "" and shown[-1:] in (".", " ") and shown.rstrip(". ") != "",
        "many-spaces": _SPACES.search(shown) is not None,
        "path": "/" in name or "\\" in name,
        "long": len(name) > 255,
    }
    return tuple(word for word, present in found.items() if present)
