"""The text of a first scenario for ``rollcast new``; ``{name}`` stands for its file."""

FIRST_SCENARIO = """\
# A first scenario. Put your own figures in, then: rollcast compare {name}
rollcast: scenario/1
question: How wide a window can this fleet afford?

traffic:
  rate: 40/s                        # or a daily curve, steps, or a trace file

services:
  web:
    instances: 8
    slots: 4                        # requests that one instance serves at once
    service_time: {{mean: 500ms, cv: 1}}
    steps:                          # how long each takes on one instance
      stop: 1s
      deploy: {{mean: 8s, cv: 0.3}}
      start: {{mean: 5s, cv: 0.5}}

rollout:
  window: 2                         # instances under way at once
  drain: {{timeout: 15s}}

objectives:                         # in 95 % of runs, shown with 95 % confidence
  error_fraction: 0.1%
  latency_p99: 4s
  duration: 3m
"""
