"""The record of a rollout: complete, without overlap, in the simulation's words."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from executor.plan.model import STEPS
from executor.records.journal import Journal
from executor.records.timeline import STATES, timeline
from simulation.results.states import State
from tests.helpers.fake_fleet import World, carried_out, small_plan


def test_every_instance_is_in_one_state_at_a_time_from_begin_to_end(tmp_path: Path) -> None:
    names = [f"checkout-{number}" for number in range(1, 5)]
    carried_out(World(names), small_plan(), tmp_path / "j", dies_at=20)
    fleet = World(names)
    carried_out(fleet, small_plan(), tmp_path / "k", dies_at=20)
    carried_out(fleet, small_plan(), tmp_path / "k")
    journal = Journal.open(tmp_path / "k")
    told = json.loads(json.dumps(timeline(small_plan(), journal)))
    journal.close()
    assert told["schema"] == "rollcast.timeline/1"
    assert told["ended"] == "done"
    end_s = max(one["end_s"] for one in told["states"])
    for name in names:
        states = [one for one in told["states"] if one["instance"] == name]
        assert (states[0]["begin_s"], states[-1]["end_s"]) == (0.0, end_s)
        assert states[0]["state"] in {"serving", "draining"}  # the first are taken at 0
        assert states[-1]["state"] == "serving"
        for one, following in pairwise(states):
            assert one["end_s"] == following["begin_s"]
            assert one["state"] != following["state"]
    # Returning takes a fleet in memory no time, and what took none is left out.
    assert {one["state"] for one in told["states"]} >= {"serving", "draining", "starting"}
    outcomes = {one["outcome"] for one in told["steps"]}
    assert outcomes == {"done", "lost"}  # one executor died with its steps in hand
    assert told["measured"]["lowest_in_pool_count"] == 2
    duration_s = told["measured"]["rollout_duration_s"]
    assert 0 < duration_s <= end_s
    assert told["predicted"]["rollout_duration_s"]["run_high"] == 35.7


def test_its_words_are_the_simulations() -> None:
    assert tuple(STATES) == STEPS
    assert set(STATES.values()) <= {state.value for state in State}
