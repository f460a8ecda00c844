"""A comparison for the terminal and as Markdown: a reason is told once, with its rows under it."""

import re
from collections.abc import Iterator

from conformance.bugs import url_of
from conformance.report.comparison import Cause, Comparison, Difference, Kind
from conformance.report.controls import without_controls
from conformance.report.markdown import text

SEE, REPORTED = "see it", "reported as"
_SENTENCE_CHARS = 500


def plain(found: Comparison) -> str:
    """Write a comparison for the terminal; the numbers come last."""
    lines = []
    for section in found.sections:
        lines += [f"{section.concern.value} ({section.size})", ""]
        for cause in section.causes:
            lines += _plain_cause(found, cause)
    if found.breaking:
        lines += [f"What can stop a set-up, or open it to others ({len(found.breaking)}):"]
        lines += [f"  {one.behaviour}: {one.now}" for one in found.breaking]
        lines += [""]
    return without_controls("\n".join([*lines, *reversed(found.summary)]))


def _plain_cause(found: Comparison, cause: Cause) -> Iterator[str]:
    is_group = len(cause.differences) > 1
    if is_group:
        yield f"  {cause.engine}: {cause.reason} ({len(cause.differences)} behaviours)"
        yield ""
    indent = "    " if is_group else "  "
    for one in cause.differences:
        yield f"{indent}{one.behaviour}  [{one.title}]"
        for label, said in told(found, one, cause):
            yield f"{indent}  {label}: {said}"
        yield ""


def told(found: Comparison, one: Difference, cause: Cause) -> Iterator[tuple[str, str]]:
    """Give everything there is to say of a difference, as labelled texts.

    What a group says for all its rows is not said again.
    """
    is_group = len(cause.differences) > 1
    for name, said in found.sides(one):
        if not (is_group and name == cause.engine):
            yield name, said
    if one.kind is Kind.OTHERWISE:
        yield "stated", one.statement
    if one.advice:
        yield "what to do", one.advice
    if one.see:
        yield SEE, one.see
    yield "source", one.source
    if one.links:
        yield "told of in", ", ".join(one.links)
    if one.bugs:
        yield REPORTED, ", ".join(one.bugs)


def markdown(found: Comparison) -> str:
    """Write a comparison as Markdown; the numbers come first."""
    first, second = text(found.first), text(found.second)
    lines = [f"# From {first} to {second}", "", *(text(said) for said in found.summary)]
    if found.breaking:
        lines += ["", "What can stop a set-up, or open it to others:", ""]
        lines += [f"- `{one.behaviour}`: {_sentence(one.now)}" for one in found.breaking]
    for section in found.sections:
        lines += ["", f"## {section.concern.value} ({section.size})"]
        for cause in section.causes:
            lines += _markdown_cause(found, cause)
    return "\n".join(lines)


def _sentence(said: str) -> str:
    return text(said, _SENTENCE_CHARS)


def _markdown_cause(found: Comparison, cause: Cause) -> Iterator[str]:
    if len(cause.differences) > 1:
        yield ""
        yield f"**{text(cause.engine)}: {_sentence(cause.reason)}** "
        yield f"({len(cause.differences)} behaviours)"
    for one in cause.differences:
        yield ""
        yield f"### `{one.behaviour}`: {text(one.title)}"
        yield ""
        for label, said in told(found, one, cause):
            if label == REPORTED:
                yield f"- {label}: {', '.join(f'[{text(bug)}]({url_of(bug)})' for bug in one.bugs)}"
            elif label == SEE:
                yield f"- {label}:"
                yield ""
                yield from _command(said)
            else:
                yield f"- {text(label)}: {_sentence(said)}"


def _command(command: str) -> Iterator[str]:
    """Write a command as a block in a list: nothing in it is escaped there."""
    longest = max((len(run) for run in re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"  {line}" for line in (f"{fence}sh", *command.splitlines(), fence))
