"""Every benchmark starts: the claims in the docs can be reproduced only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))


def test_every_benchmark_is_found() -> None:
    assert {"engines", "estimates", "fidelity", "intervals", "pairing", "studies"} <= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_starts(name: str) -> None:
    command = [sys.executable, "-c", f"import benchmarks.{name}"]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
