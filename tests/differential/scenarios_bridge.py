"""A container's life on the default bridge."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage


@scenario
def bridge_start_stop_restart_remove(engine: Stage) -> None:
    engine.create("ct1")
    engine.start("ct1")
    engine.start("ct1")
    engine.stop("ct1")
    engine.stop("ct1")
    engine.start("ct1")
    engine.restart("ct1")
    engine.remove("ct1")
    engine.remove("ct1", force=True)
    engine.remove("ct1")


@scenario
def bridge_three_containers_come_and_go(engine: Stage) -> None:
    for name in ("ct1", "ct2", "ct3"):
        engine.run(name)
    engine.stop("ct2")
    engine.run("ct4")
    engine.start("ct2")
    engine.remove("ct1", force=True)
    engine.restart("ct3")


@scenario
def bridge_kill_and_signals(engine: Stage) -> None:
    engine.run("ct1")
    engine.kill("ct1", "USR1")
    engine.kill("ct1", "0")
    engine.kill("ct1", "NOSIGNAL")
    engine.kill("ct1")
    engine.kill("ct1")
    engine.start("ct1")
    engine.kill("ct1", "9")
    engine.remove("ct1")


@scenario
def bridge_pause_and_unpause(engine: Stage) -> None:
    engine.run("ct1")
    engine.pause("ct1")
    engine.pause("ct1")
    engine.execute("ct1", "true")
    engine.remove("ct1")
    engine.unpause("ct1")
    engine.unpause("ct1")
    engine.pause("ct1")
    # a stop would send two signals, and the unpause comes before or after the second
    engine.kill("ct1")
    engine.start("ct1")
    engine.stop("ct1")
    engine.pause("ct1")
    engine.unpause("ct1")


@scenario
def bridge_exits_by_itself(engine: Stage) -> None:
    engine.create("ct1", ("sh", "-c", "exit 7"))
    engine.start("ct1", look=False)
    engine.wait("ct1")
    engine.start("ct1", look=False)
    engine.wait("ct1")
    engine.restart("ct1", look=False)
    engine.wait("ct1")
    engine.remove("ct1")


@scenario
def bridge_restart_policy_on_failure(engine: Stage) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    engine.create("ct1", ("sh", "-c", "exit 3"), host={"restart_policy": policy})
    # what is seen while it goes on restarting is a matter of moments
    engine.start("ct1", look=False)
    engine.until(
        "ct1",
        "gave up after two restarts",
        lambda seen: seen["RestartCount"] == 2 and seen["State"]["Status"] == "exited",
    )
    engine.remove("ct1")


@scenario
def bridge_restart_policy_always_is_not_for_a_stop(engine: Stage) -> None:
    engine.run("ct1", host={"restart_policy": {"Name": "always"}})
    engine.stop("ct1")
    engine.start("ct1")
    engine.remove("ct1", force=True)
    engine.create("ct2", host={"restart_policy": {"Name": "sometimes"}})
    engine.create("ct3", host={"restart_policy": {"Name": "always", "MaximumRetryCount": 3}})


@scenario
def bridge_auto_remove(engine: Stage) -> None:
    engine.run("ct1", host={"auto_remove": True})
    engine.stop("ct1", look=False)
    engine.until_gone("ct1")
    engine.create("ct2", ("true",), host={"auto_remove": True})
    engine.start("ct2", look=False)
    engine.until_gone("ct2")
    policy = {"Name": "always"}
    engine.create("ct3", host={"auto_remove": True, "restart_policy": policy})


@scenario
def bridge_failing_starts(engine: Stage) -> None:
    engine.create("ct1", ("/no/such/program",))
    engine.start("ct1")
    engine.start("ct1")
    engine.remove("ct1")
    engine.create("ct2", ("/etc/passwd",))
    engine.start("ct2")
    engine.create("ct3", host={"network_mode": "nowhere"})
    engine.start("ct3")
    engine.start("ct3")
    engine.create("ct4", working_dir="relative")
    engine.create("ct5", ("true",), user="nobody-here")
    engine.start("ct5")
    engine.create("ct1")
    engine.start("ct1")


@scenario
def bridge_names_in_use_and_unknown(engine: Stage) -> None:
    engine.create("ct1")
    engine.create("ct1")
    engine.create("x")
    engine.create("-ct1")
    engine.start("nobody")
    engine.stop("nobody")
    engine.kill("nobody")
    engine.kill("ct1")
    engine.pause("nobody")
    engine.remove("nobody")
    engine.inspect("nobody")
    engine.rename("nobody", "somebody")
    engine.execute("ct1", "true")


@scenario
def bridge_exec_shows_in_inspect_and_events(engine: Stage) -> None:
    engine.run("ct1")
    engine.execute("ct1", "true")
    engine.execute("ct1", "false")
    engine.stop("ct1")
    engine.execute("ct1", "true")


@scenario
def bridge_static_addresses_are_refused(engine: Stage) -> None:
    engine.create("ct1", endpoints={"bridge": {"ipv4_address": "172.17.0.77"}})
    engine.start("ct1")
    engine.create("ct2", endpoints={"bridge": {"aliases": ["other"]}})
    engine.start("ct2")
    engine.create("ct3", mac_address="02:42:ac:11:00:99")
    engine.start("ct3")
    engine.create("ct4", mac_address="nonsense")
    engine.start("ct4")


@scenario
def bridge_exposed_ports_without_publishing(engine: Stage) -> None:
    engine.run("ct1", ports=[80, (53, "udp"), (9000, "sctp")])
    engine.ps()
    engine.ps(expose="80")
    engine.ps(expose="53/udp")
    engine.stop("ct1")


@scenario
def bridge_published_ports(engine: Stage) -> None:
    bindings = {80: [28080, ("127.0.0.1", 28081)], "53/udp": 28053, 99: 28099}
    engine.run("ct1", ports=[80, (53, "udp")], host={"port_bindings": bindings})
    engine.ps()
    engine.ps(publish="28080")
    engine.ps(publish="28000-28099/udp")
    engine.ps(publish="80")
    engine.ps(expose="80")
    engine.ps(publish="x")
    engine.create("ct2", ports=[80], host={"port_bindings": {80: 28081}})
    engine.start("ct2")
    engine.create("ct3", ports=[80], host={"port_bindings": {80: 28080}})
    engine.start("ct3")
    engine.stop("ct1")
    engine.start("ct3")
    engine.start("ct1")
    engine.remove("ct3", force=True)
    engine.restart("ct1")
    engine.create("ct4", ports=[80], host={"port_bindings": {"80/tcp": "nonsense"}})


@scenario
def ports_follow_the_default_route(engine: Stage) -> None:
    engine.network("inner", internal=True)
    engine.network("near")
    host = {"port_bindings": {80: 28080}, "network_mode": "inner"}
    engine.run("ct1", ports=[80], host=host)
    engine.connect("ct1", "near")
    engine.connect("ct1", "bridge")
    engine.disconnect("ct1", "bridge")
    engine.stop("ct1")
    engine.start("ct1")


@scenario
def environments(engine: Stage) -> None:
    # what a line without `=` takes away, which of two lines counts, and whose terminal it is
    makes: dict[str, list[str]] = {
        "ct1": ["A=1", "A=2", "B=3"],
        "ct2": ["A=1", "A", "HOSTNAME", "PATH"],
        "ct3": ["TERM=screen", "PATH=/bin:/usr/bin", "E="],
    }
    for name, lines in makes.items():
        engine.run(name, environment=lines, tty=name == "ct3")
        engine.environment(name)
        engine.environment(name, tty=True)
        engine.environment(name, "A")
        engine.environment(name, "A=9", "A")
        engine.environment(name, "N=1", "N", "TERM=mine", tty=True)
        engine.environment(name, "N=1", "N=2", "B")
        engine.environment(name, "HOSTNAME=z", "HOSTNAME")
    engine.run("ct4", tty=True)
    engine.environment("ct4")
    engine.environment("ct4", "TERM", tty=True)
