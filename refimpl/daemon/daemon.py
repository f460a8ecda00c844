"""The daemon: all its parts, and how they are composed.

Mirrors: moby daemon/daemon.go NewDaemon (v20.10).
"""

from __future__ import annotations

import contextlib
from pathlib import PurePath

from refimpl.daemon.core import Services
from refimpl.daemon.exec import Exec
from refimpl.daemon.image_store import ImageStore
from refimpl.daemon.link_index import LinkIndex
from refimpl.daemon.restart_manager import RestartManager, Timers
from refimpl.daemon.restore import Restoring, RootLock
from refimpl.daemon.streams.attach import Attachments
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.daemon.streams.stdio import StdioLoop
from refimpl.libnetwork.controller import Controller, ControllerConfig
from refimpl.libnetwork.store import Store

DATABASE = "netinit.db"


class Daemon(Restoring):
    """The one implementation of `backend.Backend`."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        with contextlib.ExitStack() as locks:
            for root, kind in (
                (self.config.exec_root, "exec-root"),
                (self.config.data_root, "data-root"),
            ):
                self.files.make_directory(root)
                locks.callback(RootLock(root, kind).release)
            for path in (
                self.config.data("containers"),
                self.config.data("overlay"),
                self.config.exec("bundles"),
                self.config.exec("netns"),
            ):
                self.files.make_directory(path)
            self.images = ImageStore(self.config.data("image"), self.files, self.clock)
            self._locks = locks.pop_all()
        self.link_index = LinkIndex()
        self.restart_managers: dict[str, RestartManager] = {}
        self.execs: dict[str, Exec] = {}
        self.timers = Timers()
        self.stdio = StdioLoop()
        self.streams = StreamsRegistry(self.stdio.resume, self.clock)
        self.attachments = Attachments(
            get_container=self.get_container,
            streams=self.streams,
            resize=self.runtime.resize,
            log_event=self.log_container_event,
        )

    def boot(self, store: Store) -> None:
        """Take over what the last daemon left, and be ready.

        Raises:
            EngineError, OSError: the host or the data-root does not allow it.
        """
        self.kernel.prepare_host()
        self.runtime.prepare()
        config = self.config
        self.restore(
            Controller(
                kernel=self.kernel,
                files=self.files,
                store=store,
                config=ControllerConfig(
                    netns_directory=config.exec("netns"),
                    bridge=config.bridge,
                    bip=config.bip,
                    fixed_cidr=config.fixed_cidr,
                    mtu_bytes=config.mtu_bytes,
                    icc=config.icc,
                    ip_masq=config.ip_masq,
                    host_resolv_conf_path=config.host_resolv_conf_path,
                ),
                clock=self.clock,
                new_id=self.new_id,
            )
        )
        self.kernel.expect_sandbox()

    def close(self) -> None:
        """Shut down in order, and let another daemon have the data-root and the exec-root."""
        with self._locks:
            self.shutdown()


def database_path(data_root: str) -> str:
    """Return where the store's file lies."""
    return str(PurePath(data_root, DATABASE))
