"""A run in the memory of an earlier run of its case gives the result of a run in fresh memory."""

from __future__ import annotations

import pytest

from simulation.engines.compiled import engine
from simulation.engines.compiled.used_memory import UsedMemory
from simulation.results.result_bytes import as_bytes
from simulation.results.run_result import EngineName
from simulation.scenario.simulated_interval import frame_of
from simulation.study.case import cases_of
from simulation.study.running.work import Part, Work
from tests.helpers.scenarios import scenario


@pytest.mark.parametrize("queue", ["balancer", "instance"])
def test_a_run_in_used_memory_equals_a_run_in_fresh_memory(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    health_check = {"interval": "2s", "timeout": "1s", "rise": 2, "fall": 2}
    balancer = {"queue": queue, "health_check": health_check}
    one = scenario(rate="40/s", instances=4, slots=2, balancer=balancer)
    work = Work(cases_of(one), frame_of([one]), EngineName.COMPILED)
    fresh = []
    for replication in (0, 1, 0):
        monkeypatch.setattr(engine, "USED_MEMORY", UsedMemory())
        fresh.append(as_bytes(work.run(Part(replication, (0,)))[0]))
    assert fresh[0] != fresh[1]
    used = UsedMemory()
    monkeypatch.setattr(engine, "USED_MEMORY", used)
    again = [as_bytes(work.run(Part(replication, (0,)))[0]) for replication in (0, 1, 0)]
    assert again == fresh
    assert len(used._kept) == 1  # one memory served all three
