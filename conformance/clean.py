"""The command `clean`: takes away what runs left, here and on engines of somebody else."""

import sys

import click

from conformance.engines.base import EngineError, EngineUnavailable
from conformance.engines.cleanup import sweep, sweep_engine
from conformance.engines.external import ExternalEngine, address_of
from conformance.engines.settings import SettingsError
from conformance.preflight import RequestError, check_name
from conformance.program import counted
from conformance.usage import Usage
from conformance.verdicts import ExitCode


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    help="Also everything on this engine that carries the label `netinit.run`, whichever machine "
    "ran it: unix:///path, tcp://host:port, or `env`.",
)
def clean(names: tuple[str, ...], engines: tuple[str, ...]) -> None:
    """Take away what crashed runs left behind.

    On this machine, and with --engine on your own engine, too.

    NAMES are names given to --keep (or ids of runs): those are stopped and taken away, too.
    Without one, only what belongs to a run that is over is touched.

    \b
    Exit codes: 0 done
                2 an engine refused to remove something
                3 an engine cannot be reached
    """
    try:
        for name in names:
            check_name(name)
        addresses = list(dict.fromkeys(map(address_of, engines)))
    except (RequestError, SettingsError) as exc:
        raise Usage(str(exc)) from exc
    said = sweep()
    for name in names:
        said += sweep(name, is_forced=True)
    resisted = []
    for address in addresses:
        engine = ExternalEngine(address)
        try:
            engine.start()
            said += sweep_engine(engine)
        except EngineUnavailable as exc:
            raise Usage(str(exc)) from exc
        except EngineError as exc:
            resisted.append(str(exc))
        finally:
            engine.stop()
    for line in [*said, *resisted]:
        click.echo(line)
    click.echo(counted(len(said), "left-over"), err=True)
    sys.exit(int(ExitCode.ERROR if resisted else ExitCode.AS_EXPECTED))
