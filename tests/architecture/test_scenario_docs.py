"""The documented scenario contains every key of the schema, and is accepted."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from ruamel.yaml import YAML

from simulation.scenario.file import ScenarioFile
from simulation.scenario.model import Scenario
from simulation.scenario.rollout import ServiceRollout
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "scenario.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
SHORT, WHOLE = EXAMPLES
ROWS = re.findall(r"^\| `([^`]+)` \|", TEXT, re.MULTILINE)
strategy_type = ServiceRollout.model_fields["strategy"].annotation
FORMS = {
    name: [row for row in ROWS if re.search(pattern, row)]
    for name, pattern in (
        ("durations", "^20s|^{.*(mean|exponential|empirical)"),
        ("rates", "^240/s|^{.*(/s|trace|timestamps)"),
        ("arrivals", "^arrivals:"),
    )
}


def keys_of(model: type[Any]) -> Iterator[tuple[str, type[Any] | None]]:
    """Yield the keys of a part of a scenario, each with the part that is its value, if any."""
    for name, field in model.model_fields.items():
        part: Any = field.annotation
        if get_origin(part) is dict:
            part = get_args(part)[1]
        held = next((one for one in (part, *get_args(part)) if hasattr(one, "model_fields")), None)
        is_one_of_kinds = get_origin(part) is not None and len(get_args(part)) > 2
        yield field.alias or name, None if is_one_of_kinds else held


def undocumented(model: type[Any], data: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys of the schema that the example lacks; names of services and classes are free."""
    for key, part in keys_of(model):
        if key not in data:
            yield prefix + key
        elif key == "rollout" and prefix == "services.":
            continue  # a service's `rollout` has the keys of the scenario's
        elif part is not None and isinstance(data[key], dict):
            inner = data[key]
            if key in {"services", "classes"}:
                inner = next(iter(inner.values()))
            yield from undocumented(part, inner, f"{prefix}{key}.")


def test_the_example_holds_every_key() -> None:
    data = YAML(typ="safe").load(WHOLE)
    assert list(undocumented(Scenario, data)) == []


def test_a_key_that_the_example_lacks_is_found() -> None:
    data = YAML(typ="safe").load(WHOLE)
    del data["services"]["web"]["balancer"]["queue"], data["rollout"]["drain"]["on_timeout"]
    assert set(undocumented(Scenario, data)) == {
        "services.balancer.queue",
        "rollout.drain.on_timeout",
    }


@pytest.mark.parametrize(
    "switches",
    [
        *([f"rollout.strategy={one}"] for one in get_args(strategy_type)),
        ["rollout.surge=25%", "rollout.replacement=beside"],
        ["traffic.arrivals=bursty"],
        ["traffic.arrivals=closed"],
    ],
)
def test_a_switch_is_all_it_takes(switches: list[str]) -> None:
    """Keys that only another strategy or kind of arrivals needs are allowed, and ignored until then."""
    assert ScenarioFile.parse(WHOLE, sets=switches).scenario.rollout is not None


@pytest.mark.parametrize("text", EXAMPLES, ids=["short", "whole"])
def test_an_example_is_a_scenario(text: str) -> None:
    assert ScenarioFile.parse(text).scenario.service.instance_count == 8


@pytest.mark.parametrize("form", FORMS["durations"])
def test_each_form_of_a_duration_is_accepted(form: str, tmp_path: Path) -> None:
    (tmp_path / "durations.txt").write_text("0.2\n300ms\n", encoding="utf-8")
    path = tmp_path / "shop.yaml"
    path.write_text(SHORT, encoding="utf-8")
    file = ScenarioFile.load(path, [f"services.web.service_time={form}"])
    assert file.scenario.service.service_time.mean_s() > 0


@pytest.mark.parametrize("form", FORMS["arrivals"])
def test_each_kind_of_arrivals_is_accepted(form: str, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHORT, encoding="utf-8")
    file = ScenarioFile.load(path, [f"traffic={{{form}}}"])
    assert file.scenario.traffic.arrivals == YAML(typ="safe").load(f"{{{form}}}")["arrivals"]


@pytest.mark.parametrize("form", FORMS["rates"])
def test_each_form_of_a_rate_is_accepted(form: str, tmp_path: Path) -> None:
    trace = re.findall(r"```\n(time,requests\n.*?)```", TEXT, re.DOTALL)
    (tmp_path / "evening.csv").write_text(trace[0], encoding="utf-8")
    (tmp_path / "requests.csv.gz").write_bytes(gzip.compress(b"time\n0.5\n1.25\n"))
    path = tmp_path / "shop.yaml"
    path.write_text(SHORT, encoding="utf-8")
    file = ScenarioFile.load(path, [f"traffic.rate={form}"])
    assert file.scenario.rates().highest_rps() > 0


def test_the_page_shows_all_forms() -> None:
    assert len(FORMS["durations"]) == 9
    assert len(FORMS["rates"]) == 7
    assert len(FORMS["arrivals"]) == 4
