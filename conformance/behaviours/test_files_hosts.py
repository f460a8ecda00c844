"""What /etc/hosts of a container says, who changes it, and when."""

from ipaddress import ip_address

from conformance.assertions import (
    expect_equal,
    expect_in,
    expect_match,
    expect_not_in,
    expect_refused,
)
from conformance.observe.files import addresses_of, parse_hosts
from conformance.registry import behaviour

LOCAL_NAMES = [
    ("127.0.0.1", ("localhost",)),
    ("::1", ("localhost", "ip6-localhost", "ip6-loopback")),
    ("fe00::", ("ip6-localnet",)),
    ("ff00::", ("ip6-mcastprefix",)),
    ("ff02::1", ("ip6-allnodes",)),
    ("ff02::2", ("ip6-allrouters",)),
]


def entries_of(text):
    """Read a hosts file; an address counts by its value, `fe00::0` is `fe00::`."""
    return [(str(ip_address(line.address)), line.names) for line in parse_hosts(text)]


def address_on(container, name):
    return container.attrs["NetworkSettings"]["Networks"][name]["IPAddress"]


def settings_of(container):
    """Give the settings of the only network, which engines call differently by default."""
    [settings] = container.attrs["NetworkSettings"]["Networks"].values()
    return settings


def append_to(exec_in, container, path, line):
    result = exec_in(container, "sh", "-c", f"echo '{line}' >> {path}")
    expect_equal("the edit's exit code", 0, result.exit_code)


@behaviour(
    "files.hosts.content",
    "/etc/hosts MUST be the names of localhost and of IPv6, then the extra hosts, then the line "
    "`<address>\\t<hostname>` of each endpoint.",
    source="libnetwork etchosts.Build, sandbox updateHostsFile v17.06",
)
def test_hosts_file_has_template_extra_hosts_and_own_lines(run, network, exec_in):
    net = network()
    container = run(network_mode=net.name, hostname="alpha", extra_hosts={"db": "192.0.2.7"})
    text = exec_in(container, "cat", "/etc/hosts").stdout
    own = address_on(container, net.name)
    wanted = [*LOCAL_NAMES, ("192.0.2.7", ("db",)), (own, ("alpha",))]
    expect_equal("the entries", wanted, entries_of(text))
    expect_in("the own line, as it is written", f"{own}\talpha", text.splitlines())


@behaviour(
    "files.hosts.line-per-endpoint",
    "/etc/hosts MUST have one line with the hostname for each endpoint, also for one that is "
    "connected live.",
    source="libnetwork sandbox updateHostsFile v17.06",
)
def test_each_endpoint_has_its_own_line(create, network, exec_in):
    nets = [network(), network(), network()]
    container = create(network_mode=nets[0].name, hostname="alpha")
    nets[1].connect(container)
    container.start()
    nets[2].connect(container)
    container.reload()
    found = addresses_of(exec_in(container, "cat", "/etc/hosts").stdout, "alpha")
    wanted = sorted(address_on(container, net.name) for net in nets)
    expect_equal("the addresses of the hostname", wanted, sorted(found))


@behaviour(
    "files.hosts.domainname",
    "With a domain name the own line MUST be `<address>\\t<host>.<domain> <host>`.",
    source="libnetwork sandbox updateHostsFile v17.03",
)
def test_domain_name_is_in_the_own_line(run, exec_in):
    container = run(hostname="alpha", domainname="example.org")
    lines = exec_in(container, "cat", "/etc/hosts").stdout.splitlines()
    own = settings_of(container)["IPAddress"]
    expect_equal("the last line", f"{own}\talpha.example.org alpha", lines[-1])


@behaviour(
    "files.hosts.dotted-hostname",
    "A hostname with a dot MUST also be known by what stands before its first dot.",
    source="libnetwork sandbox updateHostsFile v17.04",
)
def test_dotted_hostname_is_split(run, exec_in):
    container = run(hostname="alpha.example.org")
    lines = exec_in(container, "cat", "/etc/hosts").stdout.splitlines()
    own = settings_of(container)["IPAddress"]
    expect_equal("the last line", f"{own}\talpha.example.org alpha", lines[-1])


