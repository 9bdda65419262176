"""Kubernetes manifests: Deployments, StatefulSets and Argo Rollouts, with Services and autoscalers.

For each workload they give the replicas, surge and window as Kubernetes resolves them, the grace
period, a sleep before the stop, and the readiness probe.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from executor.base.errors import BadInput
from executor.base.yaml_positions import load_documents, shorten_value
from executor.dialects.kubernetes import resolve
from simulation.importers.findings import Finding, Findings, ServiceFindings
from simulation.importers.source import Source
from simulation.scenario.limits import MOST_INSTANCES
from simulation.scenario.units import MOST_DURATION_S

KIND = "Kubernetes manifest"
_WORKLOADS = ("Deployment", "StatefulSet", "Rollout", "ReplicaSet", "DaemonSet")
MOST_MANIFEST_BYTES = 32 << 20
"""Maximum size of a manifest, in bytes; `kubectl get -o yaml` writes about 10 KiB for a workload."""
_WEIGHT = 3
_KEY = re.compile(r"^(?:- )?(?:apiVersion|kind)\s*:")


def looks_like(head: Sequence[str]) -> bool:
    """Return whether the beginning has the keys of a Kubernetes object."""
    return {"apiVersion", "kind"} <= {
        line.split(":")[0].strip("- ") for line in head if _KEY.match(line)
    }


def read(sources: Sequence[Source]) -> Findings:
    """Return the findings from one or several manifests.

    Raises:
        BadInput: There is no workload, a workload is defined twice, or a value is not valid.
    """
    names = ", ".join(source.path.name for source in sources)
    findings = Findings(KIND, names)
    documents = [(source, document) for source in sources for document in _documents(source)]
    services = [document for _, document in documents if document.get("kind") == "Service"]
    selectors = [_selector(document) for document in services]
    scalers = {_at(document, "spec", "scaleTargetRef", "name"): document for _, document in documents
               if document.get("kind") == "HorizontalPodAutoscaler"}  # fmt: skip
    where: dict[str, str] = {}
    left_out = []
    for source, document in documents:
        kind, name = document.get("kind"), str(_at(document, "metadata", "name") or "")
        if kind not in _WORKLOADS or not name:
            continue
        if kind in ("ReplicaSet", "DaemonSet"):
            findings.notes.append(f"{kind} {name} in {source.path.name} is left out: not rolled so")
            continue
        if selectors and not any(_selects(selector, document) for selector in selectors):
            left_out.append(name)
            continue
        if name in findings.services:
            raise BadInput(
                f"{source.path}: {name} is in {where[name]} already; give one of the two"
            )
        where[name] = source.path.name
        findings.services[name] = _workload(
            source, document, scalers.get(name), services, findings.notes
        )
    if left_out:
        findings.notes.append(
            f"{', '.join(left_out)} in {names} is behind no Service of the manifest, left out"
        )
    if not findings.services:
        kinds = (
            ", ".join(dict.fromkeys(str(document.get("kind")) for _, document in documents))
            or "nothing"
        )
        raise BadInput(f"{names}: holds no Deployment, StatefulSet or Rollout, only {kinds}")
    return findings


def _documents(source: Source) -> list[dict[str, Any]]:
    """Return every object, those within a List too."""
    documents = load_documents(source.text(MOST_MANIFEST_BYTES), str(source.path))
    objects = []
    for document in documents:
        within = (
            document.get("items")
            if isinstance(document, dict) and document.get("kind") == "List"
            else [document]
        )
        objects += [each for each in within or [] if isinstance(each, dict)]
    return objects


def _at(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _selector(service: dict[str, Any]) -> dict[str, Any]:
    return _at(service, "spec", "selector") or {}


def _selects(selector: dict[str, Any], workload: dict[str, Any]) -> bool:
    labels = _at(workload, "spec", "template", "metadata", "labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _workload(
    source: Source,
    workload: dict[str, Any],
    scaler: dict[str, Any] | None,
    services: Sequence[dict[str, Any]],
    notes: list[str],
) -> ServiceFindings:
    file = source.path.name
    kind, name = workload["kind"], str(_at(workload, "metadata", "name"))
    label = f"{kind} {name} in {file}"
    findings = ServiceFindings()

    def whole(value: Any, key: str, otherwise: int) -> tuple[int, str]:
        """Return a whole number and its basis, or Kubernetes' default where the key is absent."""
        if value is None:
            return otherwise, f"stated: {key} is not in {label}, so Kubernetes takes {otherwise}"
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadInput(
                f"{source.path}: {name}: {key}: {shorten_value(value)}: must be a whole number"
            )
        most = int(MOST_DURATION_S) if key.endswith("Seconds") else MOST_INSTANCES
        if value > most:
            raise BadInput(f"{source.path}: {name}: {key}: {value}: must be at most {most:,}")
        return value, f"stated: {key} {value} of {label}"

    def tell(keys: dict[str, Finding], key: str, value: Any, basis: str) -> None:
        keys[key] = Finding(value, basis, _WEIGHT, file)

    replicas, basis = whole(_at(workload, "spec", "replicas"), "replicas", 1)
    if scaler is not None:
        least, _ = whole(_at(scaler, "spec", "minReplicas"), "minReplicas", 1)
        most, _ = whole(_at(scaler, "spec", "maxReplicas"), "maxReplicas", least)
        if _at(workload, "spec", "replicas") is None:
            replicas = least
            basis = f"stated: minReplicas {least} of its autoscaler in {file}"
        basis += f"; assumed: the autoscaler ({least} to {most}) leaves it alone meanwhile"
    if replicas == 0:
        raise BadInput(f"{source.path}: {name}: replicas: 0: there is nothing to roll")
    tell(findings.service, "instances", replicas, basis)
    pod = _at(workload, "spec", "template", "spec") or {}
    tell(
        findings.service,
        "workload",
        _where(workload, pod, services, label, notes),
        f"stated: {label}",
    )
    _strategy(source, workload, replicas=replicas, findings=findings, label=label, notes=notes)
    if kind != "StatefulSet":
        deadline, basis = whole(
            _at(workload, "spec", "progressDeadlineSeconds"), "progressDeadlineSeconds", 600
        )
        goes_back = _at(workload, "spec", "progressDeadlineAbort") is True
        tell(
            findings.rollout, "on_failure", "rollback" if goes_back else "budget",
            f"stated: {'progressDeadlineAbort of ' if goes_back else 'the controller of '}{label} "
            + ("goes back to the old version" if goes_back else "goes on past a pod that is never ready"),
        )  # fmt: skip
        tell(findings.rollout, "progress_deadline", f"{deadline}s", basis)
    ready, basis = whole(_at(workload, "spec", "minReadySeconds"), "minReadySeconds", 0)
    if ready:
        tell(findings.rollout, "min_ready", f"{ready}s", basis)
    grace, basis = whole(
        pod.get("terminationGracePeriodSeconds"), "terminationGracePeriodSeconds", 30
    )
    tell(findings.rollout, "drain.timeout", f"{grace}s", basis)
    tell(findings.rollout, "stop.grace", f"{grace}s", basis)
    _pod(source, pod=pod, grace=grace, findings=findings, label=label, notes=notes)
    tell(
        findings.service, "balancer.queue", "instance",
        "assumed: a Kubernetes Service binds a connection to a pod when it is made",
    )  # fmt: skip
    tell(
        findings.service, "balancer.propagation_delay", "1s",
        "assumed: how late kube-proxy or the ingress learns that a pod is leaving",
    )  # fmt: skip
    return findings


