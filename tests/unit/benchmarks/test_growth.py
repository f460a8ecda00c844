"""Goal: the growth, burst and boot benchmarks say what their samples say."""

import os
from dataclasses import asdict, replace
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.boot import Boots, Crash, boot_once
from benchmarks.burst import AT_ONCE, Bursts, misses
from benchmarks.cases import BRIDGE, USER
from benchmarks.cli import main
from benchmarks.growth import PASSES, Growth, Size, measure, render


def size(sandboxes: int, networks: int, *, allocate_s: float = 0.001, kib: int = 1000) -> Size:
    one = Size(sandboxes, networks)
    for network in (BRIDGE, USER):
        one.allocate[network] = [[allocate_s] * 5] * 5
        one.release[network] = [[0.002] * 5] * 5
    # later passes find what the first one has left in the heap
    one.kib = [kib, 9_000_000, 9_000_000]
    return one


def growth(last: Size, networks: Size) -> Growth:
    return Growth([size(10, 8), last], [size(10, 10), networks], 0, {})


def test_a_crowd_that_costs_little_meets_every_bar() -> None:
    measured = growth(size(1000, 8, allocate_s=0.0011, kib=1000 + 990 * 59), size(10, 100))
    assert measured.kib_per_sandbox() == pytest.approx(59)
    assert measured.misses() == []
    assert "every bar is met" in render(measured)


def test_each_bar_is_missed_on_its_own() -> None:
    slow = growth(size(1000, 8, allocate_s=0.0013), size(10, 100))
    assert [miss.split(":")[0] for miss in slow.misses()] == [BRIDGE, USER]
    many = growth(size(1000, 8), size(10, 100, allocate_s=0.0013))
    assert all("100 networks" in miss for miss in many.misses())
    assert len(many.misses()) == 2
    (fat,) = growth(size(1000, 8, kib=1000 + 990 * 61), size(10, 100)).misses()
    assert fat == "61.0 KiB per sandbox, the bar is 60"


def test_a_quick_run_judges_no_bar(monkeypatch) -> None:
    slow = replace(growth(size(100, 8, allocate_s=0.9), size(10, 100)), quick=True)
    assert "quick: no bar is judged" in render(slow)
    assert "MISSED" not in render(slow)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert CliRunner().invoke(main, ["growth", "--quick", "--check"]).exit_code == 3


class Crowd:
    """A crowd that is whatever it was asked to be, and says at which sizes it was sampled."""

    def __init__(self) -> None:
        self.now = {"sandboxes": 0, "networks": 0, "containers": 0}
        self.sampled: list[tuple[int, int]] = []

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] in self.now:
            self.now[request["do"]] = request["count"]
        if request["do"] == "memory":
            self.sampled.append((self.now["sandboxes"], self.now["networks"]))
        return {"kib": 1000, "allocate": 0.001, "release": 0.001}


def test_every_second_pass_takes_the_sizes_on_the_way_down(monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.growth.WARMUP_S", 0)
    crowd = Crowd()
    measured = measure(crowd, seed=0, quick=False)  # type: ignore[arg-type]
    sandboxes = [sandboxes for sandboxes, _ in crowd.sampled]
    networks = [networks for _, networks in crowd.sampled]
    up, down = (sandboxes[start : start + 4] for start in (0, 6))
    assert up == [10, 100, 300, 1000] == down[::-1]
    assert networks[4:6] == [10, 100] == networks[10:12][::-1]
    assert sandboxes[4:6] == sandboxes[10:12] == [10, 10]
    assert crowd.now["sandboxes"] == 0
    assert [len(each.allocate[USER]) for each in measured.sandboxes] == [PASSES] * 4


def test_every_sample_is_kept() -> None:
    document = asdict(growth(size(1000, 8), size(10, 100)))
    assert document["sandboxes"][1]["allocate"][BRIDGE] == [[0.001] * 5] * 5


def test_throughput_is_that_of_the_median_burst() -> None:
    bursts = Bursts("reference", [[1.0], [2.0], [4.0]], [[0.5] * AT_ONCE] * 3)
    assert f"{AT_ONCE / 2:.1f} starts/s" in bursts.row()
    assert "p50    500 ms" in bursts.row()


def test_boots_show_the_median_and_the_best() -> None:
    row = Boots(1000, [0.3, 0.2, 0.9], [0.1, 0.2, 0.3], [0.5, 0.4, 1.0]).row()
    assert "p50  0.300 s (best 0.200 s), CPU p50  0.200 s; bar 1 s" in row
    assert row.endswith("containers after p50  0.500 s; bar 2 s")


def test_a_boot_that_takes_its_bar_misses_it() -> None:
    assert Boots(0, [0.3] * 3, [0.1] * 3, [0.39] * 3).misses() == ["ready with 0 containers"]
    late = Boots(9, [0.9] * 3, [0.1] * 3, [2.0] * 3)
    assert late.misses() == ["containers answered with 9 containers"]
    assert Boots(0, [0.29] * 3, [0.1] * 3, [0.39] * 3).misses() == []


def test_the_boot_after_a_crash_is_held_to_its_record_of_ends() -> None:
    first = Boots(9, [0.5], [0.1], [0.75])
    late, early = Crash(9, first, 20.5, 30.0), Crash(9, first, 1.25, 2.0)
    assert (early.misses(), late.misses()) == ([], ["ends recorded after a SIGKILL"])
    assert "ready after 0.500 s, containers after 0.750 s, all ends recorded after 1.250 s" in (
        early.row()
    )


def test_a_daemon_that_does_not_answer_has_the_end_of_its_log_shown(monkeypatch, tmp_path) -> None:
    # in place of `unshare`, a program that says something and ends
    shout = tmp_path / "unshare"
    shout.write_text("#!/bin/sh\nseq 9\necho no space left >&2\nexit 1\n")
    shout.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(TimeoutError) as caught:
        boot_once(tmp_path, Boots(0), os.environ)
    assert str(caught.value).splitlines()[1:] == ["6", "7", "8", "9", "no space left"]


def test_a_burst_is_held_to_the_other_engine() -> None:
    ours = Bursts("reference", [[1.0]] * 3, [[0.5] * AT_ONCE] * 3)
    assert misses(ours, Bursts("docker", [[1.0]] * 3, [[0.5] * AT_ONCE] * 3)) == []
    missed = misses(ours, Bursts("docker", [[0.9]] * 3, [[0.4] * AT_ONCE] * 3))
    assert missed == [
        "the median burst: 1.000 s, docker's 0.900 s",
        "a start's p99: 0.500 s, docker's 0.400 s",
    ]


@pytest.mark.parametrize("command", ["growth", "burst", "boot", "modes", "ports", "dns", "run"])
def test_the_commands_explain_themselves(command) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "Exit codes" in result.output
    assert "3 the command line makes no sense" in " ".join(result.output.split())
