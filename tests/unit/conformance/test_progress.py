import io
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.observe.poll import wait_until
from conformance.progress import Progress, in_words
from conformance.ticker import Ticker


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def run_rows(progress: Progress, clock: Clock, engine: str, count: int, each_s: float) -> None:
    for number in range(count):
        progress.begin(engine, f"row.{number}")
        clock.now_s += each_s
        progress.end(engine, f"row.{number}")


def test_interrupt_names_the_rows_that_ran():
    written: list[str] = []
    reporter: Any = SimpleNamespace(
        isatty=False, ensure_newline=lambda: None, write=lambda text, **_: written.append(text)
    )
    progress = Progress(["docker"], rows=10, side_by_side=1, clock=Clock())
    ticker = Ticker(reporter, progress, moves=False)
    ticker.interrupt()
    ticker.begin("docker", "init.none.x")
    ticker.interrupt()
    ticker.stop()
    assert written == [
        "interrupted: no row was running\n",
        "interrupted: docker: init.none.x (0 s)\n",
    ]


def test_pace_so_far_gives_the_time_left():
    clock = Clock()
    progress = Progress(["docker"], rows=10, side_by_side=1, clock=clock)
    assert progress.left_s() is None
    run_rows(progress, clock, "docker", 4, each_s=2)
    assert progress.left_s() == pytest.approx(12)


@pytest.mark.parametrize(("side_by_side", "left_s"), [(1, 26), (2, 20)])
def test_engine_that_has_not_begun_is_as_fast_as_the_others(side_by_side, left_s):
    clock = Clock()
    progress = Progress(["a", "b"], rows=10, side_by_side=side_by_side, clock=clock)
    run_rows(progress, clock, "a", 7, each_s=2)
    assert progress.left_s() == pytest.approx(left_s)


def test_slowest_engine_decides():
    clock = Clock()
    progress = Progress(["a", "b"], rows=5, side_by_side=2, clock=clock)
    run_rows(progress, clock, "a", 5, each_s=1)
    run_rows(progress, clock, "b", 3, each_s=10)
    assert progress.left_s() == pytest.approx(20)


def test_row_of_several_tests_is_one_row():
    clock = Clock()
    progress = Progress(["docker"], rows=4, side_by_side=1, clock=clock)
    for row in ("a", "b", "b", "b", "c"):
        progress.begin("docker", row)
        clock.now_s += 2
        progress.end("docker", row)
    assert progress.line() == "3/4, about 5 s left"


def test_engine_may_work_on_several_rows():
    clock = Clock()
    progress = Progress(["docker"], rows=4, side_by_side=2, clock=clock)
    progress.begin("docker", "a")
    progress.begin("docker", "b")
    clock.now_s += 2
    progress.end("docker", "a")
    assert progress.line() == "1/4  docker: b (2 s)"


def test_line_names_what_every_engine_works_on():
    clock = Clock()
    progress = Progress(["a", "b"], rows=10, side_by_side=2, clock=clock)
    run_rows(progress, clock, "a", 3, each_s=1)
    progress.begin("a", "init.none.x")
    progress.begin("b", "dns.y")
    clock.now_s += 2
    assert progress.line() == "3/20, about 10 s left  a: init.none.x (2 s)  b: dns.y (2 s)"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "5 s"), (42, "40 s"), (89, "90 s"), (91, "2 min"), (600, "10 min")]
)
def test_time_is_said_as_short_as_it_is_known(seconds, words):
    assert in_words(seconds) == words


class Reporter:
    """What a ticker asks of pytest's reporter."""

    def __init__(self, *, isatty: bool) -> None:
        self.isatty = isatty
        self.out = io.StringIO()

    def ensure_newline(self) -> None:
        return

    def write(self, text: str, *, flush: bool) -> None:
        assert flush
        self.out.write(text)


def ticker(monkeypatch: pytest.MonkeyPatch, *, isatty: bool) -> tuple[Ticker, Reporter]:
    monkeypatch.setattr("conformance.ticker._TICK_S", 0.005)
    monkeypatch.setattr("conformance.ticker._LOG_EVERY_S", 0.02)
    monkeypatch.setattr(
        "conformance.ticker.shutil",
        SimpleNamespace(get_terminal_size=lambda: SimpleNamespace(columns=30)),
    )
    reporter: Any = Reporter(isatty=isatty)
    return Ticker(reporter, Progress(["docker"], rows=2, side_by_side=1)), reporter


def test_terminal_has_one_moving_line_that_never_wraps(monkeypatch):
    shown, reporter = ticker(monkeypatch, isatty=True)
    shown.begin("docker", "init.none.with-a-name-too-long-for-a-line")
    wait_until("the line", lambda: "init" in reporter.out.getvalue(), timeout_s=5)
    shown.write_line("[1/2] done")
    shown.stop()
    drawn = reporter.out.getvalue().split("\r\x1b[K")
    assert "[1/2] done\n" in "".join(drawn)
    assert max(len(line.rpartition("\n")[2]) for line in drawn) == 29
    assert drawn[-1] == ""


def test_log_has_a_line_now_and_then_and_no_escapes(monkeypatch):
    shown, reporter = ticker(monkeypatch, isatty=False)
    shown.begin("docker", "init.none.x")
    wait_until("two lines", lambda: reporter.out.getvalue().count("\n") >= 2, timeout_s=5)
    shown.stop()
    text = reporter.out.getvalue()
    assert text.startswith("... 0/2")
    assert "docker: init.none.x (0 s)" in text
    assert "\x1b" not in text
