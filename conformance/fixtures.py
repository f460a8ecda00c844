"""The fixtures of the rows. Every one works on the engine that the row is run against.

engine            the engine itself: .version(), .kill_everything() only on an own daemon
client            the docker SDK's client
create(**)        make a container (SDK arguments), not started; removed at the end of the row
run(**)           make a container and start it; .attrs are those after the start
start(c)          start a container that was created, and see that it runs; the same container
network_raw(body, name=)  POST /networks/create with a body of your own; removed at the end
network(**)       make a network with an explicit subnet (SDK arguments); removed at the end
ipv6_network(**)  the same with IPv6 too
exec_in(c, *cmd)  run a command inside a container: .exit_code .stdout .stderr .text .lines
inspect(c)        a container's inspect document, fresh
inspect_network(n) a network's inspect document, fresh
create_raw(body)  POST /containers/create with a body of your own: .status .message .json()
api(method, path, body)  any raw request: .status .message .json()
host              the engine seen from the machine: namespaces, links, addresses, routes, files
events            what the engine announces: .collect("network"), .wait_for("container", "die")
sockets           sockets inside a container (None: the engine's namespace): .make .serve .outcome
ports             published ports: .free() ones, .answer(c, 80, "word"), .ask(c, address, port)
dns               raw DNS out of a container: .ask(c, "name", "A", tcp=True) .addresses(c, "name")
dns_server(c, address, handler)  a DNS server in a container, for a `with` block
asker(net)        run a container on a network for which every name is NXDOMAIN that is not ours
wire()            a link of the engine's machine for a network's `parent`: .parent .container .give
outside()         a host beyond the engine's namespace: .container .address .engine_address
metrics           what the engine counts: with metrics.delta() as d: ...; d.counts["allocate"]
own_daemon(config) a Workbench on a daemon of your own: .run .network .host ... and .engine.kill()
upgraded          what older releases made, after this one took it over: .old .found .now .bench
refused_daemon(config) try to start a daemon that must refuse its options: the end of its log
subnets           subnets that overlap nothing: .ipv4() .ipv6()
new_name(role)    a name that nothing else has
workbench         all of the above as one object
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from conformance.assertions import violated
from conformance.engines.base import Engine, EngineRefused
from conformance.leaks import LeakFound, check_nothing_left, take_snapshot
from conformance.observe.dns import DnsClient, DnsServer, Handler, failing
from conformance.observe.events import EventCollector
from conformance.observe.host import HostView
from conformance.observe.metrics import MetricsReader
from conformance.observe.outside import Outside, attach_outside, detach_outside
from conformance.observe.ports import Ports, ports_of
from conformance.observe.sockets import Sockets, address_in
from conformance.observe.wire import Wire
from conformance.rowrun import POOL, ROW, prepare_row
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.upgraded import Upgraded
from conformance.workbench import Workbench


@pytest.fixture(autouse=True)
def workbench(request: pytest.FixtureRequest, engine_spec: str) -> Iterator[Workbench]:
    """Everything that a row needs on the shared engine; checks that nothing is left of it."""
    started = prepare_row(request.node)
    run_id = request.config.option.netinit_run_id
    bench = Workbench(started.engine, run_id=run_id, subnets=started.subnets)
    before, started.state = started.state or take_snapshot(started.engine, run_id), None
    yield bench
    try:
        refused = bench.clean_up()
        if request.node.stash[ROW].is_interrupted:
            return  # what it was about to make is taken away with the engine, or by the sweep
        after = check_nothing_left(started.engine, before, refused, started.leaked, run_id)
    except LeakFound as exc:
        started.leaked.extend(exc.left)
        raise
    # Nobody else works on a managed engine, and of another one only what is ours is looked at: the
    # next row finds it so.
    started.state = after


@pytest.fixture
def engine(workbench: Workbench) -> Engine:
    """The engine itself."""
    return workbench.engine


@pytest.fixture
def client(workbench: Workbench) -> docker.DockerClient:
    """The docker SDK's client for the engine."""
    return workbench.client


