"""Plans in the words of other tools: known answers, what is lost, and that YAML reads back."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from executor.base.errors import BadInput, Refused
from executor.exports.ansible import batches
from executor.exports.base import ExportTarget, ReleaseOptions, file_name
from executor.exports.targets import TARGETS, target_of
from executor.exports.yaml_out import yaml_text
from executor.plan.file import plan_text
from executor.plan.model import Gate, Plan, Wave
from executor.plan.waves import canary_counts, canary_waves, waves_for
from tests.helpers.plans import beside_plan, example_plan

STOP = {"mode": "graceful", "pre_stop_s": 5.0, "grace_s": 45.5}
GUARDS = {"error_fraction": 0.05, "over_s": 30.0}
NAMES = tuple(f"checkout-{number}" for number in range(1, 7))


def canary(**changes: Any) -> Plan:
    bake = Gate(kind="bake", pause_s=60.5, error_fraction=0.01)
    waves = canary_waves(NAMES, [(0.2, bake)], window=2, advance="sliding", pause_s=0.0)
    return example_plan(strategy="canary", waves=waves, **changes)


def canary_beside(**changes: Any) -> Plan:
    """The canary as Argo Rollouts carries it out."""
    workload = {"kind": "Rollout", "name": "checkout", "container": "app"}
    waves = canary().waves
    return beside_plan(
        strategy="canary",
        waves=waves,
        **{"carried_out_by": "argo-rollouts", "surge": 0, "workload": workload, **changes},
    )


def read(text: str) -> Any:
    return YAML(typ="safe").load(io.StringIO(text))


def plan_for(target: ExportTarget, **changes: Any) -> Plan:
    """A plan that the target takes."""
    if target.name in ("kubernetes", "argo-rollouts"):
        return beside_plan(**changes)
    changes.pop("workload", None)
    return example_plan(**changes)


def exported(name: str, plan: Plan) -> tuple[Any, tuple[str, ...]]:
    """What the file says, and what is lost, which stands at its top, too."""
    found = target_of(name).render(plan)
    for one in found.lost:
        assert f"# - {one}\n" in found.text
    return read(found.text), found.lost


def test_the_plan_itself_loses_nothing() -> None:
    plan = example_plan()
    found = target_of("rollcast").render(plan)
    assert (found.text, found.lost) == (plan_text(plan), ())


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        ({}, (0, 115, 2, 30)),
        ({"window": 3, "min_ready_s": 12.5}, (13, 128, 3, 30)),
        ({"stop": STOP}, (0, 115, 2, 46)),
        ({"stop": {**STOP, "grace_s": 3.0, "pre_stop_s": 40.0}}, (0, 115, 2, 41)),
        ({"stop": {"mode": "abrupt"}, "drain": {"timeout_s": 9.0, "on_timeout": "cut"}},
         (0, 115, 2, 9)),
        ({"drain": {"timeout_s": 9.0, "on_timeout": "wait"}}, (0, 115, 2, 40)),
        ({"min_ready_s": 500.0}, (500, 615, 2, 30)),
    ],
)  # fmt: skip
def test_a_deployment(changes: dict[str, Any], spec: tuple[int, ...]) -> None:
    data, _ = exported("kubernetes", beside_plan(**changes))
    ready_s, deadline_s, window, grace_s = spec
    pre_stop_s = changes.get("stop", {}).get("pre_stop_s", 0)
    gone = dict.fromkeys(("exec", "httpGet", "tcpSocket"))
    hook = {"preStop": gone | {"sleep": {"seconds": pre_stop_s}}}
    containers = {"containers": [{"name": "app", "lifecycle": hook}]} if pre_stop_s else {}
    assert data == {
        "spec": {
            "minReadySeconds": ready_s,
            "progressDeadlineSeconds": deadline_s,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": window},
            },
            "template": {"spec": {"terminationGracePeriodSeconds": grace_s} | containers},
        }
    }
    assert deadline_s > ready_s


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"on_failure": "rollback"}, "on failure (rollback): the controller does not roll back"),
        (
            {"on_failure": "continue", "max_failures": 2},
            "on failure (continue): the controller counts no failures (the plan allows 2)",
        ),
        ({"guards": GUARDS}, "guards: nothing watches errors and latency over 30 s"),
        ({"drain": {"timeout_s": 9.0, "on_timeout": "abort"}}, "drain: what is still in flight"),
    ],
)
def test_what_a_deployment_loses(changes: dict[str, Any], lost: str) -> None:
    def told(plan: Plan) -> list[str]:
        return [one for one in exported("kubernetes", plan)[1] if one.startswith(lost)]

    assert len(told(beside_plan(**changes))) == 1
    assert told(beside_plan()) == []


def test_a_halt_that_a_deployment_does_not_make_is_told() -> None:
    """Measured: with one pod that is never ready all six were updated, five of them available."""
    (told,) = [
        one
        for one in exported("kubernetes", beside_plan())[1]
        if one.startswith("on failure (halt)")
    ]
    assert "does not halt" in told
    assert "until 3 such pods use up the budget" in told


def test_a_budget_is_what_a_deployment_does_so_nothing_is_lost() -> None:
    data, lost = exported("kubernetes", beside_plan(on_failure="budget", progress_deadline_s=600.0))
    assert data["spec"]["progressDeadlineSeconds"] == 600
    assert not any(one.startswith("on failure") for one in lost)


def test_a_budget_that_ansible_does_not_have_is_told() -> None:
    workload = {"kind": "StatefulSet", "name": "db"}
    plan = beside_plan(
        replacement="in_place", surge=0, window=1, workload=workload, on_failure="budget"
    )
    assert any(one.startswith("on failure (budget)") for one in exported("ansible", plan)[1])


def test_an_image_goes_into_its_container() -> None:
    options = ReleaseOptions(image="registry.example:5000/shop:2.1", namespace="prod")
    found = target_of("kubernetes").render(beside_plan(), options)
    (container,) = read(found.text)["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "app", "image": "registry.example:5000/shop:2.1"}
    assert not any(one.startswith("image:") for one in found.lost)
    command = target_of("kubernetes").command(beside_plan(), "x.yaml", options)
    assert command == "kubectl patch deployment checkout -n prod --patch-file x.yaml"
    argo = target_of("argo-rollouts").command(canary_beside(), "x.yaml", options)
    assert argo == (
        "kubectl patch rollout checkout -n prod --type merge --patch-file x.yaml && "
        "kubectl argo rollouts set image checkout -n prod app=registry.example:5000/shop:2.1"
    )


@pytest.mark.parametrize(
    ("name", "plan"), [("kubernetes", beside_plan()), ("argo-rollouts", canary_beside())]
)
def test_without_an_image_it_says_that_it_is_no_release(name: str, plan: Plan) -> None:
    assert any("is no release" in one for one in exported(name, plan)[1])


@pytest.mark.parametrize("name", ["kubernetes", "argo-rollouts"])
def test_a_container_that_nobody_knows_is_asked_for(name: str) -> None:
    kind = "Deployment" if name == "kubernetes" else "Rollout"
    plan = beside_plan(workload={"kind": kind, "name": "checkout"}, stop=STOP)
    with pytest.raises(Refused, match=r"pre-stop \(5 s\) stands in a container.*--container NAME"):
        target_of(name).render(plan)
    plain = beside_plan(workload={"kind": kind, "name": "checkout"})
    with pytest.raises(BadInput, match="--container NAME"):
        target_of(name).render(plain, ReleaseOptions(image="shop:2"))
    found = target_of(name).render(plan, ReleaseOptions(container="app"))
    if name == "kubernetes":
        pod = read(found.text)["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == 46
    else:  # a change of the pod template would be a rollout before the rollout
        assert "template" not in read(found.text)["spec"]
        assert any(one.startswith("grace period (46 s): must stand in") for one in found.lost)


@pytest.mark.parametrize("name", ["kubernetes", "argo-rollouts"])
def test_a_plan_forecast_in_place_is_not_for_a_controller(name: str) -> None:
    with pytest.raises(Refused, match=r"replacement \(in_place\) must be beside.*--set rollout"):
        target_of(name).render(example_plan())


@pytest.mark.parametrize("name", ["ansible", "azure-pipelines"])
def test_a_plan_forecast_beside_is_for_a_controller_only(name: str) -> None:
    with pytest.raises(Refused, match=r"replacement \(beside\) must be in_place.*--to kubernetes"):
        target_of(name).render(beside_plan())


def test_percentages_stay_as_they_are_written() -> None:
    written = {"window": "25%", "surge": "30%"}
    for name, plan in (
        ("kubernetes", beside_plan(as_written=written)),
        ("argo-rollouts", canary_beside(as_written=written)),
    ):
        strategy = exported(name, plan)[0]["spec"]["strategy"]
        limits = strategy.get("rollingUpdate") or strategy["canary"]
        assert (limits["maxSurge"], limits["maxUnavailable"]) == ("30%", "25%")


def test_a_stateful_set_has_no_window() -> None:
    workload = {"kind": "StatefulSet", "name": "db", "namespace": "prod", "container": "db"}
    plan = beside_plan(replacement="in_place", surge=0, window=1, workload=workload)
    data, _ = exported("kubernetes", plan)
    assert data["spec"] == {
        "minReadySeconds": 0,
        "updateStrategy": {"type": "RollingUpdate"},
        "template": {"spec": {"terminationGracePeriodSeconds": 30}},
    }
    assert (
        target_of("kubernetes")
        .command(plan, "x")
        .startswith("kubectl patch statefulset db -n prod")
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("image", "shop 2"),
        ("image", "-x"),
        ("image", "a:b:c"),
        ("container", "A_b"),
        ("namespace", ""),
    ],
)
def test_a_name_that_the_server_would_refuse(option: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"--{option}"):
        ReleaseOptions(**{option: value})


@pytest.mark.parametrize("name", ["kubernetes", "azure-pipelines"])
def test_a_canary_is_refused_where_there_are_no_bakes(name: str) -> None:
    with pytest.raises(Refused, match=rf"{name}: strategy \(canary\) must be rolling"):
        target_of(name).render(canary())


def test_a_rollout_of_argo() -> None:
    data, lost = exported("argo-rollouts", canary_beside(on_failure="rollback"))
    assert data["spec"]["progressDeadlineAbort"] is True
    assert data["spec"]["strategy"]["canary"] == {
        "maxSurge": 0,
        "maxUnavailable": 2,
        "steps": [{"setWeight": 17}, {"pause": {"duration": "61s"}}],
    }
    assert any(one.startswith("bakes: become pauses") for one in lost)
    plain, _ = exported("argo-rollouts", beside_plan())
    assert plain["spec"]["strategy"]["canary"] == {"maxSurge": 1, "maxUnavailable": 2}
    assert plain["spec"]["progressDeadlineAbort"] is False


@given(count=st.integers(2, 100), window=st.integers(1, 100), pause_s=st.sampled_from([0.0, 7.0]))
def test_the_weights_of_argo_come_to_the_waves(count: int, window: int, pause_s: float) -> None:
    names = tuple(f"web-{k}" for k in range(count))
    size = min(window, count)
    waves = waves_for(names, size, "batch", pause_s)
    plan = beside_plan(instances=names, window=size, min_in_pool=0, waves=waves)
    data, lost = exported("argo-rollouts", plan)
    steps = data["spec"]["strategy"]["canary"].get("steps", [])
    weights = [one["setWeight"] / 100 for one in steps if "setWeight" in one]
    sizes = [len(wave.instances) for wave in plan.waves]
    assert canary_counts(weights, count) == [sum(sizes[:k]) for k in range(1, len(sizes))]
    assert sum("pause" in one for one in steps) == (len(sizes) - 1 if pause_s else 0)
    assert not any("no whole percentage" in one for one in lost)


def test_waves_that_no_percentage_comes_to_are_told() -> None:
    names = tuple(f"web-{k}" for k in range(300))
    waves = waves_for(names, 1, "batch", 0.0)
    plan = beside_plan(instances=names, window=1, min_in_pool=0, waves=waves)
    _, lost = exported("argo-rollouts", plan)
    (told,) = [one for one in lost if one.startswith("waves 1, 2, 4, 5, 7,")]
    assert told.endswith("no whole percentage of 300 pods comes to them")


def test_a_playbook() -> None:
    plan = example_plan(advance="batch", pause_s=5.0, min_ready_s=2.5, stop=STOP)
    (first, play), lost = exported("ansible", plan)
    assert (first["hosts"], first["vars"]) == ("localhost", {"planned": list(NAMES)})
    assert first["tasks"] == play["pre_tasks"]
    assert {key: play[key] for key in play if not key.endswith("tasks")} == {
        "name": "Roll 6 of checkout",
        "hosts": list(NAMES),
        "gather_facts": False,
        "strategy": "linear",
        "order": "inventory",
        "any_errors_fatal": False,
        "serial": [2],
        "max_fail_percentage": 0,
        "vars": {"planned": list(NAMES), "drain_timeout_s": 30.0, "pre_stop_s": 5.0},
    }
    steps, halt, pause = play["tasks"]
    assert steps["rescue"][0]["ansible.builtin.set_fact"] == {"rollcast_failed": True}
    assert halt["when"].endswith("| length > 0")
    tasks = [(one["name"], one.get("vars", {}).get("deadline_s")) for one in steps["block"]]
    assert tasks == [
        ("Take out within 40 s", 40.0),
        ("Stop within 15 s", 15.0),
        ("Deploy within 15 s", 15.0),
        ("Verify within 15 s", 15.0),
        ("Start within 15 s", 15.0),
        ("Return within 15 s", 15.0),
        ("Ready for 2.5 s", None),
    ]
    assert [one["ansible.builtin.import_tasks"] for one in steps["block"][:6]] == [
        *("take_out.yaml", "stop.yaml", "deploy.yaml", "verify.yaml", "start.yaml", "return.yaml")
    ]
    assert (pause["ansible.builtin.pause"], pause["run_once"]) == ({"seconds": 5}, True)
    assert not any(one.startswith("advance") for one in lost)
    assert any(
        one.startswith("advance (sliding)") for one in exported("ansible", example_plan())[1]
    )
    assert target_of("ansible").command(plan, "x.yaml").endswith("x.yaml --forks 2")


def test_the_playbook_of_a_canary_waits_between_its_plays() -> None:
    (_, *plays), _ = exported("ansible", canary())
    assert [(one["name"], one["hosts"]) for one in plays] == [
        ("Roll 1 of checkout", ["checkout-1"]),
        ("Bake of 60.5 s", "localhost"),
        ("Roll 5 of checkout", list(NAMES[1:])),
    ]
    assert [one.get("serial") for one in plays] == [[1], None, [2]]
    assert plays[1]["tasks"][0]["ansible.builtin.pause"] == {"seconds": 61}


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), min_size=1, max_size=4))
def test_serial_spells_the_waves_out(waves: list[tuple[int, int]]) -> None:
    """By Ansible's own rule: the last entry repeats, and the last batch is what is left."""
    made = tuple(Wave(instances=("a",) * count, parallel=wide) for count, wide in waves)
    wanted = [
        size
        for count, wide in waves
        for size in [wide] * (count // wide) + [count % wide] * (count % wide > 0)
    ]
    serial, left = batches(made), sum(count for count, _ in waves)
    got: list[int] = []
    while left > 0:
        got.append(min(left, serial[min(len(got), len(serial) - 1)]))
        left -= got[-1]
    assert got == wanted
    assert len(serial) == 1 or serial[-1] != serial[-2]


def test_a_pipeline() -> None:
    plan = example_plan(min_ready_s=4.5, retries=2, service="check-out")
    data, lost = exported("azure-pipelines", plan)
    (job,) = data["jobs"]
    assert (data["trigger"], data["pr"]) == ("none", "none")
    rolling = job.pop("strategy")["rolling"]
    assert job == {
        "deployment": "roll_check_out",
        "displayName": "checkout-evening",
        "timeoutInMinutes": "6",
        "environment": {"name": "check-out", "resourceType": "VirtualMachine"},
    }
    assert rolling["maxParallel"] == "2"
    failure = rolling.pop("on")["failure"]["steps"]
    assert [next(iter(one)) for one in failure] == ["checkout", "script"]
    hooks = [hook for hook in rolling if hook != "maxParallel"]
    assert [rolling[hook]["steps"].pop(0)["checkout"] for hook in hooks] == [
        *("self", "self", "self", "none")
    ]
    steps = [(hook, one["script"], one.get("timeoutInMinutes")) for hook in hooks
             for one in rolling[hook]["steps"]]  # fmt: skip
    assert steps == [
        ("preDeploy", "./take_out.sh", "1"),
        ("deploy", "./stop.sh", "1"),
        ("deploy", "./deploy.sh", "1"),
        ("deploy", "./verify.sh", "1"),
        ("deploy", "./start.sh", "1"),
        ("routeTraffic", "./return.sh", "1"),
        ("postRouteTraffic", "sleep 5", None),
    ]
    assert rolling["deploy"]["steps"][0]["retryCountOnTaskFailure"] == "2"
    assert any("is an assumption" in one for one in lost)
    command = target_of("azure-pipelines").command(plan, "x y.yaml")
    made, _, started = command.partition("; this starts the rollout: ")
    assert made == (
        "az pipelines create --name check-out --repository REPOSITORY --branch BRANCH "
        "--yml-path 'x y.yaml' --skip-first-run true"
    )
    assert started == "az pipelines run --name check-out"


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_public_schema_takes_every_pipeline(tmp_path: Path, window: int) -> None:
    path = tmp_path / "azure-pipelines.yml"
    plan = example_plan(window=window, min_ready_s=float(window), retries=window - 1)
    path.write_text(target_of("azure-pipelines").render(plan).text)
    program = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema"]
    checked = subprocess.run(
        [*program, "vendor.azure-pipelines", "--data-transform", "azure-pipelines", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("ansible", {"instances": ["web*", "a", "b", "c", "d", "e"]}, "web*: Ansible would take"),
        ("ansible", {"instances": ["!a", "a", "b", "c", "d", "e"]}, "!a: Ansible would take"),
        ("azure-pipelines", {"service": "${{ variables.x }}"}, "is no name of an environment"),
        ("azure-pipelines", {"service": "x\ny: 1"}, "is no name of an environment"),
    ],
)
def test_a_name_that_the_tool_would_read_otherwise(
    name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=re.escape(said)):
        target_of(name).render(example_plan(**changes))


def test_every_target_renders_the_same_plan_to_the_same_text() -> None:
    for target in TARGETS:
        plan = plan_for(target, guards=GUARDS, stop=STOP)
        one = target.render(plan)
        assert one == target.render(plan)
        assert plan.digest[:12] in one.text
        assert file_name(plan, target) == f"checkout-evening{target.suffix}"
        assert all("\n" not in lost for lost in one.lost)
    assert len({target.suffix for target in TARGETS}) == len(TARGETS)


def test_a_name_that_is_no_file_name_or_breaks_a_comment() -> None:
    for target in TARGETS[1:]:
        service = "x" if target.name == "azure-pipelines" else "x\ny: 1"
        plan = plan_for(target, name="../a b\nspec: {replicas: 0}", service=service, workload=None)
        name = file_name(plan, target)
        assert "/" not in name
        assert " " not in name
        text = target.render(plan).text
        assert read(text) == read("".join(
            line for line in text.splitlines(keepends=True) if not line.startswith("#")
        ))  # fmt: skip
    assert file_name(example_plan(name="…"), TARGETS[0]) == "rollout.plan.json"


def test_an_unknown_target_is_told_the_nearest() -> None:
    with pytest.raises(
        BadInput, match=r"--to kubernets: must be one of .*; the nearest is kubernetes"
    ):
        target_of("kubernets")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), DATA, min_size=1, max_size=4))
@example({".0": "._", ".inf": ".nan", "./take_out.sh": "../take_out.sh"})
def test_what_is_written_as_yaml_reads_back(data: dict[str, Any]) -> None:
    assert read(yaml_text(data)) == data
