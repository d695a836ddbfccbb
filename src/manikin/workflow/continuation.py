"""Given patients continued many times under stated conditions: tables of all draws, bands over time, a page. Knows no model by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ParameterError, parameter_error
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage
from manikin.io.formats import FOLDER
from manikin.release.manifest import hash_folder, versions
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow.bands import Values, bands_of, panels_of
from manikin.workflow.held_codes import refuse_excluded
from manikin.workflow.linked import column_named
from manikin.workflow.linked_given import able_model, learned_schema, read_given, tell_empty
from manikin.workflow.linked_sizes import sizes
from manikin.workflow.linked_times import horizon, words_of
from manikin.workflow.models import model_folder
from manikin.workflow.output import check_free, whole_folder, write_json
from manikin.workflow.places import Place, kept_storage, name_of, place_of, writing
from manikin.workflow.places import Storage as Stored
from manikin.workflow.record import INTERNAL
from manikin.workflow.stages import Silent, Stages, Watcher

FORMAT = "manikin-continuation"
TABLES, BANDS, PAGE, DOCUMENT = "continued", "bands.csv", "report.html", "continue.json"
DRAW = "draw"
MOST_DRAWS = 10_000


@dataclass(frozen=True)
class Continued:
    """A folder of continued patients: `tables` counts the drawn rows of each table on average over the draws."""

    out: Path
    files: dict[str, Path]
    n_patients: int
    draws: int
    tables: Mapping[str, float]
    notices: tuple[str, ...]


def continue_patients(
    records: Place,
    model: str | Path,
    *,
    until: str,
    draws: int,
    out: str | Path,
    set: Mapping[str, Any] | None = None,  # noqa: A002 (the command's word)
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Continued:
    """Continues given patients `draws` times and writes the folder `out`: all draws as tables, bands.csv, report.html, continue.json.

    Parameters
    ----------
    records : linked tables of the patients up to now, in the columns that the model learned; others are passed over.
    until : "48h" or "30d" since each patient's first event, "+30d" since her last one, or a date.
    set : column -> value that holds in what is drawn.

    Raises
    ------
    InputError : the model cannot continue, or the records, the time or a column cannot be used. Nothing is written.
    """
    folder, source, held = Path(out), place_of(records), dict(set or {})
    if not 1 <= draws <= MOST_DRAWS:
        raise parameter_error("draws", "continue", f"a whole number from 1 to {MOST_DRAWS:,}", draws)
    if seed < 0:
        raise parameter_error("seed", "continue", "a whole number, 0 or above", seed)
    check_free(folder, force=force, inputs=[source, model])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Loading the model and the patients"):
        fitted = able_model(model, "continues", "continues")
        schema = learned_schema(fitted)
        for name in held:
            column_named(name, schema, "--set")
        data = read_given(source, schema)
        if not len(data):
            raise ParameterError(f"{name_of(source)} holds no patients to continue. Bring tables with rows.")
        tell_empty(data, source, stages)
        ends = horizon(until, data)
        refuse_excluded(data, held, schema, ends)
    stages.warn("The continued tables hold given rows of real patients, and draws that follow from them: treat them like those patients.")
    given, n_new = Values.of(data), np.zeros((draws, len(sizes(data))))
    drawn: list[Values] = []
    with whole_folder(folder, force=force) as partial:
        with stages.stage("continue", f"Continuing {len(data):,} patients, {draws:,} times"):
            made = iter(fitted.continue_(data, until=ends, draws=draws, seed=seed, set=held or None))
            first = next(made)
            with writing(partial / TABLES, _own(first, data, 1).schema, storage=_stored(model)) as writer:
                for i, one in enumerate(chain([first], made)):
                    writer.append(_own(one, data, i + 1))
                    drawn.append(Values.of(one, beyond=data))
                    n_new[i] = [n - sizes(data)[name] for name, n in sizes(one).items()]
                    stages.watcher.advance((i + 1) / draws, f"draw {i + 1:,}")
        steps = bands_of(given, drawn, ends)
        steps.to_csv(partial / BANDS, index=False)
        mean_new = dict(zip(sizes(data), n_new.mean(axis=0).round(2).tolist(), strict=True))
        document = {
            "format": FORMAT,
            "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
            "synthesizer": name_of_model(fitted),
            "records": name_of(source),
            "patients": len(data),
            "draws": draws,
            "until": words_of(until),
            "set": held,
            "seed": seed,
            "tables": [{"table": name, "given": n, "drawn": mean_new[name]} for name, n in sizes(data).items()],
            "panels": panels_of(given, steps, ends, draws=draws),
            "notices": list(stages.notices),
            "internal": INTERNAL,
        }
        with stages.stage("report", "Writing the page"):
            from manikin.report.continuation import render_continuation

            render_continuation(document, partial / PAGE)
        document["files"] = [file.model_dump(mode="json") for file in hash_folder(partial, leave_out=("job.json",))]
        write_json(partial / DOCUMENT, document)
    files = {"continued": TABLES, "bands": BANDS, "report": PAGE, "figures": DOCUMENT}
    return Continued(
        folder, {key: folder / name for key, name in files.items()}, len(data), draws, mean_new, tuple(stages.notices)
    )


def _stored(model: str | Path) -> Stored:
    kept = kept_storage(model_folder(model))
    return kept if kept.format == FOLDER else Stored(FOLDER)


def _own(made: Dataset, given: Dataset, draw: int) -> Dataset:
    """A draw with the keys of the given patients and its number in a last column; the number is a part of each primary key."""
    tables, schemas = {}, []
    keys = _keys_of(given)
    for table in made.schema.tables:
        own = made.tables[table.name]
        if table.form is Form.REFERENCE:
            tables[table.name] = own
            schemas.append(table)
            continue
        frame, marks = own.frame.copy(), dict(own.marks)
        for column in table.with_role(Role.PATIENT_KEY):
            frame[column.name] = _as_column(keys, made.owners[table.name], column)
            marks.pop(column.name, None)
        name = DRAW
        while name in table:
            name += "_number"
        frame[name] = np.full(len(frame), float(draw))
        tables[table.name] = Table(frame, marks)
        number = Column(name, Kind.COUNT, Storage.INTEGER, decimals=0)
        primary = (*table.primary_key, name) if table.primary_key else ()
        schemas.append(replace(table, columns=(*table.columns, number), primary_key=primary, rules=()))
    return Dataset(tables, Schema(tuple(schemas)), made.native)


def _keys_of(data: Dataset) -> pd.Series:
    """The patients' keys as they were given, in the order of the patients."""
    out = pd.Series(np.full(len(data), None, dtype=object))
    for table in data.schema.of_patients:
        for column in table.with_role(Role.PATIENT_KEY)[:1]:
            cells = data.tables[table.name].frame[column.name].astype(object).to_numpy()
            out.iloc[data.owners[table.name]] = cells
    return out


def _as_column(keys: pd.Series, owners: np.ndarray, column: Column) -> Any:
    cells = keys.to_numpy()[owners]
    if column.kind.is_number:
        return cells.astype(float)
    texts = pd.Series([str(int(cell)) if isinstance(cell, float) else cell for cell in cells], dtype=object)
    return texts.astype("category") if column.kind.is_discrete else texts
