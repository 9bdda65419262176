"""Recovery: unsaved edits of a killed studio are offered at the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from simulation.scenario.file import ScenarioFile
from studio.gui.document import unsaved_edits as side_files
from studio.gui.document.commands import edit_values, edit_windows
from studio.gui.document.document import Document
from studio.gui.document.unsaved_edits import SUFFIX, SideFile
from studio.gui.frame.recovery import Recovery
from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT

# A studio that edits until it is killed, and prints the path of its side file.
CHILD = """
import sys
from pathlib import Path
from PySide6.QtCore import QSettings, QTimer
from simulation.scenario.file import ScenarioFile
from studio.gui.app import application
from studio.gui.document.commands import edit_values, edit_windows
from studio.gui.document.document import Document
from studio.gui.toolkit.settings import Settings
from studio.gui.window import StudioWindow

running = application()
path = Path(sys.argv[1])
document = Document(ScenarioFile.load(path))
window = StudioWindow(document, Settings(QSettings(sys.argv[2], QSettings.Format.IniFormat)))
recovery = window.recovery
window.show()
edit_values(document, "Window", {"rollout.window": 5})
edit_windows(document, (1, 5))
edit_values(document, "Drain", {"rollout.drain.timeout": "7s"})
look = QTimer()
look.timeout.connect(lambda: recovery.side_file and print(recovery.side_file, flush=True) or None)
look.start(20)
running.exec()
"""


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios [1]" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(SHOP, encoding="utf-8")
    return path


def start(qtbot: QtBot, path: Path | None, *recent: Path) -> tuple[Document, Recovery, list[str]]:
    """A studio that was just started, and the errors that it reports."""
    file = ScenarioFile.parse(SHOP) if path is None else ScenarioFile.load(path)
    document = Document(file)
    recovery = Recovery(document, document.open, lambda: recent)
    qtbot.addWidget(recovery.bar)
    wrong: list[str] = []
    recovery.failed.connect(wrong.append)
    return document, recovery, wrong


def press(qtbot: QtBot, recovery: Recovery, word: str) -> None:
    qtbot.mouseClick(recovery.bar.buttons[word], Qt.MouseButton.LeftButton)


def side_file_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{SUFFIX}")


def left_by_a_crash(path: Path | None, text: str, windows: tuple[int, ...] = ()) -> Path:
    """Write a side file of a program that has ended."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    held = SideFile(
        pid=int(ended.stdout),
        began_s=1.0,
        path=None if path is None else str(path),
        saved=SHOP,
        text=text,
        windows=windows,
    )
    place = side_files.write(held)
    return place


EDITED = SHOP.replace("window: 2 ", "window: 3 ")


@pytest.fixture
def killed(path: Path, tmp_path: Path) -> Iterator[Path]:
    """Return the side file of a studio that was killed during an edit."""
    arguments = [sys.executable, "-c", CHILD, str(path), str(tmp_path / "settings.ini")]
    child = subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    output = child.stdout
    assert output is not None
    try:
        place = output.readline().strip()
        assert place == str(side_file_of(path))
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        yield Path(place)
    finally:
        child.kill()
        child.wait()
        output.close()


def test_the_edits_of_a_killed_studio_are_offered_unchanged(
    qtbot: QtBot, path: Path, killed: Path
) -> None:
    document, recovery, wrong = start(qtbot, path)
    offer = recovery.offer_at_start()
    assert offer is not None
    assert recovery.bar.isVisible()
    assert recovery.bar.words == "shop has changes that were not saved when the studio ended."
    assert list(recovery.bar.buttons) == ["Recover", "Open saved", "Skip"]
    assert not document.is_changed  # the user has not answered yet

    press(qtbot, recovery, "Recover")
    expected = ScenarioFile.load(path).with_values(
        {"rollout.window": 5, "rollout.drain.timeout": "7s"}
    )
    assert document.state.file.text == expected.text
    assert "# two at once" in document.state.file.text
    assert document.state.windows == (1, 5)
    assert document.state.file.path == path
    assert document.is_changed
    assert recovery.bar.isHidden()
    assert wrong == []

    # The edits belong to this studio now, and can be undone.
    assert recovery.side_file == killed or recovery.side_file is not None
    document.undo.undo()
    assert not document.is_changed
    assert document.state.windows == ()
    assert recovery.side_file is None
    assert not killed.exists()
    assert path.read_text(encoding="utf-8") == SHOP


