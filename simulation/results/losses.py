"""Lost requests by cause and phase of the rollout, with the second in which most were lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulation.scenario.units import Integers

if TYPE_CHECKING:
    import pandas as pd


class LossCause(StrEnum):
    """Reason for which a request was lost: its last outcome, and the state of its instance then."""

    REJECTED = "rejected"
    """The pool was empty, or the queue was full."""
    REFUSED_AFTER_STOP = "refused_after_stop"
    """The balancer still sent to an instance that the rollout had stopped."""
    REFUSED_AFTER_CRASH = "refused_after_crash"
    TIMED_OUT_IN_QUEUE = "timed_out_in_queue"
    """The time ran out before service began."""
    TIMED_OUT_IN_SERVICE = "timed_out_in_service"
    CUT_AT_DRAIN = "cut_at_drain"
    """The drain's timeout ended the request."""
    CUT_AT_STOP = "cut_at_stop"
    """The stop's grace period, or an abrupt stop, ended the request."""
    ERROR_OF_NEW_VERSION = "error_of_new_version"
    ERROR_OF_OLD_VERSION = "error_of_old_version"
    ERROR_OF_CRASH = "error_of_crash"


class LossPhase(StrEnum):
    """The step or stage of the rollout in which a request was lost."""

    BEFORE = "before"
    """No instance had begun its first step."""
    TAKE_OUT = "take_out"
    STOP = "stop"
    DEPLOY = "deploy"
    VERIFY = "verify"
    START = "start"
    RETURN = "return"
    BETWEEN = "between"
    """No instance was in a step, but the rollout was not over: a pause, a bake, `min_ready`."""
    AFTER = "after"


CAUSES = tuple(LossCause)
PHASES = tuple(LossPhase)


@dataclass(frozen=True)
class LossCell:
    """The requests that were lost by one cause in one phase.

    Attributes:
        cause: The cause.
        phase: The phase.
        count: Number of requests.
        peak_s: Begin of the second in which most of them were lost, the first of several such seconds.
        peak_count: Number of requests lost in that second.
    """

    cause: LossCause
    phase: LossPhase
    count: int
    peak_s: int
    peak_count: int


@dataclass(frozen=True, eq=False)
class Losses:
    """Lost requests, one row for each cause, phase and second in which requests were lost.

    The rows are in the order of cause, phase and second; the arrays have equal lengths.

    Attributes:
        cause: Code of the cause, its index in `CAUSES`.
        phase: Code of the phase, its index in `PHASES`.
        second: Begin of the second, in seconds since the rollout's start.
        count: Number of requests.
    """

    cause: Integers
    phase: Integers
    second: Integers
    count: Integers

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same rows."""
        return isinstance(other, Losses) and all(
            np.array_equal(mine, theirs)
            for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    @property
    def total(self) -> int:
        """Number of all lost requests."""
        return int(self.count.sum())

    def cells(self) -> tuple[LossCell, ...]:
        """Return the causes and phases that lost requests, with the second of each peak."""
        cells = []
        for cause in np.unique(self.cause).tolist():
            of_cause = self.of_cause(CAUSES[cause])
            for phase in np.unique(of_cause.phase).tolist():
                cell = of_cause._where(of_cause.phase == phase)
                cells.append(LossCell(CAUSES[cause], PHASES[phase], cell.total, *cell.peak()))
        return tuple(cells)

    def of_cause(self, cause: LossCause) -> Losses:
        """Return the losses by one cause."""
        return self._where(self.cause == CAUSES.index(cause))

    def by_cause(self) -> dict[LossCause, int]:
        """Return the number of requests lost by each cause, 0 included."""
        counts = np.bincount(self.cause, self.count, len(CAUSES))
        return {cause: int(count) for cause, count in zip(CAUSES, counts, strict=True)}

    def peak(self) -> tuple[int, int]:
        """Return the first of the seconds in which most requests were lost, and their number.

        Only for losses that hold at least one request.
        """
        seconds, row = np.unique(self.second, return_inverse=True)
        counts = np.bincount(row, self.count)
        place = int(np.argmax(counts))
        return int(seconds[place]), int(counts[place])

    def _where(self, rows: NDArray[np.bool_]) -> Losses:
        return Losses(self.cause[rows], self.phase[rows], self.second[rows], self.count[rows])

    def frame(self) -> pd.DataFrame:
        """Return the rows as a table: cause, phase, second, count."""
        import pandas as pd  # noqa: PLC0415 - workers, which only simulate, start without it

        return pd.DataFrame(
            {
                "cause": [CAUSES[code].value for code in self.cause],
                "phase": [PHASES[code].value for code in self.phase],
                "second": self.second,
                "count": self.count,
            }
        )


_NONE = np.zeros(0, np.int64)
NO_LOSSES = Losses(_NONE, _NONE, _NONE, _NONE)


def sum_losses(parts: Iterable[Losses]) -> Losses:
    """Return the losses of several runs added up, second by second."""
    parts = [part for part in parts if len(part.count)]
    if not parts:
        return NO_LOSSES
    rows = np.hstack([list(vars(part).values()) for part in parts])
    return group_losses(*rows)


def group_losses(cause: Integers, phase: Integers, second: Integers, count: Integers) -> Losses:
    """Return rows in any order as `Losses`, with the counts of equal rows added up."""
    order = np.lexsort((second, phase, cause))
    keys = np.stack([cause[order], phase[order], second[order]])
    is_first = np.concatenate([[True], np.any(keys[:, 1:] != keys[:, :-1], axis=0)])
    sums = np.add.reduceat(count[order], np.flatnonzero(is_first))
    cause, phase, second = keys[:, is_first]
    return Losses(cause, phase, second, sums)