@behaviour(
    "files.hosts.extra-hosts-kept",
    "Extra hosts MUST be written in their order, before the own line, and one that is given twice "
    "stands there twice.",
    source="moby daemon buildSandboxOptions: OptionExtraHost v17.06",
)
def test_extra_hosts_keep_order_and_duplicates(run, exec_in):
    given = ["db:192.0.2.7", "cache:192.0.2.8", "db:192.0.2.9", "db:192.0.2.7"]
    container = run(hostname="alpha", extra_hosts=given)
    entries = entries_of(exec_in(container, "cat", "/etc/hosts").stdout)
    wanted = [(entry.split(":")[1], (entry.split(":")[0],)) for entry in given]
    own = (settings_of(container)["IPAddress"], ("alpha",))
    expect_equal("the last entries", [*wanted, own], entries[-5:])


@behaviour(
    "files.hosts.extra-host-ipv6",
    "An extra host with an IPv6 address MUST be taken: what follows its first colon is the "
    "address.",
    source="moby opts.ValidateExtraHost v17.06",
    bugs=("moby#10556",),
)
def test_extra_host_may_be_ipv6(run, exec_in):
    container = run(extra_hosts=["db:2001:db8::7"])
    found = addresses_of(exec_in(container, "cat", "/etc/hosts").stdout, "db")
    expect_equal("the address", ["2001:db8::7"], found)


@behaviour(
    "files.hosts.extra-host-malformed",
    "An extra host without a colon MUST be refused at create.",
    source="moby opts.ValidateExtraHost v17.06",
)
def test_malformed_extra_host_is_refused(create_raw):
    expect_refused(lambda: create_raw({"HostConfig": {"ExtraHosts": ["bad"]}}))


@behaviour(
    "files.hosts.extra-host-bad-address",
    "An extra host with something else than an address MUST be refused at create.",
    source="moby opts.ValidateExtraHost v17.06",
)
def test_extra_host_without_an_address_is_refused(create_raw):
    body = {"HostConfig": {"ExtraHosts": ["db:192.0.2.256"]}}
    expect_refused(lambda: create_raw(body))


@behaviour(
    "files.hosts.host-gateway",
    "`host-gateway` in place of an extra host's address MUST become the default bridge's gateway "
    "address, on every network.",
    source="moby daemon buildSandboxOptions v20.10",
    bugs=("podman#22881",),
)
def test_host_gateway_is_the_default_bridges_address(run, network, exec_in):
    gateway = settings_of(run())["Gateway"]
    container = run(network_mode=network().name, extra_hosts={"outside": "host-gateway"})
    found = addresses_of(exec_in(container, "cat", "/etc/hosts").stdout, "outside")
    expect_equal("the address", [gateway], found)


@behaviour(
    "files.hosts.edits-survive-networks",
    "What a container wrote into its /etc/hosts MUST survive a connect and a disconnect.",
    source="libnetwork etchosts.Add, etchosts.Delete v17.06",
    bugs=("podman#22729",),
)
def test_edits_survive_connect_and_disconnect(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name, hostname="alpha")
    append_to(exec_in, container, "/etc/hosts", "192.0.2.7 mine")
    second.connect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the edit after the connect", ["192.0.2.7"], addresses_of(text, "mine"))
    expect_equal("the own lines after the connect", 2, len(addresses_of(text, "alpha")))
    second.disconnect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the edit after the disconnect", ["192.0.2.7"], addresses_of(text, "mine"))


@behaviour(
    "files.hosts.edits-lost-at-restart",
    "What a container wrote into its /etc/hosts MUST be gone after a restart.",
    source="libnetwork etchosts.Build v17.06",
    bugs=("podman#8921",),
)
def test_edits_are_lost_at_restart(run, exec_in):
    container = run(hostname="alpha")
    before = exec_in(container, "cat", "/etc/hosts").stdout
    append_to(exec_in, container, "/etc/hosts", "192.0.2.7 mine")
    expect_in("/etc/hosts", "mine", exec_in(container, "cat", "/etc/hosts").stdout)
    container.restart()
    expect_not_in("/etc/hosts", "mine", exec_in(container, "cat", "/etc/hosts").stdout)
    names = [line.names for line in parse_hosts(before)]
    after = parse_hosts(exec_in(container, "cat", "/etc/hosts").stdout)
    expect_equal("the names, as before", names, [line.names for line in after])