def test_it_is_written_a_second_after_a_change_and_goes_when_there_is_nothing_to_lose(
    qtbot: QtBot, path: Path
) -> None:
    document, recovery, _ = start(qtbot, path)
    assert recovery.offer() is None
    place = side_file_of(path)
    edit_values(document, "Window", {"rollout.window": 3})
    assert not place.exists()
    qtbot.waitUntil(place.exists, timeout=5000)
    held = side_files.read(place)
    assert held.text == document.state.file.text
    assert held.saved == SHOP
    assert held.path == str(path)
    assert held.pid == os.getpid()
    assert held.is_mine
    assert held.is_in_use
    assert place.stat().st_mode & 0o077 == 0
    document.undo.undo()
    assert not place.exists()
    document.undo.redo()
    recovery.keep()
    assert place.exists()
    document.save(path)
    assert not place.exists()
    edit_windows(document, (1, 4))
    recovery.keep()
    assert side_files.read(place).windows == (1, 4)
    recovery.clear()
    assert not place.exists()
    assert list(path.parent.iterdir()) == [path]


def test_opening_another_file_removes_the_first_side_file(qtbot: QtBot, path: Path) -> None:
    document, recovery, _ = start(qtbot, path)
    edit_values(document, "Window", {"rollout.window": 3})
    recovery.keep()
    other = path.with_name("other.yaml")
    other.write_text(SHOP, encoding="utf-8")
    document.open(ScenarioFile.load(other))
    assert not side_file_of(path).exists()
    edit_values(document, "Window", {"rollout.window": 4})
    recovery.keep()
    assert recovery.side_file == side_file_of(other)
    recovery.clear()


def test_open_saved_gives_the_changes_up(qtbot: QtBot, path: Path) -> None:
    place = left_by_a_crash(path, EDITED)
    document, recovery, _ = start(qtbot, path)
    assert recovery.offer() is not None
    press(qtbot, recovery, "Open saved")
    assert not place.exists()
    assert document.state.file.text == SHOP
    assert not document.is_changed
    assert recovery.offer() is None


def test_skip_keeps_them_and_no_edit_writes_over_them(qtbot: QtBot, path: Path) -> None:
    place = left_by_a_crash(path, EDITED)
    before = place.read_bytes()
    document, recovery, _ = start(qtbot, path)
    recovery.offer()
    press(qtbot, recovery, "Skip")
    assert recovery.bar.isHidden()
    edit_values(document, "Window", {"rollout.window": 4})
    recovery.keep()
    assert recovery.side_file not in (None, place)
    assert place.read_bytes() == before
    recovery.clear()
    _, again, _ = start(qtbot, path)
    assert again.offer() is not None


def test_the_side_file_of_a_running_studio_is_neither_offered_nor_overwritten(
    qtbot: QtBot, path: Path
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        try:
            import psutil

            began_s = psutil.Process(other.pid).create_time()
            held = SideFile(pid=other.pid, began_s=began_s, path=str(path), saved=SHOP, text=EDITED)
            place = side_files.write(held)
            document, recovery, wrong = start(qtbot, path)
            assert recovery.offer() is None
            assert wrong == []
            edit_values(document, "Window", {"rollout.window": 4})
            recovery.keep()
            assert side_files.read(place) == held
            assert recovery.side_file is not None
            assert side_files.read(recovery.side_file).text == document.state.file.text
            recovery.clear()
        finally:
            other.communicate(b"\n")
    _, recovery, _ = start(qtbot, path)
    assert recovery.offer() is not None  # the process has ended


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no recovery file and is left alone: Invalid JSON"),
        (b"{}", "is no recovery file and is left alone: pid: Field required"),
        (b"\xff\xfe", "is no recovery file and is left alone: Invalid JSON"),
        (b'{"rollcast": "recovery/9"}', "rollcast: Input should be 'recovery/1'"),
    ],
)
def test_an_invalid_side_file_is_reported_in_one_line_and_left_alone(
    qtbot: QtBot, path: Path, content: bytes, said: str
) -> None:
    place = side_file_of(path)
    place.write_bytes(content)
    document, recovery, wrong = start(qtbot, path)
    assert recovery.offer() is None
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{place}: ")
    assert said in wrong[0]
    assert "\n" not in wrong[0]
    edit_values(document, "Window", {"rollout.window": 4})
    recovery.keep()
    assert place.read_bytes() == content
    recovery.clear()
    assert place.read_bytes() == content