@pytest.fixture
def create(workbench: Workbench) -> Callable[..., Any]:
    """Make a container, not started: `create(network_mode="none")`."""
    return workbench.create


@pytest.fixture
def run(workbench: Workbench) -> Callable[..., Any]:
    """Make a container and start it: `run(network_mode="none")`."""
    return workbench.run


@pytest.fixture
def start(workbench: Workbench) -> Callable[..., Any]:
    """Start a container and see that it runs: `start(container)`."""
    return workbench.start


@pytest.fixture
def create_raw(workbench: Workbench) -> Callable[..., Any]:
    """Send a create request with a body that the SDK would not send."""
    return workbench.create_raw


@pytest.fixture
def network(workbench: Workbench) -> Callable[..., Any]:
    """Make a network: `network(internal=True)`; `.name`, `.id`, `.attrs`."""
    return workbench.network


@pytest.fixture
def network_raw(workbench: Workbench) -> Callable[..., Any]:
    """Send a create request for a network that the SDK would not send."""
    return workbench.network_raw


@pytest.fixture
def ipv6_network(workbench: Workbench) -> Callable[..., Any]:
    """Make a network with an IPv4 and an IPv6 subnet."""

    def make(name: str = "", **options: Any) -> Any:
        subnets = workbench.subnets
        pools = [
            docker.types.IPAMPool(subnet=subnet) for subnet in (subnets.ipv4(), subnets.ipv6())
        ]
        ipam = docker.types.IPAMConfig(pool_configs=pools)
        return workbench.network(name, enable_ipv6=True, ipam=ipam, **options)

    return make


@pytest.fixture
def exec_in(workbench: Workbench) -> Callable[..., Any]:
    """Run a command inside a container."""
    return workbench.exec_in


@pytest.fixture
def inspect(workbench: Workbench) -> Callable[..., dict[str, Any]]:
    """Read a container's inspect document."""
    return workbench.inspect


@pytest.fixture
def inspect_network(workbench: Workbench) -> Callable[..., dict[str, Any]]:
    """Read a network's inspect document."""
    return workbench.inspect_network


@pytest.fixture
def api(workbench: Workbench) -> Callable[..., Any]:
    """Send a raw request."""
    return workbench.api


@pytest.fixture
def host(workbench: Workbench) -> HostView:
    """The engine seen from the machine."""
    return workbench.host


@pytest.fixture
def sockets(workbench: Workbench) -> Iterator[Sockets]:
    """Sockets inside the containers; closed before the containers go."""
    made = Sockets(workbench.host, are_others_at_work=not workbench.engine.is_managed)
    yield made
    made.close()


@pytest.fixture
def ports(workbench: Workbench) -> Iterator[Ports]:
    """Published ports: which are free, and who answers there."""
    with ports_of(workbench.host) as made:
        yield made


@pytest.fixture
def dns(sockets: Sockets) -> DnsClient:
    """Raw DNS out of a container."""
    return DnsClient(sockets)


@pytest.fixture
def dns_server(sockets: Sockets) -> Callable[..., DnsServer]:
    """Run a DNS server in a container for a `with` block."""

    def serve(where: Any, address: str, handler: Handler) -> DnsServer:
        return DnsServer(sockets, where, address, handler)

    return serve


@pytest.fixture
def outside(workbench: Workbench) -> Iterator[Callable[[], Outside]]:
    """Attach a host to the engine's machine, outside all of its networks."""
    names = (workbench.link_name(f"wire{number}") for number in itertools.count())
    with contextlib.ExitStack() as wires:

        def attach() -> Outside:
            container, link = workbench.run(network_mode="none"), next(names)
            # a namespace on a busy machine may take its links away late
            wires.callback(detach_outside, workbench.host, link)
            return attach_outside(workbench.host, container, workbench.subnets.ipv4(), link)

        yield attach


