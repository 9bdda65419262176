"""The studio ends cleanly after Ctrl+C in its terminal and after a defect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command_line import SHOP
from tests.helpers.paths import ROOT

LONG = (
    SHOP.replace("replications: 4", "replications: 4000")
    .replace("instances: 6", "instances: 40")
    .replace("40/s", "300/s")
)

# A studio that prints a line when its study runs, and may then raise an exception.
CHILD = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from studio.gui.app import application, open_studio
from studio.gui.window import StudioWindow

running = application()
look = QTimer()

def see():
    window = next(one for one in running.topLevelWidgets() if isinstance(one, StudioWindow))
    is_on = window.jobs.study is not None and window.jobs.study.done > 0
    has_ended = window.jobs.study is None and window.document.comparison is not None
    if is_on if IS_LONG else has_ended:
        look.stop()
        print("ready", flush=True)
        if sys.argv[2] == "defect":
            raise ValueError("a defect")

IS_LONG = sys.argv[3] == "long"
look.timeout.connect(see)
look.start(50)
sys.exit(open_studio(Path(sys.argv[1])))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "length", "code", "last"),
    [
        ("signal", "long", 130, ""),
        ("signal", "short", 130, ""),
        ("defect", "long", 1, "ValueError: a defect"),
    ],
)
def test_it_ends_with_its_code_and_says_no_more_than_it_must(
    tmp_path: Path, way: str, length: str, code: int, last: str
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(LONG if length == "long" else SHOP, encoding="utf-8")
    home = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "STATE")}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), way, length],
        cwd=ROOT,
        env={**os.environ, **home, "QT_QPA_PLATFORM": "offscreen"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        if way == "signal":
            child.send_signal(signal.SIGINT)
        _out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == code
    assert (err.strip().splitlines() or [""])[-1] == last
    assert "leaked" not in err
