"""The pages of the site: which there are, and what each is given to show."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.capabilities import PROBES
from conformance.report.comparison import Comparison, Difference
from conformance.report.grid import Grid, GridCell, GridRow, environment, grid_of
from conformance.report.matrix import Column
from conformance.report.score import TIER_MEANINGS
from conformance.report.subjects import subject_of
from conformance.site import links
from conformance.site.content import Content, Entry, Seen, times_of
from conformance.site.moving import Move, move_between
from conformance.site.sources import source_of
from conformance.verdicts import Verdict

TEMPLATES = Path(__file__).parent / "templates"
_TITLE_CHARS = 160
_TEXT_CHARS = 3_000

MEANINGS = {
    Verdict.PASS: "The engine does what the sentence says.",
    Verdict.KNOWN: "It does not, and why is written down.",
    Verdict.FAIL: "It does not, and nobody knew.",
    Verdict.FIXED: "It does, though it was known not to.",
    Verdict.NON_STRICT: "It does not do what it SHOULD or MAY do.",
    Verdict.ERROR: "The test went wrong, not the engine.",
    Verdict.NOT_PROMISED: "This release does not promise it, so it was not asked.",
    Verdict.UNSUPPORTED: "The engine or the machine lacks what the test needs.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many behaviours an engine does, of those that it is asked for."""

    word: str = ""
    passed: int = 0
    deviating: int = 0
    unknown: int = 0

    @property
    def asked(self) -> int:
        """All of them."""
        return self.passed + self.deviating + self.unknown

    @property
    def name(self) -> str:
        """The subject in words."""
        return subject_of(self.word)


