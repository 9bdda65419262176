"""`expand_migrate_contract`: a database migration around the rollout of the application.

The old version works with an expanded and migrated database, but not with a contracted one. Where
the contract step comes before the rollout, old instances answer wrongly until they are replaced.
"""

from __future__ import annotations

from simulation.control.strategies.rolling import Rolling
from simulation.control.strategies.surge import Surge
from simulation.control.strategy import Steps, Strategy
from simulation.scenario.rollout import Migration


class _BetweenMigrationSteps(Strategy):
    """Roll between the steps of a migration; a rollback leaves the database as it is."""

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
        """Do a step of the migration, unless the release was stopped; a step that has begun is finished."""
        if not self._stop_signal.is_on:
            with self._progress.hold_clock(), self._record_phase("step"):
                yield self._env.timeout(duration_s)

    def _contract(self, migration: Migration) -> Steps:
        """Contract the database; from then on the old version answers wrongly, as its columns are gone."""
        if not self._stop_signal.is_on:
            yield from self._step(migration.contract)
            self._plane.break_old_version()


class ExpandMigrateContract(_BetweenMigrationSteps, Rolling):
    """Replace every instance in its place between the steps of a migration."""


class ExpandMigrateContractBeside(_BetweenMigrationSteps, Surge):
    """Start new instances beside the old ones between the steps of a migration."""
