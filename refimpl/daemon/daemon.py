"""The daemon: its parts, and how they are put together. Nothing else is decided here.

Mirrors: moby daemon/daemon.go NewDaemon (v20.10).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.guard import Workers
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.events.metrics import Metrics
from refimpl.daemon.images.remove import UsedBy
from refimpl.daemon.images.service import ImageService
from refimpl.daemon.images.store import ImageStore
from refimpl.daemon.lifecycle.cleanup import Cleanup
from refimpl.daemon.lifecycle.create import Creator
from refimpl.daemon.lifecycle.exec import Execs
from refimpl.daemon.lifecycle.monitor import Monitor
from refimpl.daemon.lifecycle.remove import Remover
from refimpl.daemon.lifecycle.rename import Renamer
from refimpl.daemon.lifecycle.restart import Restarter
from refimpl.daemon.lifecycle.restart_manager import RestartManagers, Timers
from refimpl.daemon.lifecycle.restore import Restorer
from refimpl.daemon.lifecycle.root_filesystem import RootFilesystems
from refimpl.daemon.lifecycle.shutdown import Shutdown
from refimpl.daemon.lifecycle.spec import Specs
from refimpl.daemon.lifecycle.start import Starter
from refimpl.daemon.lifecycle.stop import Stopper
from refimpl.daemon.network.links import Links
from refimpl.daemon.network.sandbox_options import SandboxSettings
from refimpl.daemon.networking import Networking
from refimpl.daemon.networks import Networks
from refimpl.daemon.root_lock import RootLock
from refimpl.daemon.streams.attach import Attachments
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.daemon.streams.stdio import StdioLoop
from refimpl.daemon.views.inspect import Inspector
from refimpl.daemon.views.list import Lister
from refimpl.daemon.views.system import System, load_engine_id
from refimpl.errors import Unavailable
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.controller import Controller, ControllerConfig
from refimpl.libnetwork.store import Store
from refimpl.oci.base import Runtime

DATABASE = "netinit.db"
RESTORE_WAIT_S = 60.0
"""How long a request waits for the networks to be restored."""
RESTART_GRACE_S = 3.0
"""How long after that a request waits for the containers that the boot starts."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a daemon is composed of; a test may hand in wrapped ones."""

    config: DaemonConfig
    kernel: Kernel
    files: Files
    runtime: Runtime
    open_store: Callable[[], Store]
    """Called once the roots are locked."""
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    metrics: Metrics = field(default_factory=Metrics)


