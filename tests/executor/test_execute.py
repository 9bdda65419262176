"""Plans carried out on real instances behind a real HAProxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.fleet import Fleet, fleet, load

pytestmark = pytest.mark.slow


@pytest.fixture
def six(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(tmp_path) as made:
        yield made


def test_a_plan_is_carried_out_under_load_without_a_failed_request(six: Fleet) -> None:
    with load(six.haproxy.port) as asked:
        done = six.execute()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert six.versions() == ["1.1"] * 6
    assert six.admin() == ["ready"] * 6
    assert len(asked.statuses) > 100
    assert set(asked.statuses) == {200}
    for name in six.names:
        assert six.commands(name) == ["stop", "deploy 1.1", "verify 1.1", "start"]
    told = six.timeline()
    assert told["ended"] == "done"
    begun = [one["instance"] for one in told["steps"] if one["step"] == "take_out"]
    assert begun == six.names
    assert min(sample["in_pool_count"] for sample in told["samples"]) >= 4
    assert six.journal.stat().st_mode & 0o777 == 0o600