class Pages:
    """Writes every page of the site."""

    def __init__(self, content: Content) -> None:
        """Prepare what many pages show.

        Args:
            content: what the site tells.
        """
        self._content = content
        self._grid = matrix_grid(content)
        self._move = _docker_to_podman(content)
        self._templates = environment(TEMPLATES)
        self._templates.filters["clip"] = clip
        menu = [("Matrix", links.MATRIX), ("Compare", links.PAIRS)]
        if self._move:
            menu.append(("Podman", links.PODMAN))
        self._templates.globals |= {
            "content": content,
            "grid": self._grid,
            "menu": [*menu, ("About", links.ABOUT)],
            "move": None,
            "paths": links,
            "run": content.document["run"],
            "tier_meanings": TIER_MEANINGS,
            "times_of": times_of,
        }

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Give the path and the text of each page."""
        yield self._front()
        yield self._page(
            links.MATRIX,
            "matrix",
            "Matrix",
            "Every behaviour on every engine that was measured.",
            move=self._move,
        )
        yield self._page(
            links.PAIRS, "pairs", "Compare", "In how many behaviours two engines differ."
        )
        yield self._page(
            links.ABOUT,
            "about",
            "About",
            "Symbols, tiers, capabilities, data for programs and links that stay.",
            meanings=MEANINGS,
            probes=PROBES,
        )
        if self._move:
            yield self._podman(self._move)
        for number, column in enumerate(self._content.matrix.columns):
            yield self._engine(number, column)
        for (first, second), found in self._content.pairs.items():
            yield self._pair(first, second, found)
        yield from self._behaviours()

    def _page(
        self, path: str, template: str, title: str, about: str, **more: Any
    ) -> tuple[str, str]:
        text = self._templates.get_template(f"{template}.html.j2").render(
            here=path, up="../" * path.count("/"), title=title, about=about, **more
        )
        return path, text

    def _front(self) -> tuple[str, str]:
        content = self._content
        engines = [
            {"name": one.name, "title": content.title(one.name), "version": one.version}
            | _numbers(_tally(content.entries, number))
            for number, one in enumerate(content.matrix.columns)
        ]
        return self._page(
            "index.html",
            "index",
            "netinit",
            "What Docker and Podman releases really do when a container gets its network: "
            "tested on the daemons themselves, release by release.",
            engines=engines,
            upgrade=_upgrade(content),
            move=self._move,
        )

    def _podman(self, move: Move) -> tuple[str, str]:
        title = f"From {move.titles[0]} to {move.titles[1]}"
        return self._page(
            links.PODMAN,
            "podman",
            title,
            move.summary,
            move=move,
            breaking=self._content.pairs[move.first, move.second].breaking,
        )

    def _engine(self, number: int, column: Column) -> tuple[str, str]:
        content = self._content
        by_subject = [
            (word, list(members)) for word, members in itertools.groupby(content.entries, _word)
        ]
        deviations = [
            (subject_of(word), [(entry, entry.seen[number].worst) for entry in members])
            for word, every in by_subject
            if (members := [one for one in every if _is_deviation(one.seen[number])])
        ]
        tally = _tally(content.entries, number)
        title = content.title(column.name)
        move = None
        if self._move and column.facts.get("family") == "podman":
            move = move_between(content, self._move.first, column.name)
        return self._page(
            links.engine_page(column.name),
            "engine",
            title,
            f"{title}: does {tally.passed} of {tally.asked} behaviours, deviates in "
            f"{tally.deviating}.",
            column=column,
            tally=tally,
            subjects=[_tally(members, number, word) for word, members in by_subject],
            missing=sorted(
                (one for one in content.missing if column.name in one.rows),
                key=lambda one: (-one.rows[column.name], one.name),
            ),
            deviations=deviations,
            move=move,
        )

    def _pair(self, first: str, second: str, found: Comparison) -> tuple[str, str]:
        titles = f"{self._content.title(first)} to {self._content.title(second)}"
        return self._page(
            links.pair_page(first, second),
            "pair",
            f"From {titles}",
            f"{titles}: {len(found.differences)} behaviours differ.",
            first=first,
            second=second,
            found=found,
            href=lambda id: f"../{links.behaviour_page(id)}",
        )

    def _behaviours(self) -> Iterator[tuple[str, str]]:
        entries = self._content.entries
        differing = _differing(self._content)
        for number, entry in enumerate(entries):
            page = links.behaviour_page(entry.id)
            yield self._page(
                page,
                "behaviour",
                entry.id,
                clip(entry.newest.statement, _TITLE_CHARS),
                entry=entry,
                subject=subject_of(entry.id),
                columns=list(zip(self._content.matrix.columns, entry.seen, strict=True)),
                pairs=differing.get(entry.id, []),
                sources=[found for row in entry.group.variants if (found := source_of(row))],
                engines_asked=_engines_asked(self._content, entry),
                needs_daemon="own-daemon" in entry.newest.needs,
                before=entries[number - 1].id if number else "",
                after=entries[number + 1].id if number + 1 < len(entries) else "",
            )
            for row in entry.group.variants[:-1]:
                yield self._page(
                    links.behaviour_page(row.id),
                    "moved",
                    row.id,
                    clip(row.statement, _TITLE_CHARS),
                    target=f"{page}#{row.id}",
                )


def matrix_grid(content: Content) -> Grid:
    """Give the matrix: one row a behaviour, whatever its variants are."""
    return grid_of(
        (column.name for column in content.matrix.columns),
        (_grid_row(entry) for entry in content.entries),
    )


def clip(text: str, chars: int = _TEXT_CHARS) -> str:
    """Cut a text to size."""
    return text if len(text) <= chars else f"{text[:chars]} ... (cut)"


def _grid_row(entry: Entry) -> GridRow:
    return GridRow(
        id=entry.id,
        area=entry.area,
        tier=entry.tier,
        sentences=tuple((times_of(row), row.statement) for row in entry.group.variants)
        if entry.has_changed
        else (("", entry.newest.statement),),
        cells=tuple(_grid_cell(entry, seen) for seen in entry.seen),
        also=tuple(row.id for row in entry.group.variants[:-1]),
    )


def _grid_cell(entry: Entry, seen: Seen) -> GridCell:
    told = seen.worst
    passed = seen.verdict is not None and seen.verdict.has_passed
    return GridCell(
        engine=seen.engine,
        verdict=seen.verdict,
        href=links.cell_link(entry.id, seen.engine),
        title=clip(told.cell.why, _TITLE_CHARS) if told.cell.is_deviation else "",
        note=times_of(told.row) if entry.has_changed and passed else "",
    )


def _docker_to_podman(content: Content) -> Move | None:
    docker, podman = content.newest("docker"), content.newest("podman")
    if docker is None or podman is None:
        return None
    return move_between(content, docker.name, podman.name)


def _upgrade(content: Content) -> dict[str, Any] | None:
    """Give the way from the oldest Docker to the newest."""
    dockers = content.releases("docker")
    if len(dockers) < 2:
        return None
    one, other = dockers[0], dockers[-1]
    found = content.pairs[one.name, other.name]
    return {
        "first": one.name,
        "second": other.name,
        "one": content.title(one.name),
        "other": content.title(other.name),
        "count": len(found.differences),
        "breaking": len(found.breaking),
    }


def _word(entry: Entry) -> str:
    return entry.area.partition(".")[0]


def _is_deviation(seen: Seen) -> bool:
    """Say whether the engine was seen to do something else; an error of the harness is not it."""
    return seen.worst.cell.is_deviation and seen.verdict is not Verdict.ERROR


def _tally(entries: tuple[Entry, ...] | list[Entry], number: int, word: str = "") -> Tally:
    verdicts = Counter(entry.seen[number].verdict for entry in entries)
    return Tally(
        word=word,
        passed=verdicts[Verdict.PASS] + verdicts[Verdict.FIXED],
        deviating=sum(_is_deviation(entry.seen[number]) for entry in entries),
        unknown=verdicts[Verdict.UNSUPPORTED] + verdicts[Verdict.ERROR],
    )


def _numbers(tally: Tally) -> dict[str, int]:
    return {"passed": tally.passed, "deviating": tally.deviating, "unknown": tally.unknown}


def _differing(content: Content) -> dict[str, list[tuple[Comparison, Difference]]]:
    """Give the pairs that differ in a behaviour: a release and the next, Docker and Podman."""
    ways = [
        (one.name, other.name)
        for family in ("docker", "podman")
        for one, other in itertools.pairwise(content.releases(family))
    ]
    docker, podman = content.newest("docker"), content.newest("podman")
    if docker and podman:
        ways.append((docker.name, podman.name))
    found: dict[str, list[tuple[Comparison, Difference]]] = {}
    for way in ways:
        for difference in content.pairs[way].differences:
            found.setdefault(difference.behaviour, []).append((content.pairs[way], difference))
    return found


def _engines_asked(content: Content, entry: Entry) -> dict[str, list[str]]:
    """Give the engines, as commands name them, that were asked for each variant."""
    asked: dict[str, list[str]] = {row.id: [] for row in entry.group.variants}
    for column, seen in zip(content.matrix.columns, entry.seen, strict=True):
        for told in seen.told:
            if told.cell.verdict not in (None, Verdict.NOT_PROMISED):
                asked[told.row.id].append(str(column.facts.get("spec") or column.name))
    return asked
