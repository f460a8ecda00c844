"""Names and files: rename, links, hostname, DNS, extra hosts, partial ids."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1, NET2 = "10.203.1.0/24", "10.203.2.0/24"


@scenario
def rename_running_and_stopped(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("c1", host={"network_mode": "net1"})
    engine.rename("c1", "c2")
    engine.create("c3")
    engine.rename("c3", "c2")
    engine.rename("c2", "c2")
    engine.rename("c2", "")
    engine.rename("c2", "-bad-")
    engine.rename("c3", "c4")
    engine.start("c4")
    engine.rename("c4", "c5")
    engine.stop("c2")
    engine.rename("c2", "c1")
    engine.start("c1")


@scenario
def legacy_links(engine: Stage) -> None:
    engine.run("db", ports=[5432], environment={"SECRET": "x", "PATH": "/bin"})
    engine.run("web", host={"links": {"db": "base"}})
    engine.restart("db")
    engine.stop("db")
    engine.restart("web")
    engine.start("db")
    engine.restart("web")
    engine.rename("db", "db2")
    engine.remove("db2", force=True)
    engine.restart("web")


@scenario
def legacy_links_are_removed(engine: Stage) -> None:
    engine.run("db")
    engine.create("web", host={"links": [("db", "base"), ("db", "other")]})
    engine.start("web")
    engine.remove("web/base", link=True)
    engine.remove("web/nothing", link=True)
    engine.inspect("web/other")
    engine.stop("web")
    engine.start("web")
    engine.remove("web", force=True)


@scenario
def exec_where_a_link_leads_nowhere(engine: Stage) -> None:
    engine.run("db")
    engine.run("web", host={"links": {"db": "base"}})
    engine.execute("web", "true")
    engine.stop("db")
    engine.execute("web", "true")
    engine.remove("db")
    engine.execute("web", "true")


@scenario
def legacy_link_refusals(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.create("c1", host={"links": {"nobody": "alias"}})
    engine.run("c2", host={"network_mode": "host"})
    engine.create("c3", host={"links": {"c2": "alias"}})
    engine.create("c4", host={"network_mode": "host", "links": {"c2": "alias"}})
    engine.create("c5")
    engine.create("c6", host={"links": {"c5": "five"}})
    engine.start("c6")
    engine.run("c7", host={"network_mode": "net1"})
    engine.create("c8", host={"links": {"c7": "seven"}})
    engine.start("c8")


@scenario
def user_network_links(engine: Stage) -> None:
    engine.network("net1", NET1)
    on = {"network_mode": "net1"}
    engine.run("db", host=on)
    engine.run("web", host={**on, "links": {"db": "base"}})
    engine.restart("db")
    engine.rename("db", "db2")
    engine.network("net2", NET2)
    engine.connect("db2", "net2")
    engine.connect("web", "net2", links=[("db2", "far")])
    engine.restart("web")
    engine.create("web2", host={**on, "links": {"nobody": "alias"}})
    engine.start("web2")


@scenario
def hostname_and_domainname(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("c1", hostname="named")
    engine.run("c2", hostname="named", domainname="example.org")
    engine.run("c3", hostname="named.example.org", host={"network_mode": "net1"})
    engine.run("c4", domainname="example.org", host={"network_mode": "none"})
    engine.connect("c2", "net1")
    engine.create("c5", hostname="-bad_name-")
    engine.start("c5")
    engine.restart("c3")


@scenario
def dns_options(engine: Stage) -> None:
    engine.network("net1", NET1)
    dns = {
        "dns": ["10.0.0.53", "10.0.1.53"],
        "dns_search": ["example.org", "example.net"],
        "dns_opt": ["ndots:3", "timeout:1"],
    }
    engine.run("c1", host=dns)
    engine.run("c2", host={**dns, "network_mode": "net1"})
    engine.run("c3", host={**dns, "network_mode": "host"})
    engine.run("c4", host={**dns, "network_mode": "none"})
    engine.run("c5", host={"dns_search": ["."]})
    engine.run("c6", host={"dns_search": ["."], "network_mode": "net1"})
    engine.connect("c1", "net1")
    engine.disconnect("c1", "net1")
    engine.restart("c2")
    engine.create("c7", host={"dns": ["nonsense"]})
    engine.start("c7")


@scenario
def extra_hosts(engine: Stage) -> None:
    engine.network("net1", NET1, "fd00:203:1::/64", enable_ipv6=True)
    hosts = ["one:10.0.0.1", "two:10.0.0.2", "one:10.0.0.3", "six:fd00::6", "gw:host-gateway"]
    engine.run("c1", host={"extra_hosts": hosts})
    engine.run("c2", host={"extra_hosts": hosts, "network_mode": "net1"})
    engine.run("c3", host={"extra_hosts": hosts, "network_mode": "none"})
    engine.restart("c1")
    engine.connect("c1", "net1")
    engine.disconnect("c1", "bridge")
    engine.create("c4", host={"extra_hosts": ["nonsense"]})
    engine.create("c5", host={"extra_hosts": ["name:nonsense"]})


@scenario
def files_edited_from_inside_are_kept(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("c1")
    engine.execute("c1", "sh", "-c", "echo 10.1.1.1 mine >> /etc/hosts")
    engine.execute("c1", "sh", "-c", "echo search mine >> /etc/resolv.conf")
    engine.execute("c1", "sh", "-c", "echo mine > /etc/hostname")
    engine.connect("c1", "net1")
    engine.disconnect("c1", "net1")
    engine.stop("c1")
    engine.start("c1")
    engine.restart("c1")


@scenario
def hosts_with_lines_of_other_editors(engine: Stage) -> None:
    engine.network("net1", NET1)
    for name, odd in {
        "c1": r"10.1.1.1\tmine\r\n\n#10.1.1.2\tc2\n10.1.1.3\tc2\r\n",
        "c2": r"\n\n10.1.1.4 mine\n10.1.1.5\tmine\tc1\n10.1.1.6\tc1",
    }.items():
        engine.run(name)
        engine.connect(name, "net1")
        engine.execute(name, "sh", "-c", f"printf '{odd}' >> /etc/hosts")
    engine.disconnect("c1", "net1")
    engine.disconnect("c2", "net1")


@scenario
def partial_and_ambiguous_ids(engine: Stage) -> None:
    # of 17 ids two begin with the same of 16 digits
    for number in range(17):
        engine.create(f"c{number:02}", look=False)
        engine.network(f"net{number:02}", f"10.203.{number + 10}.0/24", look=False)
    engine.inspect("{container c01:64}")
    engine.inspect("{container c01:12}")
    engine.inspect("/c01")
    engine.request("GET", "/containers//c01/json?size=0")
    engine.request("POST", "/containers//c01/../c02/start")
    engine.inspect_network("{network net01:64}")
    engine.inspect_network("{network net01:12}")
    engine.inspect_network("NET01")
    engine.ask_ambiguous("GET", "container", "/containers/{}/json")
    engine.ask_ambiguous("POST", "container", "/containers/{}/start")
    engine.ask_ambiguous("GET", "network", "/networks/{}")
    engine.ask_ambiguous("DELETE", "network", "/networks/{}")


@scenario
def two_networks_of_one_name(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.network("net1", NET2)
    engine.network("net1", NET2, check_duplicate=True)
    engine.inspect_network("net1")
    engine.create("c1", host={"network_mode": "net1"})
    engine.start("c1")
    engine.remove_network("net1")
    engine.remove_network("{network net1:64}")
    engine.inspect_network("net1")
    engine.start("c1")
