"""A lesson: six steps, each of which is done when a check of the scenario and its results says so.

A `LessonView` is the present state of scenario and results, a `LessonProgress` the steps that are done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from studio.views.figures_text import count_text, duration_text, metric_text, sentence_of

if TYPE_CHECKING:  # the list of lessons stands in the first window, which waits for no simulation
    from simulation.estimates.estimate import Estimate
    from simulation.scenario.model import Scenario
    from simulation.study.candidate_result import CandidateResult

LEAST_WORDS = 8
"""Least number of words of a justification."""


@dataclass(frozen=True)
class LessonView:
    """The state of the lesson at one moment.

    Attributes:
        given: The scenario as the lesson gives it.
        scenario: The scenario with the learner's changes.
        estimate: The estimate of `scenario` by closed forms.
        own: The simulated result of `scenario`, None until all runs are done.
        looked_at: The result that the learner looks at.
        answer: The number of the predicted answer, from 0.
        justification: The learner's reasons.
    """

    given: Scenario
    scenario: Scenario
    estimate: Estimate | None = None
    own: CandidateResult | None = None
    looked_at: CandidateResult | None = None
    answer: int | None = None
    justification: str = ""


class Goal(Protocol):
    """A check that ends a step."""

    def is_met(self, view: LessonView) -> bool:
        """Return whether the goal is reached."""

    def progress_text(self, view: LessonView) -> str:
        """Return the progress towards the goal in words; empty where nothing is to be said."""


@dataclass(frozen=True)
class Predicted:
    """The learner has chosen an answer."""

    def is_met(self, view: LessonView) -> bool:
        """Return whether an answer was chosen."""
        return view.answer is not None

    def progress_text(self, view: LessonView) -> str:
        """Return nothing: the window shows the answers."""
        return ""


@dataclass(frozen=True)
class Simulated:
    """The scenario was simulated as the lesson gives it."""

    def is_met(self, view: LessonView) -> bool:
        """Return whether all runs of the given scenario are done."""
        return view.own is not None and view.scenario == view.given

    def progress_text(self, view: LessonView) -> str:
        """Return nothing: the window shows the progress."""
        return ""


@dataclass(frozen=True)
class LookedAt:
    """The learner looks at the run of another window."""

    window: int

    def is_met(self, view: LessonView) -> bool:
        """Return whether the learner looks at that window."""
        return view.looked_at is not None and view.looked_at.candidate.window == self.window

    def progress_text(self, view: LessonView) -> str:
        """Return the window that the learner looks at."""
        if view.looked_at is None:
            return ""
        return f"You are looking at window {view.looked_at.candidate.window}."


@dataclass(frozen=True)
class Capacity:
    """By closed forms, capacity falls below the traffic, or stays above it."""

    is_under: bool

    def is_met(self, view: LessonView) -> bool:
        """Return whether capacity does so."""
        found = view.estimate
        if found is None or found.utilisation_highest_fraction is None:
            return False
        return (found.utilisation_highest_fraction.value > 1) == self.is_under

    def progress_text(self, view: LessonView) -> str:
        """Return the least capacity, and the traffic of that moment."""
        if view.estimate is None or not view.estimate.phases:
            return ""
        worst = max(view.estimate.phases, key=lambda phase: phase.utilisation_fraction)
        return (
            f"Least capacity {count_text(round(worst.capacity_rps))}/s, "
            f"traffic {count_text(round(worst.offered_rps))}/s."
        )


@dataclass(frozen=True)
class FigureGoal:
    """A mean over the runs of the learner's scenario is within bounds."""

    metric: str
    words: str
    at_most: float | None = None
    at_least: float | None = None

    def is_met(self, view: LessonView) -> bool:
        """Return whether the mean is within its bounds; False until all runs are done."""
        value = self._value(view)
        if value is None:
            return False
        low = self.at_least if self.at_least is not None else value
        high = self.at_most if self.at_most is not None else value
        return low <= value <= high

    def progress_text(self, view: LessonView) -> str:
        """Return the figure, and the rollout's duration that it costs."""
        value = self._value(view)
        if value is None or view.own is None:
            return "Its simulation is not there yet."
        took = view.own.metrics["rollout_duration_s"].mean
        ended = "it was taken back" if took is None else f"the rollout takes {duration_text(took)}"
        return f"{self.words}: {metric_text(self.metric, value)} a rollout; {ended}."

    def _value(self, view: LessonView) -> float | None:
        return None if view.own is None else view.own.metrics[self.metric].mean


@dataclass(frozen=True)
class Meets:
    """The learner's scenario meets its objectives."""

    def is_met(self, view: LessonView) -> bool:
        """Return whether the scenario meets its objectives."""
        return view.own is not None and view.own.verdict.answer == "meets"

    def progress_text(self, view: LessonView) -> str:
        """Return the verdict with its first reason."""
        if view.own is None:
            return "Its simulation is not there yet."
        verdict = view.own.verdict
        why = f" ({verdict.reasons[0]})" if verdict.reasons and verdict.answer != "meets" else ""
        return f"{sentence_of(f'Window {view.own.candidate.window}', verdict)}{why}."


