"""Links on their way out: brought down at once by who removes them, deleted a moment later.

To delete a veth pair the kernel waits until nobody can refer to it any more. Nothing about the pair
matters to anybody meanwhile. So whoever removes a link brings it down, which does
matter, and marks it by a link group. One thread deletes the whole group with one request, as many
links as there may be. The mark is the kernel's, so that a link whose daemon dies is found at the
next boot.
"""

from __future__ import annotations

import errno
import logging
import threading

from refimpl.kernel import links
from refimpl.kernel.netlink import Netlink

logger = logging.getLogger(__name__)


def delete_retired(host: Netlink) -> None:
    """Delete every retired link of a namespace; no error when there is none."""
    (answer,) = host.exchange([links.delete_retired_links()])
    if answer.error is not None and answer.error.errno != errno.ENODEV:
        raise answer.error


class Reaper:
    """Deletes retired links of the daemon's own namespace, each time it is woken."""

    def __init__(self) -> None:
        self._host = Netlink()
        self._is_wanted = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="reaper", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have every link deleted that is retired by now, and do not wait for it."""
        self._is_wanted.set()

    def close(self) -> None:
        """Wait until what is retired has been deleted, and end."""
        if not self._is_closing:
            self._is_closing = True
            self._is_wanted.set()
            self._thread.join()
            self._host.close()

    def _serve(self) -> None:
        is_last = False
        while not is_last:
            self._is_wanted.wait()
            # both before the deletion: what is retired during it wakes the thread again
            self._is_wanted.clear()
            is_last = self._is_closing
            try:
                delete_retired(self._host)
            except OSError:
                logger.exception(
                    "retired links stay until the next one is retired, or the next boot"
                )
