"""What a lesson is: six steps, each of which ends when what can be seen shows that it is done.

Enters: what is seen while a lesson goes on, a `LessonView`. Leaves: how far the learner is, a `LessonProgress`.
Nothing is passed by saying so: every goal is a check of state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from studio.views.figures_text import count_text, duration_text, metric_text, sentence_of

if TYPE_CHECKING:  # the list of lessons stands in the first window, which waits for no simulation
    from simulation.estimates.estimate import Estimate
    from simulation.scenario.model import Scenario
    from simulation.study.compare import CandidateResult

LEAST_WORDS = 8
"""A justification of fewer words is none."""


@dataclass(frozen=True)
class LessonView:
    """What there is to be seen at one moment.

    Attributes:
        given: The scenario as the lesson gives it.
        scenario: As it stands in the fields.
        estimate: What closed forms say of it.
        own: What its simulation says, None until all of it has landed.
        looked_at: The run that is looked at.
        answer: The prediction, by its place among the answers.
        justification: What the learner has written.
    """

    given: Scenario
    scenario: Scenario
    estimate: Estimate | None = None
    own: CandidateResult | None = None
    looked_at: CandidateResult | None = None
    answer: int | None = None
    justification: str = ""


class Goal(Protocol):
    """What a step asks for."""

    def met(self, seen: LessonView) -> bool:
        """Whether it is reached."""

    def said(self, seen: LessonView) -> str:
        """How far it is, in words; empty where there is nothing to say."""


@dataclass(frozen=True)
class Predicted:
    """An answer was chosen."""

    def met(self, seen: LessonView) -> bool:
        """Whether it was."""
        return seen.answer is not None

    def said(self, seen: LessonView) -> str:
        """Nothing: the answers are there."""
        return ""


@dataclass(frozen=True)
class Simulated:
    """The scenario was simulated as it was given."""

    def met(self, seen: LessonView) -> bool:
        """Whether all of it has landed."""
        return seen.own is not None and seen.scenario == seen.given

    def said(self, seen: LessonView) -> str:
        """Nothing: the window shows how far it is."""
        return ""


@dataclass(frozen=True)
class LookedAt:
    """The run of another window is looked at."""

    window: int

    def met(self, seen: LessonView) -> bool:
        """Whether it is."""
        return seen.looked_at is not None and seen.looked_at.candidate.window == self.window

    def said(self, seen: LessonView) -> str:
        """Which one is looked at."""
        if seen.looked_at is None:
            return ""
        return f"You are looking at window {seen.looked_at.candidate.window}."


@dataclass(frozen=True)
class Capacity:
    """Capacity falls under traffic, or stays above it, by closed forms and so at once."""

    is_under: bool

    def met(self, seen: LessonView) -> bool:
        """Whether it does."""
        found = seen.estimate
        if found is None or found.utilisation_highest_fraction is None:
            return False
        return (found.utilisation_highest_fraction.value > 1) == self.is_under

    def said(self, seen: LessonView) -> str:
        """The least capacity, and the traffic of that moment."""
        if seen.estimate is None or not seen.estimate.phases:
            return ""
        worst = max(seen.estimate.phases, key=lambda phase: phase.utilisation_fraction)
        return (
            f"Least capacity {count_text(round(worst.capacity_rps))}/s, "
            f"traffic {count_text(round(worst.offered_rps))}/s."
        )


@dataclass(frozen=True)
class FigureGoal:
    """A mean over the runs of what stands in the fields, at most or at least so much."""

    metric: str
    words: str
    at_most: float | None = None
    at_least: float | None = None

    def met(self, seen: LessonView) -> bool:
        """Whether it is, as soon as all runs have landed."""
        value = self._value(seen)
        if value is None:
            return False
        low = self.at_least if self.at_least is not None else value
        high = self.at_most if self.at_most is not None else value
        return low <= value <= high

    def said(self, seen: LessonView) -> str:
        """The figure, and the duration that it is had for."""
        value = self._value(seen)
        if value is None or seen.own is None:
            return "Its simulation is not there yet."
        took = seen.own.metrics["rollout_duration_s"].mean
        ended = "it was taken back" if took is None else f"the rollout takes {duration_text(took)}"
        return f"{self.words}: {metric_text(self.metric, value)} a rollout; {ended}."

    def _value(self, seen: LessonView) -> float | None:
        return None if seen.own is None else seen.own.metrics[self.metric].mean


@dataclass(frozen=True)
class Meets:
    """What stands in the fields meets the scenario's objectives."""

    def met(self, seen: LessonView) -> bool:
        """Whether it does."""
        return seen.own is not None and seen.own.verdict.answer == "meets"

    def said(self, seen: LessonView) -> str:
        """The verdict, and its reasons."""
        if seen.own is None:
            return "Its simulation is not there yet."
        verdict = seen.own.verdict
        why = f" ({verdict.reasons[0]})" if verdict.reasons and verdict.answer != "meets" else ""
        return f"{sentence_of(f'Window {seen.own.candidate.window}', verdict)}{why}."


