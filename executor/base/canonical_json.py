"""Canonical JSON, and the SHA-256 digest by which plans and scenarios are recognised."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Return the canonical text of a JSON value: sorted keys, no white space, no needless escapes.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON does not have.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value in UTF-8, in hexadecimal.

    Raises:
        ValueError: As `canonical_json`, or the value holds half of a surrogate pair.
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