def _strategy(
    source: Source,
    workload: dict[str, Any],
    *,
    replicas: int,
    findings: ServiceFindings,
    label: str,
    notes: list[str],
) -> None:
    """Find window and surge: Deployments and Rollouts surge, a StatefulSet replaces one at a time."""
    file, kind = source.path.name, workload["kind"]

    def tell(key: str, value: Any, basis: str) -> None:
        findings.rollout[key] = Finding(value, basis, _WEIGHT, file)

    if kind == "StatefulSet":
        _stateful_set(source, workload, findings, label, notes)
        return
    strategy = _at(workload, "spec", "strategy") or {}
    if kind == "Deployment" and strategy.get("type") == "Recreate":
        tell("strategy", "recreate", f"stated: strategy Recreate of {label}")
        return
    if kind == "Deployment" and strategy.get("type", "RollingUpdate") != "RollingUpdate":
        raise BadInput(
            f"{source.path}: {_at(workload, 'metadata', 'name')}: strategy.type: {strategy['type']}: must "
            "be RollingUpdate or Recreate"
        )
    if kind == "Rollout" and "blueGreen" in strategy:
        tell("strategy", "blue_green", f"stated: strategy blueGreen of {label}")
        return
    limits = (strategy.get("canary") if kind == "Rollout" else strategy.get("rollingUpdate")) or {}
    surge, unavailable = limits.get("maxSurge", "25%"), limits.get("maxUnavailable", "25%")
    silent = [key for key in ("maxSurge", "maxUnavailable") if key not in limits]
    default = f" ({' and '.join(silent)} by default)" if silent else ""
    try:
        surge_count, unavailable_count = resolve(surge, unavailable, replicas)
    except BadInput as error:
        raise BadInput(f"{source.path}: {_at(workload, 'metadata', 'name')}: {error}") from None
    tell(
        "replacement", "beside",
        f"stated: the controller of {label} starts a new pod as soon as an old one is marked for "
        "removal",
    )  # fmt: skip
    tell(
        "surge", surge,
        f"stated: maxSurge {surge} of {label}{default}, {surge_count} of {replicas} replicas",
    )  # fmt: skip
    basis = f"stated: maxUnavailable {unavailable} of {label}, {unavailable_count} of {replicas}"
    if unavailable_count == 0:
        # Keep a percentage as it is written, so that an export writes the same one.
        window = unavailable if isinstance(unavailable, str) and int(unavailable[:-1]) > 0 else 1
        tell("window", window, f"{basis}: none may be missing, which min_healthy says")
        tell("min_healthy", replicas, basis)
    else:
        # In Kubernetes a count may exceed the replicas; a window may not.
        window = min(unavailable, replicas) if isinstance(unavailable, int) else unavailable
        tell("window", window if surge_count or window != 0 else unavailable_count, basis)
    steps = limits.get("steps") if kind == "Rollout" else None
    if steps:
        findings.rollout["surge"] = Finding(
            surge,
            f"{findings.rollout['surge'].basis}; assumed: its canary steps are left out, say them "
            "under rollout.canary",
            _WEIGHT,
            file,
        )


