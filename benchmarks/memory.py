"""Memory of a replication of many candidates, and of the main process of a whole study of them.

    python -m benchmarks.memory
    python -m benchmarks.memory --study

Each number of candidates is simulated in a process of its own: one replication of the shipped evening
scenario with 25 instances; with ``--study`` every replication that the study is planned with, in worker
processes. The table has the highest memory of that process without its workers, in MB.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from simulation.scenario.file import ScenarioFile
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.driver import run_study
from simulation.study.execution import Execution
from simulation.study.running.work import Part, Work
from tests.helpers.paths import ROOT

SCENARIO = ROOT / "scenarios" / "checkout-evening.yaml"
COUNTS = (1, 10, 50, 100, 500)
STUDY = "--study"


def peak_mb(count: int, *, is_study: bool) -> float:
    """Simulate so many candidates, once or as a whole study; return the highest memory of this process."""
    scenario = ScenarioFile.load(SCENARIO, ["services.checkout.instances=25"]).scenario
    cases = cases_of(
        scenario,
        range(1, 6),
        [float(timeout_s) for timeout_s in range(1, 11)],
        pauses_s=[float(pause_s) for pause_s in range(10)],
    )[:count]
    if is_study:
        run_study(scenario, cases, Execution(in_process=False))
    else:
        Work(cases, frame_of_cases(cases)).run(Part(0, tuple(range(count))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Print the table."""
    options = [option for option in sys.argv[1:] if option == STUDY]
    counts = [int(count) for count in sys.argv[1:] if count != STUDY]
    if counts:
        print(peak_mb(counts[0], is_study=bool(options)))
        return
    print("| candidates | MB |\n| ---: | ---: |")
    for count in COUNTS:
        command = [sys.executable, "-m", "benchmarks.memory", *options, str(count)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        print(f"| {count} | {float(done.stdout):.0f} |")


if __name__ == "__main__":
    main()
