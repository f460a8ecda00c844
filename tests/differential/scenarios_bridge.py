"""A container's life on the default bridge."""

from tests.differential.scenario import scenario
from tests.differential.stage import Stage


@scenario
def bridge_start_stop_restart_remove(engine: Stage) -> None:
    engine.create("c1")
    engine.start("c1")
    engine.start("c1")
    engine.stop("c1")
    engine.stop("c1")
    engine.start("c1")
    engine.restart("c1")
    engine.remove("c1")
    engine.remove("c1", force=True)
    engine.remove("c1")


@scenario
def bridge_three_containers_come_and_go(engine: Stage) -> None:
    for name in ("c1", "c2", "c3"):
        engine.run(name)
    engine.stop("c2")
    engine.run("c4")
    engine.start("c2")
    engine.remove("c1", force=True)
    engine.restart("c3")


@scenario
def bridge_kill_and_signals(engine: Stage) -> None:
    engine.run("c1")
    engine.kill("c1", "USR1")
    engine.kill("c1", "0")
    engine.kill("c1", "NOSIGNAL")
    engine.kill("c1")
    engine.kill("c1")
    engine.start("c1")
    engine.kill("c1", "9")
    engine.remove("c1")


@scenario
def bridge_pause_and_unpause(engine: Stage) -> None:
    engine.run("c1")
    engine.pause("c1")
    engine.pause("c1")
    engine.execute("c1", "true")
    engine.remove("c1")
    engine.unpause("c1")
    engine.unpause("c1")
    engine.pause("c1")
    # a stop would send two signals, and the unpause comes before or after the second
    engine.kill("c1")
    engine.start("c1")
    engine.stop("c1")
    engine.pause("c1")
    engine.unpause("c1")


@scenario
def bridge_exits_by_itself(engine: Stage) -> None:
    engine.create("c1", ("sh", "-c", "exit 7"))
    engine.start("c1", look=False)
    engine.wait("c1")
    engine.start("c1", look=False)
    engine.wait("c1")
    engine.restart("c1", look=False)
    engine.wait("c1")
    engine.remove("c1")


@scenario
def bridge_restart_policy_on_failure(engine: Stage) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 2}
    engine.create("c1", ("sh", "-c", "exit 3"), host={"restart_policy": policy})
    # what is seen while it goes on restarting is a matter of moments
    engine.start("c1", look=False)
    engine.until(
        "c1",
        "gave up after two restarts",
        lambda seen: seen["RestartCount"] == 2 and seen["State"]["Status"] == "exited",
    )
    engine.remove("c1")


@scenario
def bridge_restart_policy_always_is_not_for_a_stop(engine: Stage) -> None:
    engine.run("c1", host={"restart_policy": {"Name": "always"}})
    engine.stop("c1")
    engine.start("c1")
    engine.remove("c1", force=True)
    engine.create("c2", host={"restart_policy": {"Name": "sometimes"}})
    engine.create("c3", host={"restart_policy": {"Name": "always", "MaximumRetryCount": 3}})


@scenario
def bridge_auto_remove(engine: Stage) -> None:
    engine.run("c1", host={"auto_remove": True})
    engine.stop("c1", look=False)
    engine.until_gone("c1")
    engine.create("c2", ("true",), host={"auto_remove": True})
    engine.start("c2", look=False)
    engine.until_gone("c2")
    policy = {"Name": "always"}
    engine.create("c3", host={"auto_remove": True, "restart_policy": policy})


@scenario
def bridge_failing_starts(engine: Stage) -> None:
    engine.create("c1", ("/no/such/program",))
    engine.start("c1")
    engine.start("c1")
    engine.remove("c1")
    engine.create("c2", ("/etc/passwd",))
    engine.start("c2")
    engine.create("c3", host={"network_mode": "nowhere"})
    engine.start("c3")
    engine.start("c3")
    engine.create("c4", working_dir="relative")
    engine.create("c5", ("true",), user="nobody-here")
    engine.start("c5")
    engine.create("c1")
    engine.start("c1")


@scenario
def bridge_names_in_use_and_unknown(engine: Stage) -> None:
    engine.create("c1")
    engine.create("c1")
    engine.create("x")
    engine.create("-c1")
    engine.start("nobody")
    engine.stop("nobody")
    engine.kill("nobody")
    engine.kill("c1")
    engine.pause("nobody")
    engine.remove("nobody")
    engine.inspect("nobody")
    engine.rename("nobody", "somebody")
    engine.execute("c1", "true")


@scenario
def bridge_exec_shows_in_inspect_and_events(engine: Stage) -> None:
    engine.run("c1")
    engine.execute("c1", "true")
    engine.execute("c1", "false")
    engine.stop("c1")
    engine.execute("c1", "true")


@scenario
def bridge_static_addresses_are_refused(engine: Stage) -> None:
    engine.create("c1", endpoints={"bridge": {"ipv4_address": "172.17.0.77"}})
    engine.start("c1")
    engine.create("c2", endpoints={"bridge": {"aliases": ["other"]}})
    engine.start("c2")
    engine.create("c3", mac_address="02:42:ac:11:00:99")
    engine.start("c3")
    engine.create("c4", mac_address="nonsense")
    engine.start("c4")


@scenario
def bridge_exposed_ports_without_publishing(engine: Stage) -> None:
    engine.run("c1", ports=[80, (53, "udp"), (9000, "sctp")])
    engine.ps()
    engine.ps(expose="80")
    engine.ps(expose="53/udp")
    engine.stop("c1")
