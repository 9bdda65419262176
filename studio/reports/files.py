"""Charts and data as files that others read.

Enters: figures by name, or a comparison. Leaves: PNG, SVG and PDF; CSV and Parquet. Every file is
written beside and renamed: a reader finds the old one or the whole new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from executor.base.errors import BadInput
from executor.base.extras import require_extra
from executor.base.files import write_beside
from simulation.results.run_result import METRICS
from simulation.study.compare import Comparison
from studio.charts import style
from studio.views.figures_text import candidate_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CHART_KINDS = {".png": "PNG", ".svg": "SVG", ".pdf": "PDF"}
DATA_KINDS = {".csv": "CSV", ".parquet": "Parquet"}
PNG_SCALE = 2
"""A PNG has so many pixels for each of the screen's."""

_NO_DATE: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""The same chart is the same file, whenever it is written."""


def write_charts(figures: Mapping[str, Figure], path: Path) -> list[Path]:
    """Writes charts in the kind that the name ends in.

    One chart has the name that is given; of several each adds its own: ``evening-trade-off.svg``.

    Args:
        figures: The charts by name, at least one.
        path: Ends in one of `CHART_KINDS`.

    Returns:
        The files that were written.

    Raises:
        BadInput: The name ends in something else, or a file cannot be written.
    """
    kind = _kind(path, CHART_KINDS)
    written = []
    for name, figure in figures.items():
        target = path if len(figures) == 1 else _named(path, name)
        with (
            write_beside(target) as beside,
            style.use_style(),
            mpl.rc_context({"svg.hashsalt": "rollcast"}),
        ):
            dpi = style.DPI * PNG_SCALE if kind == ".png" else style.DPI
            figure.savefig(beside, format=kind[1:], dpi=dpi, metadata=_NO_DATE[kind])
        written.append(target)
    return written


def write_data(comparison: Comparison, path: Path) -> list[Path]:
    """Writes all that was simulated as three tables, in the kind that the name ends in.

    The file named holds `runs_frame`; beside it ``NAME-series`` and ``NAME-states`` hold
    `series_frame` and `states_frame`.

    Args:
        comparison: What was simulated.
        path: Ends in one of `DATA_KINDS`.

    Returns:
        The files that were written.

    Raises:
        BadInput: The name ends in something else, or a file cannot be written.
    """
    _kind(path, DATA_KINDS)
    frames = {
        path: runs_frame(comparison),
        _named(path, "series"): series_frame(comparison),
        _named(path, "states"): states_frame(comparison),
    }
    for target, frame in frames.items():
        write_frame(target, frame)
    return list(frames)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Writes a table as CSV, or as Parquet where the name ends so.

    Raises:
        BadInput: The file cannot be written, or Parquet's library is not installed.
    """
    if path.suffix == ".parquet":
        require_extra("parquet", f"{path}:")
    with write_beside(path) as beside:
        if path.suffix == ".parquet":
            frame.to_parquet(beside, index=False)
        else:
            frame.to_csv(beside, index=False)


def runs_frame(comparison: Comparison) -> pd.DataFrame:
    """One row for each candidate and replication, with every metric in the unit of its name.

    ``run`` numbers the replications that are simulated, from 0: rows of one number met the same
    traffic. ``requests_*`` are counts over the common interval.
    """
    import pandas as pd  # noqa: PLC0415 - a first window starts without it

    rows = []
    for index, result in enumerate(comparison.candidates):
        candidate = result.candidate
        settings = {
            "candidate": candidate_name(comparison, index),
            "window_count": candidate.window,
            "advance": candidate.advance,
            "surge": str(candidate.surge),
            "pause_s": candidate.pause_s,
            "drain_timeout_s": candidate.drain_timeout_s,
            "policy": candidate.policy or comparison.scenario.service.balancer.policy,
            "start": candidate.start_label,
        }
        for number, run in enumerate(result.runs):
            rows.append(
                {
                    **settings,
                    "run": number,
                    "ended": run.ended,
                    "settled_s": run.settled_s,
                    "end_s": run.end_s,
                    **{f"requests_{name}": count for name, count in run.requests.items()},
                    **run.metrics,
                }
            )
    frame = pd.DataFrame(rows)
    frame[list(METRICS)] = frame[list(METRICS)].astype("float64")  # None, too, is a number: NaN
    return frame


def series_frame(comparison: Comparison) -> pd.DataFrame:
    """One row for each candidate, replication and bin of time, which begins at ``time_s``."""
    import pandas as pd  # noqa: PLC0415 - as above

    frames = []
    for index, result in enumerate(comparison.candidates):
        for number, run in enumerate(result.runs):
            frame = run.series_frame().reset_index()
            frame.insert(0, "run", number)
            frame.insert(0, "candidate", candidate_name(comparison, index))
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def states_frame(comparison: Comparison) -> pd.DataFrame:
    """One row for each stretch that an instance spent in one state, in seconds from the start."""
    import pandas as pd  # noqa: PLC0415 - as above

    names = comparison.scenario.all_instance_names()
    rows = []
    for index, result in enumerate(comparison.candidates):
        named = result.scenario.all_instance_names() or names
        for number, run in enumerate(result.runs):
            rows += [
                (
                    candidate_name(comparison, index),
                    number,
                    named[one.instance],
                    one.state.value,
                    one.begin_s,
                    one.end_s,
                )
                for one in run.states
            ]
    return pd.DataFrame(rows, columns=["candidate", "run", "instance", "state", "begin_s", "end_s"])


def _kind(path: Path, kinds: Mapping[str, str]) -> str:
    if path.suffix not in kinds:
        *others, last = kinds
        raise BadInput(f"{path}: must end in {', '.join(others)} or {last}")
    return path.suffix


def _named(path: Path, name: str) -> Path:
    word = "-".join(name.lower().split())
    return path.with_name(f"{path.stem}-{word}{path.suffix}")
