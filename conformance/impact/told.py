"""What a change of engines does to what is there: as text, Markdown and JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

from conformance.impact.foretell import Foretold, Impact
from conformance.impact.setup import Effect, Setup
from conformance.report.comparison import Difference
from conformance.report.markdown import text

_SENTENCE_CHARS = 160
# What concerns more than so many is said once, and so many of them are named.
_ALIKE_MAX = 8
_NAMES_MAX = 40

_Key = tuple[str, str, str, str, bool]


def impact_json(
    first: str, second: str, setup: Setup, impact: Impact, notes: Iterable[str]
) -> dict[str, Any]:
    """Give it for programs."""
    return {
        "from": first,
        "to": second,
        "notes": list(notes),
        "containers": len(setup.containers),
        "networks": len(setup.networks),
        "concerned": [
            {
                "kind": kind,
                "name": name,
                "effects": [
                    {
                        "behaviour": one.behaviour,
                        "about": effect.about,
                        "why": effect.why,
                        "change": effect.change,
                        "certain": effect.is_certain,
                        "advice": one.advice,
                    }
                    for one, effect in told
                ],
            }
            for (kind, name), told in _by_object(impact).items()
        ],
        "concerns_nobody": list(impact.harmless),
        "had_already": impact.past,
        "measured_as_older": list(impact.older),
        "gains": list(impact.gains),
        "cannot_tell": [
            {"behaviour": one.behaviour, "concern": one.concern, "after": list(one.after)}
            for one in impact.unasked
        ],
    }


def _by_object(impact: Impact) -> dict[tuple[str, str], list[tuple[Foretold, Effect]]]:
    """Give what each container and network is told, by its kind and name, the gravest first."""
    found: dict[tuple[str, str], list[tuple[Foretold, Effect]]] = {}
    for one in impact.found:
        for effect in one.effects:
            found.setdefault((effect.kind, effect.name), []).append((one, effect))
    return found


def impact_plain(
    first: str, second: str, setup: Setup, impact: Impact, notes: Iterable[str]
) -> str:
    """Give it as text: by container and network, then what to do, then what nobody can tell."""
    lines = list(notes)
    for title, said in _sections(impact):
        lines += ["", title, *(f"  - {sentence}  [{id}]" for id, sentence in said)]
    return "\n".join([*lines, "", _summary(first, second, setup, impact)]).lstrip("\n")


def impact_markdown(
    first: str, second: str, setup: Setup, impact: Impact, notes: Iterable[str]
) -> str:
    """Give it as Markdown."""
    lines = [f"# From {first} to {second}", "", _summary(first, second, setup, impact)]
    for note in notes:
        lines += ["", text(note, 500)]
    for title, said in _sections(impact):
        lines += ["", f"## {text(title)}", ""]
        lines += [f"- {text(sentence, 2000)} (`{id}`)" for id, sentence in said]
    return "\n".join(lines)


def _sections(impact: Impact) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Give each section's title and its sentences, each with its behaviour.

    What concerns many in the same words is said once, below the sections of the containers and
    networks.
    """
    alike: dict[_Key, list[tuple[Foretold, Effect]]] = {}
    for one in impact.found:
        for effect in one.effects:
            alike.setdefault(_group(one, effect), []).append((one, effect))
    common = {key: told for key, told in alike.items() if len(_names(told)) > _ALIKE_MAX}
    for (kind, name), told in _by_object(impact).items():
        own = [
            (one.behaviour, _sentence(one, effect))
            for one, effect in told
            if _group(one, effect) not in common
        ]
        if own:
            yield f"{name} ({kind})", own
    if common:
        yield "What concerns many alike", [(key[0], _once(told)) for key, told in common.items()]
    advised = [(one.behaviour, one.advice) for one in impact.found if one.advice]
    if advised:
        yield "What to do", advised
    if impact.unasked:
        title = f"Cannot tell from the documents whom it concerns ({len(impact.unasked)})"
        yield title, [(one.behaviour, _said(one)) for one in impact.unasked]


def _group(one: Foretold, effect: Effect) -> _Key:
    """Give what effects have in common that are told in one line: all but the name."""
    return one.behaviour, effect.kind, effect.about, _sentence(one, effect), effect.is_certain


def _names(told: list[tuple[Foretold, Effect]]) -> list[str]:
    return list(dict.fromkeys(effect.name for _, effect in told))


def _once(told: list[tuple[Foretold, Effect]]) -> str:
    first, *others = _names(told)
    more = f" and {len(others) - _NAMES_MAX} more" if len(others) > _NAMES_MAX else ""
    return f"{first}: {_sentence(*told[0])}; alike {', '.join(others[:_NAMES_MAX])}{more}"


def _sentence(one: Foretold, effect: Effect) -> str:
    if not effect.change:
        return f"{effect.why}: {_said(one)}"
    if effect.about == "anew":
        return f"{effect.why}; when it is made anew: {effect.change}"
    return f"{effect.why}: {effect.change}"


def _said(one: Foretold | Difference) -> str:
    """Give what the second engine does, or what it promises no more."""
    said = one.after[0] if one.after else f"no promise any more: {next(iter(one.before), '')}"
    return said if len(said) <= _SENTENCE_CHARS else f"{said[: _SENTENCE_CHARS - 4]} ..."


def _summary(first: str, second: str, setup: Setup, impact: Impact) -> str:
    kinds = [kind for kind, _ in impact.concerned]
    counted = (
        f"{kinds.count('container')} of {len(setup.containers)} containers and "
        f"{kinds.count('network')} of {len(setup.networks)} networks are concerned"
    )
    told = (
        f"Of what {second} does otherwise than {first}, {len(impact.found)} behaviours concern "
        f"something that is there, {len(impact.harmless)} concern nothing, and of "
        f"{len(impact.unasked)} the documents cannot tell"
    )
    had = f"; {impact.past} the engine's own release has already" if impact.past else ""
    older = (
        f". {len(impact.older)} more are left out: one of the two is measured as an older Docker, "
        "and they need not differ"
        if impact.older
        else ""
    )
    gains = f"; {len(impact.gains)} are gains without anything to do" if impact.gains else ""
    return f"{counted}. {told}{gains}{had}{older}."
