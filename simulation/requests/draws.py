"""Random numbers that belong to one thing by its number (model.md §9).

Streams drawn ahead serve what every request has: its arrival, demand, session. What only some need
(the pick of a random policy) comes from a hash of seed, replication, purpose and number: no
position in a stream is used up, so nothing that happens elsewhere can change it.
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
)
"""What such a number may be for."""


def mix(value: int) -> int:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014): 64 bits in, 64 bits out."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Draws:
    """Uniform numbers by name and number, for one replication.

    Attributes:
        key: What all of them are made from, 64 bits.
    """

    def __init__(self, seed: int, replication: int) -> None:
        self.key = mix(mix(seed) ^ replication)

    def of_service(self, number: int) -> Draws:
        """The numbers of one service; the first one's are those of the whole scenario."""
        if number == 0:
            return self
        own = Draws(0, 0)
        own.key = mix(self.key ^ (number << 32))
        return own

    def uniform(self, purpose: str, *numbers: int) -> float:
        """A number in (0, 1) that belongs to the purpose and the numbers, and to nothing else."""
        value = mix(self.key ^ PURPOSES.index(purpose))
        for number in numbers:
            value = mix(value ^ (number & _MASK))
        return ((value >> 11) + 0.5) / (1 << 53)
