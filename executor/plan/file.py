"""Read and write plan files: JSON with a schema version and a digest.

The digest is SHA-256 over the canonical JSON of the file's content without digest and signature.
4 differs from 4.0, and every character of a value counts; white space between tokens and the order
of keys do not count. The digest protects against accidental changes; only a signature protects
against intended ones, see `executor.plan.signing`.
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
from executor.plan.model import OPTIONAL_KEYS, PLAN_1, PLAN_2, PLAN_2_KEYS, Plan

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
    """Return the plan as the JSON data of its file."""
    left_out = {key for key in OPTIONAL_KEYS if not getattr(plan, key)}
    if plan.schema_ == PLAN_1:
        left_out.update(PLAN_2_KEYS)
    content = plan.model_dump(mode="json", by_alias=True, exclude=left_out)
    if not plan.prediction.verdict.objectives:
        del content["prediction"]["verdict"]["objectives"]
    return content


def plan_digest(content: dict[str, Any]) -> str:
    """Return the digest of a plan's content, without the digest itself and the signature."""
    sealing = {"digest", "signature"}
    return digest_of({key: value for key, value in content.items() if key not in sealing})


def seal(plan: Plan) -> Plan:
    """Return the plan with its digest."""
    return plan.model_copy(update={"digest": plan_digest(plan_content(plan))})


def plan_text(plan: Plan) -> str:
    """Return the text of the plan's file."""
    return json.dumps(plan_content(plan), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan into a file that only its owner can read, in one atomic step.

    Raises:
        BadInput: The file cannot be written.
    """
    atomic_write_text(path, plan_text(plan), mode=0o600)


def read_plan(path: Path) -> Plan:
    """Read a plan and check its schema and its digest.

    The rules across its fields are checked by `executor.plan.rules.broken_rules`.

    Raises:
        BadInput: The file is missing, is not JSON, or does not fit the schema of a plan.
        Refused: The digest is not that of the content: the plan was changed.
    """
    try:
        text = read_limited_text(path, MOST_PLAN_BYTES)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8: byte {error.start}") from None
    content = _parse(text, path)
    try:
        plan = Plan.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise BadInput(f"{path}: {_first_problem(error)}") from None
    for key in PLAN_2_KEYS if plan.schema_ == PLAN_1 else ():
        if key in content:
            value = _shown(content[key])
            raise BadInput(
                f"{path}: {key} ({value}) must be a known key of {PLAN_1}; {PLAN_2} has it"
            )
    # The model has defaults for `schema` and `digest`, which a plan under construction needs. A file
    # must have them.
    for key in plan_schema(plan.schema_)["required"]:
        if key not in content:
            raise BadInput(f"{path}: {key} must be given")
    _refuse_changed(text, content, path)
    return plan


def plan_schema(version: str = PLAN_1) -> dict[str, Any]:
    """Return the JSON Schema of a plan file of one version, for ``assets/``."""
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
        for name in ("AsWritten", "PlannedStart", "TrafficRange", "Workload"):
            del schema["$defs"][name]
        properties["on_failure"]["enum"].remove("budget")
        description, _ = schema["description"].split("\n    carried_out_by:")
        schema["description"] = description
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Rollcast plan",
        "required": [key for key in properties if key not in OPTIONAL_KEYS],
    }


def _parse(text: str, path: Path) -> dict[str, Any]:
    """Return the JSON object of a text.

    Raises:
        BadInput: The text is no JSON object, has a key twice, or holds a number that is not finite.
    """
    try:
        content = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_float=_parse_finite,
            parse_constant=_parse_finite,
        )
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: {_shown(content)} must be a JSON object")
    return content


def _unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"key {_shown(key)} must stand only once in an object")
        content[key] = value
    return content


def _parse_finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"number {_shown(number)} must be finite")
    return value


def _refuse_changed(text: str, content: dict[str, Any], path: Path) -> None:
    """Compare the text with its digest.

    Two texts of one value (4.5 and 4.50, é and its escape) have the same digest. So each value must
    also be written as Rollcast writes it: then every character counts.

    Raises:
        Refused: The plan was changed since it was made.
    """
    stated, actual = str(content["digest"]), plan_digest(content)
    if stated != actual:
        raise Refused(
            f"{path}: digest ({stated[:12] or 'none'}…) must be that of the content ({actual[:12]}…): "
            "the plan was changed after it was made"
        )
    compact = _STRING_OR_SPACE.sub(r"\1", text)
    expected = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    if compact != expected:
        pairs = zip(compact, expected, strict=False)
        equal_count = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        first = max(0, equal_count - 10)
        raise Refused(
            f"{path}: {_shown(compact[first : first + 30])} must stand as Rollcast writes it, "
            f"{_shown(expected[first : first + 30])}: the plan was changed after it was made"
        )


def _first_problem(error: ValidationError) -> str:
    """Return the problem of a schema that explains most, as key, value and rule.

    Another schema version explains all other problems, and an unknown key may explain a missing one.
    """
    problem = min(
        error.errors(include_url=False),
        key=lambda problem: (problem["loc"] != ("schema",), problem["type"] != "extra_forbidden"),
    )
    loc = [part for part in problem["loc"] if part != "[key]"]
    key_path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(
        "."
    )
    if problem["type"] == "missing":
        return f"{key_path} must be given"
    if problem["type"] == "extra_forbidden" or "[key]" in problem["loc"]:
        near = difflib.get_close_matches(str(loc[-1]), _keys_beside(loc), n=1)
        return f"{key_path} ({_shown(problem['input'])}) must be a known key" + (
            f"; the nearest is {near[0]}" if near else ""
        )
    return f"{key_path or 'plan'} ({_shown(problem['input'])}) {_rule(problem)}"


def _rule(problem: ErrorDetails) -> str:
    """Return pydantic's message about a value in the form of Rollcast's messages."""
    message = problem["msg"]
    if message.startswith("Input should "):
        return f"must {message.removeprefix('Input should ')}"
    return f"must be right: {message[0].lower()}{message[1:]}"


def _keys_beside(loc: Sequence[int | str]) -> list[str]:
    """Return the keys that a plan allows in the object that holds the key at ``loc``.

    ``loc`` is pydantic's path of the problem; its last part is the unknown key itself.
    """
    schema = Plan.model_json_schema(by_alias=True)

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        node = next((option for option in node.get("anyOf", ()) if "$ref" in option), node)
        return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

    node: dict[str, Any] = schema
    for part in loc[:-1]:
        if isinstance(part, int):
            node = resolve(node["items"])
        else:
            node = resolve(node.get("properties", {}).get(part) or node["additionalProperties"])
    if "propertyNames" in node:
        return list(resolve(node["propertyNames"])["enum"])
    return list(node.get("properties", ()))


def _shown(value: Any) -> str:
    """Return a value as one line of at most 40 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"
