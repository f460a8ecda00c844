"""`python -m conformance.impact_trial run --seed 1 -o FILE`, and `count FILE...`."""

import json
from pathlib import Path
from typing import Any

import click

from conformance.impact_trial.count import Count, count_anew, count_step
from conformance.impact_trial.draw import SetUp, draw
from conformance.impact_trial.trial import make_anew, run_trial

# What every sample has.
_KEYS = {"seed", "releases", "versions", "set_ups", "documents", "steps"}
RELEASES = ("docker-20.10", "docker-26.1", "docker-28.5")


@click.group()
def main() -> None:
    """Measure how good `python -m conformance impact` is."""


@main.command()
@click.option("--seed", type=int, required=True, help="Draws the set-ups.")
@click.option("--count", default=44, show_default=True, help="How many set-ups.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def run(seed: int, count: int, output: Path) -> None:
    """Draw set-ups, take them from 20.10 over 26.1 to 28.5, and write down what was seen."""
    sample = run_trial(seed, draw(seed, count), RELEASES)
    output.write_text(json.dumps(sample, sort_keys=True) + "\n", encoding="utf-8")
    click.echo(f"wrote {output}")


@main.command()
@click.argument("sample", type=click.Path(path_type=Path))
def anew(sample: Path) -> None:
    """Make a sample's set-ups anew on an empty 28.5, and write down in it what that refuses."""
    document = _read_sample(sample)
    set_ups = [SetUp.from_json(one) for one in document["set_ups"]]
    document["anew"] = make_anew(set_ups, RELEASES[-1])
    sample.write_text(json.dumps(document, sort_keys=True) + "\n", encoding="utf-8")
    click.echo(f"wrote {sample}")


@main.command("count")
@click.argument("samples", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--list", "is_listed", is_flag=True, help="Also list what was missed and wrong.")
def count_samples(samples: tuple[Path, ...], is_listed: bool) -> None:
    """Print precision and recall of what `impact` says now about what was seen then."""
    total = Count()
    for path in samples:
        sample = _read_sample(path)
        for step in sample["steps"]:
            found = count_step(sample, step)
            total.add(found)
            names = [sample["releases"][step[end]] for end in ("from", "to")]
            click.echo(f"{path.name}, {' -> '.join(names)}: {_line(found)}")
        if "anew" in sample:
            found = count_anew(sample)
            click.echo(f"{path.name}, made anew: {_line(found)}")
            if is_listed:
                click.echo(f"  missed {found.missed}, wrong {found.wrong}")
    click.echo(f"all: {_line(total)}")
    happened, possible = total.chances()
    click.echo(f"of {possible} things foretold as possible {happened} happened in one of the steps")
    click.echo(f"foretold and not looked at: {dict(total.unseen)}")
    if is_listed:
        for title, listed in (("missed", total.missed), ("wrong", total.wrong)):
            click.echo(f"\n{title} ({len(listed)})")
            for line in listed:
                click.echo(f"  {line}")


def _read_sample(path: Path) -> dict[str, Any]:
    """Read what `run` wrote.

    Raises:
        ClickException: it cannot be read, or is something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise click.ClickException(f"{path} cannot be read: {exc}") from exc
    if not isinstance(found, dict) or not found.keys() >= _KEYS:
        raise click.ClickException(f"{path} is no sample that `run` of this program wrote")
    return found


def _line(one: Count) -> str:
    counts = (
        f"{len(one.hits)} foretold and seen, {len(one.wrong)} foretold and not seen, "
        f"{len(one.happened)} foretold as possible and seen, {len(one.quiet)} not, "
        f"{len(one.missed)} missed"
    )
    return f"{counts}; " + ", ".join(f"{name} {value}" for name, value in one.figures().items())


if __name__ == "__main__":
    main(prog_name="python -m conformance.impact_trial")
