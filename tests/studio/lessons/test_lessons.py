"""The lessons tell the truth: each step is taken, and what it teaches stands in the numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache

import pytest

from executor.base.errors import RollcastError
from simulation.estimates.estimate import estimate
from simulation.results.run_result import Ending
from simulation.scenario.file import ScenarioFile
from simulation.study.candidate_result import CandidateResult
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of
from simulation.study.compare import Comparison, compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.lessons.catalogue import LESSONS, scenario_path
from studio.lessons.model import Lesson, LessonProgress, LessonView, LookedAt, advance
from studio.reports.lesson_report import hand_in, settings_text
from tests.studio.reports.test_rollout_report import is_alone

BY_KEY = {lesson.key: lesson for lesson in LESSONS}
WHY = "This window leaves room for the traffic, and nothing is lost by it."

Settings = tuple[tuple[str, object], ...]


@cache
def file_of(key: str, settings: Settings = ()) -> ScenarioFile:
    file = ScenarioFile.load(scenario_path(BY_KEY[key]))
    return file.with_values(dict(settings)) if settings else file


@cache
def simulated(key: str, settings: Settings = ()) -> Comparison:
    """What the studio simulates of a lesson: the windows that suit the fleet, and its own."""
    scenario = file_of(key, settings).scenario
    cases = cases_of(scenario, default_windows(scenario).windows)
    return compare(scenario, cases, list(run_rows(scenario, cases, Execution(jobs=1))))


def run_of(key: str, window: int, **settings: object) -> CandidateResult:
    """A window with settings beside it, their keys written with ``__`` for a dot."""
    values = tuple((name.replace("__", "."), value) for name, value in settings.items())
    given = (("rollout.window", window), *values)
    made = simulated(key, given)
    return next(one for one in made.candidates if one.candidate.window == window)


def mean(result: CandidateResult, metric: str) -> float:
    value = result.metrics[metric].mean
    assert value is not None
    return value


# The choices that a good learner makes: the settings at the ends of steps four, five and six.
WAYS: dict[str, tuple[Mapping[str, object], ...]] = {
    "all-at-once": (
        {"rollout.window": 3},
        {"rollout.window": 2},
        {"rollout.window": 2},
    ),
    "window-size": (
        {"rollout.window": 5},
        {"rollout.window": 5, "rollout.drain.timeout": "3s"},
        {"rollout.window": 3, "rollout.drain.timeout": "3s"},
    ),
    "draining": (
        {"rollout.drain.timeout": "0s"},
        {"rollout.drain.timeout": "10s"},
        {"rollout.drain.timeout": "8s", "rollout.window": 1},
    ),
    "black-hole": (
        {"services.web.balancer.policy": "round_robin"},
        {
            "services.web.balancer.policy": "round_robin",
            "services.web.balancer.propagation_delay": "0s",
        },
        {
            "services.web.balancer.policy": "least_connections",
            "services.web.balancer.propagation_delay": "0s",
        },
    ),
    "cold-caches": (
        {"rollout.window": 2},
        {"rollout.window": 2, "rollout.min_ready": "5s"},
        {"rollout.window": 2, "rollout.min_ready": "15s"},
    ),
    "bad-release": (
        {"rollout.window": 5},
        {"rollout.window": 2, "rollout.pause": "5s"},
        {"rollout.window": 2, "rollout.pause": "5s"},
    ),
    "database-first": (
        {"rollout.window": 5},
        {"rollout.window": 5, "rollout.migration.contract_before_rollout": False},
        {"rollout.window": 3, "rollout.migration.contract_before_rollout": False},
    ),
}


class Learner:
    """Somebody who takes a lesson: what they do is what the document would say."""

    def __init__(self, key: str) -> None:
        self.progress = LessonProgress(BY_KEY[key])
        self.key = key
        self.settings: Settings = ()
        self.has_run = False
        self.window: int | None = None

    def look(self, progress: LessonProgress) -> LessonView:
        file = file_of(self.key, self.settings)
        own = looked_at = None
        if self.has_run:
            own_window = file.scenario.window_count()
            made = simulated(self.key, self.settings).candidates
            own = next(one for one in made if one.candidate.window == own_window)
            looked_at = next((one for one in made if one.candidate.window == self.window), None)
        try:
            found = estimate(file.scenario)
        except RollcastError:
            found = None
        return LessonView(
            given=file_of(self.key).scenario,
            scenario=file.scenario,
            estimate=found,
            own=own,
            looked_at=looked_at,
            answer=progress.answer,
            justification=progress.justification,
        )

    def does(self) -> int:
        """How many steps are passed now."""
        self.progress = advance(self.progress, self.look)
        return len(self.progress.passed)


@pytest.mark.parametrize("key", BY_KEY)
def test_a_lesson_is_passed_step_by_step_and_each_only_by_what_it_asks(key: str) -> None:
    lesson = BY_KEY[key]
    assert [step.name for step in lesson.steps] == [
        *("Predict", "Run", "Reveal", "Push it", "Trade", "Choose"),
    ]
    learner = Learner(key)
    assert learner.does() == 0
    right = lesson.steps[0].right
    assert right is not None
    learner.progress = LessonProgress(lesson, answer=right)
    assert learner.does() == 1
    assert learner.progress.was_right
    learner.has_run = True
    assert learner.does() == 2
    goal = lesson.steps[2].goal
    assert isinstance(goal, LookedAt)
    learner.window = goal.window
    windows = [one.candidate.window for one in simulated(key).candidates]
    assert learner.window in windows
    assert learner.does() == 3
    for place, settings in enumerate(WAYS[key], 4):
        moved = {key for key in settings if settings.get(key) != dict(learner.settings).get(key)}
        step = lesson.steps[place - 1]
        allowed = step.unlocked | ({step.switch.key} if step.switch else set())
        assert moved <= allowed, place  # the controls that are free do it
        assert learner.does() == place - 1  # not before
        assert step.goal.progress_text(learner.look(learner.progress))
        learner.settings = tuple(settings.items())
        if place == 6:
            assert learner.does() == 5  # a choice without a reason is none
            learner.progress = LessonProgress(lesson, learner.progress.passed, right, WHY)
        assert learner.does() == place
    assert learner.progress.is_done
    page = hand_in(
        learner.progress,
        file_of(key).scenario,
        file_of(key).text,
        "Ada <Lovelace>",
        date(2026, 5, 4),
    )
    assert is_alone(page)
    assert "Ada &lt;Lovelace&gt;, 2026-05-04 · 6 of 6 steps done" in page
    assert lesson.steps[0].answers[right] in page
    assert WHY in page
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", page)
    assert [name for name, _ in rows] == [step.name for step in lesson.steps]
    assert [changed for _, changed in rows[:3]] == ["as given"] * 3
    assert (" meets every objective in " in page) == (key != "bad-release")
    assert "fails: it meets" not in page


def test_no_justification_no_choice_and_a_wrong_prediction_is_said() -> None:
    lesson = BY_KEY["draining"]
    learner = Learner("draining")
    learner.progress = LessonProgress(lesson, answer=0)
    assert learner.does() == 1
    assert not learner.progress.was_right
    page = hand_in(learner.progress, file_of("draining").scenario, "", "", date(2026, 5, 4))
    assert "✗ What happens: About one in three." in page
    assert "1 of 6 steps done" in page


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "as given"),
        ({"rollout.window": 5, "rollout.drain.timeout": "3s"}, "window 5, drain timeout 3s"),
        ({"services.web.balancer.propagation_delay": "0s"}, "propagation delay 0s"),
        (
            {"rollout.migration.contract_before_rollout": False},
            "migration contract before rollout no",
        ),
    ],
)
def test_what_was_changed_is_said_in_short(settings: Mapping[str, object], words: str) -> None:
    assert settings_text(settings) == words


def test_every_scenario_has_its_lesson_and_none_is_slow() -> None:
    assert sorted(scenario_path(LESSONS[0]).parent.glob("*.yaml")) == sorted(
        scenario_path(lesson) for lesson in LESSONS
    )
    for lesson in LESSONS:
        scenario = file_of(lesson.key).scenario
        assert scenario.name == lesson.key
        assert scenario.replications == 20


def test_why_not_all_at_once() -> None:
    eight, two = run_of("all-at-once", 8), run_of("all-at-once", 2)
    came = 80 * mean(eight, "rollout_duration_s")
    assert mean(eight, "rollout_duration_s") < 10
    assert mean(eight, "failed_requests") > came / 2  # most of what comes meanwhile
    assert 400 < mean(eight, "failed_requests") < 600
    assert mean(two, "failed_requests") < 0.5
    assert mean(two, "rollout_duration_s") > 3 * mean(eight, "rollout_duration_s")


def test_window_size() -> None:
    one, four, six = (run_of("window-size", k) for k in (1, 4, 6))
    assert mean(four, "rollout_duration_s") < mean(one, "rollout_duration_s") / 3
    assert mean(six, "rollout_latency_p99_s") > 2 * mean(one, "rollout_latency_p99_s")
    short, long = (
        run_of("window-size", 3, rollout__drain__timeout=timeout) for timeout in ("200ms", "3s")
    )
    assert mean(short, "cut_requests") > 10
    assert mean(long, "cut_requests") < 0.5
    assert mean(long, "rollout_duration_s") < 1.2 * mean(short, "rollout_duration_s")


def test_draining() -> None:
    none, two, ten = (
        run_of("draining", 1, rollout__drain__timeout=timeout) for timeout in ("0s", "2s", "10s")
    )
    in_flight = mean(none, "cut_requests")
    assert 0.25 < mean(two, "cut_requests") / in_flight < 0.42  # about one in three
    wider = run_of("draining", 2)
    assert mean(wider, "cut_requests") > 0.9 * mean(two, "cut_requests")
    assert mean(ten, "cut_requests") <= 1
    durations = [mean(one, "rollout_duration_s") for one in (none, two, ten)]
    assert durations == sorted(durations)
    saved = [(in_flight - mean(two, "cut_requests")), mean(two, "cut_requests")]
    cost_s = [durations[1] - durations[0], durations[2] - durations[1]]
    assert saved[1] / cost_s[1] < saved[0] / cost_s[0]  # the last ones cost most


def test_the_black_hole() -> None:
    def with_policy(policy: str, window: int = 1) -> CandidateResult:
        return run_of("black-hole", window, services__web__balancer__policy=policy)

    least, turns = with_policy("least_connections"), with_policy("round_robin")
    assert mean(least, "failed_requests") > 3 * mean(turns, "failed_requests")
    assert mean(turns, "failed_requests") > 100  # it is only hidden
    wider = with_policy("least_connections", 4)
    assert mean(wider, "rollout_error_fraction") > mean(least, "rollout_error_fraction")
    told = run_of("black-hole", 1, services__web__balancer__propagation_delay="0s")
    assert mean(told, "failed_requests") == 0


def test_cold_caches() -> None:
    one, four = run_of("cold-caches", 1), run_of("cold-caches", 4)
    assert 28 < mean(one, "rollout_duration_s") < 33
    assert 7 < mean(four, "rollout_duration_s") < 9
    assert mean(four, "rollout_latency_p99_s") > 2 * mean(one, "rollout_latency_p99_s")
    latency, pool = four.band("latency_p99_s"), four.band("in_pool_count")
    worst = float(latency.time_s[latency.median.argmax()])
    assert worst > mean(four, "rollout_duration_s")  # when all are back
    assert pool.median[abs(pool.time_s - worst).argmin()] == 8
    warm = run_of("cold-caches", 4, rollout__min_ready="30s")
    assert mean(warm, "rollout_latency_p99_s") < mean(four, "rollout_latency_p99_s") / 2
    assert mean(warm, "rollout_duration_s") > 5 * mean(four, "rollout_duration_s")


def test_a_bad_release() -> None:
    results = [run_of("bad-release", window) for window in (1, 2, 4, 6)]
    failed = [mean(one, "failed_requests") for one in results]
    assert failed == sorted(failed)
    assert failed[2] > 2 * failed[1]
    assert all(one.ended[Ending.ROLLED_BACK] == 20 for one in results)
    patient = run_of("bad-release", 2, rollout__pause="5s")
    assert mean(patient, "failed_requests") < failed[1] / 3


def test_the_database_first() -> None:
    early = [run_of("database-first", window) for window in (1, 2, 4)]
    failed = [mean(one, "failed_requests") for one in early]
    assert failed == sorted(failed, reverse=True)  # the most careful one has the most
    assert failed[2] > 100
    late = run_of("database-first", 2, rollout__migration__contract_before_rollout=False)
    assert mean(late, "failed_requests") == 0
    assert mean(late, "rollout_duration_s") == pytest.approx(
        mean(early[1], "rollout_duration_s"), rel=0.05
    )


def lesson_ids(lesson: Lesson) -> str:
    return lesson.key


@pytest.mark.parametrize("lesson", LESSONS, ids=lesson_ids)
def test_what_is_said_fits_the_panel(lesson: Lesson) -> None:
    for step in lesson.steps:
        assert len(step.task) < 330
        assert step.task.endswith((".", "?"))
        for answer in step.answers:
            assert len(answer) < 60
