"""What two engines do differently, as data: for the terminal, the pages, JSON and the site."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from conformance.changes import Breaks
from conformance.registry import Tier
from conformance.report.concerns import Concern

_NOT_PROMISED = "not promised, and so not tested"


class Kind(StrEnum):
    """How the second engine differs from the first."""

    LOST = "no longer"
    """The first does it, the second deviates."""
    CHANGED = "changed"
    """Each does what its release promises, and these are not the same."""
    OTHERWISE = "otherwise"
    """Both deviate from what is stated, each in its own way."""
    GONE = "not promised any more"
    """The first does it; the second does not promise it, and was not asked."""
    NEW = "new"
    """The second does it; the first does not promise it, and was not asked."""
    GAINED = "now"
    """The first deviates, the second does it."""
    OLDER = "measured as an older Docker"
    """One does what newer releases do; the other was asked for what older ones do."""


class Harm(StrEnum):
    """What a difference can do to who goes from the first engine to the second."""

    BREAKS = "breaks"
    """Somebody judged: what works can stop to work, or can be open to others."""
    NOTICED = "noticed"
    """It can be noticed; nobody judged more."""
    HARMLESS = "harmless"
    """It is a gain, or nobody has to do anything about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One behaviour in which two engines differ.

    Attributes:
        behaviour: the id of its newest variant.
        statement: the sentence of the newest variant that was looked at.
        kind: how they differ.
        concern: what it is about.
        harm: what it can do.
        breaks: how many set-ups it can stop, or open to others; None = nobody judged so.
        tier: the gravest tier of its variants.
        before: what the first engine does, a sentence for each variant; empty = it promises
            nothing of it.
        after: what the second one does, likewise.
        cause: why one of them deviates; "" where both do what they promise.
        when: since which release it is so, in words; "" = not known.
        since: the Docker releases that promise the second; "" where no release changed it.
        source: where the change, or the statement, was made.
        links: pages that show the deviation.
        rows: the rows that were looked at.
        see: a docker command that shows the difference; "" = nobody wrote one.
        advice: what to do about it; likewise.
        bugs: what users reported of it.
    """

    behaviour: str
    statement: str
    kind: Kind
    concern: Concern
    harm: Harm
    breaks: Breaks | None
    tier: Tier
    before: tuple[str, ...]
    after: tuple[str, ...]
    cause: str
    when: str
    since: str
    source: str
    links: tuple[str, ...]
    rows: tuple[str, ...]
    see: str
    advice: str
    bugs: tuple[str, ...]

    @property
    def title(self) -> str:
        """How they differ, and since when."""
        return f"{self.kind.value}, {self.when}" if self.when else self.kind.value

    @property
    def is_gain(self) -> bool:
        """Whether the second engine only does more, and nobody has to do anything about it."""
        return self.kind in (Kind.NEW, Kind.GAINED) and self.harm is Harm.HARMLESS

    @property
    def now(self) -> str:
        """What the second engine does, or why it deviates, in one text."""
        return " ".join(self.after) or _NOT_PROMISED

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Differences for one reason.

    Attributes:
        engine: the engine that deviates; "" = none does, and there is one difference.
        reason: why; "" likewise.
        differences: in order.
    """

    engine: str
    reason: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The differences of one concern, and why they are there."""

    concern: Concern
    causes: tuple[Cause, ...]

    @property
    def size(self) -> int:
        """How many differences there are."""
        return sum(len(cause.differences) for cause in self.causes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two engines do differently, and what could not be compared.

    Each behaviour is in exactly one part: differences, `same`, or one of the others.

    Attributes:
        first: the name of the first column.
        second: that of the second one.
        differences: in a person's order.
        same: how many behaviours are the same.
        unknown: behaviours for which a run lacked what they need.
        unasked: behaviours that one engine was not asked for, since it is measured as another
            release of Docker than it is.
        not_run: behaviours that one of the runs does not have.
        unpromised: behaviours that neither of the two promises.
        upgrades: what an upgrade to the second keeps, of which the first promises nothing.
    """

    first: str = ""
    second: str = ""
    differences: tuple[Difference, ...]
    same: int
    unknown: tuple[str, ...]
    unasked: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    unpromised: tuple[str, ...] = ()
    upgrades: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[Section, ...]:
        """The differences by concern, and in each by cause: where the first of them stands."""
        return tuple(
            Section(concern=concern, causes=self._causes(members))
            for concern, members in groupby(self.differences, key=lambda it: it.concern)
        )

    @property
    def breaking(self) -> tuple[Difference, ...]:
        """The differences that can stop a set-up."""
        return tuple(one for one in self.differences if one.harm is Harm.BREAKS)

    @property
    def summary(self) -> list[str]:
        """Say in sentences how much differs, and of what nothing can be said."""
        told = [
            f"{self.second} differs from {self.first} in {len(self.differences)} behaviours and "
            f"does the same in {self.same}."
        ]
        older = sum(one.kind is Kind.OLDER for one in self.differences)
        if older:
            told.append(
                f"{older} of the differences need not exist: one of the two is measured as an "
                "older Docker."
            )
        counts = [
            (self.unknown, "one of the runs lacked what they need"),
            (self.unasked, "one of the two is measured as another release of Docker"),
            (self.not_run, "one of the runs does not have them"),
            (self.unpromised, "neither of the two promises them"),
            (
                self.upgrades,
                f"they are what an upgrade keeps, and {self.first} is not asked to keep anything",
            ),
        ]
        told += [f"Of {len(ids)} nothing can be said: {why}." for ids, why in counts if ids]
        return told

    def deviating(self, one: Difference) -> str:
        """Name the engine whose deviation is a difference's cause; "" = none."""
        if not one.cause:
            return ""
        return self.second if one.cause == " ".join(one.after) else self.first

    def sides(self, one: Difference) -> list[tuple[str, str]]:
        """Give what each engine does, sentence by sentence, each with the engine's name."""
        told = []
        for name, sentences in ((self.first, one.before), (self.second, one.after)):
            told += [(name, said) for said in sentences or (_NOT_PROMISED,)]
        return told

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "unknown": list(self.unknown),
            "unasked": list(self.unasked),
            "not_run": list(self.not_run),
            "unpromised": list(self.unpromised),
            "upgrades": list(self.upgrades),
            "differences": [one.to_json() for one in self.differences],
        }

    def _causes(self, members: Iterable[Difference]) -> tuple[Cause, ...]:
        found: dict[tuple[str, str], list[Difference]] = {}
        for one in members:
            engine = self.deviating(one)
            key = (engine, one.cause) if engine else ("", one.behaviour)
            found.setdefault(key, []).append(one)
        return tuple(
            Cause(engine=engine, reason=said if engine else "", differences=tuple(ones))
            for (engine, said), ones in found.items()
        )
