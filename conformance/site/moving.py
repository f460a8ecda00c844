"""What a person who moves from one engine to another keeps and loses, counted and in words."""

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.report.comparison import Kind
from conformance.report.subjects import in_sentence, subject_of
from conformance.site.content import Content, Seen

# So much of a subject is most of it.
_MOST = 2 / 3
# Smaller subjects are left to the table.
_ROWS_MIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of one subject is kept, of what the first engine does.

    Attributes:
        word: the first word of its ids.
        unknown: could not be looked at on the second engine.
    """

    word: str
    kept: int
    lost: int
    unknown: int

    @property
    def name(self) -> str:
        """The subject in words."""
        return subject_of(self.word)

    @property
    def seen(self) -> int:
        """How many could be looked at."""
        return self.kept + self.lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move from one column to another."""

    first: str
    second: str
    titles: tuple[str, str]
    subjects: tuple[Share, ...]
    differences: int

    @property
    def kept(self) -> int:
        """How many behaviours stay as they are."""
        return sum(one.kept for one in self.subjects)

    @property
    def lost(self) -> int:
        """How many the second engine does not do."""
        return sum(one.lost for one in self.subjects)

    @property
    def unknown(self) -> int:
        """How many could not be looked at."""
        return sum(one.unknown for one in self.subjects)

    @property
    def of(self) -> int:
        """How many the first engine does and could be compared."""
        return self.kept + self.lost

    @property
    def summary(self) -> str:
        """The first paragraph of the page."""
        large = [one for one in self.subjects if one.seen >= _ROWS_MIN]
        kept = [one for one in large if one.kept >= _MOST * one.seen]
        lost = [one for one in large if one.lost >= _MOST * one.seen]
        unseen = [one for one in self.subjects if one.unknown > one.seen]
        said = [
            f"If you move from {self.titles[0]} to {self.titles[1]}, you keep {self.kept} of the "
            f"{self.of} behaviours that could be compared and lose {self.lost}."
        ]
        if kept:
            kept.sort(key=lambda one: -one.kept / one.seen)
            shares = _and(f"{in_sentence(one.name)} ({one.kept} of {one.seen})" for one in kept)
            said.append(f"You keep most of: {shares}.")
        if lost:
            lost.sort(key=lambda one: -one.lost / one.seen)
            shares = _and(f"{in_sentence(one.name)} ({one.lost} of {one.seen})" for one in lost)
            said.append(f"You lose most of: {shares}.")
        if unseen:
            names = _and(in_sentence(one.name) for one in unseen)
            said.append(f"Hardly any could be compared, for want of what the tests need: {names}.")
        return " ".join(said)


def move_between(content: Content, first: str, second: str) -> Move:
    """Count what is kept, what is lost and what could not be seen, by subject."""
    comparison = content.pairs[first, second]
    lost = {one.behaviour for one in comparison.differences if one.kind is Kind.LOST}
    columns = [column.name for column in content.matrix.columns]
    old, new = columns.index(first), columns.index(second)
    counts: dict[str, list[int]] = {}
    for entry in content.entries:
        count = counts.setdefault(entry.id.partition(".")[0], [0, 0, 0])
        does = _passing(entry.seen[old])
        if not does:
            continue
        if does & _passing(entry.seen[new]):
            count[0] += 1
        elif entry.id in lost:
            count[1] += 1
        elif entry.id in comparison.unknown:
            count[2] += 1
    shares = [
        Share(word=word, kept=kept, lost=gone, unknown=unknown)
        for word, (kept, gone, unknown) in sorted(counts.items())
        if kept or gone or unknown
    ]
    return Move(
        first=first,
        second=second,
        titles=(content.title(first), content.title(second)),
        subjects=tuple(shares),
        differences=len(comparison.differences),
    )


def _passing(seen: Seen) -> set[str]:
    return {told.row.id for told in seen.told if told.cell.verdict and told.cell.verdict.has_passed}


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{'; '.join(first)}; and {last}" if first else last
