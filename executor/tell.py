"""What a rollout says to people: a line for each event, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from executor.approval import ByFile, ByTerminal
from executor.decide import Wait, Waiting
from executor.ends import Outcome
from executor.output import complain
from executor.progress import Ended, Event, EventKind
from executor.statement import FleetStatement


@dataclass
class Ending:
    """What is known when a rollout ends, whatever ends it.

    Attributes:
        resume_command: The command that goes on from there.
        outcome: How it ended.
        fleet: How the fleet is then.
        record: Where the timeline is, or why there is none; empty where nothing was begun.
    """

    resume_command: str
    outcome: Outcome = field(default_factory=lambda: Outcome(Ended.INTERRUPTED, "stopped at once"))
    fleet: FleetStatement = field(default_factory=FleetStatement)
    record: str = ""


class Teller:
    """Says what happens, a line each."""

    def __init__(self, say: Callable[[str], None], approval: ByFile | ByTerminal | None) -> None:
        self._say = say
        self._approval = approval

    def happened(self, event: Event) -> None:
        """Says an event that people want to know of."""
        if event.kind in {
            EventKind.BEGUN,
            EventKind.ENDED,
            EventKind.KEEP_OUT,
            EventKind.FOUND,
            EventKind.TOLD,
        }:
            return
        words = [f"{event.t_s:8.1f} s", event.instance]
        words.append((event.step or "").replace("_", " "))
        if event.kind is not EventKind.INTENT:
            words.append(event.kind.replace("_", " "))
            words.append(event.said)
        else:
            words.append("…")
        self._say("  ".join(word for word in words if word))

    def waits(self, wait: Wait) -> None:
        """Says what is waited for where that is not a step."""
        if wait.what is Waiting.APPROVAL:
            wave = int(wait.why.rsplit(" ", 1)[1])
            if isinstance(self._approval, ByTerminal):
                self._approval.ask(wave)
                self._say(f"wave {wave} may begin? yes or no")
            elif self._approval is not None:
                self._say(f"wave {wave} begins when the file says: {self._approval.line(wave)}")
        elif wait.what not in {Waiting.STEPS, Waiting.SETTLING}:
            self._say(f"            waiting for {wait.why}")


def say_end(ending: Ending, say: Callable[[str], None]) -> None:
    """Says how a rollout ended, how the fleet is, and how to go on where it is not over."""
    outcome = ending.outcome
    words = {
        Ended.DONE: "done: every instance that was rolled is in the pool with the new version",
        Ended.ROLLED_BACK: "rolled back: every instance that was changed has the old version again",
        Ended.HALTED: "halted",
        Ended.INTERRUPTED: "interrupted",
    }
    say(words[outcome.ended] + (f": {outcome.why}" if outcome.why else ""))
    if outcome.given_up:
        told = ", ".join(f"{name} ({why})" for name, why in outcome.given_up.items())
        say(f"Given up and out of the pool: {told}")
    if outcome.ended in {Ended.HALTED, Ended.INTERRUPTED}:
        say_how_to_go_on(ending, say)
    else:
        for line in ending.fleet.lines():
            say(line)
        say(ending.record)


def say_how_to_go_on(ending: Ending, say: Callable[[str], None]) -> None:
    """Says how the fleet is, and the command that goes on from there."""
    for line in ending.fleet.lines():
        say(line)
    say(ending.record)
    say(f"Go on with: {ending.resume_command}")


def warn(said: str) -> None:
    """Says a warning, on standard error."""
    complain(f"warning: {said}")