@behaviour(
    "files.hosts.own-lines-lost-together",
    "When a container leaves a user network live, its own lines of all networks MUST go where its "
    "hostname is a name on that network, as a generated hostname is.",
    source="libnetwork sandbox deleteHostsEntries v17.06; moby#34044",
    tier="quirk",
    docker="<28.0",
)
def test_live_disconnect_takes_all_own_lines(run, network, exec_in):
    first, second = network(), network()
    container = run(network_mode=first.name)
    hostname = container.attrs["Config"]["Hostname"]
    second.connect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the own lines before", 2, len(addresses_of(text, hostname)))
    second.disconnect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the own lines after", [], addresses_of(text, hostname))


@behaviour(
    "files.hosts.bind-mounted-by-user",
    "A bind mount over /etc/hosts MUST be left alone at start, connect and disconnect; HostsPath "
    "becomes the mount's source.",
    source="moby container TrySetNetworkMount v17.06",
)
def test_users_hosts_file_is_left_alone(run, network, exec_in, inspect):
    donor = run(hostname="donor")
    source = donor.attrs["HostnamePath"]
    container = run(hostname="alpha", volumes={source: {"bind": "/etc/hosts", "mode": "rw"}})
    expect_equal("HostsPath", source, inspect(container)["HostsPath"])
    net = network()
    net.connect(container)
    net.disconnect(container)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    expect_equal("the file", "donor\n", text)


@behaviour(
    "files.hosts.ipv6-off-keeps-lines",
    "With IPv6 switched off in the container /etc/hosts MUST have its IPv6 names all the same.",
    source="libnetwork etchosts.Build v17.06",
    tier="quirk",
    docker="<26.0",
)
def test_ipv6_names_stay_without_ipv6(run, exec_in):
    container = run(sysctls={"net.ipv6.conf.all.disable_ipv6": "1"})
    entries = entries_of(exec_in(container, "cat", "/etc/hosts").stdout)
    expect_equal("the first entries", LOCAL_NAMES, entries[: len(LOCAL_NAMES)])


@behaviour(
    "files.mounts.plain-files",
    "hosts, hostname and resolv.conf MUST be files of root with mode 0644 where the engine's "
    "inspect says, each mounted into the container.",
    source="moby container NetworkMounts v17.06",
)
def test_files_are_roots_and_mounted(run, exec_in, host):
    container = run()
    mounts = exec_in(container, "cat", "/proc/mounts").stdout
    for name, key in (
        ("hosts", "HostsPath"),
        ("hostname", "HostnamePath"),
        ("resolv.conf", "ResolvConfPath"),
    ):
        status = host.file(container.attrs[key]).stat()
        expect_equal(
            f"mode and owner of {name}",
            ("0o100644", 0, 0),
            (oct(status.st_mode), status.st_uid, status.st_gid),
        )
        seen = exec_in(container, "stat", "-c", "%i", f"/etc/{name}").stdout.strip()
        expect_equal(f"the inode of /etc/{name}", str(status.st_ino), seen)
        expect_match(f"the mount of {name}", rf".* /etc/{name} \S+ rw,.*", mounts)


@behaviour(
    "files.mounts.read-only-root",
    "With a read-only root the three files MUST be mounted read-only, too.",
    source="moby container NetworkMounts: Writable v17.06",
)
def test_files_are_read_only_with_the_root(run, exec_in):
    container = run(read_only=True)
    mounts = exec_in(container, "cat", "/proc/mounts").stdout
    for name in ("hosts", "hostname", "resolv.conf"):
        expect_match(f"the mount of {name}", rf".* /etc/{name} \S+ ro,.*", mounts)
        result = exec_in(container, "sh", "-c", f"echo x >> /etc/{name}")
        expect_equal(f"a write to {name} fails", 1, result.exit_code)
