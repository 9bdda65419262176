"""What a rollout is asked and tells: approvals, events as they happen, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from executor.base.errors import describe_unexpected
from executor.decide import Wait
from executor.progress import Ended, Event, EventKind
from executor.steps import HeldByOthers, SetBack, StepFailed


class Approval(Protocol):
    """Who lets the next wave begin."""

    def of(self, wave: int) -> Literal["given", "awaited", "refused"]:
        """What is known now about a wave, counted from 1; never waits."""
        ...


class Watcher(Protocol):
    """Who is told what happens, as it happens."""

    def happened(self, event: Event) -> None:
        """An event is in the journal."""
        ...

    def waits(self, wait: Wait) -> None:
        """Something else than before is waited for."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        why: The reason of a halt; empty otherwise.
        given_up: The instances that were, and why.
    """

    ended: Ended
    why: str = ""
    given_up: Mapping[str, str] = field(default_factory=dict)


class Nobody:
    """A watcher that does not look, and an approval that nobody asks for."""

    def of(self, wave: int) -> Literal["given", "awaited", "refused"]:
        """Every wave may begin."""
        return "given"

    def happened(self, event: Event) -> None:
        """Nobody hears of it."""

    def waits(self, wait: Wait) -> None:
        """Nobody hears of it."""


def end_of_step(task: asyncio.Task[str], *, is_stopped: bool) -> tuple[EventKind, str]:
    """How a step that is over ended, and what is to be said of it.

    Args:
        task: What did the step.
        is_stopped: Whether the rollout was stopped at once, which cancels its steps.

    Raises:
        CancelledError: The rollout was stopped at once.
    """
    try:
        return EventKind.DONE, task.result()
    except SetBack as back:
        return EventKind.SET_BACK, str(back)
    except HeldByOthers as held:
        return EventKind.HELD, str(held)
    except StepFailed as failed:
        return EventKind.FAILED, str(failed)
    except Exception as error:
        return EventKind.FAILED, describe_unexpected(error)
    except asyncio.CancelledError:
        if is_stopped:
            raise
        return EventKind.FAILED, "it was broken off, and not by this program"
