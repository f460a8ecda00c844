"""The files that a container gets from the engine: hostname, hosts, resolv.conf."""

from conformance.assertions import expect_equal
from conformance.registry import behaviour


@behaviour(
    "files.hostname.rewritten-at-start",
    "/etc/hostname MUST hold the container's hostname and a newline, and MUST be written anew at "
    "each start: what was written into it meanwhile is lost.",
    source="seed initializeNetworking: BuildHostnameFile; moby container_unix.go v17.03",
    tier="core",
)
def test_hostname_file_is_written_at_each_start(run, exec_in, inspect, host):
    container = run(hostname="alpha")
    path = host.file(inspect(container)["HostnamePath"])
    expect_equal("/etc/hostname", "alpha\n", exec_in(container, "cat", "/etc/hostname").stdout)
    expect_equal("the engine's file", "alpha\n", path.read_text())
    exec_in(container, "sh", "-c", "echo beta > /etc/hostname")
    expect_equal("the engine's file, edited from inside", "beta\n", path.read_text())
    container.restart()
    expect_equal(
        "/etc/hostname again", "alpha\n", exec_in(container, "cat", "/etc/hostname").stdout
    )
