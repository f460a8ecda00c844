"""What a difference is about, the gravest first; told by the beginning of the row's id."""

from enum import StrEnum

from conformance.registry import Behaviour, Tier


class Concern(StrEnum):
    """What a difference is about; the gravest first."""

    STARTS = "Whether containers and networks come up"
    REACH = "Who reaches whom"
    IDENTITY = "Addresses, names and files"
    SHOWN = "What the engine shows and announces"
    UPGRADE = "What an upgrade keeps"
    WORDS = "Statuses and texts"


# By the beginning of the row's id, the longest one that fits.
CONCERNS = {
    Concern.STARTS: (
        "allocate", "connect.predefined.checked-at-create", "connect.restarting-refused", "crash",
        "create", "drivers", "files.resolv-conf.bad-server-refused", "init", "ipam.exhausted",
        "ipam.static.outside-at-create", "ipam.subnet", "ipv6.default-network.range-chosen",
        "ipv6.default-network.same-mac", "ipv6.network", "ipv6.off.one-endpoint", "life",
        "network", "options", "restart", "sandbox.mac.unparsable-at-create",
    ),
    Concern.REACH: (
        "create.from-inspect", "dns", "drivers.bridge.gateway-mode-isolated",
        "drivers.bridge.gateway-mode-routed", "drivers.bridge.host-ipv4",
        "drivers.bridge.host-ipv4-no-masquerade", "drivers.bridge.host-ipv4-of-ipv6",
        "drivers.bridge.inhibit-ipv4", "drivers.macvlan.apart-from-the-engine",
        "drivers.macvlan.default-route", "drivers.macvlan.dns", "drivers.macvlan.internal",
        "drivers.macvlan.internal-beside-bridge", "drivers.macvlan.mode-private",
        "drivers.macvlan.peers", "drivers.macvlan.ports", "init.container.no-dns",
        "init.container.no-published-ports", "init.container.resolves-as-target",
        "init.default.no-embedded-dns", "init.host.ports-ignored", "init.none.ports-ignored",
        "ipv6.gateway", "ipv6.live", "ipv6.names", "ipv6.ra", "links", "network.bridge.mtu",
        "network.gateway", "options.default-gateway", "options.icc", "options.ip-masq",
        "options.mtu", "options.network.default-gateway", "ports", "reach",
        "restart.live-restore.ports", "restart.live-restore.reach", "sandbox.gateway",
        "sandbox.route",
    ),
    Concern.IDENTITY: (
        "allocate.failure.hostname-file-written", "allocate.ipam-config",
        "allocate.no-networks.sandbox-made", "allocate.order.default-network-anywhere", "connect",
        "crash.hosts", "create.mode-by-id.mac", "disconnect", "drivers.bridge.endpoint-ifname",
        "drivers.macvlan.asked-addresses", "drivers.macvlan.default-pool",
        "drivers.macvlan.interface", "drivers.macvlan.parents-mtu", "drivers.macvlan.passthru-mac",
        "drivers.macvlan.several-subnets", "files", "init.container.domainname",
        "init.container.file-contents", "init.container.hostname", "init.default.bridge-network",
        "init.default.hostname-is-short-id", "init.default.interface-matches-inspect",
        "init.default.ready-before-first-instruction", "init.disabled.no-hostname-file",
        "init.disabled.no-hosts-no-resolv-conf", "init.host.dns-of-user",
        "init.host.hostname-file", "init.host.hostname-of-host", "init.host.hostname-of-user",
        "init.host.hosts-file", "init.host.resolv-conf", "init.none.files", "ipam", "ipv6",
        "life.restart-policy.new-sandbox", "life.restart.new-sandbox", "life.stop.files-kept",
        "life.stop.hosts-line-kept", "life.stop.hosts-line-removed", "options.bip", "options.dns",
        "options.fixed-cidr", "options.network.bridge-name", "options.network.interface-prefix",
        "restart.engine.static-address", "restart.live-restore.addresses", "sandbox",
    ),
    Concern.SHOWN: (
        "allocate.endpoint-settings", "allocate.failure.sandbox-id-cleared",
        "allocate.host-config", "allocate.metric", "allocate.operational-data", "crash.ends",
        "crash.leftover", "dns.inspect", "drivers.bridge.unknown-option-shown",
        "drivers.config.shown", "drivers.macvlan.internal-shown", "events",
        "init.container.counted-as-allocate", "init.container.file-paths",
        "init.container.mode-holds-id", "init.container.no-allocation",
        "init.container.no-network-events", "init.container.not-in-network-inspect",
        "init.default.created-has-no-sandbox", "init.default.mode-is-bridge",
        "init.default.sandbox-key", "init.default.top-level-mirrors-bridge",
        "init.disabled.no-events-no-metric", "init.host.allocated", "init.host.events-and-metric",
        "init.host.sandbox", "init.none.endpoint-without-address", "init.none.events-and-metric",
        "init.none.sandbox-pinned", "init.user.partial-id-completed", "ipam.aux.shown",
        "ipam.pools.shown", "ipam.restart.gateway-shown", "network.inspect", "network.list",
        "options.bip.shown", "options.default-gateway.shown", "options.dns.not-in-inspect",
        "options.network.shown", "ports.inspect", "ports.list", "ports.networks.none-left-inspect",
        "restart.engine.bridge-id", "restart.engine.network-inspect", "sandbox.id",
        "sandbox.members", "sandbox.namespace.file-removed",
    ),
    Concern.UPGRADE: ("upgrade",),
    Concern.WORDS: (
        "connect.address.outside-is-invalid", "connect.address.unparsable-is-invalid",
        "drivers.bridge.unreadable-status", "init.container.missing-target-is-internal",
        "init.container.removed-target-is-internal", "ipam.exhausted.chosen-address",
        "ipam.gateway.outside-is-invalid", "ipam.link-local.refused-as-invalid",
        "ipv6.static.outside-named", "life.restart.error-wrapped",
    ),
}  # fmt: skip


def concern_of(row: Behaviour) -> Concern:
    """Say what a difference in a row is about; an unknown one is about what is shown."""
    if row.id.endswith("-text") or (row.tier is Tier.QUIRK and "text" in row.id.split(".")[-1]):
        return Concern.WORDS
    fitting = [
        (len(beginning), concern)
        for concern, beginnings in CONCERNS.items()
        for beginning in beginnings
        if f"{row.id}.".startswith(f"{beginning}.")
    ]
    return max(fitting, key=lambda pair: pair[0], default=(0, Concern.SHOWN))[1]
