"""What Python users call beside `read` and `split`: evaluate, report, save, load, complete, augment. Takes data sets, frames or paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.evaluation.base import Results
from manikin.workflow import images, judge
from manikin.workflow.linked import FLAT_ONLY
from manikin.workflow.linked_sources import are_linked, is_linked_source, read_linked_alike
from manikin.workflow.output import whole_file
from manikin.workflow.places import is_image_source
from manikin.workflow.sources import as_wished, read, read_alike, read_flat, read_like, target_in, with_follow_up
from manikin.workflow.stages import Silent, Stages, Watcher

if TYPE_CHECKING:
    from manikin.privacy.ledger import Ledger
    from manikin.workflow.augmentation import Augmented
    from manikin.workflow.wanted_shares import To


def evaluate(
    *,
    train: Any,
    holdout: Any,
    synthetic: Any,
    target: str | None = None,
    time: str | None = None,
    event: str | None = None,
    analyses: Sequence[str] = (),
    partial: bool = False,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    refit: Callable[[Dataset, int], Dataset] | None = None,
    n_refits: int = 16,
    watcher: Watcher | None = None,
) -> Results:
    """Measures and attacks a release, or several, made from `train` by any tool.

    Parameters
    ----------
    train, holdout : real rows that the generator did and did not see: a Dataset, a frame or a path; linked tables as a Dataset, a folder
        or a database's URL; images as a Dataset, a folder or an .npz file.
    synthetic : the same of what it made; a list of them for several releases.
    target : the column a downstream model would predict; the schema's target when None.
    time, event : the columns of follow-up time and of the event; those with these roles in the schema when None.
    analyses : regressions to run on real and synthetic rows, as formulas such as "died ~ age + log(creatinine)" or
        "Surv(time, event) ~ age * sex" (docs/inference.md); one is chosen by the schema when there are none.
    partial : whether the releases keep some cells of real patients, so that several are combined by the rule for partially synthetic data.
    metrics, attacks : names from `manikin list metrics` and `manikin list attacks`; all when None.
    refit : a function of rows (a Dataset) and a seed that gives as many rows as `synthetic` has (a Dataset), which the same generator
        makes from them, for attacks that train it again; those are left out when None.
    n_refits : how often `refit` is asked to, 4 to 256 times; more tell smaller leaks from chance.

    Raises
    ------
    ParameterError : target, time or event is no such column, the name of a metric or attack is unknown, or an analysis cannot be read.
    DataError : a table is empty, or they share no column.
    """
    parts = synthetic if isinstance(synthetic, list | tuple) else [synthetic]
    if is_image_source(train):
        judge.check_asked_of_images(time=time, event=event, analyses=analyses)
        real, (held, *made) = images.read_images_alike(train, [holdout, *parts])
        real = as_wished(real, target=target)
        target = images.label_of(real)
    elif are_linked({"train": train, "holdout": holdout, **{f"synthetic {i + 1}": part for i, part in enumerate(parts)}}):
        real, (held, *made) = read_linked_alike(train, [holdout, *parts])
        if analyses:
            raise ParameterError(f"Analyses do not go with linked tables yet. {FLAT_ONLY['analyses']}")
        real = as_wished(real, target=target, time=time, event=event)
    else:
        real, (held, *made) = read_alike(train, [holdout, *parts])
        if target is not None and target not in real.columns:
            raise ParameterError(f"The target {target!r} is no column of the train table.")
        real = with_follow_up(real, time, event)
    aim = target_in(real) if target is None or real.is_linked else target
    return judge.measure(
        real,
        held,
        made,
        target=aim,
        seed=seed,
        metrics=metrics,
        attacks=attacks,
        refit=refit,
        n_refits=n_refits,
        watcher=watcher,
        analyses=analyses,
        partial=partial,
    )


def report(results: Results, path: str | Path, *, force: bool = False) -> None:
    """Writes report.html: one self-contained page for a reader who is no statistician. It shows real rows, so it is internal."""
    from manikin.report.render import render

    with whole_file(Path(path), force=force) as beside:
        render(results, beside)


def save(model: Any, folder: str | Path, *, force: bool = False) -> None:
    """Saves a fitted synthesizer as config.json and weights.safetensors; nothing is pickled."""
    from manikin.synthesizers.storage import save as store

    store(model, Path(folder), force=force)


def load(folder: str | Path) -> Any:
    """Loads a saved synthesizer.

    Raises
    ------
    ModelFolderError : the folder is not a model of Manikin, or was damaged or changed; the message says which.
    """
    from manikin.synthesizers.storage import load as fetch

    return fetch(Path(folder))


def ledger(
    *, epsilon: float, delta: float | None = None, rows_per_patient: int = 1, file: str | Path | None = None
) -> Ledger:
    """A privacy budget for one fit: everything that a private synthesizer takes from patients is paid for from it.

    Parameters
    ----------
    epsilon : the most that may be spent on each patient, above 0; lower is safer.
    delta : the chance that the guarantee fails; the power of ten below 1 / (10 patients) when None, from the number that is bought.
    rows_per_patient : rows of one patient that count at most; the others are left out at random.
    file : where every spend is kept, on the disk before its noise exists; in memory only when None.

    Examples
    --------
    >>> ledger(epsilon=1.0).is_begun
    False
    """
    from manikin.privacy.ledger import Ledger as Budget

    return Budget(
        epsilon=epsilon, delta=delta, rows_per_patient=rows_per_patient, file=None if file is None else Path(file)
    )


def complete(model: Any, data: Any, *, keep: Sequence[str] | None = None, seed: int = 0) -> Dataset:
    """Rows whose given cells are kept exactly and whose others are drawn by the model.

    Parameters
    ----------
    keep : columns whose cells are kept; all others are made anew (partially synthetic records). None imputes instead: every cell
        with a value is kept and only missing ones are drawn. Of linked patients what they have once is kept ("patients.sex"), and their
        rows are made anew; none of their missing cells are filled.

    Raises
    ------
    ParameterError : a column is unknown, or the model cannot condition.
    DataError : a cell does not fit the schema that the model learned by; the message names the column.
    """
    from manikin.workflow.completion import check_flat_model, completed
    from manikin.workflow.completion_linked import completed_linked
    from manikin.workflow.linked_given import schema_of_patients
    from manikin.workflow.models import schema_of

    if schema_of_patients(model) is not None:
        return completed_linked(model, data, keep=keep, seed=seed)
    check_flat_model(model)
    known = schema_of(model)
    return completed(model, read_flat(data, "complete") if known is None else read_like(data, known), keep=keep, seed=seed)


def augment(
    data: Any,
    *,
    target: str | None = None,
    balance: Sequence[str] = (),
    to: To = "equal",
    mode: str = "hybrid",
    replace: Sequence[str] = (),
    rows: int | None = None,
    synthesizer: str = "auto",
    model: Any | None = None,
    schema: Any | None = None,
    mark: str = "row_origin",
    time_budget_seconds: float | None = None,
    max_steps: int | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    test: Any | None = None,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Augmented:
    """More rows of a rare class or group, or records with some columns made anew; every row is marked for what it is.

    Parameters
    ----------
    data : the rows, linked patients, or images with their labels, to learn from and to augment: a Dataset, a frame or a path. Of an
        experiment the train part only.
    target, balance : the column whose classes are balanced (the schema's target when None), and columns of groups within which they are;
        of linked patients what they have once, such as "patients.died".
    to : "equal", or shares that add up to 1: {"yes": 0.4, "no": 0.6} of the target, {"sex": {"F": 0.5, "M": 0.5}, …}, or the texts of
        the command line.
    mode : "hybrid" adds synthetic rows to the real ones, "full" makes synthetic rows only, "partial" keeps the real records and makes
        only the `replace` columns anew (the schema's sensitive ones when none are named). Only "full" may ever be released.
    rows : hybrid: rows of all balanced cells together; full: rows made.
    model : a fitted synthesizer, or the folder of a saved one, in place of learning `synthesizer`.
    hyperparameters : of the `synthesizer` that is named.
    test : real images that were set aside (a Dataset or a path): `added` of what is returned is what the made images add to the AUC of
        recognising the label that grows most on them, with an interval, beside what repeats of the real images add.

    Returns
    -------
    The table as a `Dataset` (`to_native()` is a frame like yours) with its counts, its statement and its generator; of linked patients
    all tables, every row of a patient marked, for `mk.write(made.data, "folder", like="ward")`.

    Raises
    ------
    InputError : the data, a column or an option cannot be used.
    JobError : the generator could not learn, or broke what was asked of it.

    Examples
    --------
    >>> import pandas as pd
    >>> patients = pd.DataFrame({"age": range(20, 80), "died": ["yes"] * 15 + ["no"] * 45})
    >>> augment(patients, target="died", synthesizer="independent").rows
    {'given': 60, 'real': 60, 'synthetic': 30}
    """
    import dataclasses
    from collections import deque
    from tempfile import TemporaryDirectory

    from manikin.workflow.augmentation import Wishes, names_of
    from manikin.workflow.augmented_patients import augmented_patients
    from manikin.workflow.augmented_worth import Worth, test_images
    from manikin.workflow.augmenting import augmented
    from manikin.workflow.models import open_model
    from manikin.workflow.options import Options

    wishes = Wishes(target=target, balance=names_of(balance), to=to, mode=mode, rows=rows, replace=names_of(replace), mark=mark)
    options = Options(
        synthesizer=synthesizer,
        time_budget_seconds=time_budget_seconds,
        max_steps=max_steps,
        seed=seed,
        hyperparameters=hyperparameters,
    )
    wishes.check()
    options.check("augment")
    if is_linked_source(data, schema):
        patients = read(data, schema=schema)
        if test is not None:
            raise ParameterError("test measures what made images add; these are linked tables. Leave it out.")
    else:
        patients = images.to_augment(data, schema) if is_image_source(data) else read_flat(data, "augment", schema=schema)
    making = augmented_patients if patients.is_linked else augmented
    fitted = open_model(model) if isinstance(model, str | Path) else model
    aside = None if test is None else test_images(test, patients)
    with TemporaryDirectory(prefix="manikin-") as folder:
        stages = Stages(watcher or Silent())
        made = making(patients, wishes, options, model=fitted, folder=Path(folder), stages=stages)
    if aside is None:
        return made
    worth = Worth(patients, aside, made.mark, seed, target)
    deque(worth.watched(iter([made.data])), maxlen=0)
    return dataclasses.replace(made, added=worth.told())
