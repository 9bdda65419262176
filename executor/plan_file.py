"""JSON ↔ Plan, versioned and digested.

Enters: a path. Leaves: a `Plan` that fits its schema and whose digest says that nothing was
changed, or one line that says what is wrong. Written plans are canonical inside: two plans with the
same content have the same digest.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from executor.errors import BadInput, Refused
from executor.files import atomic_write_text
from executor.plan import RULES, Plan


def canonical_json(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no white space, no NaN.

    Raises:
        ValueError: The value holds NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(value: Any) -> str:
    """SHA-256 over the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def plan_digest(content: dict[str, Any]) -> str:
    """The digest of a plan's content: of everything but the digest itself.

    White space between tokens and the order of keys are no content; every other character is, the
    form of a number included (4 is not 4.0).
    """
    return digest_of({key: value for key, value in content.items() if key != "digest"})


def plan_content(plan: Plan) -> dict[str, Any]:
    """The plan as the JSON data of its file."""
    return plan.model_dump(mode="json", by_alias=True)


def sealed(plan: Plan) -> Plan:
    """The plan with its digest filled in."""
    return plan.model_copy(update={"digest": plan_digest(plan_content(plan))})


def write_plan(path: Path, plan: Plan) -> None:
    """Writes the plan, beside and renamed.

    Raises:
        BadInput: The file cannot be written.
    """
    text = json.dumps(plan_content(plan), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_text(path, text + "\n")


def read_plan(path: Path) -> Plan:
    """Reads a plan and checks its form and its digest.

    Raises:
        BadInput: No such file, no JSON, or not the form of a plan.
        Refused: The digest is not that of the content: the plan was changed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise BadInput(f"{path}: cannot be read: {why}") from None
    try:
        content = json.loads(
            text, object_pairs_hook=_without_twins, parse_constant=_no_such_number
        )
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}:1: a plan is a JSON object")
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        raise BadInput(f"{path}: {_first_problem(error)}") from None
    now = plan_digest(content)
    if plan.digest != now:
        raise Refused(
            f"{path}: digest: {plan.digest[:12] or 'none'}… is not that of the content "
            f"({now[:12]}…): the plan was changed after it was made"
        )
    return plan


def validate_report(plan: Plan, now: datetime) -> tuple[list[str], bool]:
    """Every check of a plan in plain words, and whether all of them hold.

    Args:
        plan: A plan as `read_plan` returns it: its form and digest hold.
        now: The present time, with a time zone.

    Returns:
        A line for each check, broken ones followed by what breaks them.
    """
    lines = ["✓ the form is that of rollcast.plan/1", "✓ nothing was changed since it was made"]
    checks = [(promise, list(broken(plan))) for promise, broken in RULES]
    checks.append(
        ("the embedded scenario is the one that was simulated", _scenario_problems(plan))
    )
    until = f"{plan.valid_until():%Y-%m-%d %H:%M %Z}"
    late = [] if now <= plan.valid_until() else [f"its validity ran out on {until}"]
    checks.append((f"it may be carried out until {until}", late))
    for promise, problems in checks:
        lines.append(f"{'✗' if problems else '✓'} {promise}")
        lines.extend(f"    {problem}" for problem in problems)
    return lines, not any(problems for _, problems in checks)


def _scenario_problems(plan: Plan) -> list[str]:
    if digest_of(plan.scenario) == plan.scenario_digest:
        return []
    return [f"scenario_digest ({plan.scenario_digest[:12]}…) must be that of the scenario"]


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of a plan file, for ``assets/``."""
    schema = Plan.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Rollcast plan",
        "required": sorted({*schema["required"], "schema", "digest"}),
    }


def _without_twins(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key} stands there twice")
        found[key] = value
    return found


def _no_such_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _first_problem(error: ValidationError) -> str:
    """The first thing wrong as ``key.path: value: rule``; unknown keys first."""
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"{where}: is missing"
    value = str(problem["input"])
    shown = value if len(value) <= 40 else value[:39] + "…"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _keys(Plan), n=1)
        return f"{where}: {shown}: unknown key" + (f" (nearest: {near[0]})" if near else "")
    message = problem["msg"]
    return f"{where}: {shown}: {message[0].lower()}{message[1:]}"


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that stands anywhere in a plan."""
    definitions = model.model_json_schema(by_alias=True)
    parts = [definitions, *definitions["$defs"].values()]
    return {key for part in parts for key in part.get("properties", {})}
