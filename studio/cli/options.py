"""What several commands share: their options, the scenario, the simulation with its progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from executor.base.errors import BadInput
from executor.base.yaml_positions import shorten_value

if TYPE_CHECKING:
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
"""Maximum number of processes that may be asked for."""


def whole_number(option: str, least: int, most: int = 2**63 - 1) -> Callable[[str], int]:
    """A parser of whole numbers from ``least`` to ``most``, which says what was given."""

    def parse(text: str) -> int:
        # Python refuses to read numbers of more than 4,300 digits
        if text.isdecimal() and (len(text) > 40 or int(text) > most):
            raise BadInput(f"{option} {shorten_value(text)}: must be at most {most:,}")
        if not text.isdecimal() or int(text) < least:
            raise BadInput(f"{option} {text}: must be a whole number, at least {least}")
        return int(text)

    return parse


ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file.")]
Seed = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--seed", 0), metavar="N", help="Of all randomness; the scenario's own."
    ),
]
Replications = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--replications", 1), metavar="N", help="Runs of each candidate."
    ),
]
Engine = Annotated[str, typer.Option(help="auto, compiled or reference.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=whole_number("--jobs", 1, MOST_JOBS), metavar="N", help="Processes; one a core."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Of a dask scheduler whose workers simulate."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Any key of the scenario. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Figures as a table.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="All of it as a page.")]
Requests = Annotated[
    Path | None,
    typer.Option("--requests", metavar="FILE.csv|.parquet", help="A row for each request."),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Windows = Annotated[
    str | None, typer.Option(metavar="1,2,25%", help="Windows: counts or percentages.")
]

DrainTimeouts = Annotated[str | None, typer.Option(metavar="10s,30s", help="Drain timeouts.")]
Advances = Annotated[str | None, typer.Option(metavar="sliding,batch", help="Ways to advance.")]
Starts = Annotated[
    str | None,
    typer.Option(
        metavar="09:00,every:30m,02:00..06:00/10m",
        help="Starts on the traffic's clock; every: goes through the whole trace, or a day.",
    ),
]


def parse_advance(word: str) -> str:
    """A way to advance.

    Raises:
        ValueError: There is no such way.
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
    """The scenario of a file with the common options over it.

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
    """The same with its text.

    Raises:
        BadInput: The file or an option is wrong.
    """
    from simulation.scenario.file import ScenarioFile

    given = list(sets or ())
    given += [f"seed={seed}"] if seed is not None else []
    given += [f"replications={replications}"] if replications is not None else []
    return ScenarioFile.load(path, given)


def get_ready(engine: str, quiet: bool) -> EngineName:
    """Return the engine of an option; compile the fast engine first where it will be used.

    Raises:
        BadInput: There is no such engine.
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
    """The values of an option such as ``--windows 1,2,25%``.

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
    """The value of an option that takes no more than one.

    Raises:
        BadInput: There are several, or it breaks its rule.
    """
    values = comma_list(option, text, parse)
    if len(values) > 1:
        raise BadInput(f"{option} {text}: must be one value")
    return values[0]


def must_be_writable(scenario: Path, *paths: Path | None) -> None:
    """Refuses a file that could not be written, before anything is computed for it.

    Raises:
        BadInput: Its folder is missing, it is a folder itself, or it is the scenario.
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
        on_comparison: Called with the comparison so far, at most twice a second.

    Raises:
        BadInput: As `simulation.study.driver.run_study`.
    """
    from simulation.study.driver import run_study as run

    with progress_bar(quiet) as report:
        comparison, rows = run(
            scenario,
            cases,
            execution,
            stored_beside=path,
            keep_requests=keep_requests,
            on_progress=partial(report, "replications"),
            on_comparison=on_comparison,
        )
    assert comparison is not None  # a command is stopped by an exception only
    return comparison, rows


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, Eta], None]]:
    """What is told what is being done, and how far it is; shows it where there is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from studio.views.figures_text import time_left_text

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[left]}")
    shorten_value = [TextColumn(one) if isinstance(one, str) else one for one in columns]
    hidden = quiet or not sys.stderr.isatty()
    with Progress(
        *shorten_value, console=Console(stderr=True), transient=True, disable=hidden
    ) as progress:
        task = progress.add_task("", left="")

        def told(what: str, pace: Eta) -> None:
            left = time_left_text(pace.left_s())
            progress.update(
                task, description=what, completed=pace.done, total=pace.total, left=left
            )

        yield told


@contextmanager
def report_search(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """The same for a search, which does one thing after another: what, how many, of how many."""
    from simulation.study.time_left import Eta

    with progress_bar(quiet) as bar:
        pace = Eta(0)

        def told(what: str, done: int, total: int) -> None:
            nonlocal pace
            if done == 0:
                pace = Eta(total)
            else:
                pace.record_result(was_stored=False)
            bar(what, pace)

        yield told


def write_report(path: Path, comparison: Comparison, text: str) -> None:
    """Writes what was compared as one page, with the scenario's text in it.

    Raises:
        BadInput: The file cannot be written.
    """
    from executor.base.files import atomic_write_text
    from studio.reports.comparison_report import comparison_report

    atomic_write_text(path, comparison_report(comparison, text))


def print_json(data: dict[str, Any]) -> None:
    """Prints one JSON object."""
    import json

    print(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
