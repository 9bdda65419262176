"""A lesson that was taken, as one HTML page to hand in.

Enters: the learner's progress and name, and the day. Leaves: HTML that needs no other file: what was
predicted and what happened, the figures that were seen at every step, the choice and its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.metadata import version

from simulation.engine_version import engine_version
from simulation.scenario.model import Scenario
from simulation.study.compare import CandidateResult
from studio.lessons.model import Justified, Lesson, LessonProgress, LessonRecord, LessonStep, Meets
from studio.reports.html_page import figures_of, page_of, safe, table_of, verdict_of
from studio.views.figures_text import (
    count_text,
    duration_text,
    latency_text,
    percent_text,
    sentence_of,
)
from studio.views.headline import four_figures


def hand_in(progress: LessonProgress, given: Scenario, text: str, name: str, day: date) -> str:
    """The page.

    Args:
        progress: A lesson, done or as far as it was taken.
        given: Its scenario.
        text: The same as it was written.
        name: Who took it, as they typed it.
        day: When.
    """
    lesson, done = progress.lesson, len(progress.passed)
    who = f"{safe(name)}, " if name.strip() else ""
    parts = [
        f"<h1>{safe(lesson.title)}</h1>",
        f"<p>{safe(lesson.about)}</p>",
        f"<p class=soft>{who}{day.isoformat()} · {done} of {len(lesson.steps)} steps done</p>",
        *_prediction(progress),
        "<h2>What was seen</h2>",
        f"<div class=card>{_seen(progress.passed)}</div>",
        *_choice(progress, given),
        "<h2>The scenario</h2>",
        f"<div class=card><pre>{safe(text)}</pre></div>",
        f"<p class=soft>Rollcast {version('rollcast')}, engine {safe(engine_version())}, "
        f"seed {given.seed}, {given.replications} runs each.</p>",
    ]
    return page_of(f"{lesson.title}: {name}" if name.strip() else lesson.title, parts)


def _prediction(progress: LessonProgress) -> Iterable[str]:
    step = progress.lesson.steps[0]
    yield "<h2>What was predicted</h2>"
    yield f"<p>{safe(step.task)}</p>"
    if progress.answer is None or step.right is None:
        yield "<p class=soft>Nothing yet.</p>"
        return
    yield f"<p>Predicted: <b>{safe(step.answers[progress.answer])}</b>.</p>"
    if progress.was_right:
        yield "<p class=good>✓ So it is.</p>"
    else:
        yield f"<p class=bad>✗ What happens: {safe(step.answers[step.right])}.</p>"


def _seen(passed: Iterable[LessonRecord]) -> str:
    rows = [
        (
            record.step.name,
            settings_text(record.settings),
            *_figures(record.own),
        )
        for record in passed
    ]
    return table_of(
        ("step", "changed", "takes", "fewest in the pool", "p99", "errors", "failed", "cut"), rows
    )


def settings_text(settings: Mapping[str, object]) -> str:
    """What was changed, in short: ``window 5, drain timeout 3s``."""
    return (
        ", ".join(f"{_name(key)} {_word(value)}" for key, value in settings.items()) or "as given"
    )


def _name(key: str) -> str:
    """A key as it is told: what is of the rollout in full, of a service its last part."""
    last = key.removeprefix("rollout.") if key.startswith("rollout.") else key.rpartition(".")[2]
    return re.sub(r"[._]", " ", last)


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _figures(own: CandidateResult | None) -> tuple[str, ...]:
    if own is None:
        return ("–",) * 6
    metrics = {name: one.mean for name, one in own.metrics.items()}
    return (
        duration_text(metrics["rollout_duration_s"]),
        count_text(metrics["lowest_in_pool_count"]),
        latency_text(metrics["rollout_latency_p99_s"]),
        percent_text(metrics["rollout_error_fraction"]),
        count_text(metrics["failed_requests"]),
        count_text(metrics["cut_requests"]),
    )


def _choice(progress: LessonProgress, given: Scenario) -> Iterable[str]:
    if not progress.is_done:
        return
    last = progress.passed[-1]
    yield "<h2>What was chosen, and why</h2>"
    yield f"<p>{safe(settings_text(last.settings))}</p>"
    if last.own is not None:
        if _asks_for_objectives(last.step):
            name = f"Window {last.own.candidate.window}"
            yield verdict_of(last.own.verdict.answer, sentence_of(name, last.own.verdict))
        count = sum(service.instance_count for service in given.services.values())
        yield figures_of(four_figures(last.own, given.objectives, count))
    yield f"<div class=card><p style='white-space: pre-wrap'>{safe(progress.justification)}</p></div>"


def _asks_for_objectives(step: LessonStep) -> bool:
    """Whether its choice must meet them; that of a release that must be taken back cannot."""
    goal = step.goal
    return isinstance(goal, Justified) and any(isinstance(one, Meets) for one in goal.goals)


def page_name(lesson: Lesson, name: str) -> str:
    """What the page's file may be called, without its ending."""
    return "-".join(filter(None, (lesson.key, *name.lower().split())))
