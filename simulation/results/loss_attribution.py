"""Attribution of lost requests to causes and to phases of the rollout.

An engine records one `LOSS` for each request that is lost. What the rollout was doing then follows from
the states of the instances, which both engines share (docs/model.md, "Lost requests").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executor.plan.model import STEPS
from simulation.results.losses import (
    CAUSES,
    NO_LOSSES,
    PHASES,
    LossCause,
    Losses,
    LossPhase,
    group_losses,
)
from simulation.results.run_result import CUT, ERROR, REFUSED, REJECTED, TIMED_OUT
from simulation.results.states import State, StateInterval
from simulation.scenario.units import Floats, Integers

_CAUSE = {cause: code for code, cause in enumerate(CAUSES)}
_PHASE = {phase: code for code, phase in enumerate(PHASES)}
_BEFORE, _BETWEEN, _AFTER = (
    _PHASE[phase] for phase in (LossPhase.BEFORE, LossPhase.BETWEEN, LossPhase.AFTER)
)

_STATES = tuple(State)
_IN_STEP = dict(
    zip(
        (
            State.DRAINING,
            State.STOPPING,
            State.DEPLOYING,
            State.VERIFYING,
            State.STARTING,
            State.RETURNING,
        ),
        (_PHASE[LossPhase(step)] for step in STEPS),
        strict=True,
    )
)
_PHASE_OF_STATE = np.array([_IN_STEP.get(state, -1) for state in _STATES])
"""The phase of an instance's step, by the code of its state; −1 where the state is no step."""

_NOT_STOPPED = [_STATES.index(state) for state in (State.CRASHED, State.DRAINING, State.SERVING)]
"""States in which only a crash makes an instance refuse."""


def attribute_losses(
    log: NDArray[Any], states: Sequence[StateInterval], over_s: float | None
) -> Losses:
    """Return the recorded losses by cause, phase and second.

    Args:
        log: The losses of a run, records of `LOSS`.
        states: The intervals of all instances, by instance and begin.
        over_s: When the rollout was over, however it ended; None when it never was.
    """
    if not len(log):
        return NO_LOSSES
    state = _states_at(log["instance"], log["finish"], states)
    cause = _causes(log, state)
    phase = np.where(state >= 0, _PHASE_OF_STATE[state], -1)
    # A cut comes at the very end of a drain, or at the very begin of a stop that is abrupt.
    phase[cause == _CAUSE[LossCause.CUT_AT_DRAIN]] = _PHASE[LossPhase.TAKE_OUT]
    phase[cause == _CAUSE[LossCause.CUT_AT_STOP]] = _PHASE[LossPhase.STOP]
    elsewhere = phase < 0
    phase[elsewhere] = _phases_of_rollout(log["finish"][elsewhere], states, over_s)
    second = np.floor(log["finish"]).astype(np.int64)
    return group_losses(cause, phase, second, np.ones(len(log), np.int64))


def _states_at(
    instances: Integers, times_s: Floats, states: Sequence[StateInterval]
) -> NDArray[np.int64]:
    """Return the code of each instance's state from a time on; −1 where there is no instance."""
    codes = np.full(len(instances), -1, np.int64)
    own: dict[int, list[StateInterval]] = {int(k): [] for k in np.unique(instances) if k >= 0}
    for interval in states:
        if interval.instance in own:
            own[interval.instance].append(interval)
    for instance, intervals in own.items():
        rows = np.flatnonzero(instances == instance)
        begins_s = np.array([interval.begin_s for interval in intervals])
        state = np.array([_STATES.index(interval.state) for interval in intervals])
        codes[rows] = state[np.searchsorted(begins_s, times_s[rows], side="right") - 1]
    return codes


def _causes(log: NDArray[Any], state: Integers) -> NDArray[np.int64]:
    outcome, served = log["outcome"], log["served"] == 1
    new, listening = log["new_version"] == 1, log["listening"] == 1
    crashed = (state == _STATES.index(State.CRASHED)) & ~listening
    cases = [
        (outcome == REJECTED, LossCause.REJECTED),
        ((outcome == REFUSED) & np.isin(state, _NOT_STOPPED), LossCause.REFUSED_AFTER_CRASH),
        (outcome == REFUSED, LossCause.REFUSED_AFTER_STOP),
        ((outcome == TIMED_OUT) & served, LossCause.TIMED_OUT_IN_SERVICE),
        (outcome == TIMED_OUT, LossCause.TIMED_OUT_IN_QUEUE),
        ((outcome == CUT) & listening, LossCause.CUT_AT_DRAIN),
        (outcome == CUT, LossCause.CUT_AT_STOP),
        ((outcome == ERROR) & crashed, LossCause.ERROR_OF_CRASH),
        ((outcome == ERROR) & new, LossCause.ERROR_OF_NEW_VERSION),
        (outcome == ERROR, LossCause.ERROR_OF_OLD_VERSION),
    ]
    return np.select([case for case, _ in cases], [_CAUSE[cause] for _, cause in cases], -1)


def _phases_of_rollout(
    times_s: Floats, states: Sequence[StateInterval], over_s: float | None
) -> NDArray[np.int64]:
    """Return what the rollout was doing from each time on.

    While instances are in steps, that is the step in which most of them are, the earlier of two equal
    ones.
    """
    steps = [
        (interval.begin_s, interval.end_s, _IN_STEP[interval.state])
        for interval in states
        if interval.state in _IN_STEP
    ]
    if not steps:
        return np.full(len(times_s), _BEFORE, np.int64)
    begins_s, ends_s, phase = (np.array(column) for column in zip(*steps, strict=True))
    first = _PHASE[LossPhase.TAKE_OUT]
    inside = np.stack(
        [
            np.searchsorted(np.sort(begins_s[phase == code]), times_s, side="right")
            - np.searchsorted(np.sort(ends_s[phase == code]), times_s, side="right")
            for code in range(first, first + len(STEPS))
        ]
    )
    phases = np.where(inside.any(axis=0), first + np.argmax(inside, axis=0), _BETWEEN)
    phases[times_s < begins_s.min()] = _BEFORE
    if over_s is not None:
        phases[times_s >= over_s] = _AFTER
    return phases
