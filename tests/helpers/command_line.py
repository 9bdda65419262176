"""Running the command line in this process: arguments in, exit code and text out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio.__main__ import main

SHOP = """\
# A shop of six.
rollcast: scenario/1
question: May two be out at once?
replications: 4
traffic:
  rate: 40/s
services:
  web:
    instances: 6
    slots: 2
    service_time: {mean: 50ms, cv: 1}
    steps: {deploy: 2s, start: {mean: 1s, cv: 0.3}}
rollout:
  window: 2   # two at once
  drain: {timeout: 5s}
objectives:
  in_runs: 40%
  error_fraction: 1%
  latency_p99: 2s
  duration: 30s
"""
"""A scenario that takes a fraction of a second; window 2 meets its objectives in four runs."""


@dataclass(frozen=True)
class Answer:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON object."""
        return json.loads(self.out)


class CommandLine:
    """A caller of ``rollcast`` in a folder of its own."""

    def __init__(
        self, folder: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._patch, self._capture = patch, capture
        patch.chdir(folder)
        patch.setenv("LC_ALL", "C.UTF-8")  # `LANG=C` would ask for the ASCII form of the marks

    def __call__(self, *arguments: str | Path) -> Answer:
        self._patch.setattr(sys, "argv", ["rollcast", *map(str, arguments)])
        self._capture.readouterr()
        code = main()
        caught = self._capture.readouterr()
        return Answer(code, caught.out, caught.err)

    def refuses(
        self, arguments: list[str], files: Mapping[str, str | bytes], said: str, code: int
    ) -> None:
        """Assert that a command refuses bad input in one line with these words, and writes no file."""
        for name, text in files.items():
            self.write(name, text)
        before = self._contents()
        answer = self(*arguments)
        assert said in answer.err
        assert answer.code == code
        assert answer.err.startswith("rollcast: ")
        assert answer.err.count("\n") == 1
        assert answer.err.endswith("\n")
        assert "Traceback" not in answer.err
        assert answer.out == ""
        assert self._contents() == before

    def _contents(self) -> dict[Path, bytes | None]:
        """Return the contents of the folder: bytes for files, None for folders."""
        return {
            path: path.read_bytes() if path.is_file() else None for path in self.folder.rglob("*")
        }

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file in the folder. Return its path as a person would type it."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return Path(name)
