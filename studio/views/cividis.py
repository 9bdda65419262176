"""Cividis, a colour map that people with any colour vision read alike, as 100 colours.

Source: Nuñez, Anderton and Renslow (2018); the values are matplotlib's, and a test compares them.
"""

from __future__ import annotations

_DIGITS = (
    "00224e002451002656002859002a5f002b62002d68002f6d003070013271083370123570"
    "18376f1c396f213b6e243c6e293f6e2b406d2f426d33446d35456c39486c3b496c3e4b6c"
    "414d6c434e6c46516c48526c4b546c4d556c50576c535a6d555b6d575d6d595e6e5c616e"
    "5e636f60646f636670656870676a716a6c716c6d726e6f73707173727374747475777776"
    "7979777b7a787e7c787f7e788280798582798784788a86788c88788f8a78918b78938e78"
    "9690779892779b94769d9576a09875a39a74a59c74a89e73aaa073ada272b0a571b3a670"
    "b6a96fb8aa6ebbad6dbdae6cc0b16ac3b369c5b568c8b866cbb965cebc63d1bf61d3c05f"
    "d6c35dd9c55cdcc859dec958e1cc55e5cf52e7d150ead34cedd54af0d846f3db42f6dd3f"
    "f9e03afce236fee535fee838"
)

CIVIDIS = tuple(f"#{_DIGITS[begin : begin + 6]}" for begin in range(0, len(_DIGITS), 6))
"""From the darkest to the lightest, as ``#rrggbb``."""