@pytest.fixture
def wire(workbench: Workbench) -> Iterator[Callable[..., Wire]]:
    """Lay a link in the engine's namespace: `wire()`, or `wire(daemon)` on a daemon of your own.

    The host at the other end is always on the shared engine, and outlives a daemon of the row's.
    """
    wires: list[Wire] = []

    def lay(bench: Workbench = workbench) -> Wire:
        beyond = workbench.run(network_mode="none")
        wires.append(
            Wire(parent=bench.link_name(f"par{len(wires)}"), container=beyond, host=bench.host)
        )
        wires[-1].lay()
        return wires[-1]

    yield lay
    # what hangs on a link goes before the link, as its owner would have it; what the engine refuses
    # to remove is found left over by the workbench
    if wires:
        workbench.clean_up()
    for one in wires:
        one.cut(check=False)


@pytest.fixture
def asker(
    run: Callable[..., Any], dns_server: Callable[..., DnsServer]
) -> Iterator[Callable[..., Any]]:
    """Run a container that asks for names: `asker(net)`.

    Behind the engine's DNS is a server of the row's own, on the same network, that answers
    NXDOMAIN to whatever the engine does not know: so a name that is gone is told from one that is
    late.
    """
    with contextlib.ExitStack() as servers:

        def ask_on(network: Any) -> Any:
            upstream = run(network=network.name)
            address = address_in(upstream, network)
            servers.enter_context(dns_server(upstream, address, failing("NXDOMAIN")))
            return run(network=network.name, dns=[address])

        yield ask_on


@pytest.fixture
def events(workbench: Workbench) -> EventCollector:
    """The engine's events since the row began."""
    return workbench.events()


@pytest.fixture
def metrics(workbench: Workbench) -> MetricsReader:
    """The engine's metrics."""
    return workbench.metrics


@pytest.fixture
def subnets(workbench: Workbench) -> SubnetAllocator:
    """Subnets that overlap nothing on the engine."""
    return workbench.subnets


@pytest.fixture
def new_name(workbench: Workbench) -> Callable[[str], str]:
    """Make a name that nothing else on the engine has."""
    return workbench.new_name


@pytest.fixture
def own_daemon(
    request: pytest.FixtureRequest, engine_spec: str, workbench: Workbench
) -> Iterator[Callable[..., Workbench]]:
    """Get a daemon of the same kind for this row alone, to kill, restart or configure.

    `daemon = own_daemon()` or `own_daemon({"bridge": "none"})`; then `daemon.run(...)`,
    `daemon.engine.kill_everything()`, `daemon.engine.resume()`. Starting one takes about a second.
    """
    pool, row = request.config.stash[POOL], request.node.stash[ROW]
    lent: list[Engine] = []

    def lend(config: dict[str, Any] | None = None) -> Workbench:
        engine = pool.lend_own(engine_spec, config or {})
        lent.append(engine)
        return Workbench(
            engine,
            run_id=request.config.option.netinit_run_id,
            subnets=SubnetAllocator(taken_subnets(engine.client())),
        )

    yield lend
    for number, engine in enumerate(lent, 1):
        row.keep_own_daemon(f"own-daemon-{number}", engine)
        pool.take_back(engine)


@pytest.fixture
def refused_daemon(
    own_daemon: Callable[..., Workbench],
) -> Callable[[dict[str, Any]], str]:
    """Start a daemon with options that it must refuse: `refused_daemon({"bip": "1.2.3"})`.

    Gives the end of its log.
    """

    def refuse(config: dict[str, Any]) -> str:
        try:
            own_daemon(config)
        except EngineRefused as refusal:
            return str(refusal)
        return violated("the daemon's start", expected="refused", actual=f"started: {config}")

    return refuse


@pytest.fixture
def upgraded(
    request: pytest.FixtureRequest, engine_spec: str, workbench: Workbench
) -> Iterator[Upgraded]:
    """Look at what older releases made after this one took it over; shared by all such rows.

    A row changes only those containers of the set-up that are there for it.
    """
    pool, row = request.config.stash[POOL], request.node.stash[ROW]
    taken_over = pool.upgraded(engine_spec)
    yield taken_over
    row.keep_own_daemon("upgraded", taken_over.bench.engine)
    refused = taken_over.bench.clean_up()
    if refused and not row.is_interrupted:
        raise LeakFound([], [], refused)
