"""The lessons, step by step. Their tests simulate them, to check that what they teach is true.

Their scenarios are in ``assets/lessons``.
"""

from __future__ import annotations

from pathlib import Path

from studio.lessons.model import (
    Capacity,
    FigureGoal,
    Goal,
    Justified,
    Lesson,
    LessonStep,
    LookedAt,
    Meets,
    Predicted,
    Quick,
    Simulated,
    Switch,
)
from studio.resources import assets_dir

_WINDOW = "rollout.window"
_DRAIN = "rollout.drain.timeout"
_READY = "rollout.min_ready"
_PAUSE = "rollout.pause"
_POLICY = "services.web.balancer.policy"
_LEARNS = "services.web.balancer.propagation_delay"


def scenario_path(lesson: Lesson) -> Path:
    """Return the scenario file of a lesson."""
    return assets_dir() / "lessons" / f"{lesson.key}.yaml"


def _predict(task: str, answers: tuple[str, ...], right: int) -> LessonStep:
    return LessonStep("Predict", task, Predicted(), "", answers=answers, right=right)


def _run() -> LessonStep:
    return LessonStep("Run", "Now run it: F5.", Simulated(), "It is simulated, twenty times.")


def _reveal(task: str, window: int, after: str) -> LessonStep:
    return LessonStep("Reveal", task, LookedAt(window), after)


def _push(task: str, goal: Goal, after: str, *unlocked: str) -> LessonStep:
    return LessonStep("Push it", task, goal, after, frozenset(unlocked))


def _trade(
    task: str, goal: Goal, after: str, *unlocked: str, switch: Switch | None = None
) -> LessonStep:
    return LessonStep("Trade", task, goal, after, frozenset(unlocked), switch)


def _choose(
    task: str, *unlocked: str, goals: tuple[Goal, ...] = (Meets(),), switch: Switch | None = None
) -> LessonStep:
    goal = Justified(goals)
    return LessonStep(
        "Choose", task, goal, "That is a choice with a reason.", frozenset(unlocked), switch
    )


_FAILED = "failed_requests"
_P99 = "rollout_latency_p99_s"

_CONTRACT = Switch(
    "rollout.migration.contract_before_rollout",
    "The old columns are dropped",
    {"before the servers are replaced": True, "after all of them are": False},
)

LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "all-at-once",
        "Why not all at once",
        "The quickest rollout takes everything away at the same time.",
        (
            _predict(
                "Eight instances serve 80 requests a second; five would do. All eight at once is "
                "over in nine seconds. What becomes of the requests that come meanwhile?",
                (
                    "They wait a little longer",
                    "About one in ten fails",
                    "Most of them fail",
                ),
                2,
            ),
            _run(),
            _reveal(
                "Look at the run of window 8.",
                8,
                "There is nobody to serve. Most of what comes in those nine seconds fails, about five "
                "hundred requests; a quick rollout is no small one.",
            ),
            _push(
                "Lower Window size until capacity stays above traffic.",
                Capacity(is_under=False),
                "As many as the traffic needs must stay. What is above that may be out.",
                _WINDOW,
            ),
            _trade(
                "Lower it on until fewer than one request fails in two rollouts, and watch what that "
                "costs in time.",
                FigureGoal(_FAILED, "Failed requests", at_most=0.5),
                "Time is the price of room. How much room the traffic needs, not the calendar, says "
                "how narrow the window must be.",
                _WINDOW,
            ),
            _choose(
                "Choose a window that meets every objective, and write why this one and no other.",
                _WINDOW,
            ),
        ),
    ),
    Lesson(
        "window-size",
        "Window size",
        "How many may be out at once, and what decides it.",
        (
            _predict(
                "Twelve instances are two thirds busy and are replaced one by one. Four at a time "
                "instead: how long does the rollout take then?",
                ("Hardly less", "About half as long", "Less than a third as long"),
                2,
            ),
            _run(),
            _reveal(
                "Look at the run of window 4 and hold it against window 1.",
                4,
                "The time goes down with the window: the steps are done side by side. What is left "
                "to serve goes down with it, too.",
            ),
            _push(
                "Raise Window size until capacity falls under traffic.",
                Capacity(is_under=True),
                "From here on requests queue for as long as the rollout goes on, and that queue must "
                "be worked off afterwards.",
                _WINDOW,
            ),
            _trade(
                "Requests are still cut: the drain waits only 0.2 seconds. Lengthen Drain timeout "
                "until fewer than one is cut in two rollouts, and watch the time.",
                FigureGoal("cut_requests", "Cut requests", at_most=0.5),
                "A drain ends when the last request has ended: a longer timeout costs little time "
                "and saves requests.",
                _DRAIN,
            ),
            _choose(
                "Choose a window and a drain timeout that meet every objective, and write why.",
                _WINDOW,
                _DRAIN,
            ),
        ),
    ),
    Lesson(
        "draining",
        "Draining",
        "How long an instance waits for what it is doing.",
        (
            _predict(
                "A request takes two seconds in the mean, and the drain waits two seconds. Of those "
                "in flight when an instance is taken out, how many are cut?",
                ("Hardly any", "About one in three", "More than half"),
                1,
            ),
            _run(),
            _reveal(
                "Look at the run of window 2: do fewer instances out at once cut fewer requests?",
                2,
                "About one in three is cut, and the window hardly matters: every instance is drained "
                "once, whatever stands beside it. The mean says little, the long ones count.",
            ),
            _push(
                "Shorten Drain timeout until more than twenty requests are cut in a rollout.",
                FigureGoal("cut_requests", "Cut requests", at_least=20),
                "Without a drain whatever is in flight is lost, on every instance.",
                _DRAIN,
            ),
            _trade(
                "Now lengthen it until no more than one is cut, and hold the time against it.",
                FigureGoal("cut_requests", "Cut requests", at_most=1.0),
                "The last few requests are the slowest ones: each costs more time than those before.",
                _DRAIN,
            ),
            _choose(
                "Choose a drain timeout (and a window) that meets every objective, and write why "
                "you would wait no longer.",
                _DRAIN,
                _WINDOW,
            ),
        ),
    ),
    Lesson(
        "black-hole",
        "The black hole",
        "Health checks, least connections, and an instance that answers nobody.",
        (
            _predict(
                "The balancer learns six seconds late that an instance has left, and its checks need "
                "three failures to notice. Least connections sends to who has least to do. How many "
                "requests does that lose, compared with taking turns?",
                ("Fewer: it avoids the dead one", "As many", "Several times as many"),
                2,
            ),
            _run(),
            _reveal(
                "Look at the run of window 4: does a shorter rollout change it?",
                4,
                "A dead instance refuses at once, so it looks idle, so it is sent everything. Only "
                "failed checks or the late word end it. A wider window loses a larger share.",
            ),
            _push(
                "Choose another Policy, one that loses less than a third of it.",
                FigureGoal(_FAILED, "Failed requests", at_most=400),
                "Who takes turns sends the dead one only its share.",
                _POLICY,
            ),
            _trade(
                "A policy only hides it. Lower Learns after until no more than one request fails.",
                FigureGoal(_FAILED, "Failed requests", at_most=1.0),
                "When the balancer knows before the instance stops, nothing is refused: take out "
                "first, wait until everybody has heard, then stop.",
                _LEARNS,
            ),
            _choose(
                "Choose a policy and how late the balancer may learn, so that every objective is "
                "met, and write why.",
                _POLICY,
                _LEARNS,
            ),
        ),
    ),
    Lesson(
        "cold-caches",
        "Cold caches",
        "Back in the pool is not the same as ready.",
        (
            _predict(
                "A new instance needs five times as long for a request at first, and half a minute "
                "to warm up. One at a time the rollout takes thirty seconds, four at a time eight. "
                "What does the quicker one do to p99?",
                (
                    "It is lower: the rollout is over sooner",
                    "It is much the same",
                    "It is more than twice as high",
                ),
                2,
            ),
            _run(),
            _reveal(
                "Look at the run of window 4, and at when its latency is worst.",
                4,
                "It is worst when all of them are back. The pool is whole and everybody in it is cold: "
                "instances are there, capacity is not.",
            ),
            _push(
                "Raise Window size until p99 is above five seconds.",
                FigureGoal(_P99, "p99", at_least=5.0),
                "The window bounds how many are out. Nothing bounds how many are cold.",
                _WINDOW,
            ),
            _trade(
                "Lengthen Ready for, so that an instance warms up before the next one leaves, until "
                "p99 is below two and a half seconds. Watch the time.",
                FigureGoal(_P99, "p99", at_most=2.5),
                "Waiting is what warms a cache. It costs minutes, and nothing else here does as much.",
                _READY,
            ),
            _choose(
                "Choose a window and how long an instance must be ready, so that every objective is "
                "met, and write why.",
                _WINDOW,
                _READY,
            ),
        ),
    ),
    Lesson(
        "bad-release",
        "A bad release",
        "Who meets it before it is stopped: exposure.",
        (
            _predict(
                "Four of five answers of the new version are wrong. A guard looks at all answers of "
                "the last five seconds and takes the release back above 4 %. Four instances at a "
                "time instead of two: how many wrong answers more?",
                (
                    "None: the guard stops both at once",
                    "About twice as many, or more",
                    "Fewer: it is noticed sooner",
                ),
                1,
            ),
            _run(),
            _reveal(
                "Look at the run of window 4 and hold its failed requests against window 2.",
                4,
                "A guard needs time to see. Whatever has the new version by then answers wrongly until "
                "it is taken back: the window is what is exposed.",
            ),
            _push(
                "Raise Window size until more than 500 requests fail before it is taken back.",
                FigureGoal(_FAILED, "Failed requests", at_least=500),
                "Half the fleet was wrong before anybody knew.",
                _WINDOW,
            ),
            _trade(
                "Bring the window down again and lengthen Pause, so that the guard can see before "
                "the next one goes, until fewer than 40 fail.",
                FigureGoal(_FAILED, "Failed requests", at_most=40),
                "A pause is only worth something when somebody looks meanwhile.",
                _WINDOW,
                _PAUSE,
            ),
            _choose(
                "A good release, too, must come out: within 100 seconds. Choose so that no more than "
                "40 requests fail of a bad one, and write why.",
                _WINDOW,
                _PAUSE,
                goals=(FigureGoal(_FAILED, "Failed requests", at_most=40), Quick(100.0)),
            ),
        ),
    ),
    Lesson(
        "database-first",
        "The database first",
        "Expand, migrate, roll, contract: in this order.",
        (
            _predict(
                "The database drops its old columns, and then the servers that read them are "
                "replaced, two at a time. What happens?",
                (
                    "Nothing: the new version does not need them",
                    "The old version answers wrongly until it is replaced",
                    "A few requests fail at the moment of the change",
                ),
                1,
            ),
            _run(),
            _reveal(
                "Look at the run of window 1: what does the most careful rollout do to the errors?",
                1,
                "It has the most of them. While the rollout goes on the old version serves, and every "
                "answer of it is wrong: what is slow is what hurts.",
            ),
            _push(
                "Then be quick: raise Window size until capacity falls under traffic.",
                Capacity(is_under=True),
                "Requests queue now, and hundreds still fail. No window mends an order that is wrong.",
                _WINDOW,
            ),
            _trade(
                "Change the order, until no more than one request fails.",
                FigureGoal(_FAILED, "Failed requests", at_most=1.0),
                "The same steps, as long as before, and nothing fails: the database goes first with "
                "what it adds, and last with what it takes away.",
                switch=_CONTRACT,
            ),
            _choose(
                "Choose the order and a window that meet every objective, and write why.",
                _WINDOW,
                switch=_CONTRACT,
            ),
        ),
    ),
)
"""All lessons, in the order in which to take them."""
