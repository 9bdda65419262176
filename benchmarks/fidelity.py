"""Measure rollouts on the loopback and compare them with their predictions.

The shipped fleet of six (`scenarios/loopback-fleet.yaml`) is rolled with windows of one, two, three and
four, and with a window of two without a drain: five rollouts each in a random order, after a calibration in
runs of its own, and with the predictions fixed before. Finished rollouts are stored in a folder: after an
interruption the benchmark continues with the same predictions, or says that they differ.

The benchmark needs a quiet machine of two cores and takes about fifteen minutes.

    .venv/bin/python -m benchmarks.fidelity                       # and write docs/fidelity.md
    .venv/bin/python -m benchmarks.fidelity --smoke               # only test that it runs: two minutes, no page
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path

from executor.base.files import atomic_write_text
from simulation.engines.compiled.prepare import prepare
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from studio.lab.contest import CAPS, Contest, by_window, cap_range, no_drain, run_contest
from studio.reports.rollout_report import contest_report
from studio.resources import scenarios_dir
from studio.views.figures_text import between_text, metric_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "fidelity.md"
KEPT = ROOT / "rollcast-out" / "fidelity"
WINDOWS, RUNS, SMOKE_CYCLES = (1, 2, 3, 4), 5, 6
AIM = 0.8


def variants(scenario: Scenario, windows: tuple[int, ...]) -> list[tuple[str, Scenario]]:
    """Return every arm: the windows, and the scenario's own window without a drain."""
    return [*by_window(scenario, windows), ("no drain", no_drain(scenario))]


def page(contest: Contest) -> str:
    """Return all results as Markdown, including the values outside their range."""
    judged, rankings, score = contest.judged(), contest.rankings(), contest.score()
    held = sum(one.holds for one in judged)
    by_metric = {metric: [one.holds for one in judged if one.metric == metric] for metric in CAPS}
    lines = [
        "# Do real rollouts match the forecast?",
        "",
        "<!-- Made by `.venv/bin/python -m benchmarks.fidelity`. -->",
        "",
        f"`scenarios/{contest.scenario.name}.yaml` on the loopback of one machine ({os.cpu_count()} "
        f"cores, Python {platform.python_version()}): HAProxy, six instances, an open loop of load, "
        f"the real executor. [The lab's page](lab.md) describes the method: {len(rankings)} "
        "rollouts of each arm, in a random order; calibrated in runs of their own; predictions "
        f"fixed before, digest `{contest.digest}`.",
        "",
        f"**{held} of {len(judged)} measured values ({score or 0:.0%}; the aim is {AIM:.0%}) lie in "
        "the predicted 5–95 % range of single runs**, where half of a range counts at most as 10 % of "
        "the duration and 30 % of p99: "
        + ", ".join(
            f"`{metric}` {sum(holds)} of {len(holds)}" for metric, holds in by_metric.items()
        )
        + f". The order by p99 of the arms that the forecast tells apart was right in "
        f"{sum(rankings)} of {len(rankings)} runs.",
        "",
        "| arm | load of the remaining instances | | predicted | range that counts | measured |",
        "| --- | ---: | --- | ---: | --- | --- |",
    ]
    for arm in contest.arms:
        for metric, cap in CAPS.items():
            figure = arm.predicted[metric]
            low, high = cap_range(figure, cap)
            told = [
                f"{metric_text(metric, one)}"
                if one is not None and low <= one <= high
                else f"**{metric_text(metric, one)}**"
                for one in (record.metrics[metric] for record in contest.trials[arm.name])
            ]
            name = f"{arm.name}, direction only" if arm.is_at_the_edge else arm.name
            between = between_text(metric_text(metric, low), metric_text(metric, high))
            lines.append(
                f"| {name} | {arm.load:.2f} | `{metric}` | {metric_text(metric, figure.mean)} | "
                f"{between} | {', '.join(told)} |"
            )
    lines += ["", "In bold: outside the range.", "", "## Reasons to doubt the figures", ""]
    lines += [f"- {flag}" for flag in contest.flags()] or ["Nothing was flagged."]
    found = contest.calibration
    lines += [
        "",
        "## The calibration",
        "",
        f"Service at low load takes {found.service_time_s * 1000:.2f} ms where "
        f"{found.demand_s * 1000:.2f} ms are requested, and the rest of a request "
        f"{found.way_s * 1000:.2f} ms; a request holds a slot for {found.slot_time_s * 1000:.2f} ms "
        f"when all slots are held. {len(found.drains_s)} stop/start cycles; a drain is polled every "
        f"{found.poll_s * 1000:.0f} ms.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, or continue after an interruption, and write the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--smoke", action="store_true", help="one run of two arms; no page")
    options.add_argument("--folder", type=Path, default=KEPT, help="folder for finished rollouts")
    asked = options.parse_args()
    scenario = ScenarioFile.load(scenarios_dir() / "loopback-fleet.yaml").scenario
    begun_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun_s:6.0f} s  {line}", file=sys.stderr, flush=True)

    prepare()
    contest = run_contest(
        scenario,
        variants(scenario, (2,) if asked.smoke else WINDOWS),
        runs=1 if asked.smoke else RUNS,
        cycles=SMOKE_CYCLES if asked.smoke else 30,
        folder=None if asked.smoke else asked.folder,
        say=say,
    )
    text = page(contest)
    if asked.smoke:
        print(text)
        return 0
    atomic_write_text(PAGE, text)
    atomic_write_text(asked.folder / "fidelity.html", contest_report(contest))
    print(f"{PAGE} is written; a page with figures is {asked.folder / 'fidelity.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