@dataclass(frozen=True)
class Quick:
    """A rollout that nothing stops would be done in time, by closed forms."""

    at_most_s: float

    def met(self, seen: LessonView) -> bool:
        """Whether it would."""
        found = None if seen.estimate is None else seen.estimate.rollout_duration_s
        return found is not None and found.value <= self.at_most_s

    def said(self, seen: LessonView) -> str:
        """How long it would take."""
        found = None if seen.estimate is None else seen.estimate.rollout_duration_s
        return "" if found is None else f"A good release would take {duration_text(found.value)}."


@dataclass(frozen=True)
class Justified:
    """Goals that hold together, and words for why it was chosen so."""

    goals: tuple[Goal, ...]

    def met(self, seen: LessonView) -> bool:
        """Whether all hold and enough was written."""
        return all(goal.met(seen) for goal in self.goals) and not self._missing(seen)

    def said(self, seen: LessonView) -> str:
        """What each goal says, and how many words are missing."""
        parts = [goal.said(seen) for goal in self.goals]
        missing = self._missing(seen)
        parts.append(f"{missing} more words, please." if missing else "")
        return " ".join(filter(None, parts))

    def _missing(self, seen: LessonView) -> int:
        return max(0, LEAST_WORDS - len(seen.justification.split()))


@dataclass(frozen=True)
class Switch:
    """A choice that the fields do not offer, and a step does.

    Attributes:
        key: What it sets.
        words: What it is called.
        choices: Its values by their words.
    """

    key: str
    words: str
    choices: Mapping[str, object]


@dataclass(frozen=True)
class LessonStep:
    """One of six.

    Attributes:
        name: What it is in a word: predict, run, reveal, push, trade, choose.
        task: What is to be done.
        goal: When it is done.
        after: What is said when it is.
        unlocked: The fields that may be moved meanwhile.
        switch: A choice beside them.
        answers: Of a prediction, with the right one in `right`.
        right: Its place.
    """

    name: str
    task: str
    goal: Goal
    after: str
    unlocked: frozenset[str] = frozenset()
    switch: Switch | None = None
    answers: tuple[str, ...] = ()
    right: int | None = None


@dataclass(frozen=True)
class Lesson:
    """Something that decides a rollout, to be found out.

    Attributes:
        key: What the program knows it by; its scenario is ``assets/lessons/KEY.yaml``.
        title: What it is called.
        about: What it is about, in a sentence.
        steps: Its six.
    """

    key: str
    title: str
    about: str
    steps: tuple[LessonStep, ...]


@dataclass(frozen=True)
class LessonRecord:
    """What stood there when a step was passed.

    Attributes:
        step: The step.
        settings: What was changed in the scenario, by key.
        own: The simulation of it, None where none had landed.
    """

    step: LessonStep
    settings: Mapping[str, object]
    own: CandidateResult | None


@dataclass(frozen=True)
class LessonProgress:
    """How far a learner is in a lesson.

    Attributes:
        lesson: Which one.
        passed: The steps that are done, with what stood there.
        answer: The prediction.
        justification: What was written.
    """

    lesson: Lesson
    passed: tuple[LessonRecord, ...] = field(default=())
    answer: int | None = None
    justification: str = ""

    @property
    def step(self) -> LessonStep | None:
        """The step that is to be done; None when all are."""
        left = self.lesson.steps[len(self.passed) :]
        return left[0] if left else None

    @property
    def is_done(self) -> bool:
        """Whether all steps are passed."""
        return self.step is None

    @property
    def was_right(self) -> bool:
        """Whether the prediction was."""
        return self.answer is not None and self.answer == self.lesson.steps[0].right


def advance(
    progress: LessonProgress, look: Callable[[LessonProgress], LessonView]
) -> LessonProgress:
    """The progress once every step that is reached is passed; `Progress` itself where none is.

    Args:
        progress: How far it was.
        look: What is seen.
    """
    seen = look(progress)
    while progress.step is not None and progress.step.goal.met(seen):
        record = LessonRecord(progress.step, changed_settings(seen), seen.own)
        progress = replace(progress, passed=(*progress.passed, record))
    return progress


def changed_settings(seen: LessonView) -> dict[str, object]:
    """What stands otherwise in the fields than it was given, by dotted key, as a file says it."""
    found: dict[str, object] = {}
    _compare(seen.scenario.as_data(), seen.given.as_data(), "", found)
    return found


def _compare(now: object, given: object, key: str, found: dict[str, object]) -> None:
    if isinstance(now, dict) and isinstance(given, dict):
        for name in now:
            _compare(now[name], given.get(name), f"{key}.{name}" if key else name, found)
    elif now != given:
        found[key] = now
