"""What a container's resolv.conf takes from that of the engine's machine."""

from conformance.assertions import expect_equal
from conformance.observe.files import parse_resolv_conf
from conformance.registry import behaviour

DIRECTIVES = ("search", "nameserver", "options")
MACHINE = """\
search one.example
nameserver 127.0.0.1
nameserver 2001:db8::53
nameserver fe80::53%lo
nameserver ::1
nameserver 192.0.2.53
options rotate timeout:2
"""


@behaviour(
    "files.resolv-conf.machine",
    "On the default network a container MUST get, from the machine's resolv.conf, neither servers "
    "at loopback addresses nor, without IPv6, those at IPv6 addresses; options or search domains "
    "of its own MUST replace the machine's.",
    source="libnetwork sandbox setupDNS, resolvconf.FilterResolvDNS v17.06",
    needs=("host-view",),
    bugs=("moby#6388", "podman#10158", "podman#22399", "moby#28172"),
)
def test_machines_resolv_conf_is_filtered(own_daemon):
    daemon = own_daemon()
    daemon.host.write_resolv_conf(MACHINE)
    for given, options, search in (
        ({}, ("rotate", "timeout:2"), ("one.example",)),
        ({"dns_opt": ["attempts:1"]}, ("attempts:1",), ("one.example",)),
        ({"dns_search": ["two.example"]}, ("rotate", "timeout:2"), ("two.example",)),
    ):
        container = daemon.run(**given)
        text = daemon.exec_in(container, "cat", "/etc/resolv.conf").stdout
        found = parse_resolv_conf(text)
        lines = [line for line in text.splitlines() if line.strip() and line[0] not in "#;"]
        odd = [line for line in lines if line.split()[0] not in DIRECTIVES]
        expect_equal("what is left of lines that were taken out", [], odd)
        expect_equal(f"the options with {given}", options, found.options)
        expect_equal(f"the search domains with {given}", search, found.search)
        if not given:
            expect_equal("the servers", ("192.0.2.53",), found.nameservers)