def _stateful_set(
    source: Source,
    workload: dict[str, Any],
    findings: ServiceFindings,
    label: str,
    notes: list[str],
) -> None:
    """Find the window of a StatefulSet: one pod at a time, the last first.

    Options that are not simulated become notes, or are refused.
    """
    update = _at(workload, "spec", "updateStrategy") or {}
    name = _at(workload, "metadata", "name")
    if update.get("type", "RollingUpdate") != "RollingUpdate":
        raise BadInput(
            f"{source.path}: {name}: updateStrategy.type: {update['type']}: the controller does not "
            "roll it, pods are replaced when somebody deletes them; there is nothing to simulate"
        )
    basis = f"stated: {label} replaces one pod at a time"
    findings.rollout["window"] = Finding(1, basis, _WEIGHT, source.path.name)
    order = f"stated: {label} replaces the highest ordinal first"
    findings.rollout["instance_order"] = Finding("reverse", order, _WEIGHT, source.path.name)
    limits = update.get("rollingUpdate") or {}
    if limits.get("partition"):
        notes.append(
            f"{label}: partition {limits['partition']} is left out: all pods are simulated as "
            "replaced, not only those from that ordinal on"
        )
    if limits.get("maxUnavailable") not in (None, 1):
        notes.append(
            f"{label}: maxUnavailable {limits['maxUnavailable']} is left out: only clusters with the "
            "feature MaxUnavailableStatefulSet heed it, others replace one pod at a time"
        )


def _where(
    workload: dict[str, Any],
    pod: dict[str, Any],
    services: Sequence[dict[str, Any]],
    label: str,
    notes: list[str],
) -> dict[str, Any]:
    """Return the workload's name in its cluster, with the container that serves where it is known."""
    metadata = workload["metadata"]
    names = {
        "kind": workload["kind"],
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
    }
    containers = [each for each in pod.get("containers") or [] if isinstance(each, dict)]
    serving = _serving(workload, containers, services)
    if serving is None and len(containers) > 1:
        container_names = ", ".join(str(each.get("name")) for each in containers)
        notes.append(
            f"{label} has {len(containers)} containers ({container_names}), and no port tells which one "
            "serves: an export that changes it needs --container"
        )
    names["container"] = serving
    return {key: str(value) for key, value in names.items() if value is not None}


def _serving(
    workload: dict[str, Any],
    containers: Sequence[dict[str, Any]],
    services: Sequence[dict[str, Any]],
) -> str | None:
    """Return the container that a Service sends to; None where it could be one of several."""
    if len(containers) == 1:
        return containers[0].get("name")
    targets: set[object] = set()
    for service in services:
        if _selects(_selector(service), workload):
            for port in _at(service, "spec", "ports") or []:
                targets.add(port.get("targetPort", port.get("port")))
    candidates = [
        each.get("name")
        for each in containers
        if any(
            port.get("name") in targets or port.get("containerPort") in targets
            for port in each.get("ports") or []
        )
    ]
    return candidates[0] if len(candidates) == 1 else None


