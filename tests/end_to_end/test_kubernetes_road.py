"""From an access log and a manifest, which most users have, to a patch that fits the manifest.

The manifests are the real ones of the shared data; where these are absent, only the default Deployment
below is tested. `kubectl` is Debian's `kubernetes-client`, or any other.
"""

from __future__ import annotations

import io
import json
import math
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from studio.resources import scenarios_dir
from tests.helpers.command_line import CommandLine

DATA = Path(os.environ.get("ROLLCAST_TEST_DATA", scenarios_dir().parent.parent / "shared" / "data"))
KUBECTL = shutil.which("kubectl")
IMAGE = "registry.example/shop:2.1"
DEFAULT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: prod}
spec:
  replicas: 8
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: web
          image: shop:1
          ports: [{containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 2}
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        KUBECTL is None, reason="kubectl is absent: apt-get install kubernetes-client"
    ),
]


def deployments() -> Iterator[tuple[str, str]]:
    """Return each Deployment as YAML, by its name."""
    yield "default", DEFAULT
    for path in sorted((DATA / "fleets").glob("*.yaml")):
        for one in YAML(typ="safe").load_all(path.read_text()):
            if isinstance(one, dict) and one.get("kind") == "Deployment":
                text = io.StringIO()
                YAML().dump(one, text)
                yield f"{path.stem}: {one['metadata']['name']}", text.getvalue()


def access_log() -> str:
    """Return a log of ten minutes at 20 requests a second, with a mean of 60 ms."""
    draw, lines, time_s = random.Random(7), [], 0.0
    begin = datetime(2026, 5, 1, 18, tzinfo=UTC)
    while time_s < 600:
        when = begin + timedelta(seconds=time_s)
        took_s = draw.lognormvariate(math.log(0.055), 0.4)
        lines.append(
            f'10.0.0.1 - - [{when:%d/%b/%Y:%H:%M:%S %z}] "GET / HTTP/1.1" 200 512 "-" "c" '
            f"rt={took_s:.3f} urt={took_s:.3f}"
        )
        time_s += draw.expovariate(20)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in deployments()])
def test_a_deployment_is_imported_planned_exported_and_takes_the_patch(
    rollcast: CommandLine, text: str
) -> None:
    folder = rollcast.folder
    (folder / "access.log").write_text(access_log())
    (folder / "deployment.yaml").write_text(text)
    before = YAML(typ="safe").load(text)
    name = before["metadata"]["name"]

    answer = rollcast("import", "access.log", "deployment.yaml", "-o", "shop.yaml")
    assert answer.code == 0, answer.err
    answer = rollcast("plan", "shop.yaml", "-o", "plan.json", "--jobs", "1", *told(folder, text))
    assert answer.code == 0, answer.err + answer.out
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["schema"] == "rollcast.plan/2"
    assert plan["carried_out_by"] == "kubernetes"
    assert plan["workload"]["name"] == name

    containers = before["spec"]["template"]["spec"]["containers"]
    asked = ["export", "plan.json", "--to", "kubernetes", "--image", IMAGE]
    if plan["workload"]["container"] is None:
        rollcast.refuses(asked, {}, "--container NAME", 2)
        asked += ["--container", containers[0]["name"]]
    answer = rollcast(*asked)
    assert answer.code == 0, answer.err

    (patch,) = folder.glob("*.patch.yaml")
    after = patched(folder / "deployment.yaml", patch)
    kubernetes_validate.validate(after, "1.32", strict=True)
    serving = plan["workload"]["container"] or containers[0]["name"]
    (changed,) = [
        one for one in after["spec"]["template"]["spec"]["containers"] if one["name"] == serving
    ]
    assert changed["image"] == IMAGE
    assert len(after["spec"]["template"]["spec"]["containers"]) == len(containers)
    rolling = after["spec"]["strategy"]["rollingUpdate"]
    said = before["spec"].get("strategy", {}).get("rollingUpdate", {})
    assert rolling["maxSurge"] == said.get("maxSurge", "25%")


def told(folder: Path, text: str) -> list[str]:
    """Return what a person must add to a manifest so that a plan meets its objectives.

    Without a pre-stop, requests are refused while the balancer has not learnt of the take-out. A p99 objective
    from the log alone cannot hold while pods are missing. Where the only pod may be missing, no objective can
    hold, so it must not be.
    """
    if text == DEFAULT:
        return []
    sets = ["objectives.latency_p99=10s", "objectives.error_fraction=100%"]
    imported = YAML(typ="safe").load((folder / "shop.yaml").read_text())
    if (
        imported["rollout"].get("pre_stop", "0s") == "0s"
    ):  # none, or one that the import cannot read
        sets.append("rollout.pre_stop=3s")
    (service,) = imported["services"].values()
    if service["instances"] == 1:
        sets.append("rollout.min_healthy=1")
    return [word for one in sets for word in ("--set", one)]


def test_a_wall_says_the_way_round_it(rollcast: CommandLine) -> None:
    (rollcast.folder / "access.log").write_text(access_log())
    text = "".join(line for line in DEFAULT.splitlines(True) if "preStop" not in line)
    (rollcast.folder / "deployment.yaml").write_text(text)
    answer = rollcast("import", "access.log", "deployment.yaml", "-o", "shop.yaml")
    assert "Deployment shop in deployment.yaml has no preStop hook" in " ".join(answer.err.split())
    answer = rollcast("plan", "shop.yaml", "-o", "plan.json", "--jobs", "1")
    assert answer.code == 3
    assert answer.err.startswith("rollcast: no plan is written, none meets the objectives: window ")
    assert "pre_stop" not in answer.err  # the way round stands once, below the reasons
    said = answer.out.splitlines()
    assert said.count("What would meet every objective: pre-stop 1.2 s, with window 4.") == 1
    option = "--set rollout.pre_stop=1.2s --set rollout.surge=2 --window 4"
    assert any(line.startswith("pre-stop 1.2 s") and option in line for line in said)
    assert "`rollout.pre_stop: 1.2s` would avoid this" in " ".join(answer.out.split())
    assert rollcast("plan", "shop.yaml", "-o", "plan.json", *option.split()).code == 0


def patched(manifest: Path, patch: Path) -> dict[str, Any]:
    """Return the manifest as kubectl patches it, without a cluster."""
    assert KUBECTL is not None
    done = subprocess.run(
        [KUBECTL, "patch", "--local", "-f", manifest, "--patch-file", patch, "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
