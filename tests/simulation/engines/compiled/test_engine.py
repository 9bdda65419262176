"""The compiled engine spends no events on checks that change nothing, and no memory on ended requests."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.engines.compiled.engine import CompiledClock, CompiledEngine
from simulation.results.run_result import EngineName
from simulation.run import Run
from simulation.scenario.simulated_interval import frame_of
from tests.helpers.scenarios import scenario

CHECK = {"interval": "2s", "timeout": "1s", "rise": 2, "fall": 3}


def ended(keep_requests: bool = False, **parts: Any) -> Run:
    one = scenario(**{"rate": "400/s", "instances": 40, **parts})
    run = Run(one, frame_of([one]), 0, EngineName.COMPILED, keep_requests=keep_requests)
    run.settle()
    run.finish(run.alone_end_s())
    return run


def test_checks_that_change_nothing_are_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    step = CompiledClock.step

    def counted(clock: CompiledClock) -> None:
        nonlocal count
        count += 1
        step(clock)

    monkeypatch.setattr(CompiledClock, "step", counted)
    run = ended(
        instances=500, balancer={"health_check": CHECK}, clock={"horizon": "60s", "warm_up": "0s"}
    )
    assert run._engine.tally()["arrived"] > 20_000
    assert count < 10


@pytest.mark.parametrize("queue", ["instance", "balancer"])
def test_memory_does_not_grow_with_the_length_of_a_run(queue: str) -> None:
    sizes = []
    for horizon in ("30s", "300s"):
        run = ended(queue=queue, clock={"horizon": horizon, "warm_up": "0s"})
        assert isinstance(run._engine, CompiledEngine)
        assert len(run._engine.table().arrival_s) == 0
        arrays = run._engine._memory._arrays
        in_bins = {"tally_bins", "bin_latencies"}  # at most 150 of them where something happens
        sizes.append({name: array.nbytes for name, array in arrays.items() if name not in in_bins})
    assert sizes[0] == sizes[1]


def test_requests_are_recorded_when_they_are_asked_for() -> None:
    run = ended(keep_requests=True, clock={"horizon": "10s", "warm_up": "0s"})
    assert len(run._engine.table().arrival_s) == run._engine.tally()["arrived"] > 3000