class Daemon:
    """The one implementation of `backend.Backend`: the parts, and which of them answers what.

    Raises:
        EngineError, OSError: another daemon has a root, or the data-root cannot be used.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        with contextlib.ExitStack() as undo:
            self._lock_roots(undo)
            self._store = services.open_store()
            self._locks = undo.pop_all()
        self._shutting_down = threading.Event()
        self._restored = threading.Event()
        self._settled = threading.Event()
        self._grace_ends = 0.0
        self._compose_records()
        self._compose_network()
        self._compose_ends()
        self._compose_starts()
        self._compose_boot()
        self._serve()

    def _lock_roots(self, undo: contextlib.ExitStack) -> None:
        config, files = self.services.config, self.services.files
        for root, kind in ((config.exec_root, "exec-root"), (config.data_root, "data-root")):
            files.make_directory(root)
            undo.callback(RootLock(root, kind).release)
        for path in (
            config.data("containers"),
            config.data("overlay"),
            config.exec("bundles"),
            config.exec("netns"),
        ):
            files.make_directory(path)

    def _compose_records(self) -> None:
        """Compose what remembers: containers, images, events, streams."""
        services, config = self.services, self.services.config
        self.link_index = LinkIndex()
        self.containers = ContainerRegistry(self.link_index)
        self.workers = Workers()
        self.timers = Timers()
        self.checkpoints = Checkpoints(services.files, self._work_later)
        self.events = Events(services.clock)
        self.image_store = ImageStore(config.data("image"), services.files, services.clock)
        self.images = ImageService(
            self.image_store,
            clock=services.clock,
            log_event=functools.partial(self.events.log, "image"),
            containers_of=lambda image_id: [
                UsedBy(container.id, container.state.running)
                for container in self.containers
                if container.image_id == image_id
            ],
        )
        self.stdio = StdioLoop()
        self.streams = StreamsRegistry(self.stdio.resume, services.clock)
        self.restart_managers = RestartManagers()

    def _compose_network(self) -> None:
        """Compose what networks a container: libnetwork's controller, links, the seed."""
        services, config = self.services, self.services.config
        self.net_controller = Controller(
            kernel=services.kernel,
            files=services.files,
            store=self._store,
            config=ControllerConfig(
                netns_directory=config.exec("netns"),
                bridge=config.bridge,
                bip=config.bip,
                fixed_cidr=config.fixed_cidr,
                mtu_bytes=config.mtu_bytes,
                icc=config.icc,
                ip_masq=config.ip_masq,
                default_ip=config.default_ip,
                userland_proxy=config.userland_proxy,
                host_resolv_conf_path=config.host_resolv_conf_path,
            ),
            clock=services.clock,
            new_id=services.new_id,
        )
        self.links = Links(
            link_index=self.link_index, containers=self.containers, files=services.files
        )
        self.sandbox_settings = SandboxSettings(
            config=config, net_controller=self.net_controller, links=self.links
        )
        self.networking = Networking(
            config=config,
            net_controller=self.net_controller,
            containers=self.containers,
            build_sandbox_options=self.sandbox_settings.build_sandbox_options,
            checkpoints=self.checkpoints,
            files=services.files,
            events=self.events,
            network_actions=services.metrics.network_actions,
        )
        self.networks = Networks(
            clock=services.clock,
            containers=self.containers,
            net_controller=self.net_controller,
            networking=self.networking,
            checkpoints=self.checkpoints,
            events=self.events,
        )

    def _compose_ends(self) -> None:
        """Compose what a run has, what gives it back, and what ends and removes a container."""
        services, config = self.services, self.services.config
        self.root_filesystems = RootFilesystems(
            config=config,
            kernel=services.kernel,
            files=services.files,
            images=self.image_store,
        )
        self.specs = Specs(
            config=config,
            kernel=services.kernel,
            containers=self.containers,
            net_controller=self.net_controller,
            links=self.links,
        )
        self.execs = Execs(
            clock=services.clock,
            new_id=services.new_id,
            containers=self.containers,
            specs=self.specs,
            runtime=services.runtime,
            stdio=self.stdio,
            workers=self.workers,
            events=self.events,
        )
        self.cleanup = Cleanup(
            release_network=self.networking.release_network,
            runtime=services.runtime,
            root_filesystems=self.root_filesystems,
            forget_execs=self.execs.forget_unstarted,
        )
        self.stopper = Stopper(
            containers=self.containers,
            checkpoints=self.checkpoints,
            runtime=services.runtime,
            events=self.events,
            cancel_restart=self.restart_managers.cancel,
            is_shutting_down=self._shutting_down.is_set,
        )
        self.remover = Remover(
            forget_execs=self.execs.forget,
            clock=services.clock,
            containers=self.containers,
            kill=self.stopper.kill,
            checkpoints=self.checkpoints,
            root_filesystems=self.root_filesystems,
            files=services.files,
            links=self.links,
            update_network=self.sandbox_settings.update_network,
            streams=self.streams,
            restart_managers=self.restart_managers,
            events=self.events,
            network_actions=services.metrics.network_actions,
            sandbox_destroy=self.net_controller.sandbox_destroy,
            release_images=self.images.release_unused,
        )

    def _compose_starts(self) -> None:
        """Compose what starts a container and sees it end, and what a client asks of it."""
        services, config = self.services, self.services.config
        self.starter = Starter(
            clock=services.clock,
            containers=self.containers,
            root_filesystems=self.root_filesystems,
            initialize_networking=self.networking.initialize_networking,
            specs=self.specs,
            runtime=services.runtime,
            streams=self.streams,
            stdio=self.stdio,
            restart_managers=self.restart_managers,
            checkpoints=self.checkpoints,
            events=self.events,
            cleanup=self.cleanup,
            # the two are composed below: they start containers themselves
            clean_up_left_over=lambda container: self.restorer.clean_up(container),  # noqa: PLW0108
            process_ended=lambda *ended: self.monitor.process_ended(*ended),  # noqa: PLW0108
            remove_automatically=self.remover.remove_automatically,
            expect_start=services.kernel.expect_sandbox,
        )
        self.monitor = Monitor(
            clock=services.clock,
            runtime=services.runtime,
            streams=self.streams,
            cleanup=self.cleanup,
            checkpoints=self.checkpoints,
            events=self.events,
            restart_managers=self.restart_managers,
            timers=self.timers,
            workers=self.workers,
            start_container=functools.partial(
                self.starter.start_container, reset_restart_manager=False
            ),
            remove_automatically=self.remover.remove_automatically,
            is_shutting_down=self._shutting_down.is_set,
        )
        self.creator = Creator(
            config=config,
            clock=services.clock,
            new_id=services.new_id,
            containers=self.containers,
            images=self.image_store,
            links=self.links,
            fill_in_networks=self.networking.update_container_network_settings,
            checkpoints=self.checkpoints,
            files=services.files,
            events=self.events,
        )
        self.renamer = Renamer(
            containers=self.containers,
            checkpoints=self.checkpoints,
            net_controller=self.net_controller,
            events=self.events,
        )
        self.restarter = Restarter(
            containers=self.containers,
            stop_container=self.stopper.stop_container,
            start_container=functools.partial(
                self.starter.start_container, reset_restart_manager=True
            ),
            events=self.events,
        )
        self.attachments = Attachments(
            get_container=self.containers.get_container,
            streams=self.streams,
            resize=services.runtime.resize,
            log_event=self.events.log_container,
        )

    def _compose_boot(self) -> None:
        """Compose what begins and ends the daemon, and what is shown of it."""
        services, config = self.services, self.services.config
        self.restorer = Restorer(
            config=config,
            clock=services.clock,
            files=services.files,
            kernel=services.kernel,
            runtime=services.runtime,
            containers=self.containers,
            links=self.links,
            checkpoints=self.checkpoints,
            events=self.events,
            root_filesystems=self.root_filesystems,
            net_controller=self.net_controller,
            start_container=functools.partial(
                self.starter.start_container, reset_restart_manager=True
            ),
            remove_automatically=self.remover.remove_automatically,
            is_shutting_down=self._shutting_down.is_set,
        )
        self._shutdown = Shutdown(
            begun=self._shutting_down, containers=self.containers, stopper=self.stopper
        )
        self.inspector = Inspector(
            config=config,
            containers=self.containers,
            images=self.image_store,
            links=self.links,
            running_execs=self.execs.running_execs,
        )
        self.lister = Lister(
            clock=services.clock,
            containers=self.containers,
            images=self.image_store,
            link_index=self.link_index,
        )
        self.system = System(
            config=config,
            engine_id=load_engine_id(services.files, config.data("engine-id")),
            clock=services.clock,
            runtime=services.runtime,
            containers=self.containers,
            images=self.image_store,
            events=self.events,
        )

    def _serve(self) -> None:
        """Say which part answers which call of the API.

        What is about containers or networks waits until the boot has brought them back.
        """
        ready = self._when_restored
        self.version = self.system.version
        self.info = self.system.info
        self.events_subscribe = self.system.events_subscribe
        self.container_list = ready(self.lister.container_list)
        self.container_logs = ready(self.attachments.container_logs)
        self.container_create = ready(self.creator.container_create)
        self.container_start = ready(self.starter.container_start)
        self.container_stop = ready(self.stopper.container_stop)
        self.container_restart = ready(self.restarter.container_restart)
        self.container_kill = ready(self.stopper.container_kill)
        self.container_wait = ready(self.stopper.container_wait)
        self.container_pause = ready(self.stopper.container_pause)
        self.container_unpause = ready(self.stopper.container_unpause)
        self.container_rename = ready(self.renamer.container_rename)
        self.container_remove = ready(self.remover.container_remove)
        self.containers_prune = ready(self.remover.containers_prune)
        self.container_resize = ready(self.attachments.container_resize)
        self.container_inspect = ready(self.inspector.container_inspect)
        self.container_attach = ready(self.attachments.container_attach)
        self.exec_create = ready(self.execs.exec_create)
        self.exec_exists = self.execs.exec_exists
        self.exec_start = self.execs.exec_start
        self.exec_inspect = self.execs.exec_inspect
        self.exec_resize = self.execs.exec_resize
        self.network_create = ready(self.networks.network_create)
        self.network_list = ready(self.networks.network_list)
        self.network_inspect = ready(self.networks.network_inspect)
        self.network_connect = ready(self.networks.network_connect)
        self.network_disconnect = ready(self.networks.network_disconnect)
        self.network_remove = ready(self.networks.network_remove)
        self.networks_prune = ready(self.networks.networks_prune)
        self.image_import = self.images.image_import
        self.image_pull = self.images.image_pull
        self.image_load = self.images.image_load
        self.image_list = self.images.image_list
        self.image_inspect = self.images.image_inspect
        self.image_history = self.images.image_history
        self.image_tag = self.images.image_tag
        self.image_remove = ready(self.images.image_remove)
        self.images_prune = ready(self.images.images_prune)

    def _work_later(self, delay_s: float, work: Callable[[], None]) -> None:
        self.timers.call_later(delay_s, lambda: self.workers.submit(work))

    def _when_restored(self, call: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(call)
        def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
            if not self._settled.is_set():
                self._wait_for_boot()
            return call(*args, **kwargs)

        return waiting

    def _wait_for_boot(self) -> None:
        """Wait until the networks are there and, for a while, until the containers run again.

        Raises:
            Unavailable: the networks are not there yet.
        """
        if not self._restored.wait(RESTORE_WAIT_S):
            raise Unavailable("the engine is still restoring what was there: try again")
        if not self._settled.wait(self._grace_ends - time.monotonic()):
            self._settled.set()  # whoever does not start by now holds up nobody

    def load(self) -> None:
        """Prepare the host, and read what the last daemon left: the API can serve then.

        Raises:
            EngineError, OSError: the host or the data-root does not allow it.
        """
        self.services.kernel.prepare_host()
        self.services.runtime.prepare()
        self.restorer.load()
        self.images.release_unused()

    def restore(self) -> None:
        """Bring the networks back, and let the requests that wait for them go on.

        Raises:
            EngineError, OSError: the host or the data-root does not allow it.
        """
        self.restorer.restore()
        self._grace_ends = time.monotonic() + RESTART_GRACE_S
        self._restored.set()
        self.services.kernel.expect_sandbox()

    def start_again(self) -> None:
        """Start what its policy wants started, side by side."""
        self.restorer.start_again()
        self._settled.set()

    def boot(self) -> None:
        """Do all of a boot, one step after the other."""
        self.load()
        self.restore()
        self.start_again()

    def begin_shutdown(self) -> None:
        """Begin no more work: a boot under way breaks off, and nothing is restarted."""
        self._shutting_down.set()
        self.services.runtime.hurry()

    def close(self) -> None:
        """Shut down in order, and let another daemon have the data-root and the exec-root."""
        with self._locks:
            self._shutdown.stop_containers()
            self.workers.close()
            self.timers.close()
            self.stdio.close()
            self.net_controller.close()


def database_path(data_root: str) -> str:
    """Return where the store's file lies."""
    return str(PurePath(data_root, DATABASE))
