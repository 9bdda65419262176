"""The ASCII form of the signs that Rollcast prints, for streams whose encoding has no better one."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import TextIO

ASCII_FALLBACK = "rollcast-ascii"
"""The name of the error handler for encoding: ``stream.reconfigure(errors=ASCII_FALLBACK)``."""

ASCII_SIGNS = {
    "✓": "[ok]",
    "✗": "[x]",
    "◇": "[=]",
    "≈": "~",
    "−": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "…": "...",
    "·": "-",
    "’": "'",
    "“": '"',
    "”": '"',
    "µ": "u",
    "█": "#",
    "\u00a0": " ",
    "\u2002": " ",
    "\u202f": " ",
}
"""Each sign that is not ASCII, with the ASCII text that replaces it."""


def use_ascii_fallback(stream: TextIO | None) -> None:
    """Make a stream print every text: a sign that its encoding lacks becomes ASCII.

    Where the user's locale is the C locale by name (``LANG=C``), the stream's encoding becomes ASCII:
    Python itself would write UTF-8 there, which such a terminal shows as noise. A locale that is not
    set at all, as in most containers, leaves UTF-8.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return
    if _is_c_locale_by_name():
        stream.reconfigure(encoding="ascii")
    stream.reconfigure(errors=ASCII_FALLBACK)


def _is_c_locale_by_name() -> bool:
    """Return whether Python took UTF-8 by itself in a locale that the user named C or POSIX."""
    if not sys.flags.utf8_mode or "utf8" in sys._xoptions:
        return False
    if os.environ.get("PYTHONUTF8") or os.environ.get("PYTHONIOENCODING"):
        return False
    # Python sets LC_CTYPE itself in the C locale (PEP 538), so that name says nothing here.
    return (os.environ.get("LC_ALL") or os.environ.get("LANG")) in ("C", "POSIX")


def _encode_in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what cannot be encoded: known signs by their ASCII form, others by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    encoded = (
        ASCII_SIGNS.get(sign, sign.encode("ascii", "backslashreplace").decode("ascii"))
        for sign in text
    )
    return "".join(encoded), error.end


codecs.register_error(ASCII_FALLBACK, _encode_in_ascii)
