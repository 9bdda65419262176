"""`expand_migrate_contract`: the database first, then the application, then what only it needed.

The migration's steps are compatible with the old version; the contract step is not. Where it comes
too early the old instances answer wrongly, until the rollout has replaced them.
"""

from __future__ import annotations

from simulation.control.strategies.rolling import Rolling
from simulation.control.strategy import Steps
from simulation.scenario.rollout import Migration


class ExpandMigrateContract(Rolling):
    """Rolling between the steps of a migration; back is rolling, and leaves the database as it is."""

    def _forward(self) -> Steps:
        migration = self._rule.migration
        assert migration is not None
        yield from self._step(migration.expand)
        yield from self._step(migration.migrate)
        if migration.contract_before_rollout:
            yield from self._contract(migration)
        yield from super()._forward()
        if not migration.contract_before_rollout:
            yield from self._contract(migration)

    def _step(self, duration_s: float) -> Steps:
        """One step of the migration; what has begun is finished, a halt lets nothing new begin."""
        if not self._brake.is_on:
            with self._spent_on("step"):
                yield self._env.timeout(duration_s)

    def _contract(self, migration: Migration) -> Steps:
        """From its end on the old version finds its columns gone."""
        if not self._brake.is_on:
            yield from self._step(migration.contract)
            self._plane.break_old_version()
