"""Random numbers that are addressed by purpose and number instead of drawn in order (model.md §9).

Every request has an arrival, demands and a session: these are drawn ahead from streams. A number that
only some requests need, such as the pick of a random policy, is a hash of seed, replication, purpose
and number. No position in a stream is used up, so one request's draws never shift another's.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15

PURPOSES = (
    "pick",
    "second pick",
    "affinity",
    "error",
    "verify",
    "start",
    "order",
    "jitter",
    "phase",
    "reconnect",
    "think",
    "closed class",
    "closed session",
    "closed demand",
    "crash",
    "repair",
    "retry demand",
    "connection",
    "connection age",
)
"""The purposes of addressed numbers. Both engines hash the position in this list."""


def mix(value: int) -> int:
    """Return the finaliser of splitmix64 (Steele, Lea and Flood, 2014): 64 bits in, 64 bits out."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Draws:
    """Uniform numbers of one replication, addressed by purpose and number.

    Attributes:
        key: The 64 bits from which all numbers are hashed.
    """

    def __init__(self, seed: int, replication: int) -> None:
        self.key = mix(mix(seed) ^ replication)

    def of_service(self, number: int) -> Draws:
        """Return the draws of one service; service 0 shares the draws of the whole scenario."""
        if number == 0:
            return self
        draws = Draws(0, 0)
        draws.key = mix(self.key ^ (number << 32))
        return draws

    def uniform(self, purpose: str, *numbers: int) -> float:
        """Return a number in (0, 1) that depends on the purpose and the numbers only."""
        value = mix(self.key ^ PURPOSES.index(purpose))
        for number in numbers:
            value = mix(value ^ (number & _MASK))
        return ((value >> 11) + 0.5) / (1 << 53)
