"""The ends of steps and rollouts, and the questions and reports of a rollout under way."""

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
    """The approval of waves."""

    def of(self, wave: int) -> Literal["given", "awaited", "refused"]:
        """Return what is known now about a wave, counted from 1; never wait."""
        ...


class Watcher(Protocol):
    """An observer of a rollout, which sees each event as it happens."""

    def happened(self, event: Event) -> None:
        """Take an event that is in the journal."""
        ...

    def waits(self, wait: Wait) -> None:
        """Take what is waited for; called when it is something else than before."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended.

    Attributes:
        why: The reason of a halt; empty otherwise.
        given_up: The instances that were given up, and why.
    """

    ended: Ended
    why: str = ""
    given_up: Mapping[str, str] = field(default_factory=dict)


class Nobody:
    """A watcher that ignores everything, and an approval that approves every wave."""

    def of(self, wave: int) -> Literal["given", "awaited", "refused"]:
        """Approve every wave."""
        return "given"

    def happened(self, event: Event) -> None:
        """Ignore the event."""

    def waits(self, wait: Wait) -> None:
        """Ignore the wait."""


def end_of_step(task: asyncio.Task[str], *, is_stopped: bool) -> tuple[EventKind, str]:
    """Return how a finished step ended, and the words for its event.

    Args:
        task: The task that did the step.
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
