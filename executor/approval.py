"""Who lets the next wave begin: somebody at the terminal, or a line in a file.

Enters: the number of a wave. Leaves: whether it is approved, as far as is known now. Nothing here
waits: the rollout looks on, and what was approved while nobody looked counts too.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Literal, TextIO

Answer = Literal["given", "awaited", "refused"]


class ByFile:
    """A wave is approved by the line ``wave 2 DIGEST`` in a file, refused by ``no wave 2 DIGEST``.

    DIGEST is the first twelve characters of the plan's, so that no line counts for another plan.
    """

    def __init__(self, path: Path, plan_digest: str) -> None:
        self._path = path
        self._digest = plan_digest[:12]

    def line(self, wave: int) -> str:
        """The line that approves a wave."""
        return f"wave {wave} {self._digest}"

    def of(self, wave: int) -> Answer:
        """What the file says of a wave."""
        try:
            lines = {line.strip() for line in self._path.read_text(encoding="utf-8").splitlines()}
        except (OSError, UnicodeDecodeError):
            return "awaited"
        if f"no {self.line(wave)}" in lines:
            return "refused"
        return "given" if self.line(wave) in lines else "awaited"


class ByTerminal:
    """Whoever sits there types ``yes`` or ``no``; the end of the input is a no."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._descriptor = (stream or sys.stdin).fileno()
        self._answers: dict[int, Answer] = {}
        self._typed = b""
        self._asked = 0

    def ask(self, wave: int) -> None:
        """From now on what is typed is about this wave."""
        self._asked = wave
        self._typed = b""

    def of(self, wave: int) -> Answer:
        """What has been typed about a wave."""
        if wave == self._asked and wave not in self._answers:
            self._read(wave)
        return self._answers.get(wave, "awaited")

    def _read(self, wave: int) -> None:
        is_over = False
        while not is_over and select.select([self._descriptor], [], [], 0)[0]:
            more = os.read(self._descriptor, 1024)
            self._typed += more
            is_over = not more
        *lines, self._typed = self._typed.split(b"\n")
        words = [line.strip().lower() for line in lines]
        word = next((word for word in words if word in {b"yes", b"y", b"no", b"n"}), None)
        if word is not None:
            self._answers[wave] = "given" if word.startswith(b"y") else "refused"
        elif is_over:
            self._answers[wave] = "refused"
