"""The line at the bottom of a run: redrawn each second on a terminal, now and then in a log."""

import shutil
import threading
import time

from _pytest.terminal import TerminalReporter

from conformance.progress import Progress

_TICK_S = 1.0
# In a log (no terminal) a line as often as this is enough to see that a run is alive.
_LOG_EVERY_S = 15.0
_ERASE = "\r\x1b[K"


class Ticker:
    """Shows a run's progress below the lines of the rows that have ended."""

    def __init__(
        self,
        reporter: TerminalReporter,
        progress: Progress,
        *,
        moves: bool = True,
        logs: bool = True,
    ) -> None:
        """Begin to show; `stop` ends it.

        Args:
            reporter: where to write.
            progress: what to show.
            moves: whether there is a line that moves on a terminal; not where a debugger may ask.
            logs: whether a log gets a line now and then.
        """
        self._reporter = reporter
        self._progress = progress
        self._is_terminal = reporter.isatty and moves
        self._logs = logs and moves
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._shown_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="netinit-ticker", daemon=True)
        self._thread.start()

    def write_line(self, text: str) -> None:
        """Write a line that stays, above the one that moves."""
        with self._lock:
            self._reporter.ensure_newline()
            self._reporter.write((_ERASE if self._is_terminal else "") + text + "\n", flush=True)
            if self._is_terminal:
                self._draw()

    def begin(self, engine: str, row: str) -> None:
        """Note that a row begins."""
        with self._lock:
            self._progress.begin(engine, row)

    def end(self, engine: str, row: str) -> None:
        """Note that a row has ended."""
        with self._lock:
            self._progress.end(engine, row)

    def interrupt(self) -> None:
        """Say in a line of its own what was interrupted."""
        with self._lock:
            at_work = ", ".join(self._progress.at_work())
        self.write_line(f"interrupted: {at_work or 'no row was running'}")

    def stop(self) -> None:
        """Take the moving line away; nothing is written any more."""
        self._stopped.set()
        self._thread.join()
        if self._is_terminal:
            self._reporter.write(_ERASE, flush=True)

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_S):
            with self._lock:
                if self._is_terminal:
                    self._draw()
                elif self._logs and time.monotonic() - self._shown_s >= _LOG_EVERY_S:
                    self._shown_s = time.monotonic()
                    self._reporter.write(f"... {self._progress.line()}\n", flush=True)

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._reporter.write(_ERASE + self._progress.line()[:width], flush=True)
