"""Statistics over runs: intervals, confidence bounds, answers, and numbers of runs."""

from simulation.study.statistics.means import (
    Difference,
    interval,
    paired_difference,
    single_run_range,
    t_interval,
)
from simulation.study.statistics.number_of_runs import (
    BUDGET_S,
    PlannedRuns,
    RunsReason,
    misses_of,
    planned_runs,
)
from simulation.study.statistics.occurrence import Occurrence, occurrence
from simulation.study.statistics.proportions import (
    FIRST_LOOK,
    MOST_PROPOSED,
    Answer,
    NewStudy,
    answer_of,
    answer_so_far,
    clopper_pearson,
    confirmation_confidence,
    confirmation_runs,
    fewest_runs,
    fresh_seed,
    next_look,
    propose_new_study,
)

__all__ = [
    "BUDGET_S",
    "FIRST_LOOK",
    "MOST_PROPOSED",
    "Answer",
    "Difference",
    "NewStudy",
    "Occurrence",
    "PlannedRuns",
    "RunsReason",
    "answer_of",
    "answer_so_far",
    "clopper_pearson",
    "confirmation_confidence",
    "confirmation_runs",
    "fewest_runs",
    "fresh_seed",
    "interval",
    "misses_of",
    "next_look",
    "occurrence",
    "paired_difference",
    "planned_runs",
    "propose_new_study",
    "single_run_range",
    "t_interval",
]
