"""The one text of a JSON value, and its digest.

Enters: plain JSON data. Leaves: canonical JSON, or the SHA-256 of it by which plans and scenarios
are recognised.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no white space, nothing escaped needlessly.

    Raises:
        ValueError: The value holds NaN or an infinity, which JSON cannot say.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(value: Any) -> str:
    """SHA-256 over the canonical JSON of a value in UTF-8, in hexadecimal.

    Raises:
        ValueError: As `canonical_json`, or the value holds half of a surrogate pair.
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
