"""Measure a study of 2,000 cells: its speed, its resume after a kill, and its memory.

`python -m benchmarks.studies speed` compares one process with two on the evening scenario,
`threads` does so with threads, `resume` kills a study with -9 in the middle and counts what is run
again, `memory` runs 20,000 cells of a small scenario and prints how much memory they take.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from simulation.engines.compiled.prepare import prepare
from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.simulated_interval import SimulatedInterval
from simulation.study.candidates import default_windows
from simulation.study.case import cases_of, frame_of_cases
from simulation.study.cells import Cell, run_cells
from simulation.study.execution import Execution
from simulation.study.running.work import Part, Work
from simulation.study.store import Store

EVENING = Path(__file__).resolve().parent.parent / "scenarios" / "checkout-evening.yaml"
CELLS = 2000
JOBS = 2

SMALL = """\
rollcast: scenario/1
traffic: {rate: 20/s}
services:
  web:
    instances: 4
    service_time: 50ms
    steps: {deploy: 1s}
rollout: {window: 2, drain: {timeout: 1s}}
"""


def cells_of(scenario: Scenario, count: int) -> tuple[list[Cell], SimulatedInterval]:
    """Return about `count` cells of a scenario's usual windows, and their simulated interval."""
    cases = cases_of(scenario, default_windows(scenario).windows)
    each = count // len(cases)
    cells = [Cell(case, number) for number in range(each) for case in cases]
    return cells, frame_of_cases(cases)


def evening() -> tuple[list[Cell], SimulatedInterval]:
    scenario = ScenarioFile.load(EVENING).scenario
    return cells_of(scenario, CELLS)


def run_study(path: Path, jobs: int, share: int = 1) -> float:
    """Run one `share`-th of the evening study with a store. Return the time in s."""
    cells, frame = evening()
    began_at = time.monotonic()
    with Store(path) as store:
        some = cells[: len(cells) // share]
        for _cell in run_cells(some, frame, Execution(jobs=jobs, store=store)):
            pass
    return time.monotonic() - began_at


def speed(folder: Path) -> None:
    run_study(folder / "warm.sqlite", 1, share=20)
    run_study(folder / "warm2.sqlite", JOBS, share=20)  # starts the processes
    print(f"load {os.getloadavg()[0]:.2f}, {CELLS} cells")
    rates = {}
    for jobs in (1, JOBS):
        rates[jobs] = CELLS / run_study(folder / f"{jobs}.sqlite", jobs)
        print(f"{jobs} process(es): {rates[jobs]:.1f} cells/s")
    print(f"ratio {rates[JOBS] / rates[1]:.2f}")
    print(f"{(folder / '1.sqlite').stat().st_size / CELLS / 1000:.1f} kB a cell")


def threads(_folder: Path) -> None:
    cells, frame = evening()
    cases = tuple(dict.fromkeys(cell.case for cell in cells))
    work = Work(cases, frame)
    parts = [Part(cell.replication, (cases.index(cell.case),)) for cell in cells[: CELLS // 4]]
    work.run(parts[0])
    print(f"load {os.getloadavg()[0]:.2f}")
    for count in (1, JOBS):
        began_at = time.monotonic()
        with ThreadPoolExecutor(count) as pool:
            for _done in pool.map(work.run, parts):
                pass
        print(f"{count} thread(s): {len(parts) / (time.monotonic() - began_at):.1f} cells/s")


def rows_of(path: Path) -> dict[tuple[str, int], int]:
    """Return the row number of each cell of a file: a cell that is written again gets another row."""
    if not path.exists() or path.stat().st_size < 100_000:
        return {}  # its tables may not be there yet
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT key_id, replication, rowid FROM cells").fetchall()
    return {(key, replication): row for key, replication, row in rows}


def resume(folder: Path) -> None:
    path = folder / "killed.sqlite"
    process = subprocess.Popen(
        [sys.executable, __file__, "one-study", "--path", str(path)], start_new_session=True
    )
    try:
        while len(rows_of(path)) < CELLS // 2:
            time.sleep(0.05)
            assert process.poll() is None
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = rows_of(path)
    run_study(path, JOBS)
    after = rows_of(path)
    again = sum(after[cell] != row for cell, row in before.items())
    print(f"killed with {len(before)} of {CELLS} cells, then {len(after)}; run twice: {again}")


def memory(folder: Path) -> None:
    scenario = ScenarioFile.parse(SMALL).scenario
    cells, frame = cells_of(scenario, 20_000)
    ours = psutil.Process()
    began_at = time.monotonic()
    with Store(folder / "memory.sqlite") as store:
        study = run_cells(cells, frame, Execution(jobs=JOBS, store=store))
        for count, _cell in enumerate(study, 1):
            if count % 2000 == 0:
                processes = [ours, *ours.children(recursive=True)]
                each = [f"{process.memory_info().rss / 1e6:.0f}" for process in processes]
                print(f"{count} cells: {' + '.join(each)} MB", flush=True)
    print(f"{len(cells) / (time.monotonic() - began_at):.0f} cells/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "threads", "resume", "memory", "one-study"])
    parser.add_argument("--path", type=Path)
    given = parser.parse_args()
    prepare()
    if given.what == "one-study":
        run_study(given.path, JOBS)
        return
    with tempfile.TemporaryDirectory() as folder:
        {"speed": speed, "threads": threads, "resume": resume, "memory": memory}[given.what](
            Path(folder)
        )


if __name__ == "__main__":
    main()
