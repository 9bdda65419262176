"""A key for caches of what follows from an object that never changes, such as a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Same(Generic[T]):
    """A key that equals another when both hold the same object.

    To compare two scenarios by their values would take longer than what a cache of their values saves.
    The key keeps its object alive, so no other object gets its identity meanwhile.
    """

    value: T

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value
