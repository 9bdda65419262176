"""Start of the studio, and its screenshots."""

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
from executor.base.signals import INTERRUPTED
from simulation.scenario.file import ScenarioFile
from studio.gui.document.document import Document
from studio.gui.toolkit.actions import PAGES
from studio.gui.toolkit.qt_theme import apply_theme, has_fonts
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow
from studio.resources import EXAMPLE, scenarios_dir
from studio.views.theme import THEMES


def application() -> QApplication:
    """Return the application object; make it at the first call.

    Raises:
        BadInput: No font is installed, so that Qt would draw every text as boxes.
    """
    os.environ.setdefault("QT_QPA_PLATFORM", "wayland;xcb;offscreen")
    existing = QApplication.instance()
    instance = existing if isinstance(existing, QApplication) else QApplication(["rollcast"])
    instance.setApplicationName("Rollcast")
    if not has_fonts():
        raise BadInput("no font is installed; on Debian: apt-get install fonts-inter")
    return instance


def open_studio(path: Path | None) -> int:
    """Open the window on a scenario, or on the shipped example; return the exit code.

    Raises:
        BadInput: The scenario is wrong, or there is no display to open a window on.
    """
    settings = Settings()
    running = application()
    if running.platformName() == "offscreen" and os.environ["QT_QPA_PLATFORM"] != "offscreen":
        raise BadInput("there is no display; rollcast compare works without one")
    file, error_text = file_to_open(path, settings)
    sys.excepthook = _exit_on_defect
    apply_theme(running, settings.theme)
    window = StudioWindow(Document(file), settings)
    if settings.geometry is not None:
        window.restoreGeometry(settings.geometry)
    window.show()
    if path is not None:
        settings.remember(path)
    is_first = path is None and not settings.was_started_before
    settings.note_start()
    if error_text:
        window.show_error(error_text)
    QTimer.singleShot(0, window.first_run.begin if is_first else window.jobs.start)
    QTimer.singleShot(0, window.recovery.offer_at_start)
    QTimer.singleShot(0, lambda: window.jobs.warm_up(window.make_pages_ahead))
    with _exit_on_interrupt(running):
        code = running.exec()
    window.leave()  # a signal or a defect ends the program without closing the window
    return code


@contextmanager
def _exit_on_interrupt(running: QApplication) -> Iterator[None]:
    """End the program on Ctrl+C in the terminal, which Qt does not notice by itself.

    Unsaved edits are offered at the next start.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    notifier = QSocketNotifier(receiver.fileno(), QSocketNotifier.Type.Read)
    # this call lets Python run its own signal handler
    notifier.activated.connect(lambda: receiver.recv(1))
    fd_before = signal.set_wakeup_fd(sender.fileno())
    previous_handler = signal.signal(
        signal.SIGINT, lambda _number, _frame: running.exit(INTERRUPTED)
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous_handler)
        signal.set_wakeup_fd(fd_before)
        notifier.setEnabled(False)
        receiver.close()
        sender.close()


def file_to_open(path: Path | None, settings: Settings) -> tuple[ScenarioFile, str]:
    """Return the scenario to open first, and why the remembered one could not be opened.

    Args:
        path: The named file; None for the last opened one where that is set, else the example.
        settings: The studio's settings.

    Raises:
        BadInput: The named scenario is invalid. An invalid remembered one does not prevent the
            start.
    """
    if path is not None:
        return ScenarioFile.load(path), ""
    last = settings.recent()[:1] if settings.value("reopen_last") else []
    try:
        return (ScenarioFile.load(last[0]) if last else _example()), ""
    except BadInput as error:
        return _example(), str(error)


def _example() -> ScenarioFile:
    """Return a copy of the shipped example without a file, so that the shipped file is never changed."""
    return ScenarioFile.parse((scenarios_dir() / EXAMPLE).read_text(encoding="utf-8"))


def take_screenshots(path: Path, directory: Path, size: tuple[int, int], theme: str | None) -> int:
    """Compare a scenario's windows and write a screenshot of every page; works without a display.

    Args:
        path: The scenario.
        directory: The directory of ``replay-light.png``, ``compare-dark.png`` and so on; made when
            missing.
        size: Width and height of the window, in pixels.
        theme: ``light`` or ``dark``; None for both.

    Raises:
        BadInput: The scenario is invalid, or a screenshot cannot be written.
    """
    file = ScenarioFile.load(path)
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    running = application()
    window = StudioWindow(Document(file), Settings())
    window.setMinimumSize(1, 1)
    window.resize(*size)
    failures: list[str] = []
    comparison_loop = QEventLoop()
    window.jobs.failed.connect(failures.append)
    window.jobs.ended.connect(comparison_loop.quit)
    window.show()
    window.jobs.start()
    if window.jobs.is_running:
        comparison_loop.exec()
    try:
        if failures:
            raise BadInput(failures[0])
        for name in [theme] if theme else list(THEMES):
            apply_theme(running, THEMES[name])
            window.set_theme(name)
            for key, _words, _tip in PAGES:
                window.show_page(key)
                _wait_until_settled(window)
                _write_screenshot(window, directory / f"{key.replace('_', '-')}-{name}.png")
    finally:
        window.leave()
        window.hide()
        window.deleteLater()
    return 0


def _wait_until_settled(window: StudioWindow) -> None:
    """Wait until the layout and the page's work in the background are done."""
    event_loop = QEventLoop()
    poll_timer = QTimer()
    poll_timer.setInterval(50)
    idle_polls = 0

    def quit_when_settled() -> None:
        nonlocal idle_polls
        is_busy = window.page(window.shown_page).has_pending_work() or any(
            job.is_open for job in window.jobs.jobs
        )
        idle_polls = 0 if is_busy else idle_polls + 1
        if idle_polls == 2:  # a widget that was just resized asks for its layout after one poll
            event_loop.quit()

    poll_timer.timeout.connect(quit_when_settled)
    poll_timer.start()
    event_loop.exec()
    poll_timer.stop()


def _write_screenshot(window: StudioWindow, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path.parent}: cannot be written: {error.strerror}") from None
    if not window.grab().save(str(path)):
        raise BadInput(f"{path}: cannot be written")
    print(path)


def _exit_on_defect(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """End the program on an exception in a slot: Qt alone would print it and continue."""
    traceback.print_exception(kind, error, trace)
    running = QApplication.instance()
    if running is not None:
        running.exit(1)
