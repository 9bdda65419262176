"""Finding widgets, and reading state that a call in between has changed."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QObject

from studio.gui.background.job import Job, JobState

AnyObject = TypeVar("AnyObject", bound=QObject)


def child_of(parent: QObject, kind: type[AnyObject], name: str = "") -> AnyObject:
    """Return a child of a kind, which must exist; with an object name, the child of that name."""
    child = parent.findChild(kind, name) if name else parent.findChild(kind)
    assert child is not None, f"no {kind.__name__} {name} in {parent}"
    return child


def state_of(job: Job) -> JobState:
    """Return the state that a job has now.

    After an assertion about `job.state`, mypy takes the attribute for constant, which it is not.
    """
    return job.state
