"""The privacy budget of a job: its ledger, kept on the disk from the first spend to the last, and the budget file it may share.

Knows no mechanism and no model: what is bought, and for how much, is between the synthesizer and the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from manikin.data.errors import BudgetError, ParameterError
from manikin.data.schema import Role, Schema, Source, TableSchema, is_left_out
from manikin.privacy.accountant import total_precision
from manikin.privacy.events import Gaussian, Threshold
from manikin.privacy.ledger import PLANNED, Ledger, open_book, read_book, read_ledger
from manikin.release.facts import LEDGER
from manikin.release.manifest import hash_file
from manikin.workflow.options import Options
from manikin.workflow.output import CHECKPOINT
from manikin.workflow.stages import Stages

NO_KEY = (
    "The schema names no patient key, so each row counts as a patient of its own. Where a patient may have several rows, give her key the "
    "role patient_key: without it the guarantee is for rows."
)
READ_OFF = (
    "A privacy budget needs a schema: which column is the patient key, what columns are for and which are left out would be read off the "
    "patients otherwise, and no budget pays for that. Draft one with `manikin inspect DATA -o schema.toml`, look at it, and give it with "
    "--schema schema.toml."
)
WEAK = 10  # above this epsilon the number alone says little (Ponomareva et al. 2023, arXiv 2303.00654)
MODEL_FILES = ("config.json", "weights.safetensors")


@contextmanager
def spending(
    folder: Path, options: Options, schema: Schema, stages: Stages
) -> Iterator[Ledger | None]:
    """The ledger of a job in its folder under construction; None without --epsilon. Added up and closed when all went well.

    A ledger that an interruption left is gone on with: what it spent stays spent. With a budget file every spend is written there too.

    Raises
    ------
    BudgetError : the budget, or that of the budget file, does not allow what is asked.
    """
    if options.epsilon is None:
        yield None
        return
    if not schema.is_linked and not schema.only.with_role(Role.PATIENT_KEY):
        stages.note(NO_KEY)
    if options.epsilon > WEAK:
        stages.warn(
            f"Epsilon {options.epsilon:g} is above {WEAK:g}: the ledger stays right, but so large a number protects hardly anybody. The "
            "attacks of the report say more than it does."
        )
    ledger, is_resumed = _ledger(folder / LEDGER, options, schema)
    ledger.public.setdefault("taken_as_public", {})["schema_given"] = True
    can_go_on = not is_resumed or (folder / "model").exists() or _is_kept(folder / CHECKPOINT)
    if not can_go_on and any(isinstance(event, Threshold) for event in ledger.events):
        raise BudgetError(_lost(options))  # lists were bought, their share of delta is gone; no further spend would help
    with ExitStack() as held:
        if options.budget is not None:
            book = held.enter_context(open_book(Path(options.budget), ledger, out=folder.name.removesuffix(".partial")))
            if ledger.is_begun:
                book.write(ledger)
            else:
                book.check(ledger.release, _planned(ledger, book.delta))
        try:
            yield ledger
        except BudgetError as error:
            if can_go_on and not (is_resumed and ledger.answers):
                raise
            raise BudgetError(_lost(options)) from error
        ledger.close()
    why = "that of the budget file" if options.budget is not None else "the power of ten below 1 / (10 patients), with room for that noise"
    tell_spent(ledger, stages, why="as given" if options.delta is not None else why)


def check_budget(options: Options, *, has_schema: bool) -> None:
    """Refuses, before anything is read, a budget without a schema, and a budget file that is none.

    Raises
    ------
    ParameterError : no schema was given, there is no such file, or it is no budget file.
    """
    if options.budget is not None:
        read_book(Path(options.budget))
    if options.epsilon is not None and not has_schema:
        raise ParameterError(READ_OFF)


def _is_kept(checkpoint: Path) -> bool:
    """Whether a checkpoint holds anything: a network's state, or answers that were bought."""
    return any(path.stat().st_size for path in checkpoint.glob("*")) if checkpoint.is_dir() else False


