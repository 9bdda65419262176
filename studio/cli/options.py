"""Options that several commands share, and functions to load a scenario and simulate it with progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from executor.base.errors import BadInput
from executor.base.yaml_positions import shorten_value

if TYPE_CHECKING:
    from simulation.planning.alternatives.model import Alternatives
    from simulation.results.run_result import EngineName
    from simulation.scenario.file import ScenarioFile
    from simulation.scenario.model import Scenario
    from simulation.study.case import Case
    from simulation.study.compare import Comparison
    from simulation.study.execution import Execution
    from simulation.study.rows import Row
    from simulation.study.time_left import Eta

Value = TypeVar("Value")


MOST_JOBS = 1024
"""Maximum number of worker processes."""


def whole_number(option: str, least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``least`` to ``most``, whose error names the option and the value."""

    def parse(text: str) -> int:
        # Python refuses to read numbers of more than 4,300 digits
        if text.isdecimal() and (len(text) > 40 or int(text) > most):
            raise BadInput(f"{option} {shorten_value(text)}: must be at most {most:,}")
        if not text.isdecimal() or int(text) < least:
            raise BadInput(f"{option} {text}: must be a whole number, at least {least}")
        return int(text)

    return parse


ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario file.")]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--seed", 0), metavar="N", help="Random seed (default: the scenario's)."
    ),
]
Replications = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--replications", 1),
        metavar="N",
        help="Number of simulated runs of each candidate (default: the scenario's, or as many as the study may cost).",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="auto|compiled|reference",
        help="Simulation engine; auto takes the compiled one where it can run the scenario.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--jobs", 1, MOST_JOBS),
        metavar="N",
        help="Number of worker processes (default: one per processor core).",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a dask scheduler whose workers simulate (default: simulate on this machine).",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Set a key of the scenario; repeatable (default: the file's values).",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as one JSON object instead of a table.")
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE", help="Also write every figure to this CSV file (default: none)."
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Also write the result as an HTML page (default: none)."
    ),
]
Requests = Annotated[
    Path | None,
    typer.Option(
        "--requests",
        metavar="FILE.csv|.parquet",
        help="Also write a table with one row per simulated request (default: none).",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print no progress.")]
AllRows = Annotated[
    bool,
    typer.Option("--all", help="Show every row of the table (default: the 12 most useful)."),
]
Windows = Annotated[
    str | None,
    typer.Option(
        metavar="1,2,25%",
        help="Windows to compare: instances replaced at once, as counts or percentages of the fleet "
        "(default: a few that suit the fleet, unless another option varies something).",
    ),
]

DrainTimeouts = Annotated[
    str | None,
    typer.Option(
        metavar="10s,30s",
        help="Drain timeouts to compare, with unit (default: the scenario's).",
    ),
]
Advances = Annotated[
    str | None,
    typer.Option(
        metavar="sliding,batch",
        help="How the rollout goes on to the next instances: sliding (when one is done), batch (when the window is done), or both to compare (default: the scenario's).",
    ),
]
Starts = Annotated[
    str | None,
    typer.Option(
        metavar="09:00,every:30m,tue..thu/22:00..05:00/30m",
        help="Starts to compare: times of day, dates of the trace, or, with a trace of a week or more, "
        "weekdays and times of the coming week; every:30m goes through the week, a shorter trace, or "
        "a day (default: the scenario's).",
    ),
]


def parse_advance(word: str) -> str:
    """Return a way to advance.

    Raises:
        ValueError: The word is not ``sliding`` or ``batch``.
    """
    if word not in ("sliding", "batch"):
        raise ValueError("must be sliding or batch")
    return word


def load(
    path: Path,
    sets: Sequence[str] | None,
    seed: int | None = None,
    replications: int | None = None,
) -> Scenario:
    """Return the scenario of a file, changed by the common options.

    Raises:
        BadInput: The file or an option is wrong.
    """
    return load_file(path, sets, seed, replications).scenario


def load_file(
    path: Path,
    sets: Sequence[str] | None,
    seed: int | None = None,
    replications: int | None = None,
) -> ScenarioFile:
    """Return the scenario of a file, changed by the common options, together with its text.

    Raises:
        BadInput: The file or an option is wrong.
    """
    from simulation.scenario.file import ScenarioFile

    settings = list(sets or ())
    settings += [f"seed={seed}"] if seed is not None else []
    settings += [f"replications={replications}"] if replications is not None else []
    return ScenarioFile.load(path, settings)


def get_ready(engine: str, quiet: bool) -> EngineName:
    """Return the engine of an option; compile the fast engine first where it will be used.

    Raises:
        BadInput: The engine's name is unknown.
    """
    from simulation.engines.compiled.code_cache import COMPILE_CPU_S, is_ready
    from simulation.engines.compiled.prepare import prepare
    from simulation.results.run_result import ENGINES, EngineName

    if engine not in ENGINES:
        raise BadInput(f"--engine {engine}: must be {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if engine != EngineName.REFERENCE and not is_ready():
        if not quiet:
            print(
                f"rollcast: compiling the fast engine, once; {COMPILE_CPU_S:.0f} s of a processor",
                file=sys.stderr,
            )
        prepare()
    return EngineName(engine)


def make_execution(
    engine: str, jobs: int | None, cluster: str | None = None, *, quiet: bool
) -> Execution:
    """Return how the options say to simulate; compile the fast engine first where it will be used.

    Raises:
        BadInput: There is no such engine, or both processes and a cluster are asked for.
    """
    from simulation.study.execution import Execution

    if jobs is not None and cluster is not None:
        raise BadInput("--jobs and --cluster: must not both be given")
    return Execution(jobs=jobs, cluster=cluster, engine=get_ready(engine, quiet))


def comma_list(option: str, text: str | None, parse: Callable[[str], Value]) -> list[Value]:
    """Return the values of an option such as ``--windows 1,2,25%``.

    Raises:
        BadInput: A value breaks its rule.
    """
    if text is None:
        return []
    values = []
    for word in text.split(","):
        try:
            values.append(parse(word.strip()))
        except ValueError as error:
            raise BadInput(
                f"{option} {shorten_value(text)}: {shorten_value(word.strip() or 'nothing')}: {error}"
            ) from None
    return values


def one_value(option: str, text: str, parse: Callable[[str], Value]) -> Value:
    """Return the value of an option that takes one value.

    Raises:
        BadInput: There are several values, or the value breaks its rule.
    """
    values = comma_list(option, text, parse)
    if len(values) > 1:
        raise BadInput(f"{option} {text}: must be one value")
    return values[0]


def must_be_writable(scenario: Path, *paths: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is computed for it.

    Raises:
        BadInput: The file's folder is missing, the file is a folder, or it is the scenario itself.
    """
    for path in paths:
        if path is None:
            continue
        if path.exists() and scenario.exists() and path.samefile(scenario):
            raise BadInput(f"{path}: cannot be written: is the scenario itself")
        if path.is_dir():
            raise BadInput(f"{path}: cannot be written: is a directory")
        if not path.parent.is_dir():
            raise BadInput(f"{path}: cannot be written: no such directory: {path.parent}")


def run_study(
    scenario: Scenario,
    cases: Sequence[Case],
    execution: Execution,
    *,
    path: Path | None = None,
    quiet: bool = False,
    keep_requests: bool = False,
    on_progress: Callable[[Eta], None] | None = None,
    on_comparison: Callable[[Comparison, Eta], None] | None = None,
) -> tuple[Comparison, list[Row]]:
    """Run the study, with progress on standard error when that is a terminal.

    Args:
        scenario: The study's scenario.
        cases: What is compared.
        execution: Where and how to simulate.
        path: The scenario's file, beside which results are stored; None to store none.
        quiet: Whether no progress is shown.
        keep_requests: Whether results carry every request.
        on_progress: Called with the progress in place of the bar on standard error.
        on_comparison: Called with the comparison so far, at most twice a second.

    Raises:
        BadInput: As `simulation.study.driver.run_study`.
    """
    from simulation.study.driver import run_study as run
    from studio.views.figures_text import replications_text

    with progress_bar(quiet) as report:
        comparison, rows = run(
            scenario,
            cases,
            execution,
            stored_beside=path,
            keep_requests=keep_requests,
            on_progress=on_progress or (lambda eta: report(replications_text(eta), eta)),
            on_comparison=on_comparison,
        )
    assert comparison is not None  # a command is stopped by an exception only
    return comparison, rows


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, Eta], None]]:
    """Yield a function that shows the name of the present task and its progress, where there is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from studio.views.figures_text import time_left_text

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[left]}")
    shown_columns = [
        TextColumn(column) if isinstance(column, str) else column for column in columns
    ]
    hidden = quiet or not sys.stderr.isatty()
    with Progress(
        *shown_columns, console=Console(stderr=True), transient=True, disable=hidden
    ) as progress:
        task = progress.add_task("", left="")

        def report(task_name: str, eta: Eta) -> None:
            left = time_left_text(eta.left_s())
            progress.update(
                task, description=task_name, completed=eta.done, total=eta.total, left=left
            )

        yield report


@contextmanager
def report_search(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows a search's progress: the task, the number done, and the number of all."""
    from simulation.study.time_left import Eta

    with progress_bar(quiet) as bar:
        eta = Eta(0)

        def report(task_name: str, done: int, total: int) -> None:
            nonlocal eta
            if done == 0:
                eta = Eta(total)
            else:
                eta.record_result(was_stored=False)
            bar(task_name, eta)

        yield report


def write_report(
    path: Path, comparison: Comparison, text: str, alternatives: Alternatives | None = None
) -> None:
    """Write a comparison as one HTML page, with the scenario's text in it.

    Args:
        path: The page's file.
        comparison: The comparison.
        text: The scenario's text.
        alternatives: The changes that would meet, where no candidate does.

    Raises:
        BadInput: The file cannot be written.
    """
    from executor.base.files import atomic_write_text
    from studio.reports.comparison_report import comparison_report

    atomic_write_text(path, comparison_report(comparison, text, alternatives=alternatives))


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object; where the stream is no Unicode, with JSON's own escapes."""
    import json

    is_unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    print(json.dumps(data, indent=1, ensure_ascii=not is_unicode, allow_nan=False))
