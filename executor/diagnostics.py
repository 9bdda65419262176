"""Diagnostics: `logging` on standard error, at the level that the options or ``ROLLCAST_LOG`` ask for.

Loggers are named by their modules, such as ``executor.records.lock``. Diagnostics are for those who
look for the cause of a problem; results, events and errors do not pass through here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from executor.base.errors import BadInput
from executor.output import complain

VARIABLE = "ROLLCAST_LOG"

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_PACKAGES = ("executor", "simulation", "studio")


def configure_logging(verbose_count: int = 0, environment: Mapping[str, str] | None = None) -> None:
    """Set the level of Rollcast's loggers, and have them write to standard error.

    Libraries are logged from their warnings on, whatever the level: their finer lines may quote
    what a command was given.

    Args:
        verbose_count: 0 for warnings, 1 for info, 2 or more for debug. The variable may ask for
            more, not for less.
        environment: Where the variable ``ROLLCAST_LOG`` is looked up; None for the process's own.

    Raises:
        BadInput: The variable names no level.
    """
    name = (os.environ if environment is None else environment).get(VARIABLE, "")
    level = LEVELS.get(name.lower() or "warning")
    if level is None:
        raise BadInput(f"{VARIABLE} ({name}) must be {', '.join(LEVELS)}")
    if verbose_count > 0:
        level = min(level, logging.INFO if verbose_count == 1 else logging.DEBUG)
    root = logging.getLogger()
    if _HANDLER not in root.handlers:
        root.addHandler(_HANDLER)
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(level)


class _Handler(logging.Handler):
    """Writes records to standard error by the output queue, so that no reader holds a rollout up."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            complain(self.format(record))
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    """Warnings look like all of Rollcast's warnings; finer records say when and where."""

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno >= logging.WARNING:
            return f"{record.levelname.lower()}: {super().format(record)}"
        time = self.formatTime(record, "%H:%M:%S")
        level, text = record.levelname.lower(), super().format(record)
        return f"{time}.{record.msecs:03.0f} {level} {record.name}: {text}"


_HANDLER = _Handler()
_HANDLER.setFormatter(_Formatter())