def _lost(options: Options) -> str:
    kept = ""
    if options.budget is not None:
        kept = f" In {Path(options.budget).name} its spends stay: see with `manikin budget show` what still fits."
    return (
        "The interrupted run had begun to spend its budget, what it drew is lost, and what is left does not pay for learning anew. Run "
        f"the command again: it begins a new run.{kept}"
    )


def tell_spent(ledger: Ledger, stages: Stages, *, why: str) -> None:
    """What was bought, in words: the delta and why it is that, the number of patients as bought."""
    bought = f"about {ledger.n_patients:,} patients, as bought with noise" if ledger.n_patients is not None else "its patients"
    rows = "1 row" if ledger.rows_per_patient == 1 else f"{ledger.rows_per_patient:,} rows"
    stages.note(
        f"Learned from {bought}, at most {rows} of each, within epsilon {ledger.epsilon:g} and delta {ledger.delta:.2g} ({why}). "
        f"Every spend is in {LEDGER}; recompute it with `manikin audit`."
    )


def throw_away(ledger: Ledger) -> Ledger:
    """A new ledger of the same budget in memory, for learning the same generator on other rows to measure it; never to release."""
    return Ledger(epsilon=ledger.epsilon, delta=ledger.delta, rows_per_patient=ledger.rows_per_patient)


def seal_model(ledger: Ledger, model: Path) -> None:
    """Writes into the ledger which model it paid for: the SHA-256 of its files."""
    ledger.public["model"] = {name: hash_file(model / name).sha256 for name in MODEL_FILES}
    ledger.close()


def is_private(model: str | Path) -> bool:
    """Whether a model folder, or the run folder that holds it, comes with a ledger."""
    folder = Path(model)
    return (folder / LEDGER).is_file() or (folder.name == "model" and (folder.parent / LEDGER).is_file())


def _ledger(file: Path, options: Options, schema: Schema) -> tuple[Ledger, bool]:
    if file.is_file():
        ledger = read_ledger(file, file=file)
        return ledger, ledger.is_begun
    assert options.epsilon is not None
    delta = options.delta
    if delta is None and options.budget is not None:
        delta = read_book(Path(options.budget)).delta
    ledger = Ledger(epsilon=options.epsilon, delta=delta, rows_per_patient=options.rows_per_patient, file=file)
    ledger.public["taken_as_public"] = taken_as_public(schema)
    return ledger, False


def taken_as_public(schema: Schema) -> dict[str, Any]:
    """What is free: names, order and roles of columns, which of them are left out, and the facts that a person declared.

    Of linked tables columns are named "table.column", and their structure stands under `tables`, as the codec tells it.
    """
    if not schema.is_linked:
        return _public_of(schema.only)
    found: dict[str, Any] = {"patient_key": None, "columns": [], "left_out": [], "roles": {}, "declared": {}}
    for table in schema.of_patients:
        own = _public_of(table)
        found["patient_key"] = found["patient_key"] or own["patient_key"]
        for name in ("columns", "left_out"):
            found[name] += [f"{table.name}.{column}" for column in own[name]]
        for name in ("roles", "declared"):
            found[name] |= {f"{table.name}.{column}": facts for column, facts in own[name].items()}
    return found | {"tables": [table.name for table in schema.tables]}


def _public_of(schema: TableSchema) -> dict[str, Any]:
    declared = {
        column.name: facts
        for column in schema
        if (facts := [fact for fact in ("kind", "levels", "range") if getattr(column.source, fact) is Source.DECLARED])
    }
    key = schema.with_role(Role.PATIENT_KEY)
    return {
        "patient_key": key[0].name if key else None,
        "columns": [column.name for column in schema if not is_left_out(column)],
        "left_out": [column.name for column in schema if is_left_out(column)],
        "roles": {column.name: [str(role) for role in column.roles] for column in schema if column.roles},
        "declared": declared,
    }


def _planned(ledger: Ledger, delta: float) -> list[Gaussian | Threshold]:
    """About what a job will spend of a budget file, if it spends all of its own budget."""
    own = ledger.delta if ledger.delta is not None else delta
    precision = total_precision(PLANNED * ledger.epsilon, 0.9 * own)
    return [Gaussian(float(precision**-0.5)), Threshold(0.1 * own)]


