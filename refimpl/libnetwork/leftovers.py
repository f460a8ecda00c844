"""What a dead daemon left in the kernel: namespaces and links, and the rows that name them.

Left-overs are found from two sides: by the store's rows, which were written before their objects
were made, and by what lies in the daemon's own directory of namespaces. A link that no row names
is somebody else's: a real Docker gives its links names like ours.

Mirrors: libnetwork sandbox_store.go sandboxCleanup, endpoint.go cleanupLocalEndpoints (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from refimpl.kernel.base import Files, Kernel, Link
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.rows import EndpointRow, SandboxRow
from refimpl.libnetwork.store import Delete

logger = logging.getLogger(__name__)


class Leftovers:
    """Removes what is left; goes on past errors and logs them.

    Args:
        kernel: Where it is.
        files: Removes the pin of the host's namespace.
        ledger: Forgets its rows.
        netns_directory: `<exec-root>/netns`.
    """

    def __init__(self, kernel: Kernel, files: Files, ledger: Ledger, netns_directory: str) -> None:
        self._kernel = kernel
        self._files = files
        self._ledger = ledger
        self._directory = netns_directory
        self._host_key = f"{netns_directory}/default"

    def remove(
        self,
        sandboxes: Sequence[SandboxRow],
        endpoints: Sequence[EndpointRow],
        links: Sequence[Link],
    ) -> None:
        """Remove every sandbox, and then the host ends of endpoints that are still there.

        Raises:
            OSError: the kernel cannot be asked, or the rows cannot be deleted.
        """
        self._remove_sandboxes(sandboxes)
        self._remove_links(endpoints, links)

    def unpin_host(self) -> None:
        """Remove `netns/default`, which pins the daemon's own namespace.

        Not by `destroy_sandbox`: that would take the host's own links for the sandbox's.

        Raises:
            OSError: it stays.
        """
        self._kernel.unmount(self._host_key)
        self._files.remove(self._host_key)

    def _remove_sandboxes(self, rows: Sequence[SandboxRow]) -> None:
        stale = dict.fromkeys(self._kernel.sandbox_keys(self._directory))
        for row in rows:
            logger.info("Removing stale sandbox %s (%s)", row.id, row.container_id)
            stale[row.key] = None
        failed: set[str] = set()
        for key in stale:
            try:
                if key == self._host_key:
                    self.unpin_host()
                else:
                    self._kernel.destroy_sandbox(key)
            except OSError:
                logger.exception("failed to remove stale sandbox at %s", key)
                failed.add(key)
        # at once: a port on its way out would make its bridge look like somebody else's
        self._kernel.delete_retired()
        gone = [Delete("sandbox", row.id) for row in rows if row.key not in failed]
        if gone:
            self._ledger.commit(gone)

    def _remove_links(self, rows: Sequence[EndpointRow], links: Sequence[Link]) -> None:
        owned = {row.host_name for row in rows} - {""}
        failed: set[str] = set()
        for link in links:
            if link.kind == "veth" and link.name in owned:
                try:
                    self._kernel.delete_link(link.name)
                except OSError:
                    logger.exception("failed to remove stale link %s", link.name)
                    failed.add(link.name)
        gone = [Delete("endpoint", row.id) for row in rows if row.host_name not in failed]
        if gone:
            self._ledger.commit(gone)
