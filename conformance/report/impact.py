"""What a change of engines does to what is there: as text, Markdown and JSON."""

from collections.abc import Iterable
from typing import Any

from conformance.impact.foretell import Foretold, Impact
from conformance.impact.setup import Effect, Setup
from conformance.report.markdown import text

_SENTENCE_CHARS = 160


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
                    for one, effect in _effects_on(impact, kind, name)
                ],
            }
            for kind, name in impact.concerned
        ],
        "concerns_nobody": list(impact.harmless),
        "had_already": impact.past,
        "cannot_tell": [
            {"behaviour": one.behaviour, "concern": one.concern, "after": list(one.after)}
            for one in impact.unasked
        ],
    }


def _effects_on(impact: Impact, kind: str, name: str) -> list[tuple[Foretold, Effect]]:
    return [
        (one, effect)
        for one in impact.found
        for effect in one.effects
        if (effect.kind, effect.name) == (kind, name)
    ]


def impact_plain(
    first: str, second: str, setup: Setup, impact: Impact, notes: Iterable[str]
) -> str:
    """Give it as text: by container and network, then what to do, then what nobody can tell."""
    lines = list(notes)
    for kind, name in impact.concerned:
        lines += ["", f"{name} ({kind})"]
        lines += [
            f"  - {_sentence(one, effect)}  [{one.behaviour}]"
            for one, effect in _effects_on(impact, kind, name)
        ]
    advised = [one for one in impact.found if one.advice]
    if advised:
        lines += ["", "What to do"]
        lines += [f"  {one.behaviour}: {one.advice}" for one in advised]
    if impact.unasked:
        lines += ["", f"Cannot tell from the documents whom it concerns ({len(impact.unasked)})"]
        lines += [f"  {one.behaviour}: {_said(one.before, one.after)}" for one in impact.unasked]
    return "\n".join([*lines, "", _summary(first, second, setup, impact)]).lstrip("\n")


def impact_markdown(
    first: str, second: str, setup: Setup, impact: Impact, notes: Iterable[str]
) -> str:
    """Give it as Markdown."""
    lines = [f"# From {first} to {second}", "", _summary(first, second, setup, impact)]
    for note in notes:
        lines += ["", text(note, 500)]
    for kind, name in impact.concerned:
        lines += ["", f"## {text(name)} ({kind})", ""]
        lines += [
            f"- {text(_sentence(one, effect), 500)} (`{one.behaviour}`)"
            for one, effect in _effects_on(impact, kind, name)
        ]
    advised = [one for one in impact.found if one.advice]
    if advised:
        lines += ["", "## What to do", ""]
        lines += [f"- `{one.behaviour}`: {text(one.advice, 500)}" for one in advised]
    if impact.unasked:
        lines += ["", "## Cannot tell from the documents whom it concerns", ""]
        lines += [
            f"- `{one.behaviour}`: {text(_said(one.before, one.after))}" for one in impact.unasked
        ]
    return "\n".join(lines)


def _sentence(one: Foretold, effect: Effect) -> str:
    if not effect.change:
        return f"{effect.why}: {_said(one.before, one.after)}"
    if effect.about == "anew":
        return f"{effect.why}; when it is made anew: {effect.change}"
    return f"{effect.why}: {effect.change}"


def _said(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    """Give what the second engine does, or what it promises no more."""
    said = after[0] if after else f"no promise any more: {next(iter(before), '')}"
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
    return f"{counted}. {told}{had}."
