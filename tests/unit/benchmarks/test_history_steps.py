"""Steps in made-up histories, by the real Otava: found where planted, and none where not.

Otava asks for versions of numpy and scipy that are its own, so this runs in tox's env `history`.
"""

import random
from dataclasses import replace

import pytest

pytest.importorskip("otava", reason="Apache Otava is in the tox environment `history` only")

from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.history.lines import CPU, WALL, Anchor, Line, Ratio, append_line, read_anchors
from benchmarks.history.report import make_report, write_page
from benchmarks.history.steps import MIN_POINTS, find_changes

ANCHOR = Anchor(revision="a" * 40, since="2026-01-01", reason="the first")
SPREAD = 0.012
"""Of a ratio to the anchor, as it was measured."""


def make_values(seed, levels):
    rng = random.Random(seed)
    return [level * rng.lognormvariate(0, SPREAD) for level, count in levels for _ in range(count)]


def make_lines(values, anchor=ANCHOR):
    same = Ratio(1.0, 0.99, 1.01)
    return [
        Line(
            revision=f"{number:040x}",
            time=f"2026-01-01T{number // 60:02}:{number % 60:02}:00+00:00",
            subject=f"Change <b>{number}</b>",
            anchor=anchor.revision,
            measured="2026-02-01T00:00:00+00:00",
            pairs=60,
            cases={"in-process-user": dict.fromkeys((CPU, WALL), Ratio(value, value, value))},
            control={"in-process-user": dict.fromkeys((CPU, WALL), same)},
            machine={"cpu": "model"},
        )
        for number, value in enumerate(values)
    ]


def indices(values):
    return [index for index, *_ in find_changes(values)]


@pytest.mark.parametrize("level", [1.10, 0.90])
def test_step_of_a_tenth_is_found_at_its_revision(level):
    for seed in range(10):
        (found,) = find_changes(make_values(seed, [(1.0, 12), (level, 12)]))
        index, before, after, p = found
        assert abs(index - 12) <= 1
        assert before == pytest.approx(1.0, abs=0.02)
        assert after == pytest.approx(level, abs=0.02)
        assert p < 1e-4


def test_history_without_a_step_has_none():
    assert sum(bool(indices(make_values(seed, [(1.0, 60)]))) for seed in range(20)) <= 1


def test_step_is_reported_from_its_third_point_on():
    values = make_values(1, [(1.0, 20), (1.3, 5)])
    assert indices(values[:21]) == []
    assert indices(values[:22]) == []
    assert indices(values[:23]) == [20]


def test_change_below_three_per_cent_is_none_of_interest():
    values = [level + 1e-4 * (number % 2) for number, level in enumerate([1.0] * 20 + [1.02] * 20)]
    assert indices(values) == []


def test_too_few_points_are_said_and_no_error(tmp_path):
    report = make_report(make_lines([1.0] * (MIN_POINTS - 1)), ANCHOR)
    assert "too few for a step" in report.to_text()
    assert "nothing was measured" in make_report([], ANCHOR).to_text()
    assert "Nothing was measured" in write_page(make_report([], ANCHOR), tmp_path).read_text()


def test_page_has_every_series_with_its_steps_and_loads_nothing(tmp_path):
    lines = make_lines(make_values(2, [(1.0, 12), (0.7, 12)]))
    lines.append(replace(lines[0], cases={}, control={}, failure="it has died", revision="f" * 40))
    report = make_report(lines, ANCHOR)
    assert f"{12:040x}"[:12] in report.to_text()
    assert "not measured: ffffffffffff" in report.to_text()
    page = write_page(report, tmp_path).read_text()
    assert page.count("<svg") == 2
    assert "Change &lt;b&gt;12&lt;/b&gt;" in page
    assert "steps: 1" in page
    assert not any(word in page for word in ("<script", "<link", "src=", "@import"))


def test_report_command_reads_the_file_and_writes_the_page(tmp_path):
    path = tmp_path / "history.jsonl"
    for line in make_lines([1.0, 1.1], read_anchors()[-1]):
        append_line(path, line)
    result = CliRunner().invoke(
        main, ["history", "report", "--file", str(path), "-o", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "2 points, too few" in result.output
    assert (tmp_path / "history.html").exists()
