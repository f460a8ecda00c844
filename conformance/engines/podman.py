"""Podman's service of the Docker-compatible API, on its own state."""

from conformance.engines.machine import cgroup_of
from conformance.engines.managed import ManagedEngine

# Podman limits each container to 2,048 processes; its runtime then refuses to start any container
# where the kernel counts no processes in control groups of version 2.
NO_PIDS_LIMIT = "[containers]\npids_limit = 0\n"


class PodmanEngine(ManagedEngine):
    """`podman system service` with folders of its own for everything that it keeps."""

    # crun refuses a machine that mounts both versions of control groups.
    hidden_mount = "/sys/fs/cgroup/unified"
    networks_kept = "networks"
    containers_outlive_it = True

    def command_line(self) -> list[str]:
        """Give the command; options go before the subcommand, as podman wants it."""
        flags = {
            "root": self.data_root,
            "runroot": self.exec_root,
            "tmpdir": self.exec_root / "tmp",
            "network-config-dir": self.data_root / "networks",
            "volumepath": self.data_root / "volumes",
            # systemd and its journal are not in the tree.
            "cgroup-manager": "cgroupfs",
            "events-backend": "file",
            "log-level": "info",
            **self.config,
        }
        if self.settings.own_cgroup and not self._counts_processes():
            module = self.folder / "containers.conf"
            module.write_text(NO_PIDS_LIMIT, encoding="utf-8")
            flags["module"] = module
        # Words of their own: a process is found by the path that one of them begins with.
        options = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
        service = ["system", "service", "--time=0", self.address]
        return [*self.settings.command, *options, *service]

    def _counts_processes(self) -> bool:
        controllers = cgroup_of(self.netns_name) / "cgroup.controllers"
        return "pids" in controllers.read_text(encoding="utf-8").split()
