"""Approvals of waves: by a person at the terminal, or by a line in a file.

Nothing here waits: the rollout asks again and again. An approval that was given before the rollout
asked for it counts, too.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path
from typing import Literal, TextIO

Answer = Literal["given", "awaited", "refused"]


class ByFile:
    """Approval by a file: ``wave 2 DIGEST`` approves a wave, ``no wave 2 DIGEST`` refuses it.

    DIGEST is the first twelve characters of the plan's, so that no line counts for another plan.
    """

    def __init__(self, path: Path, plan_digest: str) -> None:
        self._path = path
        self._digest = plan_digest[:12]

    def line(self, wave: int) -> str:
        """Return the line that approves a wave."""
        return f"wave {wave} {self._digest}"

    def of(self, wave: int) -> Answer:
        """Return what the file says of a wave; a file that cannot be read counts as ``awaited``."""
        try:
            lines = {line.strip() for line in self._path.read_text(encoding="utf-8").splitlines()}
        except (OSError, UnicodeDecodeError):
            return "awaited"
        if f"no {self.line(wave)}" in lines:
            return "refused"
        return "given" if self.line(wave) in lines else "awaited"


class ByTerminal:
    """Approval by a person who types ``yes`` or ``no``; the end of the input is a no."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._descriptor = (stream or sys.stdin).fileno()
        self._answers: dict[int, Answer] = {}
        self._typed = b""
        self._asked_wave = 0

    def ask(self, wave: int) -> None:
        """Take what is typed from now on as the answer for this wave."""
        self._asked_wave = wave
        self._typed = b""

    def of(self, wave: int) -> Answer:
        """Return what has been typed about a wave."""
        if wave == self._asked_wave and wave not in self._answers:
            self._read(wave)
        return self._answers.get(wave, "awaited")

    def _read(self, wave: int) -> None:
        """Read what has been typed, without waiting, and keep an answer to this wave."""
        is_ended = False
        while not is_ended and select.select([self._descriptor], [], [], 0)[0]:
            data = os.read(self._descriptor, 1024)
            self._typed += data
            is_ended = not data
        *lines, self._typed = self._typed.split(b"\n")
        words = [line.strip().lower() for line in lines]
        answer = next((word for word in words if word in {b"yes", b"y", b"no", b"n"}), None)
        if answer is not None:
            self._answers[wave] = "given" if answer.startswith(b"y") else "refused"
        elif is_ended:
            self._answers[wave] = "refused"
