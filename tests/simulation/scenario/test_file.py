"""Scenario files: defaults, short forms, values set over them, and error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.base.errors import BadInput
from simulation.scenario.distributions import Constant, Lognormal
from simulation.scenario.file import ScenarioFile, scenario_schema
from simulation.scenario.model import Scenario

GOOD = """\
rollcast: scenario/1
# what comes in
traffic: {rate: 240/s}
services:
  checkout:
    instances: 24   # all of them
    slots: 4
    service_time: {mean: 300ms, cv: 1}
    steps: {deploy: 20s, start: {mean: 10s, p99: 23s}}
rollout:
  window: 25%
  drain: {timeout: 30s}
objectives: {latency_p99: 2s, error_fraction: 0.1%}
"""


def error_of(text: str, path: Path | None = None, sets: tuple[str, ...] = ()) -> str:
    with pytest.raises(BadInput) as caught:
        ScenarioFile.parse(text, path, sets)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_short_forms_and_defaults() -> None:
    one = ScenarioFile.parse(GOOD, Path("evening.yaml")).scenario
    assert one.name == "evening"
    assert one.rates().rate_at(5.0) == 240.0
    service = one.service
    assert (service.instance_count, service.slots) == (24, 4)
    assert isinstance(service.service_time, Lognormal)
    steps = dict(service.steps.in_order())
    assert list(steps) == ["take_out", "stop", "deploy", "verify", "start", "return"]
    assert steps["deploy"] == Constant.model_validate({"constant": "20s"})
    assert steps["start"].quantile_s(0.99) == pytest.approx(23.0)
    assert steps["start"].mean_s() == 10.0
    assert steps["return"].mean_s() == 0.0
    assert one.rollout is not None
    assert one.window_count() == 6
    assert (one.rollout.advance, one.rollout.drain.on_timeout) == ("sliding", "cut")
    assert (one.seed, one.replications) == (1, None)
    assert (one.objectives.in_runs, one.objectives.error_fraction) == (0.95, 0.001)
    assert service.balancer.policy == "round_robin"
    assert service.instance_names("checkout")[0] == "checkout-01"


def test_a_dumped_scenario_parses_to_itself() -> None:
    one = ScenarioFile.parse(GOOD).scenario
    assert Scenario.model_validate(one.as_data()) == one


@pytest.mark.parametrize(
    ("sets", "found"),
    [
        pytest.param("services.checkout.slots=8", lambda s: s.service.slots == 8, id="number"),
        pytest.param("rollout.window=3", lambda s: s.window_count() == 3, id="window"),
        pytest.param(
            "rollout.drain.on_timeout=wait",
            lambda s: s.rollout.drain.on_timeout == "wait",
            id="new",
        ),
        pytest.param(
            "traffic.rate={steps: [[0s, 1/s]]}",
            lambda s: s.rates().highest_rps() == 1,
            id="mapping",
        ),
        pytest.param("clock.start='18:00'", lambda s: s.start_s() == 64800.0, id="new mapping"),
        pytest.param(
            "services.checkout.instances=[a, b, c, d]", lambda s: s.window_count() == 1, id="list"
        ),
    ],
)
def test_set_reaches_any_key(sets: str, found: object) -> None:
    one = ScenarioFile.parse(GOOD, sets=[sets]).scenario
    assert callable(found)
    assert found(one)


def test_values_set_keep_comments_and_survive_a_save(tmp_path: Path) -> None:
    file = ScenarioFile.parse(GOOD).with_values({"rollout.window": 3, "clock.start": "18:00"})
    assert "# what comes in" in file.text
    assert "# all of them" in file.text
    saved = file.save(tmp_path / "evening.yaml")
    read = ScenarioFile.load(tmp_path / "evening.yaml")
    assert saved.text == read.text
    assert read.scenario.window_count() == 3
    assert read.scenario.start_s() == 64800.0


@pytest.mark.parametrize(
    "values", [{"rollout.window": 3}, {"rollout.pause": "3s"}, {"name": "other"}], ids=str
)
def test_a_save_changes_no_other_line(tmp_path: Path, values: dict[str, object]) -> None:
    long = "{policy: least_connections, health_check: {interval: 1s, timeout: 500ms, rise: 2, fall: 3}}"
    text = GOOD.replace("    slots: 4", f"    balancer: {long}   # as it was\n    slots: 4")
    steps = "\n  rate:\n    steps: [ # by hand\n      [0h, 240/s],  # night\n        [6h, 300/s] ]"
    text = text.replace(" {rate: 240/s}", steps) + "# where it ends\n"
    path = tmp_path / "evening.yaml"
    path.write_text(text, encoding="utf-8")
    file = ScenarioFile.load(path)
    saved = file.with_values(values).with_values(values).save(path)
    before, after = text.splitlines(), path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in after if line not in before]) == 1
    assert len([line for line in before if line not in after]) <= 1
    assert saved.data == file.with_values(values).data
    assert saved.text == path.read_text(encoding="utf-8")


CASES = {
    "unknown key": (
        GOOD.replace("slots:", "slot:"),
        "evening.yaml:7: services.checkout.slot: 4: unknown key (nearest: slots)",
    ),
    "unknown key at the top": (
        GOOD + "objectivs: {}\n",
        "evening.yaml:14: objectivs: {}: unknown key (nearest: objectives)",
    ),
    "unknown key in a distribution": (
        GOOD.replace("mean: 300ms", "meen: 300ms"),
        "evening.yaml:8: services.checkout.service_time.meen: 300ms: unknown key (nearest: mean)",
    ),
    "a surge below nothing": (
        GOOD.replace("drain:", "surge: -1\n  drain:"),
        "evening.yaml:12: rollout.surge: -1: a surge must not be negative",
    ),
    "a surge without room for it": (
        GOOD.replace("drain:", "surge: 1\n  replacement: in_place\n  drain:"),
        "evening.yaml:13: rollout.replacement: in_place: must be beside where there is a surge (1)",
    ),
    "beside where all are stopped first": (
        GOOD.replace("drain:", "strategy: recreate\n  replacement: beside\n  drain:"),
        "evening.yaml:13: rollout.replacement: beside: must be in_place where strategy is recreate",
    ),
    "beside between the steps of a migration": (
        GOOD.replace(
            "drain:",
            "strategy: expand_migrate_contract\n  migration: {expand: 1s}\n"
            "  replacement: beside\n  pause: 5s\n  drain:",
        ),
        "evening.yaml:15: rollout.pause: 5s: must be 0s where replacement is beside",
    ),
    "a migration with a surge that is told to stay in place": (
        GOOD.replace(
            "drain:",
            "strategy: expand_migrate_contract\n  migration: {expand: 1s}\n"
            "  surge: 1\n  replacement: in_place\n  drain:",
        ),
        "evening.yaml:15: rollout.replacement: in_place: must be beside where there is a surge (1)",
    ),
    "the whole fleet as minimum of a migration in place": (
        GOOD.replace(
            "drain:",
            "strategy: expand_migrate_contract\n  migration: {expand: 1s}\n"
            "  min_healthy: 100%\n  drain:",
        ),
        "evening.yaml:14: rollout.min_healthy: 100%: must be below the fleet (24)",
    ),
    "the whole fleet as minimum of a canary in place": (
        GOOD.replace(
            "drain:",
            "strategy: canary\n  canary: [{share: 10%, bake: 1s}]\n  min_healthy: 24\n  drain:",
        ),
        "evening.yaml:14: rollout.min_healthy: 24: must be below the fleet (24)",
    ),
    "more than the whole fleet with a second one": (
        GOOD.replace("drain:", "strategy: blue_green\n  min_healthy: 101%\n  drain:"),
        "evening.yaml:13: rollout.min_healthy: 101%: must not exceed the fleet (24)",
    ),
    "a minimum where all are stopped first": (
        GOOD.replace("drain:", "strategy: recreate\n  min_healthy: 1%\n  drain:"),
        "evening.yaml:13: rollout.min_healthy: 1%: must be 0 where strategy recreate takes all",
    ),
    "a minimum that is rounded up to the fleet": (
        GOOD.replace("drain:", "min_healthy: 96%\n  drain:"),
        "evening.yaml:12: rollout.min_healthy: 96%: must be below the fleet (24)",
    ),
    "a minimum below nothing": (
        GOOD.replace("drain:", "min_healthy: -1\n  drain:"),
        "evening.yaml:12: rollout.min_healthy: -1: must not be negative",
    ),
    "a share of failures that is none": (
        GOOD.replace("drain:", "max_failures: some\n  drain:"),
        "evening.yaml:12: rollout.max_failures: some: must be a count or a whole percentage",
    ),
    "a deadline within the time an instance must be up": (
        GOOD.replace("drain:", "min_ready: 10s\n  healthy_deadline: 10s\n  drain:"),
        "evening.yaml:13: rollout.healthy_deadline: 10s: must be longer than min_ready (10s)",
    ),
    "progress without time for it": (
        GOOD.replace("drain:", "progress_deadline: 0s\n  drain:"),
        "evening.yaml:12: rollout.progress_deadline: 0s: must be longer than min_ready (0s)",
    ),
    "an order that is none": (
        GOOD.replace("drain:", "instance_order: backwards\n  drain:"),
        "evening.yaml:12: rollout.instance_order: backwards: must be listed, reverse, by_zone or "
        "random",
    ),
    "a surge in batches": (
        GOOD.replace("drain:", "surge: 25%\n  advance: batch\n  drain:"),
        "evening.yaml:13: rollout.advance: batch: must be sliding where there is a surge (25%)",
    ),
    "a surge with pauses": (
        GOOD.replace("drain:", "surge: 1\n  pause: 5s\n  drain:"),
        "evening.yaml:13: rollout.pause: 5s: must be 0s where there is a surge (1)",
    ),
    "a canary's surge with pauses": (
        GOOD.replace(
            "drain:",
            "strategy: canary\n  canary: [{share: 10%, bake: 1s}]\n"
            "  surge: 1\n  pause: 5s\n  drain:",
        ),
        "evening.yaml:15: rollout.pause: 5s: must be 0s where there is a surge (1)",
    ),
    "beside in batches": (
        GOOD.replace("drain:", "advance: batch\n  replacement: beside\n  drain:"),
        "evening.yaml:12: rollout.advance: batch: must be sliding where replacement is beside",
    ),
    "beside with pauses": (
        GOOD.replace("drain:", "pause: 5s\n  replacement: beside\n  drain:"),
        "evening.yaml:12: rollout.pause: 5s: must be 0s where replacement is beside",
    ),
    "beside with nothing that may move": (
        GOOD.replace("drain:", "min_healthy: 24\n  replacement: beside\n  drain:"),
        "evening.yaml:12: rollout.min_healthy: 24: must be below the fleet (24)",
    ),
    "wrong type": (
        GOOD.replace("slots: 4", "slots: four"),
        "evening.yaml:7: services.checkout.slots: four: must be a whole number",
    ),
    "negative duration": (
        GOOD.replace("30s", "-3s"),
        "evening.yaml:12: rollout.drain.timeout: -3s: a duration must not be negative",
    ),
    "no unit": (
        GOOD.replace("30s", "30"),
        "evening.yaml:12: rollout.drain.timeout: 30: a duration needs a unit, such as 30s",
    ),
    "rate without a unit": (
        GOOD.replace("240/s", "240"),
        "evening.yaml:3: traffic.rate: 240: a rate needs a unit, such as 240/s",
    ),
    "unknown choice": (
        GOOD.replace("timeout: 30s", "on_timeout: cutt"),
        "evening.yaml:12: rollout.drain.on_timeout: cutt: must be cut, wait or abort "
        "(nearest: cut)",
    ),
    "window larger than the fleet": (
        GOOD.replace("25%", "25"),
        "evening.yaml:11: rollout.window: 25: window (25) must not exceed the fleet (24)",
    ),
    "missing key": (
        GOOD.replace("traffic: {rate: 240/s}", "traffic: {}"),
        "evening.yaml:3: traffic.rate: is missing",
    ),
    "missing version": (GOOD.replace("rollcast: scenario/1\n", ""), "rollcast: is missing"),
    "not YAML": (GOOD.replace("{mean: 300ms", "{mean: 300ms,,"), "evening.yaml:8: is not YAML"),
    "empty": ("", "evening.yaml:1: a scenario is a mapping"),
    "minimum above the fleet": (
        GOOD.replace("window: 25%", "min_healthy: 24"),
        "evening.yaml:11: rollout.min_healthy: 24: must be below the fleet (24)",
    ),
    "steady without a horizon": (
        GOOD.replace("rollout:", "clock: {start: 0s}\nx:").replace("x:\n", "").split("  window")[0],
        "clock.horizon: auto: must be a duration",
    ),
    "p99 below the mean": (
        GOOD.replace("23s", "3s"),
        "evening.yaml:9: services.checkout.steps.start: {mean: 10s, p99: 3s}: "
        "p99 must not be below the mean",
    ),
    "two services": (
        GOOD.replace("rollout:", "  other: {instances: 1, service_time: 1s}\nrollout:"),
        "traffic.classes.all.route: is missing; it names the services that are called, of checkout",
    ),
    "key beside one that names a kind": (
        GOOD.replace("240/s", "{trace: nowhere.csv, scale: -1}"),
        "evening.yaml:3: traffic.rate.scale: -1: must be above 0",
    ),
    "key that is a number": (
        GOOD + "14: 2\n",
        "evening.yaml:14: 14: 2: unknown key (known here: clock, ",
    ),
    "too many in a row": (
        GOOD.replace("240/s", "{steps: [[0s, 1/s, 2/s]]}"),
        "evening.yaml:3: traffic.rate.steps.0: [0s, 1/s, 2/s]: takes at most 2 entries",
    ),
    "day that is none": (
        GOOD + "clock: {start: 2024-02-31}\n",
        "evening.yaml:14: is not YAML: 2024-02-31: day ",
    ),
    "nothing and truth are said as YAML says them": (
        GOOD.replace("window: 25%", "window: [true, ]"),
        "evening.yaml:11: rollout.window: [true]: must be a count or a percentage",
    ),
    "quotes of the rule are kept": (
        GOOD.replace("240/s", "{daily: {low: 1/s, high: 2/s, peak: noon}}"),
        'evening.yaml:3: traffic.rate.daily.peak: noon: must be a time of day, such as "19:00"',
    ),
    "missing trace": (
        GOOD.replace("240/s", "{trace: nowhere.csv}"),
        "evening.yaml:3: traffic.rate.trace: nowhere.csv: cannot read the trace nowhere.csv: No such",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_name_file_line_key_value_and_rule(name: str) -> None:
    text, expected = CASES[name]
    assert expected in error_of(text, Path("evening.yaml"))


def test_errors_of_set_values_say_so() -> None:
    message = error_of(GOOD, Path("evening.yaml"), ("rollout.windw=3",))
    assert message == ("evening.yaml with --set: rollout.windw: 3: unknown key (nearest: window)")
    assert "it has no keys" in error_of(GOOD, sets=("rollout.window.size=3",))
    assert "must be key.path=value" in error_of(GOOD, sets=("rollout.window",))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.yaml: cannot be read: No such file"):
        ScenarioFile.load(tmp_path / "nowhere.yaml")


def test_the_embedded_samples_of_a_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "deploys.txt").write_text("12\n13.5s\n900ms\n")
    text = GOOD.replace("deploy: 20s", "deploy: {empirical: deploys.txt}")
    one = ScenarioFile.parse(text, tmp_path / "x.yaml").scenario
    deploy = dict(one.service.steps.in_order())["deploy"]
    assert deploy.mean_s() == pytest.approx((12 + 13.5 + 0.9) / 3)
    assert Scenario.model_validate(one.as_data()) == one


def test_the_schema_describes_every_key() -> None:
    """Editors show these descriptions; each comes from the section Attributes of a model."""
    schema = scenario_schema()
    models = {"Scenario": schema, **schema["$defs"]}
    silent = [
        f"{model}.{key}"
        for model, part in models.items()
        for key, value in part.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []
    assert "Attributes:" not in str(schema)
