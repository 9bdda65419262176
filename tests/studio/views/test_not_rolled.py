"""A scenario without a rollout: nothing is said of windows, and nothing of a rollout's figures."""

from __future__ import annotations

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import compare
from simulation.study.execution import Execution
from simulation.study.rows import run_rows
from studio.gui.background.jobs import Jobs
from studio.gui.document.document import Document
from studio.gui.frame.top_bar import plan_state
from studio.views.figures_text import verdict_sentence
from studio.views.headline import four_figures
from tests.helpers.command_line import SHOP

STILL = (
    SHOP[: SHOP.index("rollout:")]
    .replace("question:", "name: shop\nquestion:")
    .replace("traffic:", "clock: {horizon: 20s}\ntraffic:")
    .replace("replications: 4", "replications: 2")
)


def test_it_is_called_by_its_name_and_is_no_plan() -> None:
    scenario = ScenarioFile.parse(STILL).scenario
    cases = cases_of(scenario)
    found = compare(scenario, cases, tuple(run_rows(scenario, cases, Execution(jobs=1))))
    assert verdict_sentence(found, 0).startswith("shop ")
    duration, pool, _p99, _lost = four_figures(found.candidates[0], scenario.objectives, 6)
    assert (duration.figure, pool.figure, pool.under) == ("–", "–", "nothing is rolled")
    document = Document(ScenarioFile.parse(STILL))
    document.add_results(found, document.state)
    [run] = document.runs
    assert run.name == "shop"
    jobs = Jobs(document)
    assert plan_state(document, jobs) == (False, "The scenario has no rollout")
    jobs.close()
