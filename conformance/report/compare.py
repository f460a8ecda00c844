"""Two columns side by side: what the second engine does otherwise, in a person's order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from conformance.changes import Change
from conformance.registry import Behaviour, Tier
from conformance.variants import Group, groups_of
from conformance.verdicts import Verdict

Cells = Mapping[str, Mapping[str, Any]]
"""The results of one engine, by the id of the row."""

# an IPv6 or a MAC address, or a port of the engine's choice
_CHOSEN = re.compile(
    r"\b(?:[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){3,}|3[2-9][0-9]{3}|[4-6][0-9]{4})\b"
)

_UNTOLD = Change(see="", advice="")


class Kind(StrEnum):
    """How the second engine differs from the first."""

    LOST = "no longer"
    """The first does it, the second deviates."""
    CHANGED = "changed"
    """Each does what its release promises, and these are not the same."""
    OTHERWISE = "otherwise"
    """Both deviate from what is stated, each in its own way."""
    OLDER = "measured as an older Docker"
    """The first does what newer releases do; the second was asked for what older ones do."""
    GONE = "not promised any more"
    """The first does it, the second promises nothing of it."""
    NEW = "new"
    """The second does it, the first promises nothing of it."""
    GAINED = "now"
    """The first deviates, the second does it."""


class Concern(StrEnum):
    """What a difference is about; the gravest first."""

    STARTS = "Whether containers and networks come up"
    REACH = "Who reaches whom"
    IDENTITY = "Addresses, names and files"
    SHOWN = "What the engine shows and announces"
    UPGRADE = "What an upgrade keeps"
    WORDS = "Statuses and texts"


# By the beginning of the row's id, the longest one that fits.
_CONCERNS = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One behaviour in which two engines differ.

    Attributes:
        behaviour: the id of its newest variant.
        kind: how they differ.
        concern: what it is about.
        tier: the gravest tier of its variants.
        before: what the first engine does, a sentence for each variant.
        after: what the second one does.
        since: the Docker releases that promise the second; "" where no release changed it.
        source: where the change was made.
        rows: the rows that were looked at.
        see: a docker command that shows the difference; "" = nobody wrote one.
        advice: what to do about it; likewise.
        bugs: what users reported of it.
    """

    behaviour: str
    kind: Kind
    concern: Concern
    tier: Tier
    before: tuple[str, ...]
    after: tuple[str, ...]
    since: str
    source: str
    rows: tuple[str, ...]
    see: str
    advice: str
    bugs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two engines do differently, and what could not be compared."""

    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    same: int


@dataclass(frozen=True, slots=True)
class _Side:
    """What one engine does of a group: the variants that pass, or those from which it deviates."""

    passed: tuple[Behaviour, ...]
    deviating: tuple[Behaviour, ...]
    is_unknown: bool
    reasons: tuple[str, ...]

    @property
    def has_done(self) -> bool:
        return bool(self.passed or self.deviating)

    @property
    def sentences(self) -> tuple[str, ...]:
        if self.deviating:
            return self.reasons
        return tuple(row.statement for row in self.passed)


def compare_columns(
    rows: Iterable[Behaviour],
    first: Cells,
    second: Cells,
    changes: Mapping[str, Change] = MappingProxyType({}),
) -> Comparison:
    """Compare what two engines did, behaviour by behaviour.

    Args:
        rows: the catalogue.
        first: what the one engine did.
        second: what the other one did.
        changes: what a person does about a difference, by the behaviour's id.
    """
    found, unknown, same = [], [], 0
    for group in groups_of(rows):
        one, other = _side(group, first), _side(group, second)
        if one.is_unknown or other.is_unknown:
            unknown.append(group.id)
            continue
        if not (one.has_done or other.has_done) or _is_of_an_upgrade(group, one, other):
            continue
        kind = _kind(group, one, other)
        if kind is None:
            same += 1
        else:
            change = changes.get(group.id, _UNTOLD)
            found.append(_difference(group, kind, one, other, change))
    concerns, kinds, tiers = list(Concern), list(Kind), list(Tier)
    found.sort(
        key=lambda it: (
            concerns.index(it.concern),
            tiers.index(it.tier),
            kinds.index(it.kind),
            it.behaviour,
        )
    )
    return Comparison(differences=tuple(found), unknown=tuple(unknown), same=same)


def _side(group: Group, cells: Cells) -> _Side:
    passed, deviating, reasons = [], [], []
    is_unknown = False
    for row in group.variants:
        cell = cells.get(row.id)
        verdict = Verdict(cell["verdict"]) if cell else Verdict.UNSUPPORTED
        if verdict in (Verdict.UNSUPPORTED, Verdict.ERROR):
            is_unknown = True
        elif verdict.has_passed:
            passed.append(row)
        elif verdict is not Verdict.NOT_PROMISED:
            deviating.append(row)
            reasons.append(_why(cell or {}))
    if passed:  # variants exclude each other: who does one of them does not deviate
        deviating, reasons = [], []
    is_unknown = is_unknown and not (passed or deviating)
    return _Side(tuple(passed), tuple(deviating), is_unknown, tuple(reasons))


def _why(cell: Mapping[str, Any]) -> str:
    known = cell.get("expectation") or {}
    said = str(known.get("reason") or "")
    seen = f"{cell.get('reason', '')}: expected {cell.get('expected')}, got {cell.get('actual')}"
    return said or seen


def _steady(reasons: Iterable[str]) -> list[str]:
    """Give reasons without the addresses and ports that are others in every run."""
    return [_CHOSEN.sub("<chosen>", reason) for reason in reasons]


def _kind(group: Group, one: _Side, other: _Side) -> Kind | None:
    if one.deviating and other.deviating:
        return None if _steady(one.reasons) == _steady(other.reasons) else Kind.OTHERWISE
    if one.passed and other.deviating:
        return Kind.OLDER if _is_older(group, other.deviating, one.passed) else Kind.LOST
    if one.deviating and other.passed:
        return Kind.GAINED
    if one.deviating or other.deviating:  # and nothing is promised by the other
        return Kind.OTHERWISE
    return _kind_of_passes(set(one.passed), set(other.passed))


def _kind_of_passes(first: set[Behaviour], second: set[Behaviour]) -> Kind | None:
    if first & second:
        return None
    if not first:
        return Kind.NEW
    return Kind.CHANGED if second else Kind.GONE


def _is_of_an_upgrade(group: Group, one: _Side, other: _Side) -> bool:
    """Tell whether the second keeps what the first has none of: the work of an older release."""
    rows = group.variants
    is_one_sided = not one.has_done and bool(other.passed)
    return is_one_sided and all("upgrade-from" in row.needs for row in rows)


def _is_older(group: Group, some: tuple[Behaviour, ...], others: tuple[Behaviour, ...]) -> bool:
    """Tell whether some variants are all older than others."""
    ages = {row.id: age for age, row in enumerate(group.variants)}
    return max(ages[row.id] for row in some) < min(ages[row.id] for row in others)


def _difference(group: Group, kind: Kind, one: _Side, other: _Side, change: Change) -> Difference:
    seen = tuple(dict.fromkeys((*one.passed, *one.deviating, *other.passed, *other.deviating)))
    newest = (other.passed or other.deviating or seen)[-1]
    tiers = list(Tier)
    tier = min((row.tier for row in seen), key=tiers.index)
    return Difference(
        behaviour=group.id,
        kind=kind,
        concern=_concern(group.variants[-1]),
        tier=tier,
        before=one.sentences,
        after=other.sentences,
        since=newest.docker if kind in (Kind.CHANGED, Kind.NEW) else "",
        source=newest.source,
        rows=tuple(row.id for row in seen),
        see=change.see,
        advice=change.advice,
        bugs=tuple(dict.fromkeys(bug for row in seen for bug in row.bugs)),
    )


def _concern(row: Behaviour) -> Concern:
    if row.id.endswith("-text") or (row.tier is Tier.QUIRK and "text" in row.id.split(".")[-1]):
        return Concern.WORDS
    fitting = [
        (len(beginning), concern)
        for concern, beginnings in _CONCERNS.items()
        for beginning in beginnings
        if f"{row.id}.".startswith(f"{beginning}.")
    ]
    return max(fitting, key=lambda pair: pair[0], default=(0, Concern.SHOWN))[1]
