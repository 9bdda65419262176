"""Compare the cost of a run, and of a whole comparison, of two versions of Rollcast.

A run of the evening scenario serves few requests, so most of its time goes to what every run needs: the
control plane, the random streams, the tables, the result. Both versions take turns on one processor.
A version is a folder with its sources or a revision of this repository.

    .venv/bin/python -m benchmarks.fixed_cost main~1            # against this folder
    .venv/bin/python -m benchmarks.fixed_cost main~1 v2         # two revisions
    .venv/bin/python -m benchmarks.fixed_cost main~1 --compare  # `rollcast compare` as well, in wall time
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.study.running.work import Work

HERE = Path(__file__).resolve()
ROOT = HERE.parents[1]
ROUNDS = 40
COMPARISONS = 7
WINDOWS = (1, 2, 4, 8)
KINDS = ("alone", "alone, with its control", "in a row", "in a row, with their control")
"""A case alone until it has settled, or all cases of a replication until the last of them has settled.

An older version simulates no control: there the kinds with a control are those without.
"""


def serve() -> None:
    """Simulate replications of the evening scenario, one for each line read; print ms a run of each kind."""
    from simulation.engines.compiled.prepare import prepare  # noqa: PLC0415 - of the version compared
    from simulation.results.run_result import EngineName  # noqa: PLC0415
    from simulation.scenario.file import ScenarioFile  # noqa: PLC0415
    from simulation.study.case import cases_of, frame_of_cases  # noqa: PLC0415
    from simulation.study.running.work import Part, Work  # noqa: PLC0415

    prepare()
    scenario = ScenarioFile.load(ROOT / "scenarios" / "checkout-evening.yaml").scenario
    cases = cases_of(scenario, WINDOWS)
    whole, bare = (Work(tuple(cases), frame_of_cases(cases), EngineName.COMPILED) for _ in range(2))
    leave_out_controls(bare)
    numbers = range(len(cases))
    for line in sys.stdin:
        replication, each_ms = int(line), {}
        row = [Part(replication, tuple(numbers))]
        alone = [Part(replication, (number,)) for number in numbers]
        for kind, work, parts in zip(
            KINDS, (bare, whole) * 2, (alone, alone, row, row), strict=True
        ):
            before = time.process_time()
            for part in parts:
                work.run(part)
            each_ms[kind] = (time.process_time() - before) / len(cases) * 1000
        print(json.dumps(each_ms), flush=True)


def leave_out_controls(work: Work) -> None:
    """Hold no case of the work against a control, if the version simulates controls."""
    if hasattr(type(work), "controls"):
        from simulation.study.control import Controls  # noqa: PLC0415 - an older version has none

        vars(work)["controls"] = Controls((), (None,) * len(work.cases))  # a cached property


@contextmanager
def sources(version: str) -> Iterator[Path]:
    """Give the folder of a version; a revision is unpacked into a temporary one."""
    if Path(version).is_dir():
        yield Path(version).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="rollcast-") as folder:
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", version], stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment in which Python imports the sources of a folder."""
    return {**os.environ, "PYTHONPATH": str(folder)}


def each_run_ms(folders: list[Path]) -> list[dict[str, float]]:
    """Return the processor time of a run in ms, by kind, for each version; medians over the rounds."""
    words = [sys.executable, "-P", str(HERE), "--serve"]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                subprocess.Popen(
                    words,
                    env=environment(folder),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for folder in folders
        ]
        rounds: list[list[dict[str, float]]] = [[] for _ in servers]
        for replication in range(ROUNDS + 2):
            for server, found in zip(servers, rounds, strict=True):
                assert server.stdin is not None
                assert server.stdout is not None
                print(replication, file=server.stdin, flush=True)
                found.append(json.loads(server.stdout.readline()))
    return [  # the first two rounds warm up
        {kind: statistics.median(each[kind] for each in found[2:]) for kind in KINDS}
        for found in rounds
    ]


def comparison_s(folder: Path) -> float:
    """Return the wall time of `rollcast compare` of the evening scenario without stored results, in s."""
    with tempfile.TemporaryDirectory(prefix="rollcast-") as place:
        shutil.copy(ROOT / "scenarios" / "checkout-evening.yaml", place)
        words = [sys.executable, "-P", "-m", "studio", "compare", f"{place}/checkout-evening.yaml"]
        before = time.perf_counter()
        subprocess.run(words, env=environment(folder), stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - before


def main() -> int:
    """Measure both versions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("before", nargs="?", help="A revision or a folder.")
    parser.add_argument("after", nargs="?", default=str(ROOT), help="Default: this folder.")
    parser.add_argument("--compare", action="store_true", help="Measure `rollcast compare`, too.")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return 0
    with ExitStack() as stack:
        folders = [stack.enter_context(sources(name)) for name in (given.before, given.after)]
        before, after = each_run_ms(folders)
        print("| | before | after | ratio |", "| --- | ---: | ---: | ---: |", sep="\n")
        for kind in KINDS:
            ratio = after[kind] / before[kind]
            print(f"| a run, {kind} | {before[kind]:.2f} ms | {after[kind]:.2f} ms | {ratio:.2f} |")
        if given.compare:
            rounds = [[comparison_s(folder) for folder in folders] for _ in range(COMPARISONS)]
            old_s, new_s = (statistics.median(each) for each in zip(*rounds, strict=True))
            print(f"| `rollcast compare` | {old_s:.2f} s | {new_s:.2f} s | {new_s / old_s:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
