"""How much of what an engine promises it really does, tier by tier.

What passes is the first number. A row that is as expected because its failure is known does not
count as passed, and a row that nothing could be seen of, for want of a capability, does not either.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.registry import Tier
from conformance.report.document import Document
from conformance.verdicts import Verdict

TIER_MEANINGS = {
    Tier.CORE: "what the seed itself says",
    Tier.CONTRACT: "what users build on",
    Tier.QUIRK: "what an engine happens to do: texts, statuses, orders, leftovers",
}


@dataclass(frozen=True, slots=True)
class Score:
    """The rows of one tier on one engine: how many pass, of how many that it promises."""

    passed: int = 0
    promised: int = 0

    def __str__(self) -> str:
        """Write `47/47`, or `-` where the engine promises nothing."""
        return f"{self.passed}/{self.promised}" if self.promised else "-"


def tier_of(behaviour: Mapping[str, object]) -> Tier:
    """Give the tier of a report's row; reports made before there were tiers have none."""
    return Tier(str(behaviour.get("tier") or Tier.CONTRACT))


def scores_of(cells: Iterable[tuple[Tier, Verdict]]) -> dict[Tier, Score]:
    """Count one engine's cells by tier."""
    scores = dict.fromkeys(Tier, Score())
    for tier, verdict in cells:
        was = scores[tier]
        scores[tier] = Score(was.passed + verdict.has_passed, was.promised + verdict.is_promised)
    return scores


def engine_scores(document: Document) -> dict[str, dict[Tier, Score]]:
    """Give the scores of each engine of a report, by its name."""
    tiers = {row["id"]: tier_of(row) for row in document["behaviours"]}
    return {
        engine["name"]: scores_of(
            (tiers[result["behaviour"]], Verdict(result["verdict"]))
            for result in document["results"]
            if result["engine"] == engine["name"]
        )
        for engine in document["engines"]
    }


def scores_json(scores: Mapping[Tier, Score]) -> dict[str, dict[str, int]]:
    """Give the scores as an engine's facts in the report have them."""
    return {
        tier.value: {"passed": score.passed, "promised": score.promised}
        for tier, score in scores.items()
    }
