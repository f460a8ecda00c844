"""Goal: the benchmark of addresses says what its samples say."""

from __future__ import annotations

from ipaddress import IPv4Address

from click.testing import CliRunner

from benchmarks import addresses
from benchmarks.addresses import IN_USE, WAYS, Samples, make_pools, render
from benchmarks.cli import main


def samples(**in_use_us: float) -> Samples:
    return Samples(
        {way: [1e-6] * 9 for way in WAYS},
        {way: [in_use_us.get(way.split()[0], 1.0) * 1e-6] * 9 for way in WAYS},
    )


def test_each_bar_is_missed_on_its_own():
    assert samples(lowest=1.19, chosen=1.19, freed=1.19).misses() == []
    for way in WAYS:
        (missed,) = samples(**{way.split()[0]: 1.3}).misses()
        assert missed == f"{way}: 1.3 [1.3 1.3], the bar is 1.2"


def test_a_quick_run_judges_no_bar():
    slow = samples(lowest=9.0)
    assert "MISSED: lowest free" in render(slow, quick=False)
    assert "quick: no bar is judged" in render(slow, quick=True)


def test_so_many_addresses_are_in_use():
    empty, in_use = make_pools()
    taken = [IPv4Address("10.0.0.1") + number for number in range(IN_USE + 100)]
    assert sum(map(in_use.is_taken, taken)) == IN_USE
    assert not any(map(empty.is_taken, taken))


def test_the_command_measures_and_prints():
    result = CliRunner().invoke(main, ["addresses", "--quick"])
    assert result.exit_code == 0
    assert all(way in result.output for way in WAYS)


def test_a_missed_bar_ends_with_1_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(addresses, "measure", lambda rounds: samples(chosen=2.0))
    assert CliRunner().invoke(main, ["addresses"]).exit_code == 0
    result = CliRunner().invoke(main, ["addresses", "--check"])
    assert result.exit_code == 1
    assert "MISSED: chosen: 2 [2 2]" in result.output
