"""A plan file is read whole and unchanged, or refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.base.canonical_json import canonical_json, digest_of
from executor.base.errors import BadInput, Refused, RollcastError
from executor.plan.file import (
    plan_content,
    plan_digest,
    plan_schema,
    plan_text,
    read_plan,
    seal,
    write_plan,
)
from executor.plan.model import PLAN_2, PLAN_2_KEYS
from executor.plan.rules import broken_rules
from tests.helpers.paths import DATA
from tests.helpers.plans import beside_plan, example_plan, example_plan_text

TEXT = example_plan_text()
# No string of the example holds a space, so all its white space stands between tokens.
CONTENT_PLACES = [place for place, character in enumerate(TEXT) if not character.isspace()]

Content = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


def read_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    read_plan(path)


def resealed(content: Content) -> str:
    """The text of a changed content whose digest is right."""
    return json.dumps({**content, "digest": plan_digest(content)}, ensure_ascii=False)


def test_a_written_plan_is_read_again(path: Path) -> None:
    plan = example_plan()
    write_plan(path, plan)
    assert read_plan(path) == plan
    assert path.read_text(encoding="utf-8") == plan_text(plan)


def test_a_plan_with_gates_and_names_beyond_ascii_is_read_again(path: Path) -> None:
    plan = example_plan(name='Küche "✓"\n', advance="batch", pause_s=5.0)
    write_plan(path, plan)
    assert read_plan(path) == plan


def test_sealing_twice_changes_nothing() -> None:
    plan = example_plan()
    assert seal(plan) == plan
    assert seal(plan.model_copy(update={"seed": 2})).digest != plan.digest


@pytest.mark.parametrize(
    "rewritten",
    [
        pytest.param(json.dumps, id="on one line"),
        pytest.param(lambda content: json.dumps(content, indent="\t"), id="indented by tabs"),
        pytest.param(lambda content: json.dumps(content, sort_keys=True), id="keys sorted"),
        pytest.param(lambda content: f"\r\n{json.dumps(content)}\r\n", id="other line ends"),
    ],
)
def test_space_between_tokens_and_order_of_keys_do_not_matter(
    path: Path, rewritten: Callable[[Content], str]
) -> None:
    read_text(path, rewritten(json.loads(TEXT)))


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(CONTENT_PLACES), character=st.characters(codec="utf-8"))
def test_any_single_character_that_changes_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, place: int, character: str
) -> None:
    if character == TEXT[place]:
        return
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_bytes(f"{TEXT[:place]}{character}{TEXT[place + 1 :]}".encode())
    assert refused(path)


def refused(path: Path) -> bool:
    """Whether reading and rules, the whole way to an execution, say no; in one line."""
    try:
        return bool(broken_rules(read_plan(path), datetime.now(UTC)))
    except RollcastError as error:
        assert "\n" not in str(error)
        return True


CHANGED = [
    pytest.param('"seed": 1', '"seed": 2', id="a number"),
    pytest.param('"pause_s": 0.0', '"pause_s": 0', id="0.0 to 0"),
    pytest.param('"checkout-1"', '"checkout-7"', id="a name"),
    pytest.param('"30s"', '"31s"', id="inside the scenario"),
]


@pytest.mark.parametrize(("old", "new"), CHANGED)
def test_a_changed_plan_is_refused_with_both_digests(path: Path, old: str, new: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new)
    content = json.loads(changed)
    with pytest.raises(Refused) as error:
        read_text(path, changed)
    assert str(error.value) == (
        f"{path}: digest ({content['digest'][:12]}…) must be that of the content "
        f"({plan_digest(content)[:12]}…): the plan was changed after it was made"
    )


SAME_VALUE = [
    pytest.param("0.30000000000000004", "0.30000000000000003", id="a digit beyond precision"),
    pytest.param("31.25", "31.250", id="a needless zero"),
    pytest.param("31.25", "3125e-2", id="an exponent"),
    pytest.param("checkout-evening", "checkout\\u002devening", id="a needless escape"),
]


@pytest.mark.parametrize(("old", "new"), SAME_VALUE)
def test_a_value_written_differently_is_refused_though_its_digest_is_the_same(
    path: Path, old: str, new: str
) -> None:
    changed = TEXT.replace(old, new)
    assert plan_digest(json.loads(changed)) == json.loads(TEXT)["digest"]
    with pytest.raises(Refused, match="must stand as Rollcast writes it"):
        read_text(path, changed)


NOT_JSON = [
    pytest.param("", ":1:1: is not JSON: Expecting value", id="empty"),
    pytest.param('{\n "name": x}', ":2:10: is not JSON: Expecting value", id="a bare word"),
    pytest.param("[1, 2]", ": [1, 2] must be a JSON object", id="a list"),
    pytest.param(
        '{"a": {"b": 1, "b": 2}}',
        ': is not JSON: key "b" must stand only once in an object',
        id="a key twice",
    ),
    pytest.param('{"a": NaN}', ': is not JSON: number "NaN" must be finite', id="NaN"),
    pytest.param(
        '{"a": -Infinity}', ': is not JSON: number "-Infinity" must be finite', id="infinity"
    ),
    pytest.param('{"a": 1e999}', ': is not JSON: number "1e999" must be finite', id="too large"),
]


@pytest.mark.parametrize(("text", "message"), NOT_JSON)
def test_what_is_not_json_is_said_with_its_place(path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        read_text(path, text)
    assert str(error.value) == f"{path}{message}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 100_000, id="lists without end"),
        pytest.param('{"a": ' + "9" * 5000 + "}", id="a number without end"),
        pytest.param(TEXT.replace("checkout-evening", "\\ud800"), id="half a surrogate pair"),
        pytest.param(TEXT.replace('"seed": 1', f'"seed": {"[" * 300}{"]" * 300}'), id="nested"),
    ],
)
def test_hostile_json_is_bad_input_in_one_line(path: Path, text: str) -> None:
    with pytest.raises(BadInput) as error:
        read_text(path, text)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read_are_said_in_one_line(tmp_path: Path, path: Path) -> None:
    with pytest.raises(BadInput) as missing:
        read_plan(path)
    assert str(missing.value) == f"{path}: cannot be read: No such file or directory"
    with pytest.raises(BadInput) as folder:
        read_plan(tmp_path)
    assert str(folder.value) == f"{tmp_path}: cannot be read: Is a directory"
    path.write_bytes(b"{\xff}")
    with pytest.raises(BadInput) as other:
        read_plan(path)
    assert str(other.value) == f"{path}: is not UTF-8: byte 1"


def put(*keys: str | int, value: Any) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        inner: Any = content
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def drop(key: str) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        del content[key]

    return change


BREACHES = [
    pytest.param(
        put("windov", value=2),
        "windov (2) must be a known key; the nearest is window",
        id="unknown key",
    ),
    pytest.param(
        put("waves", 0, "paralel", value=2),
        "waves[0].paralel (2) must be a known key; the nearest is parallel",
        id="unknown key in a list",
    ),
    pytest.param(
        put("waves", 0, "gate", value={"pause": 2.0, "pause_s": 2.0}),
        "waves[0].gate.pause (2.0) must be a known key; the nearest is pause_s",
        id="unknown key in a part that may be left out",
    ),
    pytest.param(
        put("prediction", "metrics", "cut_requests", "men", value=1.0),
        "prediction.metrics.cut_requests.men (1.0) must be a known key; the nearest is mean",
        id="unknown key in a mapping",
    ),
    pytest.param(
        put("step_deadlines_s", "takeout", value=1.0),
        'step_deadlines_s.takeout ("takeout") must be a known key; the nearest is take_out',
        id="unknown step",
    ),
    pytest.param(
        put("win\ndow", value=2),
        "win dow (2) must be a known key; the nearest is window",
        id="a key of two lines",
    ),
    pytest.param(put("zzz", value=2), "zzz (2) must be a known key", id="key like no other"),
    pytest.param(put("schema_", value="rollcast.plan/1"), None, id="the key as Python says it"),
    pytest.param(
        put("schema", value="rollcast.plan/3"),
        "schema (\"rollcast.plan/3\") must be 'rollcast.plan/1' or 'rollcast.plan/2'",
        id="another version",
    ),
    pytest.param(
        put("surge", value=1),
        "surge (1) must be a known key of rollcast.plan/1; rollcast.plan/2 has it",
        id="a key of the next version",
    ),
    pytest.param(
        put("schema", value="rollcast.plan/2"),
        "carried_out_by must be given",
        id="the next version without its keys",
    ),
    pytest.param(drop("schema"), "schema must be given", id="no version"),
    pytest.param(drop("digest"), "digest must be given", id="no digest"),
    pytest.param(drop("window"), "window must be given", id="no window"),
    pytest.param(
        put("waves", 0, "parallel", value=0),
        "waves[0].parallel (0) must be greater than or equal to 1",
        id="a number too small",
    ),
    pytest.param(put("window", value="2"), 'window ("2") must be a valid integer', id="text"),
    pytest.param(put("window", value=True), "window (true) must be a valid integer", id="truth"),
    pytest.param(put("window", value=2.0), "window (2.0) must be a valid integer", id="2.0"),
    pytest.param(
        put("drain", "on_timeout", value="kill"),
        "drain.on_timeout (\"kill\") must be 'cut', 'wait' or 'abort'",
        id="a word that is no choice",
    ),
    pytest.param(
        put("created_at", value="2026-01-01T00:00:00"),
        'created_at ("2026-01-01T00:00:00") must have timezone info',
        id="no time zone",
    ),
]


@pytest.mark.parametrize(("change", "message"), BREACHES)
def test_a_breach_of_the_schema_names_where_value_and_rule(
    path: Path, change: Callable[[Content], None], message: str | None
) -> None:
    content = json.loads(TEXT)
    change(content)
    with pytest.raises(BadInput) as error:
        read_text(path, resealed(content) if "digest" in content else json.dumps(content))
    if message is not None:
        assert str(error.value) == f"{path}: {message}"


def test_the_worst_breach_is_the_one_that_is_said(path: Path) -> None:
    content = json.loads(TEXT)
    put("window", value=0)(content)
    put("widow", value=0)(content)
    with pytest.raises(BadInput, match="widow"):
        read_text(path, resealed(content))
    put("schema", value="rollcast.plan/3")(content)
    with pytest.raises(BadInput, match="schema"):
        read_text(path, resealed(content))


def test_a_plan_in_place_is_written_as_it_always_was() -> None:
    """The file was written before there was a second version: byte for byte."""
    path = DATA / "plan-1.json"
    plan = read_plan(path)
    assert plan.is_by_rollcast
    assert plan_text(plan) == path.read_text(encoding="utf-8")


def test_a_plan_of_the_second_version_reads_back(path: Path) -> None:
    plan = beside_plan(as_written={"window": "25%", "surge": 1})
    write_plan(path, plan)
    assert read_plan(path) == plan
    said = json.loads(path.read_text(encoding="utf-8"))
    assert {key: said[key] for key in PLAN_2_KEYS if key in said} == {
        "carried_out_by": "kubernetes",
        "replacement": "beside",
        "surge": 1,
        "as_written": {"window": "25%", "surge": 1},
        "workload": {
            "kind": "Deployment", "namespace": None, "name": "checkout", "container": "app",
        },
    }  # fmt: skip
    jsonschema.validate(said, plan_schema(PLAN_2))
    budget = beside_plan(on_failure="budget", progress_deadline_s=600.0)
    write_plan(path, budget)
    assert read_plan(path) == budget
    told = json.loads(path.read_text(encoding="utf-8"))
    assert (told["on_failure"], told["progress_deadline_s"]) == ("budget", 600.0)
    jsonschema.validate(told, plan_schema(PLAN_2))
    with pytest.raises(jsonschema.ValidationError, match=r"rollcast\.plan/1"):
        jsonschema.validate(said, plan_schema())


def test_a_failing_write_leaves_the_old_plan(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_plan(path, example_plan())
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(BadInput):
        write_plan(path, example_plan(seed=2))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


CANONICAL = [
    pytest.param({"b": 1, "a": [1.0, None, True]}, '{"a":[1.0,null,true],"b":1}', id="sorted"),
    pytest.param("é✓\n", '"é✓\\n"', id="only what must be is escaped"),
    pytest.param(4, "4", id="4"),
    pytest.param(4.0, "4.0", id="4.0"),
]


@pytest.mark.parametrize(("value", "text"), CANONICAL)
def test_canonical_json(value: Any, text: str) -> None:
    assert canonical_json(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_knows_finite_numbers_only(value: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"a": value})


def test_digest_is_sha256_of_utf8() -> None:
    # printf '{"a":"é"}' | sha256sum
    assert digest_of({"a": "é"}) == (
        "b3a092a6af48807fa9482b2ee140105575daa26d5b24b3c0e60a7e2dee6683b1"
    )


def test_the_schema_holds_what_is_written_and_refuses_what_is_not_a_plan() -> None:
    schema = plan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    content = plan_content(example_plan())
    assert list(validator.iter_errors(content)) == []
    for change in (drop("digest"), drop("schema"), put("windov", value=1)):
        wrong = json.loads(TEXT)
        change(wrong)
        assert not validator.is_valid(wrong)
    assert schema["title"] == "Rollcast plan"