def _pod(
    source: Source,
    *,
    pod: dict[str, Any],
    grace: int,
    findings: ServiceFindings,
    label: str,
    notes: list[str],
) -> None:
    """Find the sleep before the stop and the readiness probe of a pod's containers."""
    file = source.path.name
    containers = [each for each in pod.get("containers") or [] if isinstance(each, dict)]
    hooks = [_at(container, "lifecycle", "preStop") for container in containers]
    sleeps = [sleep_s(hook) for hook in hooks if hook]
    known = [seconds for seconds in sleeps if seconds is not None]
    if known:
        longest = min(max(known), float(grace))
        basis = f"stated: preStop sleeps {max(known):g} s in {label}"
        findings.rollout["pre_stop"] = Finding(f"{longest:g}s", basis, _WEIGHT, file)
    elif sleeps:
        basis = (
            f"assumed: 0s: {label} has a preStop hook, which does not say how long it takes; put in "
            "how long"
        )
        findings.rollout["pre_stop"] = Finding("0s", basis, _WEIGHT, file)
    if not sleeps:
        notes.append(
            f"{label} has no preStop hook: while the balancer learns late that a pod is leaving, requests "
            "to it are refused; rollout.pre_stop: 2s would avoid it, and an export writes it"
        )
    probes = [
        container["readinessProbe"] for container in containers if container.get("readinessProbe")
    ]
    if not probes:
        notes.append(
            f"{label} has no readinessProbe: Kubernetes sends to a pod as soon as its containers "
            "run, so a start that takes longer than the step start says is not seen"
        )
        return

    def seconds(key: str, otherwise: int, least: int) -> int:
        value = probes[0].get(key, otherwise)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadInput(f"{source.path}: readinessProbe.{key}: {value}: must be a whole number")
        return max(least, value)

    period, timeout = seconds("periodSeconds", 10, 1), seconds("timeoutSeconds", 1, 1)
    check = {
        "interval": f"{period}s",
        "timeout": f"{min(timeout, period)}s",
        "rise": seconds("successThreshold", 1, 1),
        "fall": seconds("failureThreshold", 3, 1),
    }
    basis = f"stated: readinessProbe of {label}, Kubernetes' defaults where it is silent"
    if timeout > period:
        basis += f"; its timeout of {timeout} s is cut to its period"
    findings.service["balancer.health_check"] = Finding(check, basis, _WEIGHT, file)
    delay = seconds("initialDelaySeconds", 0, 0)
    if delay:
        basis = f"stated: initialDelaySeconds {delay} of the readinessProbe of {label}: no sooner"
        findings.service["steps.start"] = Finding(f"{delay}s", basis, _WEIGHT, file)


def sleep_s(hook: Any) -> float | None:
    """Return how long a preStop hook sleeps at least, in seconds; None where that is not known.

    A command is split as a shell does. Every ``sleep`` in it counts, with the units and sums of GNU
    sleep (``sleep 1m 30s``). The duration is not known where a ``sleep`` has another argument, such as
    a variable, or where the command has a loop or a condition.
    """
    seconds = _at(hook, "sleep", "seconds")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return float(seconds)
    command = _at(hook, "exec", "command")
    if not isinstance(command, list) or not command:
        return None
    words = [str(word) for word in command]
    if words[0].rpartition("/")[2] in _SHELLS:
        script = next((word for word in words[1:] if not word.startswith("-")), "")
        lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|(){}\n")
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation without an end
            return None
        if _BRANCHES.intersection(words):
            return None
    return _total_sleep_s(words)


_BRANCHES = {
    "while",
    "until",
    "for",
    "if",
    "case",
    "||",
}  # words after which a sleep may run any number of times
_SHELLS = ("sh", "bash", "ash", "dash", "ksh", "zsh")
_SLEEP = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)")
_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _total_sleep_s(words: Sequence[str]) -> float | None:
    """Return the sum of all sleeps in a command; None without a sleep, or where one is not known."""
    total_s, has_slept = 0.0, False
    for number, word in enumerate(words):
        if word.rpartition("/")[2] != "sleep":
            continue
        arguments = list(takewhile(_SLEEP.fullmatch, words[number + 1 :]))
        after = words[number + 1 + len(arguments) :][:1]
        if not arguments or (after and not set(after[0]) <= set(";&|(){}\n")):
            return None
        has_slept = True
        for argument in arguments:
            match = _SLEEP.fullmatch(argument)
            assert match is not None
            total_s += float(match[1]) * _UNIT_S[match[2]]
    return total_s if has_slept else None
