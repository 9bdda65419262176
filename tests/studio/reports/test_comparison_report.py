"""A comparison as one page: it holds the answer, its figures, and how to get them again."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of
from simulation.study.compare import Comparison
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.summary.recommendation import recommend
from studio.reports.comparison_report import command_of, comparison_report
from studio.views.answers.recommendation_text import left_out_lines, next_best_text
from studio.views.figures_text import table_row, verdict_sentence
from studio.views.headline import four_figures
from tests.helpers.command_line import SHOP, CommandLine
from tests.studio.cli.conftest import rollcast  # noqa: F401 - a fixture
from tests.studio.reports.test_rollout_report import is_alone


def made(text: str = SHOP, **varied: Any) -> Comparison:
    scenario = ScenarioFile.parse(text).scenario
    cases = cases_of(scenario, **(varied or {"windows": (1, 2)}))
    comparison, _rows = run_study(scenario, cases, Execution(jobs=1))
    assert comparison is not None
    return comparison


def test_the_page_says_what_the_command_line_says_and_needs_no_other_file() -> None:
    comparison = made()
    page = comparison_report(comparison, SHOP)
    assert is_alone(page)
    assert page.count("<svg") == 3
    assert comparison.chosen == 1
    assert verdict_sentence(comparison, 1) in page
    assert "fastest that does" in page
    for result in comparison.candidates:
        assert f"<td>{table_row(result)[-1]}</td>" in page
    for figure in four_figures(comparison.candidates[1], comparison.scenario.objectives, 6):
        assert f"<p class=figure>{figure.figure}</p>" in page
        assert figure.under in page
    assert "Against window 1, paired" in page
    assert html.escape(SHOP) in page
    assert "4 of 4 replications" in page
    assert page == comparison_report(comparison, SHOP)


def test_the_page_says_the_answer_the_next_best_and_what_is_left_out_before_the_table() -> None:
    comparison = made(windows=(1, 2, 3), drain_timeouts_s=(5.0, 60.0, 90.0))
    recommendation = recommend(comparison)
    page = html.unescape(comparison_report(comparison, SHOP))
    assert comparison.chosen is not None
    parts = [
        verdict_sentence(comparison, comparison.chosen),
        next_best_text(comparison, recommendation),
        "Left out:",
        *left_out_lines(comparison, recommendation),
        "<h2>Candidates</h2>",
        "<td>5 s, 60 s, 90 s</td>",
        "<svg",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert page.count("<td>5 s, 60 s, 90 s</td>") == 3


def test_what_a_scenario_says_is_words_and_nothing_else() -> None:
    text = SHOP.replace("question: May", "name: a<script>b\nquestion: <b>May</b>")
    page = comparison_report(made(text), text)
    assert "<script" not in page
    assert "<b>" not in page
    assert "a&lt;script&gt;b" in page
    assert "a-script-b.yaml" in page


def test_a_page_of_another_candidate_is_about_that_one() -> None:
    comparison = made()
    page = comparison_report(comparison, SHOP, 0)
    assert verdict_sentence(comparison, 0) in page
    assert "fastest that does" not in page


def test_where_none_is_chosen_it_is_about_the_scenarios_own_window() -> None:
    comparison = made(SHOP.replace("duration: 30s", "duration: 1s"))
    assert comparison.chosen is None
    assert verdict_sentence(comparison, 1) in comparison_report(comparison)


def test_a_scenario_whose_text_is_gone_is_written_from_what_was_simulated() -> None:
    comparison = made()
    page = comparison_report(comparison)
    text = html.unescape(re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)[-1])
    assert ScenarioFile.parse(text).scenario == comparison.scenario


def test_a_single_candidate_has_nothing_to_differ_from() -> None:
    page = comparison_report(made(windows=(2,)), SHOP)
    assert "Against" not in page
    assert page.count("<svg") == 3


@pytest.mark.parametrize(
    ("varied", "options"),
    [
        ({"windows": (1, 2)}, ["--windows", "1,2"]),
        (
            {"windows": (2,), "drain_timeouts_s": (5.0, 60.0), "surges": (0, 1)},
            ["--windows", "2", "--surges", "0,1", "--drain-timeouts", "5s,1m"],
        ),
        (
            {"advances": ("sliding", "batch"), "pauses_s": (0.0, 1.5)},
            ["--windows", "2", "--advance", "sliding,batch", "--pauses", "0s,1.5s"],
        ),
        (
            {"starts": (0.0, 60.0), "policies": ("random", "round_robin")},
            ["--windows", "2", "--starts", "0s,1m", "--policies", "random,round_robin"],
        ),
    ],
)
def test_the_command_names_what_was_varied(varied: dict[str, Any], options: list[str]) -> None:
    words = shlex.split(command_of(made(**varied), "my shop.yaml"))
    assert words == [
        *["rollcast", "compare", "my shop.yaml", *options],
        *["--seed", "1", "--replications", "4"],
    ]


def test_the_command_gives_the_same_page(rollcast: CommandLine) -> None:  # noqa: F811
    first = rollcast(
        "compare", "shop.yaml", "--windows", "1,2,3", "--html", "a.html", "--seed", "7"
    )
    assert first.code == 0
    page = (rollcast.folder / "a.html").read_text(encoding="utf-8")
    command, text = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    rollcast.write("shop.yaml", html.unescape(text))
    _, *words = shlex.split(html.unescape(command))
    assert rollcast(*words, "--html", "b.html").code == 0
    again = (rollcast.folder / "b.html").read_text(encoding="utf-8")
    assert again.replace("seed: 7\n", "") == page.replace("seed: 7\n", "")


def test_one_candidate_as_a_page(rollcast: CommandLine) -> None:  # noqa: F811
    assert rollcast("simulate", "shop.yaml", "--html", "one.html").code == 0
    page = (rollcast.folder / "one.html").read_text(encoding="utf-8")
    assert "Window 2 meets every objective in 4 of 4 runs" in page


def test_a_page_that_cannot_be_written_is_said_before_anything_is_simulated(
    rollcast: CommandLine,  # noqa: F811
) -> None:
    said = "nowhere/a.html: cannot be written: no such directory: nowhere"
    rollcast.refuses(["compare", "shop.yaml", "--html", "nowhere/a.html"], {}, said, 2)
    assert not Path("nowhere").exists()
