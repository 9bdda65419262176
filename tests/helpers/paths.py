"""Folders that tests read: the checkout, and data with known answers."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
FIELD = DATA / "field"
ORACLES = DATA / "oracles"
