"""Names and files: rename, links, hostname, DNS, extra hosts, partial ids."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage

NET1, NET2 = "10.203.1.0/24", "10.203.2.0/24"


@scenario
def rename_running_and_stopped(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", host={"network_mode": "net1"})
    engine.rename("ct1", "ct2")
    engine.create("ct3")
    engine.rename("ct3", "ct2")
    engine.rename("ct2", "ct2")
    engine.rename("ct2", "")
    engine.rename("ct2", "-bad-")
    engine.rename("ct3", "ct4")
    engine.start("ct4")
    engine.rename("ct4", "ct5")
    engine.stop("ct2")
    engine.rename("ct2", "ct1")
    engine.start("ct1")


@scenario
def legacy_links(engine: Stage) -> None:
    engine.run("sql", ports=[5432], environment={"SECRET": "x", "PATH": "/bin"})
    engine.run("web", host={"links": {"sql": "base"}})
    engine.restart("sql")
    engine.stop("sql")
    engine.restart("web")
    engine.start("sql")
    engine.restart("web")
    engine.rename("sql", "sql2")
    engine.remove("sql2", force=True)
    engine.restart("web")


@scenario
def legacy_links_are_removed(engine: Stage) -> None:
    engine.run("sql")
    engine.create("web", host={"links": [("sql", "base"), ("sql", "other")]})
    engine.start("web")
    engine.remove("web/base", link=True)
    engine.remove("web/nothing", link=True)
    engine.inspect("web/other")
    engine.stop("web")
    engine.start("web")
    engine.remove("web", force=True)


@scenario
def exec_where_a_link_leads_nowhere(engine: Stage) -> None:
    engine.run("sql")
    engine.run("web", host={"links": {"sql": "base"}})
    engine.execute("web", "true")
    engine.stop("sql")
    engine.execute("web", "true")
    engine.remove("sql")
    engine.execute("web", "true")


@scenario
def legacy_link_refusals(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.create("ct1", host={"links": {"nobody": "alias"}})
    engine.run("ct2", host={"network_mode": "host"})
    engine.create("ct3", host={"links": {"ct2": "alias"}})
    engine.create("ct4", host={"network_mode": "host", "links": {"ct2": "alias"}})
    engine.create("ct5")
    engine.create("ct6", host={"links": {"ct5": "five"}})
    engine.start("ct6")
    engine.run("ct7", host={"network_mode": "net1"})
    engine.create("ct8", host={"links": {"ct7": "seven"}})
    engine.start("ct8")


@scenario
def user_network_links(engine: Stage) -> None:
    engine.network("net1", NET1)
    on = {"network_mode": "net1"}
    engine.run("sql", host=on)
    engine.run("web", host={**on, "links": {"sql": "base"}})
    engine.restart("sql")
    engine.rename("sql", "sql2")
    engine.network("net2", NET2)
    engine.connect("sql2", "net2")
    engine.connect("web", "net2", links=[("sql2", "far")])
    engine.restart("web")
    engine.create("web2", host={**on, "links": {"nobody": "alias"}})
    engine.start("web2")


@scenario
def hostname_and_domainname(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1", hostname="named")
    engine.run("ct2", hostname="named", domainname="example.org")
    engine.run("ct3", hostname="named.example.org", host={"network_mode": "net1"})
    engine.run("ct4", domainname="example.org", host={"network_mode": "none"})
    engine.connect("ct2", "net1")
    engine.create("ct5", hostname="-bad_name-")
    engine.start("ct5")
    engine.restart("ct3")


@scenario
def dns_options(engine: Stage) -> None:
    engine.network("net1", NET1)
    dns = {
        "dns": ["10.0.0.53", "10.0.1.53"],
        "dns_search": ["example.org", "example.net"],
        "dns_opt": ["ndots:3", "timeout:1"],
    }
    engine.run("ct1", host=dns)
    engine.run("ct2", host={**dns, "network_mode": "net1"})
    engine.run("ct3", host={**dns, "network_mode": "host"})
    engine.run("ct4", host={**dns, "network_mode": "none"})
    engine.run("ct5", host={"dns_search": ["."]})
    engine.run("ct6", host={"dns_search": ["."], "network_mode": "net1"})
    engine.connect("ct1", "net1")
    engine.disconnect("ct1", "net1")
    engine.restart("ct2")
    engine.create("ct7", host={"dns": ["nonsense"]})
    engine.start("ct7")


@scenario
def extra_hosts(engine: Stage) -> None:
    engine.network("net1", NET1, "fd00:203:1::/64", enable_ipv6=True)
    hosts = ["one:10.0.0.1", "two:10.0.0.2", "one:10.0.0.3", "six:fd00::6", "gw:host-gateway"]
    engine.run("ct1", host={"extra_hosts": hosts})
    engine.run("ct2", host={"extra_hosts": hosts, "network_mode": "net1"})
    engine.run("ct3", host={"extra_hosts": hosts, "network_mode": "none"})
    engine.restart("ct1")
    engine.connect("ct1", "net1")
    engine.disconnect("ct1", "bridge")
    engine.create("ct4", host={"extra_hosts": ["nonsense"]})
    engine.create("ct5", host={"extra_hosts": ["name:nonsense"]})


@scenario
def files_edited_from_inside_are_kept(engine: Stage) -> None:
    engine.network("net1", NET1)
    engine.run("ct1")
    engine.execute("ct1", "sh", "-c", "echo 10.1.1.1 mine >> /etc/hosts")
    engine.execute("ct1", "sh", "-c", "echo search mine >> /etc/resolv.conf")
    engine.execute("ct1", "sh", "-c", "echo mine > /etc/hostname")
    engine.connect("ct1", "net1")
    engine.disconnect("ct1", "net1")
    engine.stop("ct1")
    engine.start("ct1")
    engine.restart("ct1")


@scenario
def hosts_with_lines_of_other_editors(engine: Stage) -> None:
    engine.network("net1", NET1)
    for name, odd in {
        "ct1": r"10.1.1.1\tmine\r\n\n#10.1.1.2\tc2\n10.1.1.3\tc2\r\n",
        "ct2": r"\n\n10.1.1.4 mine\n10.1.1.5\tmine\tc1\n10.1.1.6\tc1",
    }.items():
        engine.run(name)
        engine.connect(name, "net1")
        engine.execute(name, "sh", "-c", f"printf '{odd}' >> /etc/hosts")
    engine.disconnect("ct1", "net1")
    engine.disconnect("ct2", "net1")


@scenario
def partial_and_ambiguous_ids(engine: Stage) -> None:
    # of 17 ids two begin with the same of 16 digits
    for number in range(17):
        engine.create(f"ct{number:02}", look=False)
        engine.network(f"net{number:02}", f"10.203.{number + 10}.0/24", look=False)
    engine.inspect("{container ct01:64}")
    engine.inspect("{container ct01:12}")
    engine.inspect("/ct01")
    engine.request("GET", "/containers//ct01/json?size=0")
    engine.request("POST", "/containers//ct01/../ct02/start")
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
    engine.create("ct1", host={"network_mode": "net1"})
    engine.start("ct1")
    engine.remove_network("net1")
    engine.remove_network("{network net1:64}")
    engine.inspect_network("net1")
    engine.start("ct1")
