"""Pictures of every page of the studio, in every size and theme that is looked at.

    python -m benchmarks.screenshots DIR

Each size is a start of the studio of its own, so that what the first layout does is seen too. The
doubled pixels are those of a fine screen. Those of the README are made by `benchmarks/readme.sh`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCENARIO = ROOT / "scenarios" / "checkout-evening.yaml"
SIZES = (("1024x640", "1"), ("1180x760", "1"), ("1180x760", "2"))


def take(directory: Path, size: str, scale: str = "1", scenario: Path = SCENARIO) -> None:
    """Every page, light and dark, in one size.

    Args:
        directory: Where the pictures go.
        size: Width and height of the window, such as ``1180x760``.
        scale: Pixels a side of each of the window's.
        scenario: What is shown.
    """
    command = [sys.executable, "-m", "studio", "studio", str(scenario)]
    subprocess.run(
        [*command, "--screenshots", str(directory), "--size", size],
        check=True,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale},
    )


def main() -> None:
    """Takes them."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.screenshots DIR")
    for size, scale in SIZES:
        take(Path(sys.argv[1]) / f"{size}@{scale}", size, scale)


if __name__ == "__main__":
    main()
