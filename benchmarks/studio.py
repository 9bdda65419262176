"""Measure how long the studio takes to answer user input: median and worst of 100, offscreen.

    .venv/bin/python -m benchmarks.studio            # some minutes
    .venv/bin/python -m benchmarks.studio --write    # and docs/studio.md

A scenario of 200 instances is open and compared, and every interaction is done on the real window. The clock
runs until everything that the interaction changes has been painted. Each time is compared with its target. A
slower interaction is marked, but does not fail: this is a measurement, not a test.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QSettings, QTimer
from PySide6.QtWidgets import QApplication

from executor.base.files import atomic_write_text
from simulation.engines.compiled.prepare import prepare
from simulation.scenario.file import ScenarioFile
from studio.gui import app
from studio.gui.document.commands import edit_values
from studio.gui.document.document import Document
from studio.gui.toolkit.actions import PAGES
from studio.gui.toolkit.qt_theme import apply_theme
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow

PAGE = Path(__file__).parents[1] / "docs" / "studio.md"
TIMES = 100
SCENARIO = """\
rollcast: scenario/1
name: two-hundred
question: How wide a window can 200 instances afford?
replications: 60
seed: 1
traffic: {rate: 1200/s}
services:
  web:
    instances: 200
    slots: 4
    service_time: {mean: 500ms, cv: 1}
    steps: {stop: 1s, deploy: {mean: 8s, cv: 0.3}, start: {mean: 5s, cv: 0.5}}
