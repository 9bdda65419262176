"""Take pictures of every page of the studio, in every size and theme for review.

    python -m benchmarks.screenshots DIR

Each size starts the studio anew, so that the pictures also show its first layout. The doubled pixels are
those of a high-resolution screen. `benchmarks/readme.sh` makes the pictures of the README.
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
    """Take pictures of every page, light and dark, in one size.

    Args:
        directory: The folder for the pictures.
        size: Width and height of the window, such as ``1180x760``.
        scale: Device pixels per window pixel, on each side.
        scenario: The scenario that is shown.
    """
    command = [sys.executable, "-m", "studio", "studio", str(scenario)]
    subprocess.run(
        [*command, "--screenshots", str(directory), "--size", size],
        check=True,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": scale},
    )


def main() -> None:
    """Take the pictures in every size."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.screenshots DIR")
    for size, scale in SIZES:
        take(Path(sys.argv[1]) / f"{size}@{scale}", size, scale)


if __name__ == "__main__":
    main()
