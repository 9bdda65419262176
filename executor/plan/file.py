"""JSON ↔ Plan, versioned and digested.

Enters: a path. Leaves: a `Plan` that fits its schema and whose digest says that nothing was
changed, or one line that says what is wrong.

The digest is SHA-256 over the canonical JSON of what the file says, digest and signature left out:
4 is not 4.0, and every character counts. White space between tokens and the order of keys do not.
It guards against accident; against intent only a signature does, see `executor.plan.signing`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from executor.base.canonical_json import canonical_json, digest_of
from executor.base.errors import BadInput, Refused
from executor.base.files import atomic_write_text
from executor.base.text_limits import MOST_PLAN_BYTES, read_limited_text
from executor.plan.model import PLAN_1, PLAN_2, PLAN_2_KEYS, Plan

__all__ = [
    "canonical_json",
    "digest_of",
    "plan_content",
    "plan_digest",
    "plan_schema",
    "plan_text",
    "read_plan",
    "seal",
    "write_plan",
]

_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


def plan_content(plan: Plan) -> dict[str, Any]:
    """The plan as the JSON data of its file."""
    left_out = set() if plan.signature is not None else {"signature"}
    if plan.schema_ == PLAN_1:
        left_out.update(PLAN_2_KEYS)
    return plan.model_dump(mode="json", by_alias=True, exclude=left_out)


def plan_digest(content: dict[str, Any]) -> str:
    """The digest of a plan's content: of everything but the digest itself and its signature."""
    sealing = {"digest", "signature"}
    return digest_of({key: value for key, value in content.items() if key not in sealing})


def seal(plan: Plan) -> Plan:
    """The plan with its digest filled in."""
    return plan.model_copy(update={"digest": plan_digest(plan_content(plan))})


def plan_text(plan: Plan) -> str:
    """What the plan's file says."""
    return json.dumps(plan_content(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_plan(path: Path, plan: Plan) -> None:
    """Writes the plan as it is, for its owner's eyes only: beside, then renamed.

    Raises:
        BadInput: The file cannot be written.
    """
    atomic_write_text(path, plan_text(plan), mode=0o600)


def read_plan(path: Path) -> Plan:
    """Reads a plan and checks its form and its digest; `executor.plan.rules.broken_rules` does the rest.

    Raises:
        BadInput: No such file, not JSON, or not the form of a plan.
        Refused: The digest is not that of the content: the plan was changed.
    """
    try:
        text = read_limited_text(path, MOST_PLAN_BYTES)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8: byte {error.start}") from None
    content = _parsed(text, path)
    try:
        plan = Plan.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise BadInput(f"{path}: {_worst(error)}") from None
    for key in PLAN_2_KEYS if plan.schema_ == PLAN_1 else ():
        if key in content:
            value = _shown(content[key])
            raise BadInput(
                f"{path}: {key} ({value}) must be a known key of {PLAN_1}; {PLAN_2} has it"
            )
    for key in plan_schema(plan.schema_)[
        "required"
    ]:  # the two that a plan in the making has by default, too
        if key not in content:
            raise BadInput(f"{path}: {key} must be given")
    _refuse_changed(text, content, path)
    return plan


def plan_schema(version: str = PLAN_1) -> dict[str, Any]:
    """The JSON Schema of a plan file of one version, for ``assets/``."""
    schema = Plan.model_json_schema(by_alias=True)
    properties = schema["properties"]
    properties["schema"] = {
        "const": version,
        "default": version,
        "title": "Schema",
        "type": "string",
    }
    if version == PLAN_1:
        for key in PLAN_2_KEYS:
            del properties[key]
        for name in ("AsWritten", "Workload"):
            del schema["$defs"][name]
        kept, _ = schema["description"].split("\n    carried_out_by:")
        schema["description"] = kept
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Rollcast plan",
        "required": [key for key in properties if key != "signature"],
    }


def _parsed(text: str, path: Path) -> dict[str, Any]:
    """The JSON object that the text is.

    Raises:
        BadInput: It is none, says a key twice, or holds a number that is not finite.
    """
    try:
        content = json.loads(
            text, object_pairs_hook=_without_twins, parse_float=_finite, parse_constant=_finite
        )
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: {_shown(content)} must be a JSON object")
    return content


def _without_twins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {_shown(key)} must stand only once in an object")
        found[key] = value
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"number {_shown(number)} must be finite")
    return value


def _refuse_changed(text: str, content: dict[str, Any], path: Path) -> None:
    """Holds the text to its digest.

    Two texts of one value (4.5 and 4.50, é and its escape) have one digest, so beyond the digest
    each value must stand as Rollcast writes it: then every character counts.

    Raises:
        Refused: The plan was changed since it was made.
    """
    said, now = str(content["digest"]), plan_digest(content)
    if said != now:
        raise Refused(
            f"{path}: digest ({said[:12] or 'none'}…) must be that of the content ({now[:12]}…): "
            "the plan was changed after it was made"
        )
    stands = _STRING_OR_SPACE.sub(r"\1", text)
    should = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    if stands != should:
        alike = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(stands, should, strict=False))
        )
        first = max(0, alike - 10)
        raise Refused(
            f"{path}: {_shown(stands[first : first + 30])} must stand as Rollcast writes it, "
            f"{_shown(should[first : first + 30])}: the plan was changed after it was made"
        )


def _worst(error: ValidationError) -> str:
    """The most telling breach of the schema as where, value and rule.

    That is another version of the schema, then an unknown key, then whatever comes first.
    """
    problem = min(
        error.errors(include_url=False),
        key=lambda one: (one["loc"] != ("schema",), one["type"] != "extra_forbidden"),
    )
    loc = [part for part in problem["loc"] if part != "[key]"]
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in loc).lstrip(".")
    if problem["type"] == "missing":
        return f"{where} must be given"
    if problem["type"] == "extra_forbidden" or "[key]" in problem["loc"]:
        near = difflib.get_close_matches(str(loc[-1]), _keys_beside(loc), n=1)
        return f"{where} ({_shown(problem['input'])}) must be a known key" + (
            f"; the nearest is {near[0]}" if near else ""
        )
    return f"{where or 'plan'} ({_shown(problem['input'])}) {_rule(problem)}"


def _rule(problem: ErrorDetails) -> str:
    """Pydantic's sentence about a value, in the tone of the house."""
    said = problem["msg"]
    if said.startswith("Input should "):
        return f"must {said.removeprefix('Input should ')}"
    return f"must be right: {said[0].lower()}{said[1:]}"


def _keys_beside(loc: Sequence[int | str]) -> list[str]:
    """The keys that may stand where the last of ``loc`` does."""
    schema = Plan.model_json_schema(by_alias=True)

    def followed(node: dict[str, Any]) -> dict[str, Any]:
        node = next((one for one in node.get("anyOf", ()) if "$ref" in one), node)
        return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

    node: dict[str, Any] = schema
    for part in loc[:-1]:
        if isinstance(part, int):
            node = followed(node["items"])
        else:
            node = followed(node.get("properties", {}).get(part) or node["additionalProperties"])
    if "propertyNames" in node:
        return list(followed(node["propertyNames"])["enum"])
    return list(node.get("properties", ()))


def _shown(value: Any) -> str:
    """A value on one line, not longer than 40 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"