rollout: {window: 16, drain: {timeout: 15s}}
objectives: {error_fraction: 0.1%, latency_p99: 4s, duration: 10m}
"""


@dataclass(frozen=True)
class Interaction:
    """An interaction with its measured times and its target."""

    name: str
    times_s: tuple[float, ...]
    target_s: float

    def row(self) -> str:
        """Return the row of the page."""
        median, worst = statistics.median(self.times_s) * 1e3, max(self.times_s) * 1e3
        return (
            f"| {self.name} | {len(self.times_s)} | {median:.1f} | {worst:.1f} "
            f"| {self.target_s * 1e3:.0f} |"
        )

    def line(self) -> str:
        """Return the line that is printed."""
        median, worst = statistics.median(self.times_s), max(self.times_s)
        mark = " " if worst <= self.target_s else ("!" if median <= self.target_s else "✗")
        return (
            f"{mark} {self.name:<44}{len(self.times_s):>5}{median * 1e3:>10.1f}"
            f"{worst * 1e3:>10.1f}{self.target_s * 1e3:>10.0f}"
        )


def paint(running: QApplication) -> None:
    """Process all pending events, including paint events."""
    running.processEvents()
    running.processEvents()


def measure(
    name: str, target_s: float, acts: Iterator[Callable[[], object]], running: QApplication
) -> Interaction:
    """Perform the actions one after the other, and measure each until it is painted."""
    times = []
    for act in acts:
        paint(running)
        began = time.perf_counter()
        act()
        paint(running)
        times.append(time.perf_counter() - began)
    return Interaction(name, tuple(times), target_s)


def until(signal: object, start: Callable[[], object]) -> float:
    """Return the time in s from a start until a signal is emitted."""
    loop = QEventLoop()
    signal.connect(loop.quit)  # type: ignore[attr-defined]
    guard = QTimer()
    guard.setSingleShot(True)
    guard.timeout.connect(loop.quit)
    guard.start(60_000)
    began = time.perf_counter()
    start()
    loop.exec()
    signal.disconnect(loop.quit)  # type: ignore[attr-defined]
    return time.perf_counter() - began


def a_window(folder: Path) -> StudioWindow:
    """Open a window on the scenario, and simulate the comparison."""
    path = folder / "two-hundred.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    store = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
    settings = Settings(store)
    window = StudioWindow(Document(ScenarioFile.load(path)), settings)
    apply_theme(app.application(), settings.theme)
    window.show()
    until(window.jobs.ended, window.jobs.start)
    return window


def moves(window: StudioWindow, count: int = TIMES) -> Iterator[Callable[[], object]]:
    """Yield the moves of the slider *Window size*, a step at a time."""
    for k in range(count):
        wide = 17 + k % 40
        values: dict[str, object] = {"rollout.window": wide}
        yield partial(edit_values, window.document, "window size", values, slides=True)


def interactions(window: StudioWindow, running: QApplication) -> Iterator[Interaction]:
    """Measure every interaction except the start of the program."""
    document, jobs = window.document, window.jobs
    keys = [key for key, _, _ in PAGES]
    for key in keys:
        window.show_page(key)  # makes the page
        paint(running)
    turns = (partial(window.show_page, key) for key in islice(cycle(keys), TIMES))
    yield measure("another page", 0.1, turns, running)
    for key, words, _tip in PAGES[:3]:
        window.show_page(key)
        runs = [run.key for run in document.runs]
        looks = (partial(document.look_at, key) for key in islice(cycle(runs), TIMES))
        yield measure(f"another run, on {words}", 0.1, looks, running)
    yield from scrubs(window, running)
    for key, words, _tip in PAGES[:3]:
        window.show_page(key)
        yield measure(f"slider → figures and lines, on {words}", 0.1, moves(window), running)
        document.undo.undo()
    window.show_page("replay")
    refined = []
    for move in moves(window, 20):
        refined.append(until(document.compared, move) - 0.25)
    yield Interaction("slider → first simulated results, after 250 ms", tuple(refined), 1.0)
    for k in range(TIMES):
        edit_values(document, "window size", {"rollout.window": 17 + k % 40})
    jobs.cancel()
    undo, redo = document.undo.undo, document.undo.redo
    yield measure("undo", 0.05, (undo for _ in range(TIMES)), running)
    yield measure("redo", 0.05, (redo for _ in range(TIMES)), running)
    acknowledged, idle = [], []
    for _ in range(20):
        until(jobs.progressed, jobs.start)
        began = time.perf_counter()
        jobs.cancel()
        paint(running)
        acknowledged.append(time.perf_counter() - began)
        while any(thread.isRunning() for thread in jobs.threads()):
            paint(running)
        idle.append(time.perf_counter() - began)
    yield Interaction("cancel → acknowledged", tuple(acknowledged), 0.1)
    yield Interaction("cancel → workers idle", tuple(idle), 1.0)


def scrubs(window: StudioWindow, running: QApplication) -> Iterator[Interaction]:
    """Measure the time slider of the page Replay, moved from one end to the other."""
    window.show_page("replay")
    page = window.page("replay")
    end_s = page.end_s  # type: ignore[attr-defined]
    go_to = page.go_to  # type: ignore[attr-defined]
    places = (partial(go_to, end_s * (k + 1) / TIMES) for k in range(TIMES))
    yield measure("scrub → tiles and cursor", 0.016, places, running)


_START = """
import sys, time
from pathlib import Path
from PySide6.QtCore import QEvent, QObject, QTimer
from studio.gui import app
from studio.gui.window import StudioWindow
began = float(sys.argv[1])
class First(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and isinstance(watched, StudioWindow):
            print(time.time() - began, flush=True)
            watched.removeEventFilter(self)
            watched.setProperty("leaving", True)
            QTimer.singleShot(0, watched.close)
        return False
first = First()
shown = StudioWindow.show
def show(window):
    window.installEventFilter(first)
    shown(window)
StudioWindow.show = show
sys.exit(app.open_studio(Path(sys.argv[2])))
"""


def starts(folder: Path, count: int = 10) -> Interaction:
    """Measure the time from the start of the program to the first window."""
    path = folder / "two-hundred.yaml"
    times = []
    for _ in range(count):
        said = subprocess.run(
            [sys.executable, "-c", _START, str(time.time()), str(path)],
            capture_output=True, text=True, check=True,
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "HOME": str(folder)},
        )  # fmt: skip
        times.append(float(said.stdout.split()[0]))
    return Interaction("start → first window", tuple(times), 1.0)


def main() -> None:
    """Measure everything and print a table; with ``--write`` write the page, too."""
    prepare()
    running = app.application()
    print(f"  {'interaction':<44}{'n':>5}{'median':>10}{'worst':>10}{'target':>10}   (ms)")
    rows = ["| interaction | times | median, ms | worst, ms | target, ms |",
            "| --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        window = a_window(folder)
        try:
            for one in interactions(window, running):
                print(one.line(), flush=True)
                rows.append(one.row())
        finally:
            window.setProperty("leaving", True)
            window.close()
        first = starts(folder)
        print(first.line())
        rows.append(first.row())
    if "--write" in sys.argv:
        _write(rows)


def _write(rows: list[str]) -> None:
    """Write the table into the page."""
    before, mark, rest = PAGE.read_text(encoding="utf-8").partition("<!-- answers -->\n")
    _old, end, after = rest.partition("<!-- end -->")
    table = "\n".join(rows)
    machine = f"{os.cpu_count()} cores of a shared machine, Python {platform.python_version()}."
    atomic_write_text(PAGE, f"{before}{mark}{table}\n\n{machine}\n{end}{after}")


if __name__ == "__main__":
    main()
