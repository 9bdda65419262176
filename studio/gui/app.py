"""Starting the studio, and its pictures."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QEventLoop, QSocketNotifier, QTimer
from PySide6.QtWidgets import QApplication

from executor.base.errors import BadInput
from simulation.scenario.file import ScenarioFile
from studio.gui.document.document import Document
from studio.gui.toolkit.actions import PAGES
from studio.gui.toolkit.qt_theme import apply_theme, has_fonts
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow
from studio.resources import EXAMPLE, scenarios_dir
from studio.views.theme import THEMES

INTERRUPTED = 130
"""The exit code of what Ctrl+C has ended."""


def application() -> QApplication:
    """The one application object, made where there is none yet.

    Raises:
        BadInput: No font can be found, so that every text would be boxes.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "wayland;xcb;offscreen")
    existing = QApplication.instance()
    made = existing if isinstance(existing, QApplication) else QApplication(["rollcast"])
    made.setApplicationName("Rollcast")
    if not has_fonts():
        raise BadInput("no font is installed; on Debian: apt-get install fonts-inter")
    return made


def open_studio(path: Path | None) -> int:
    """Opens the window on a scenario, the shipped example without one; returns the exit code.

    Raises:
        BadInput: The scenario is wrong, or there is no display to open a window on.
    """
    settings = Settings()
    running = application()
    if running.platformName() == "offscreen" and os.environ["QT_QPA_PLATFORM"] != "offscreen":
        raise BadInput("there is no display; rollcast compare answers without one")
    file, wrong = file_to_open(path, settings)
    sys.excepthook = _tell
    apply_theme(running, settings.theme)
    window = StudioWindow(Document(file), settings)
    if settings.geometry is not None:
        window.restoreGeometry(settings.geometry)
    window.show()
    if path is not None:
        settings.remember(path)
    is_first = path is None and not settings.was_started_before
    settings.note_start()
    if wrong:
        window.show_error(wrong)
    QTimer.singleShot(0, window.first_run.begin if is_first else window.jobs.start)
    QTimer.singleShot(0, window.recovery.offer_at_start)
    QTimer.singleShot(0, lambda: window.jobs.warm_up(window.make_pages_ahead))
    with _interrupts_heeded(running):
        code = running.exec()
    window.leave()  # it was not closed where a signal or a defect has ended the program
    return code


@contextmanager
def _interrupts_heeded(running: QApplication) -> Iterator[None]:
    """Ctrl+C in the terminal ends the program as it should; Qt alone hears of no signal.

    What is not saved is offered at the next start.
    """
    here, there = socket.socketpair()
    there.setblocking(False)
    heard = QSocketNotifier(here.fileno(), QSocketNotifier.Type.Read)
    heard.activated.connect(lambda: here.recv(1))  # here Python comes to its own handler
    fd_before = signal.set_wakeup_fd(there.fileno())
    before = signal.signal(signal.SIGINT, lambda _number, _frame: running.exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(fd_before)
        heard.setEnabled(False)
        here.close()
        there.close()


def file_to_open(path: Path | None, settings: Settings) -> tuple[ScenarioFile, str]:
    """What is open first, and what is wrong with the scenario that was to be, in words.

    Args:
        path: What is named; None for what was open last, where that is set, else the example.
        settings: What the studio remembers.

    Raises:
        BadInput: The scenario that is named is wrong; one that is only remembered keeps nobody out.
    """
    if path is not None:
        return ScenarioFile.load(path), ""
    last = settings.recent()[:1] if settings.value("reopen_last") else []
    try:
        return (ScenarioFile.load(last[0]) if last else _example()), ""
    except BadInput as error:
        return _example(), str(error)


def _example() -> ScenarioFile:
    """A copy of the shipped example: it has no file, so that what is shipped stays as it is."""
    return ScenarioFile.parse((scenarios_dir() / EXAMPLE).read_text(encoding="utf-8"))


def take_screenshots(path: Path, directory: Path, size: tuple[int, int], theme: str | None) -> int:
    """Compares a scenario's windows and writes a picture of every page; works offscreen.

    Args:
        path: The scenario.
        directory: Where ``replay-light.png``, ``compare-dark.png`` and so on go; made when missing.
        size: Width and height of the window, in pixels.
        theme: ``light`` or ``dark``; None for both.

    Raises:
        BadInput: The scenario is wrong or a picture cannot be written.
    """
    file = ScenarioFile.load(path)
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    running = application()
    window = StudioWindow(Document(file), Settings())
    window.setMinimumSize(1, 1)
    window.resize(*size)
    failures: list[str] = []
    waiting = QEventLoop()
    window.jobs.failed.connect(failures.append)
    window.jobs.ended.connect(waiting.quit)
    window.show()
    window.jobs.start()
    if window.jobs.is_running:
        waiting.exec()
    try:
        if failures:
            raise BadInput(failures[0])
        for name in [theme] if theme else list(THEMES):
            apply_theme(running, THEMES[name])
            window.set_theme(name)
            for key, _words, _tip in PAGES:
                window.show_page(key)
                _until_painted(window)
                _write_picture(window, directory / f"{key.replace('_', '-')}-{name}.png")
    finally:
        window.leave()
        window.hide()
        window.deleteLater()
    return 0


def _until_painted(window: StudioWindow) -> None:
    """Lets everything come to rest: what is laid out, and what the page does in the background."""
    settle = QEventLoop()
    looking = QTimer()
    looking.setInterval(50)

    def look() -> None:
        is_about_to = window.page(window.shown_page).has_pending_work()
        if not is_about_to and not any(job.is_open for job in window.jobs.jobs):
            settle.quit()

    looking.timeout.connect(look)
    looking.start()
    settle.exec()
    looking.stop()


def _write_picture(window: StudioWindow, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path.parent}: cannot be written: {error.strerror}") from None
    if not window.grab().save(str(path)):
        raise BadInput(f"{path}: cannot be written")
    print(path)


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error in a slot is a defect: Qt would print it and go on as if nothing had happened."""
    traceback.print_exception(kind, error, trace)
    running = QApplication.instance()
    if running is not None:
        running.exit(1)
