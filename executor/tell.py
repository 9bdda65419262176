"""The sentences of a rollout, made of its events, and where they go.

Facts come in as events; here and nowhere below they become lines for people, or lines of JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from executor.approval import ByFile, ByTerminal
from executor.decide import Shortage, Wait, Waiting
from executor.events import (
    ActionPlanned,
    BalancerNamed,
    ErrorReported,
    InstanceChanged,
    JournalFailed,
    NothingTouched,
    RolloutChanged,
    RolloutEnded,
    RolloutEvent,
    RolloutStarted,
    StepBegun,
    StepEnded,
    StopRequested,
    TrafficCheckBegun,
    TrafficMeasured,
    WaitBegun,
    Warned,
    event_line,
    from_journal,
    from_wait,
)
from executor.output import complain
from executor.plan.model import Plan
from executor.progress import Ended, Event
from executor.traffic import TrafficAnswer

ENDINGS = {
    Ended.DONE: "done: every instance that was rolled is in the pool with the new version",
    Ended.ROLLED_BACK: "rolled back: every instance that was changed has the old version again",
    Ended.HALTED: "halted",
    Ended.INTERRUPTED: "interrupted",
}


class Report(Protocol):
    """A function that takes the events of a rollout as they happen; it neither raises nor waits."""

    def __call__(self, event: RolloutEvent) -> None:
        """Take an event."""
        ...


def report_text(say: Callable[[str], None], *, is_quiet: bool) -> Report:
    """Return a report that says each event in words, and warnings on standard error.

    Args:
        say: Is called with each line.
        is_quiet: Whether only warnings, questions and how the rollout ended are said.
    """

    def report(event: RolloutEvent) -> None:
        if is_quiet and not _is_always_said(event):
            return
        say_line = complain if is_warning(event) else say
        for line in lines_of(event):
            say_line(line)

    return report


def report_json(say: Callable[[str], None], *, is_quiet: bool) -> Report:
    """Return a report that says each event as one line of JSON.

    Args:
        say: Is called with each line.
        is_quiet: Whether only warnings, questions and how the rollout ended are said.
    """

    def report(event: RolloutEvent) -> None:
        if not is_quiet or _is_always_said(event):
            say(event_line(event))

    return report


def is_warning(event: RolloutEvent) -> bool:
    """Return whether an event belongs on standard error when it is said in words."""
    if isinstance(event, TrafficMeasured):
        return event.answer is not TrafficAnswer.WITHIN
    return isinstance(event, Warned | StopRequested)


def _is_always_said(event: RolloutEvent) -> bool:
    """Return whether an event is said with ``--quiet`` too: an end, a warning, or a question.

    A question that nobody sees would be waited for until the plan's validity ends.
    """
    if isinstance(event, WaitBegun) and event.approve_by is not None:
        return True
    ends = (RolloutEnded, JournalFailed, NothingTouched, ErrorReported, ActionPlanned)
    return is_warning(event) or isinstance(event, ends)


class ReportingWatcher:
    """A watcher of a rollout that turns what it sees into events."""

    def __init__(self, report: Report, approval: ByFile | ByTerminal | None) -> None:
        self._report = report
        self._approval = approval

    def happened(self, event: Event) -> None:
        """Report an event that is in the journal."""
        reported = from_journal(event)
        if reported is not None:
            self._report(reported)

    def waits(self, wait: Wait) -> None:
        """Report what is waited for; from now on an answer at the terminal is about that wave."""
        approval, wave = self._approval, wait.wave
        line: str | None = None
        by: Literal["terminal", "file"] | None = None
        if wait.what is Waiting.APPROVAL and wave is not None:
            if isinstance(approval, ByTerminal):
                approval.ask(wave)
                by = "terminal"
            elif approval is not None:
                by, line = "file", approval.line(wave)
        self._report(from_wait(wait, by, line))


def lines_of(event: RolloutEvent) -> Iterator[str]:
    """Yield the lines that say an event to people; some events are not said."""
    match event:
        case StepBegun() | StepEnded() | InstanceChanged() | RolloutChanged():
            yield from _journal_lines(event)
        case BalancerNamed():
            yield f"only {event.balancer} is told and watched"
        case TrafficCheckBegun():
            yield f"counting requests for {event.over_s:g} s before the first wave"
        case TrafficMeasured():
            yield f"{'warning: ' if is_warning(event) else ''}{traffic_text(event)}"
        case WaitBegun():
            yield from _wait_lines(event)
        case Warned():
            yield f"warning: {event.message}"
        case StopRequested():
            yield (
                "warning: stopping: the steps in hand are finished first; once more stops at once"
            )
        case ActionPlanned():
            yield event.message
        case RolloutEnded() | JournalFailed():
            yield from _end_lines(event)
        case NothingTouched():
            yield "interrupted: nothing was touched"
        case RolloutStarted() | ErrorReported():  # an error is said where it ends the program
            return


def traffic_text(event: TrafficMeasured) -> str:
    """Return the measured traffic beside the range that the plan holds for, as a sentence."""
    expected = f"the plan was simulated with {_rate_text(event.low_rps)} to {_rate_text(event.high_rps)} requests/s"
    if event.answer is TrafficAnswer.NOT_COUNTED:
        return f"traffic is not checked: the balancer does not count requests; {expected}"
    if event.answer is TrafficAnswer.RESTARTED or event.rate_rps is None:
        return f"traffic is not checked: the balancer's counters began anew; {expected}"
    measured = f"traffic is {_rate_text(event.rate_rps)} requests/s"
    match event.answer:
        case TrafficAnswer.ABOVE:
            return (
                f"{measured}, above the highest of the plan's runs: {_rate_text(event.highest_rps)}"
            )
        case TrafficAnswer.UPPER:
            return f"{measured}, above 95 % of the plan's minutes: {expected}"
        case TrafficAnswer.BELOW:
            return f"{measured}, below the plan's range: {expected}"
    return f"{measured}; {expected}"


def start_lines(plan: Plan) -> Iterator[str]:
    """Yield the start that a plan is made for and the traffic that it holds for, where it has them."""
    start, traffic = plan.start, plan.traffic
    if start is not None:
        where = f" in {start.zone}" if start.zone else ", local time of the trace"
        at = f", {start.at:%Y-%m-%d %H:%M %z}" if start.at is not None else ""
        twice = ", the first of two such times that day" if start.is_twice else ""
        yield f"it is for {start.weekday.capitalize()} {start.local_time}{where}{at}{twice}"
    if traffic is not None:
        days = f"{traffic.days_count} day{'s' if traffic.days_count > 1 else ''}"
        yield (
            f"it holds for {_rate_text(traffic.low_rps)} to {_rate_text(traffic.high_rps)} requests/s, from {days} "
            f"of the trace; above {_rate_text(traffic.highest_rps)} requests/s it is refused"
        )


def _rate_text(rate_rps: float) -> str:
    return f"{rate_rps:,.0f}" if rate_rps >= 1000 else f"{rate_rps:.4g}"


def _journal_lines(
    event: StepBegun | StepEnded | InstanceChanged | RolloutChanged,
) -> Iterator[str]:
    match event:
        case StepBegun():
            yield _timed(event.t_s, event.instance, _words(event.step), "…")
        case StepEnded():
            step, outcome = _words(event.step), _words(event.outcome)
            yield _timed(event.t_s, event.instance, step, outcome, event.message)
        case InstanceChanged():
            if event.change not in {"found", "told", "keep_out"}:
                yield _timed(event.t_s, event.instance, _words(event.change), event.message)
        case RolloutChanged():
            if event.change != "begun":
                facts = ", ".join(event.instances) if event.wave is None else f"wave {event.wave}"
                yield _timed(event.t_s, _words(event.change), facts, event.message)


def _wait_lines(event: WaitBegun) -> Iterator[str]:
    awaited = ""
    match event.what:
        case Waiting.APPROVAL if event.approve_by == "terminal":
            yield f"wave {event.wave} may begin? yes or no"
        case Waiting.APPROVAL if event.approve_by == "file":
            yield f"wave {event.wave} begins when the file says: {event.approval_line}"
        case Waiting.BALANCER:
            awaited = "the balancer, which does not answer as it should"
        case Waiting.PAUSE:
            awaited = "the pause after the instance before"
        case Waiting.GATE:
            awaited = f"the {event.gate} after wave {event.wave}"
        case Waiting.CAPACITY:
            assert event.up_count is not None
            assert event.leaving_count is not None
            assert event.min_in_pool is not None
            awaited = Shortage(event.up_count, event.leaving_count, event.min_in_pool).text()
    if awaited:
        yield f"            waiting for {awaited}"


def _end_lines(event: RolloutEnded | JournalFailed) -> Iterator[str]:
    """Yield how it ended, how the fleet is, where the timeline is, and the command that goes on."""
    if isinstance(event, RolloutEnded):
        yield ENDINGS[event.ended] + (f": {event.message}" if event.message else "")
        if event.given_up:
            reasons = ", ".join(f"{name} ({why})" for name, why in event.given_up.items())
            yield f"Given up and out of the pool: {reasons}"
    yield from event.fleet.lines()
    if event.timeline is not None:
        yield f"The timeline is in {event.timeline}"
    elif event.timeline_problem:
        yield f"There is no timeline: {event.timeline_problem}"
    if event.resume_command is not None:
        yield f"Go on with: {event.resume_command}"


def _timed(t_s: float, *parts: str) -> str:
    return "  ".join([f"{t_s:8.1f} s", *(part for part in parts if part)])


def _words(name: str) -> str:
    return name.replace("_", " ")