@dataclass(frozen=True)
class Quick:
    """By closed forms, a rollout that nothing stops is done in time."""

    at_most_s: float

    def is_met(self, view: LessonView) -> bool:
        """Return whether the rollout is done in time."""
        found = None if view.estimate is None else view.estimate.rollout_duration_s
        return found is not None and found.value <= self.at_most_s

    def progress_text(self, view: LessonView) -> str:
        """Return the duration of a rollout that nothing stops."""
        found = None if view.estimate is None else view.estimate.rollout_duration_s
        return "" if found is None else f"A good release would take {duration_text(found.value)}."


@dataclass(frozen=True)
class Justified:
    """Several goals hold together, and the learner has given reasons for the choice."""

    goals: tuple[Goal, ...]

    def is_met(self, view: LessonView) -> bool:
        """Return whether all goals hold and the justification is long enough."""
        return all(goal.is_met(view) for goal in self.goals) and not self._missing(view)

    def progress_text(self, view: LessonView) -> str:
        """Return the progress of each goal, and the number of words that are missing."""
        parts = [goal.progress_text(view) for goal in self.goals]
        missing = self._missing(view)
        parts.append(f"{missing} more words, please." if missing else "")
        return " ".join(filter(None, parts))

    def _missing(self, view: LessonView) -> int:
        return max(0, LEAST_WORDS - len(view.justification.split()))


@dataclass(frozen=True)
class Switch:
    """A choice that a step offers beside the fields.

    Attributes:
        key: The scenario's key that the choice sets.
        words: The choice's name.
        choices: The values by their names.
    """

    key: str
    words: str
    choices: Mapping[str, object]


@dataclass(frozen=True)
class LessonStep:
    """One of the six steps of a lesson.

    Attributes:
        name: The step in a word: predict, run, reveal, push, trade, choose.
        task: The task in words.
        goal: The check that ends the step.
        after: The words shown when the step is done.
        unlocked: The fields that may be changed in this step.
        switch: A choice beside the fields.
        answers: The answers of a prediction.
        right: The number of the right answer, from 0.
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
    """A lesson about one effect that decides a rollout.

    Attributes:
        key: The lesson's key; its scenario is ``assets/lessons/KEY.yaml``.
        title: The lesson's title.
        about: The subject, in a sentence.
        steps: The six steps.
    """

    key: str
    title: str
    about: str
    steps: tuple[LessonStep, ...]


@dataclass(frozen=True)
class LessonRecord:
    """The state in which a step was passed.

    Attributes:
        step: The step.
        settings: The changed settings of the scenario, by key.
        own: The simulated result, None where it was not complete.
    """

    step: LessonStep
    settings: Mapping[str, object]
    own: CandidateResult | None


@dataclass(frozen=True)
class LessonProgress:
    """A learner's progress in a lesson.

    Attributes:
        lesson: The lesson.
        passed: The records of the steps that are done.
        answer: The number of the predicted answer.
        justification: The learner's reasons.
    """

    lesson: Lesson
    passed: tuple[LessonRecord, ...] = field(default=())
    answer: int | None = None
    justification: str = ""

    @property
    def step(self) -> LessonStep | None:
        """Return the present step; None when all are done."""
        left = self.lesson.steps[len(self.passed) :]
        return left[0] if left else None

    @property
    def is_done(self) -> bool:
        """Return whether all steps are passed."""
        return self.step is None

    @property
    def was_right(self) -> bool:
        """Return whether the prediction was right."""
        return self.answer is not None and self.answer == self.lesson.steps[0].right


def advance(
    progress: LessonProgress, look: Callable[[LessonProgress], LessonView]
) -> LessonProgress:
    """Pass every step whose goal is reached, and return the new progress.

    Args:
        progress: The progress so far.
        look: Returns the present state.
    """
    view = look(progress)
    while progress.step is not None and progress.step.goal.is_met(view):
        record = LessonRecord(progress.step, changed_settings(view), view.own)
        progress = replace(progress, passed=(*progress.passed, record))
    return progress


def changed_settings(view: LessonView) -> dict[str, object]:
    """Return the settings that the learner changed: dotted key → value, as a scenario file writes it."""
    settings: dict[str, object] = {}
    _compare(view.scenario.as_data(), view.given.as_data(), "", settings)
    return settings


def _compare(now: object, given: object, key: str, settings: dict[str, object]) -> None:
    if isinstance(now, dict) and isinstance(given, dict):
        for name in now:
            _compare(now[name], given.get(name), f"{key}.{name}" if key else name, settings)
    elif now != given:
        settings[key] = now
