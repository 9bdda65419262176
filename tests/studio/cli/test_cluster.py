"""``--cluster``: the same answers as here, and what is told where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.cluster import cluster_of
from tests.helpers.command_line import SHOP, CommandLine

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


@pytest.mark.slow
def test_compare_on_a_cluster_prints_what_it_prints_here(
    rollcast: CommandLine, tmp_path: Path
) -> None:
    options = ["--windows", "1,2,3", "--replications", "8", "--json"]
    here = rollcast("compare", "shop.yaml", *options, "--jobs", "1")
    assert here.code == 0
    (tmp_path / "shop.rollcast-cells.sqlite").unlink()
    with cluster_of(tmp_path / "dask", 2) as cluster:
        there = rollcast("compare", "shop.yaml", *options, "--cluster", cluster.address)
        assert (there.code, there.err) == (0, "")
        requests = ["--requests", "there.csv", "--cluster", cluster.address]
        assert rollcast("compare", "shop.yaml", *options, *requests).code == 0
        plan = ["plan", "shop.yaml", "-o", "plan.json", "--cluster", cluster.address]
        assert rollcast(*plan).code == 0
        simulate = ["simulate", "shop.yaml", "--json", "--seed", "2"]
        alone = rollcast(*simulate, "--cluster", cluster.address)
        gap = "{steps: [[0s, 40/s]]}", "{trace: t.csv}"
        rollcast.write("t.csv", "time,rate\n0,40\n5,40\n")
        rollcast.write("gap.yaml", SHOP.replace("40/s", gap[1]))
        refused = rollcast("compare", "gap.yaml", "--cluster", cluster.address)
    assert there.out == here.out
    assert rollcast("compare", "shop.yaml", *options, "--requests", "here.csv").code == 0
    assert Path("here.csv").read_bytes() == Path("there.csv").read_bytes()
    (tmp_path / "shop.rollcast-cells.sqlite").unlink()
    assert rollcast(*simulate, "--jobs", "1") == alone
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.count("\n") == 1
    assert "the simulated interval meets the end of the trace" in refused.err


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:1", "cannot be reached: "),
        ("http://127.0.0.1:1", "cannot be reached: unknown address scheme"),
        ("nonsense", "cannot be reached: missing port number"),
        ("tcp://127.0.0.1:port", "cannot be reached: invalid literal"),
    ],
)
def test_a_scheduler_that_is_not_there_is_told(
    rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setattr("simulation.study.running.cluster._CONNECTS_S", 0.5)
    rollcast.refuses(["compare", "shop.yaml", "--cluster", address], {}, said, 2)


def test_a_missing_extra_is_told(rollcast: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    arguments = ["plan", "shop.yaml", "-o", "plan.json", "--cluster", "tcp://127.0.0.1:1"]
    rollcast.refuses(arguments, {}, "needs the extra `cluster`", 2)


def test_processes_here_and_a_cluster_are_not_both_asked_for(rollcast: CommandLine) -> None:
    arguments = ["simulate", "shop.yaml", "--jobs", "2", "--cluster", "tcp://127.0.0.1:1"]
    rollcast.refuses(arguments, {}, "--jobs and --cluster: must not both be given", 2)
