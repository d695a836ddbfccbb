"""The commands, each a few lines onto a job of `manikin.workflow`. Imports no job before it runs, so that --help is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import (
    augmenting,
    budgeting,
    comparing,
    continuing,
    deidentifying,
    explaining,
    judging,
    looking,
    making,
    pairing,
    reading,
    releasing,
    simulating,
    stressing,
    studying,
    translating,
)

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Synthetic patients that can be defended: learn from a patient table, make a synthetic one, bring the evidence.",
    epilog="Start with: manikin demo",
)


def _version(wanted: bool) -> None:
    if wanted:
        from manikin import __version__

        typer.echo(f"manikin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    """Synthetic patients that can be defended: learn from a patient table, make a synthetic one, bring the evidence."""


for command in (
    making.demo,
    looking.inspect,
    making.synthesize,
    making.fit,
    making.sample,
    making.complete,
    pairing.pair,
    translating.translate,
    continuing.anomalies,
    augmenting.augment,
    judging.evaluate,
    comparing.compare,
    explaining.explain,
    releasing.release,
    releasing.verify,
    releasing.label,
    releasing.keygen,
    deidentifying.deidentify,
    budgeting.audit,
    stressing.stress,
):
    app.command()(command)
app.command("continue")(continuing.continue_patients)
app.command("list")(judging.list_registry)
app.add_typer(studying.study, name="study")
app.add_typer(simulating.simulate, name="simulate")
app.add_typer(budgeting.budget, name="budget")
app.add_typer(reading.turing, name="turing")
app.add_typer(reading.annotate, name="annotate")
