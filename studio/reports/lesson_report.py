"""A lesson that was taken, as one HTML page to hand in: prediction, figures of each step, choice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version

from simulation.engine_version import engine_version
from simulation.scenario.model import Scenario
from simulation.study.candidate_result import CandidateResult
from studio.lessons.model import Justified, Lesson, LessonProgress, LessonRecord, LessonStep, Meets
from studio.reports.html_page import Banner, Table, render_page
from studio.views.figures_text import (
    NOTHING,
    count_text,
    duration_text,
    latency_text,
    percent_text,
    sentence_of,
)
from studio.views.headline import HeadFigure, four_figures

_HEADINGS = ("step", "changed", "takes", "fewest in the pool", "p99", "errors", "failed", "cut")
_FIGURE_COUNT = len(_HEADINGS) - 2


@dataclass(frozen=True)
class _Choice:
    """The learner's last step: the settings, their verdict and figures, and the reasons."""

    settings: str
    verdict: Banner | None
    figures: tuple[HeadFigure, ...]
    justification: str


def hand_in(progress: LessonProgress, given: Scenario, text: str, name: str, day: date) -> str:
    """Return the page of a lesson, done or as far as it was taken.

    Args:
        progress: The learner's progress in the lesson.
        given: The lesson's scenario.
        text: The lesson's scenario as it was written.
        name: The learner's name, as it was typed; may be empty.
        day: The day on which the lesson was taken.
    """
    lesson, step, answer = progress.lesson, progress.lesson.steps[0], progress.answer
    is_predicted = answer is not None and step.right is not None
    return render_page(
        "lesson.html",
        f"{lesson.title}: {name}" if name.strip() else lesson.title,
        lesson=lesson,
        learner=name if name.strip() else "",
        day=day.isoformat(),
        steps_done=len(progress.passed),
        predicted=step.answers[answer] if is_predicted and answer is not None else "",
        was_right=progress.was_right,
        right_answer="" if step.right is None else step.answers[step.right],
        seen=_figures_of_steps(progress.passed),
        choice=_choice(progress, given) if progress.is_done else None,
        scenario=given,
        scenario_text=text,
        version=version("rollcast"),
        engine_version=engine_version(),
    )


def _figures_of_steps(passed: Iterable[LessonRecord]) -> Table:
    rows = [
        (record.step.name, settings_text(record.settings), *_figures(record.own))
        for record in passed
    ]
    return Table(_HEADINGS, rows)


def settings_text(settings: Mapping[str, object]) -> str:
    """Return the changed settings in short: ``window 5, drain timeout 3s``."""
    changes = [f"{_key_text(key)} {_value_text(value)}" for key, value in settings.items()]
    return ", ".join(changes) or "as given"


def _key_text(key: str) -> str:
    """Return a key in words: a rollout's key in full, of another key the last part."""
    last = key.removeprefix("rollout.") if key.startswith("rollout.") else key.rpartition(".")[2]
    return re.sub(r"[._]", " ", last)


def _value_text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _figures(own: CandidateResult | None) -> tuple[str, ...]:
    """Return the cells of a step's result; dashes where the step simulated nothing."""
    if own is None:
        return (NOTHING,) * _FIGURE_COUNT
    metrics = {name: figure.mean for name, figure in own.metrics.items()}
    return (
        duration_text(metrics["rollout_duration_s"]),
        count_text(metrics["lowest_in_pool_count"]),
        latency_text(metrics["rollout_latency_p99_s"]),
        percent_text(metrics["rollout_error_fraction"]),
        count_text(metrics["failed_requests"]),
        count_text(metrics["cut_requests"]),
    )


def _choice(progress: LessonProgress, given: Scenario) -> _Choice:
    last = progress.passed[-1]
    verdict, figures = None, tuple[HeadFigure, ...]()
    if last.own is not None:
        if _asks_for_objectives(last.step):
            name = f"Window {last.own.candidate.window}"
            verdict = Banner(last.own.verdict.answer, sentence_of(name, last.own.verdict))
        count = sum(service.instance_count for service in given.services.values())
        figures = four_figures(last.own, given.objectives, count)
    return _Choice(settings_text(last.settings), verdict, figures, progress.justification)


def _asks_for_objectives(step: LessonStep) -> bool:
    """Return whether the choice must meet the objectives; a release to be taken back cannot."""
    goal = step.goal
    return isinstance(goal, Justified) and any(isinstance(part, Meets) for part in goal.goals)


def page_name(lesson: Lesson, name: str) -> str:
    """Return a name for the page's file, without its ending."""
    return "-".join(filter(None, (lesson.key, *name.lower().split())))
