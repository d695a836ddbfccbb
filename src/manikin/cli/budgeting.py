"""Commands of the privacy budget: audit, budget new, budget show."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table

if TYPE_CHECKING:
    from manikin.workflow.audit import Audit

budget = typer.Typer(
    help="A budget file: one privacy budget that several releases of the same patients share.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
BudgetFile = Annotated[Path, typer.Argument(metavar="FILE", help="The budget file.", show_default=False)]


def audit(
    path: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A run, model or release folder, a ledger.json, or a budget file.", show_default=False),
    ],
    as_json: opt.Json = False,
) -> None:
    """Recompute a privacy budget from its events alone, by two accountants. Exit code 0 if every check holds, 1 if not.

    Example:

        manikin audit run
    """
    from manikin.workflow.audit import audit as run

    found = run(path)
    if as_json:
        say_json(found.to_json())
    else:
        _say(found)
    if not found.passed:
        raise typer.Exit(1)


@budget.command()
def new(
    file: BudgetFile,
    epsilon: Annotated[float, typer.Option("--epsilon", metavar="E", help="Of all releases together.", show_default=False)],
    delta: Annotated[
        float, typer.Option("--delta", metavar="D", help="Likewise; below 1 / (10 patients).", show_default=False)
    ],
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="What names the patients, for people.")] = "",
    as_json: opt.Json = False,
) -> None:
    """Begin a budget file. Nothing is ever overwritten, and nothing that is spent is ever given back.

    Example:

        manikin budget new ward.json --epsilon 3 --delta 1e-6 --data "ward 2019 to 2024"
    """
    from manikin.workflow.books import new_book

    made = new_book(file, epsilon=epsilon, delta=delta, data=data)
    if as_json:
        say_json(made.to_json())
        return
    say(f"{file}: epsilon {epsilon:g} at delta {delta:g} for each patient, in all releases together. Use it with --budget {file}")


@budget.command()
def show(file: BudgetFile, as_json: opt.Json = False) -> None:
    """What is spent of a budget file, by which release, and what is left.

    Example:

        manikin budget show ward.json
    """
    from manikin.workflow.books import shown_book

    shown = shown_book(file)
    if as_json:
        say_json(shown.to_json())
        return
    named = f" ({shown.data})" if shown.data else ""
    say(f"{file}{named}: epsilon {shown.epsilon:g} at delta {shown.delta:g} for each patient, in all releases together\n")
    if shown.releases:
        rows = [(name, out, begun, str(n), f"{own:.3g}") for name, out, begun, n, own in shown.releases]
        say_table(("release", "folder", "begun", "spends", "epsilon by itself"), rows)
        say("")
    say(f"Spent: epsilon {shown.spent:.3g} together. {shown.left}")


def _public(told: Mapping[str, Any]) -> list[str]:
    """What a ledger says was free, in a few lines."""
    declared = told.get("declared") or {}
    facts = [f"{name} ({', '.join(map(str, known))})" for name, known in declared.items()] if isinstance(declared, dict) else []
    read_off = " (read off the patients' table, since no schema was given)" if told.get("schema_given") is False else ""
    tables = told.get("tables")
    structure = f"forms, keys, references, times and units of {len(tables)} tables" if isinstance(tables, list) else ""
    return [
        *([structure] if structure else []),
        f"names, order and roles of {len(told.get('columns') or ())} columns{read_off}",
        f"columns left out: {', '.join(map(str, told.get('left_out') or ())) or 'none'}",
        f"facts that a person declared: {', '.join(facts) or 'none'}",
    ]


def _say(found: Audit) -> None:
    delta = "not settled" if found.delta is None else f"{found.delta:.3g}"
    say(f"{found.source}: epsilon {found.epsilon:g}, delta {delta}, for each patient")
    rows = "" if found.rows_per_patient is None else f"; at most {found.rows_per_patient:,} of her rows count"
    say(f"Neighbours: {found.neighbours}{rows}.")
    if found.n_patients is not None:
        say(f"About {found.n_patients:,} patients, as bought with noise.")
    if found.spent is not None:
        mu = "" if found.spent.mu is None else f"; as a Gaussian trade-off curve, mu {found.spent.mu:.3g}"
        say(f"Spent: epsilon {found.spent.epsilon:.4g} by privacy loss distributions, {found.spent.epsilon_rdp:.4g} by Rényi orders{mu}.")
    if found.purposes:
        say("")
        lines = [
            (f"{one.share:6.1%}", str(one.n_events), one.by, one.purpose + (f" ({one.n_columns} columns)" if one.n_columns > 1 else ""))
            for one in found.purposes
        ]
        say_table((" share", "events", "by", "on what"), lines)
    if found.at:
        say("\nWhat any attacker reaches at most, who may know all other patients, the seed and the code:")
        for rate, power in found.at:
            say(f"  who wrongly accuses {rate:.1%} of outsiders finds at most {power:.1%} of the patients")
        say(f"  who held it for a toss-up that a patient is in the data is at most {found.posterior:.0%} sure, but for delta")
    say("")
    for finding in found.findings:
        say(f"[{'pass' if finding.passed else 'FAIL'}] {finding.check}: {finding.words}")
    if found.public:
        say("\nTaken as public:")
        for text in _public(found.public):
            say(f"  {text}")
    say("\nNot covered:")
    for text in found.not_covered:
        say(f"  {text}")
    say(f"\n{'The budget holds: every check passed.' if found.passed else 'The audit FAILED: do not rely on this budget.'}")