def test_a_side_file_with_an_invalid_scenario_is_reported_and_left_alone(
    qtbot: QtBot, path: Path
) -> None:
    place = left_by_a_crash(path, SHOP.replace("instances: 6", "instances: none"))
    _, recovery, wrong = start(qtbot, path)
    assert recovery.offer() is None
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{place}: cannot be recovered and is left alone: ")
    assert place.exists()


def test_a_side_file_equal_to_the_saved_file_is_removed(qtbot: QtBot, path: Path) -> None:
    place = left_by_a_crash(path, EDITED)
    path.write_text(EDITED, encoding="utf-8")  # killed between saving and clearing
    _, recovery, _ = start(qtbot, path)
    assert recovery.offer() is None
    assert not place.exists()


def test_the_offer_names_a_file_changed_since(qtbot: QtBot, path: Path) -> None:
    left_by_a_crash(path, EDITED)
    path.write_text(SHOP.replace("instances: 6", "instances: 8"), encoding="utf-8")
    document, recovery, _ = start(qtbot, path)
    recovery.offer()
    assert recovery.bar.words.endswith("and its file was changed since.")
    press(qtbot, recovery, "Recover")
    assert document.scenario.service.instance_count == 6
    assert document.scenario.window_count() == 3
    recovery.clear()


def test_a_scenario_that_was_never_saved_is_offered_at_the_next_start(
    qtbot: QtBot, state_home: Path, path: Path
) -> None:
    place = left_by_a_crash(None, EDITED, (1, 3))
    assert place.is_relative_to(state_home)
    document, recovery, _ = start(qtbot, path)
    assert recovery.offer() is None  # the side file belongs to another file
    assert recovery.offer_at_start() is not None
    press(qtbot, recovery, "Recover")
    assert document.state.file.path is None
    assert document.state.file.text == EDITED
    assert document.state.windows == (1, 3)
    assert document.is_changed
    recovery.clear()
    assert list(state_home.rglob(f"*{SUFFIX}")) == []


def test_recent_files_are_offered_one_after_the_other(qtbot: QtBot, path: Path) -> None:
    other = path.with_name("other.yaml")
    other.write_text(SHOP, encoding="utf-8")
    left_by_a_crash(path, EDITED)
    left_by_a_crash(other, EDITED.replace("window: 3 ", "window: 4 "))
    document, recovery, _ = start(qtbot, None, other, path)
    recovery.offer_at_start()
    assert recovery.bar.words.startswith("other has")
    press(qtbot, recovery, "Skip")
    assert recovery.bar.words.startswith("shop has")
    press(qtbot, recovery, "Recover")
    assert document.state.file.path == path
    assert document.scenario.window_count() == 3
    assert recovery.bar.isHidden()
    recovery.clear()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_beside_a_read_only_scenario_nothing_is_written(
    qtbot: QtBot, path: Path, state_home: Path
) -> None:
    path.chmod(0o444)
    document, recovery, _ = start(qtbot, path)
    edit_values(document, "Window", {"rollout.window": 3})
    recovery.keep()
    assert recovery.side_file is not None
    assert recovery.side_file.is_relative_to(state_home)
    recovery.clear()


def test_a_side_file_goes_to_the_state_directory_and_a_failed_write_is_reported(
    qtbot: QtBot, path: Path, state_home: Path
) -> None:
    document, recovery, wrong = start(qtbot, path)
    side_file_of(path).mkdir()  # a directory with the side file's name
    edit_values(document, "Window", {"rollout.window": 3})
    recovery.keep()
    assert recovery.side_file is not None
    assert recovery.side_file.is_relative_to(state_home)
    assert json.loads(recovery.side_file.read_text(encoding="utf-8"))["path"] == str(path)
    recovery.clear()
    assert wrong == []
    (state_home / "rollcast" / "recovery").rmdir()
    (state_home / "rollcast").rmdir()
    (state_home / "rollcast").write_text("in the way", encoding="utf-8")
    recovery.keep()
    assert len(wrong) == 1
    assert wrong[0].startswith("unsaved edits cannot be kept: ")
    document.undo.undo()


def test_every_answer_can_be_reached_by_keys(qtbot: QtBot, path: Path) -> None:
    left_by_a_crash(path, EDITED)
    document, recovery, _ = start(qtbot, path)
    recovery.offer()
    first = recovery.bar.buttons["Recover"]
    first.setFocus()
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    for word, button in recovery.bar.buttons.items():
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus, word
        assert button.accessibleDescription()
    qtbot.keyClick(first, Qt.Key.Key_Space)
    assert document.scenario.window_count() == 3
    recovery.clear()
