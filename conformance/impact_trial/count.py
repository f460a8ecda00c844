"""Counts what `impact` foretold of a trial's set-ups against what was seen."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.changes import is_upgrade
from conformance.compare import cells_of, compare_engines, facts_of, find_columns
from conformance.impact.documents import as_part, objects_of
from conformance.impact.foretell import Impact, foretell
from conformance.impact.setup import Setup
from conformance.registry import load_catalogue

# A container of mode host has the machine's own, and each release has a machine of its own here.
_MACHINES_FILES = ("hosts file", "hostname file", "resolv.conf")

Key = tuple[str, str]
"""Who, as "container NAME", and about what."""


@dataclass(slots=True, kw_only=True)
class Count:
    """The figures of one or more steps.

    Attributes:
        hits: foretold as certain, and seen.
        wrong: foretold as certain, looked at, and not seen.
        happened: foretold as something that can happen, and seen.
        quiet: foretold so, looked at, and not seen.
        missed: seen, and not foretold.
        keys_happened, keys_quiet: those of `happened` and of `quiet`, without the step.
        unseen: foretold, and not looked at.
    """

    hits: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    unseen: Counter[str] = field(default_factory=Counter)
    keys_happened: set[tuple[int, Key]] = field(default_factory=set)
    keys_quiet: set[tuple[int, Key]] = field(default_factory=set)

    def add(self, other: "Count") -> None:
        """Take the figures of another one in."""
        for name in ("hits", "wrong", "happened", "quiet", "missed"):
            getattr(self, name).extend(getattr(other, name))
        self.unseen.update(other.unseen)
        self.keys_happened |= other.keys_happened
        self.keys_quiet |= other.keys_quiet

    def chances(self) -> tuple[int, int]:
        """Tell how many of what can happen did so in any step, and how many there are."""
        return len(self.keys_happened), len(self.keys_happened | self.keys_quiet)

    def figures(self) -> dict[str, float]:
        """Give precision and recall, with and without what was foretold as possible only."""
        hits, happened = len(self.hits), len(self.happened)
        seen = hits + happened + len(self.missed)
        told = hits + len(self.wrong)
        return {
            "precision": _share(hits, told),
            "precision with what can happen": _share(
                hits + happened, told + happened + len(self.quiet)
            ),
            "recall": _share(hits + happened, seen),
            "recall of what was foretold as certain": _share(hits, seen),
        }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0


def count_step(sample: Mapping[str, Any], step: Mapping[str, Any]) -> Count:
    """Ask `impact` about the documents of before, and compare with what was seen."""
    impact = impact_of(sample, step["from"], step["to"])
    certain: dict[Key, str] = {}
    possible: dict[Key, str] = {}
    for one in impact.found:
        for effect in one.effects:
            where = certain if effect.is_certain else possible
            where.setdefault((f"{effect.kind} {effect.name}", effect.about), one.behaviour)
    for key in certain:
        possible.pop(key, None)
    untried = {
        f"container {one['name']}"
        for set_up in sample["set_ups"]
        for one in set_up["containers"]
        if one["end"]
    }
    of_the_machine = {
        f"container {one['Name'].lstrip('/')}"
        for one in sample["documents"][step["from"]]
        if one.get("HostConfig", {}).get("NetworkMode") == "host"
    }
    seen = {
        (who, about): value
        for who, found in step["seen"].items()
        for about, value in found.items()
        if not (who in of_the_machine and about in _MACHINES_FILES)
        and not (who in untried and about == "starts")
    }
    changed = {key for key, value in seen.items() if value is not None}
    place = f"{sample['seed']}:{step['from']}->{step['to']}"

    def named(keys: Iterable[Key]) -> list[str]:
        told = {**possible, **certain}
        return [
            f"{place} {who}: {about} [{told.get((who, about), '')}] {seen[who, about]}"
            for who, about in sorted(keys)
        ]

    looked = set(seen)
    return Count(
        hits=named(set(certain) & changed),
        wrong=named((set(certain) & looked) - changed),
        happened=named(set(possible) & changed),
        quiet=named((set(possible) & looked) - changed),
        missed=named(changed - set(certain) - set(possible)),
        keys_happened={(sample["seed"], key) for key in set(possible) & changed},
        keys_quiet={(sample["seed"], key) for key in (set(possible) & looked) - changed},
        unseen=Counter(key[1] for key in (*certain, *possible) if key not in looked),
    )


def count_anew(sample: Mapping[str, Any]) -> Count:
    """Count what was foretold to be refused, or not to start, when it is made anew."""
    impact = impact_of(sample, 0, len(sample["releases"]) - 1, is_anew=True)
    told = {
        effect.name
        for one in impact.found
        for effect in one.effects
        if effect.about == "starts" or (effect.about == "anew" and "refused" in effect.change)
    }
    refused = dict(sample["anew"])
    gone = {
        one["name"]  # it is refused for the sake of its network, which is
        for each in sample["set_ups"]
        for one in each["containers"]
        if refused.keys() & {*each["networks"]} & _networks_of(one)
    }
    seen = set(refused) - set(sample["refused"][0]) - gone
    untried = {
        one["name"]
        for each in sample["set_ups"]
        for one in each["containers"]
        if one["end"] == "created"
    }
    told -= gone | (untried - seen) | set(sample["refused"][0])
    return Count(
        hits=sorted(told & seen),
        wrong=sorted(told - seen),
        missed=[f"{name}: {refused[name]}" for name in sorted(seen - told)],
    )


def _networks_of(container: Mapping[str, Any]) -> set[str]:
    mode = container["body"]["HostConfig"]["NetworkMode"]
    return {mode, *container["before"], *container["after"]}


def impact_of(sample: Mapping[str, Any], old: int, new: int, *, is_anew: bool = False) -> Impact:
    """Give what `impact` says of the documents of one release about another one."""
    first, second = sample["releases"][old], sample["releases"][new]
    columns = find_columns(())
    parts = [as_part(one, f"document {at}") for at, one in enumerate(sample["documents"][old])]
    containers, networks = objects_of(parts)
    setup = Setup(
        containers=tuple(containers),
        networks=tuple(networks),
        source=sample["versions"][old],
        target=sample["versions"][new],
        is_docker=is_upgrade(facts_of(columns, first), facts_of(columns, second)),
        is_anew=is_anew,
    )
    compared = compare_engines(columns, first, second)
    target = cells_of(columns, second)
    return foretell(compared.differences, load_catalogue(), target, setup)
