"""`manikin study learning-curve`: how many real patients a generator needs. Knows no generator by name.

Each repeat holds patients out, and gives every generator nested samples of the others: the first n of one random order.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset, split
from manikin.data.errors import DataError, InputError, JobError, ParameterError, parameter_error
from manikin.data.seeds import derive, generator
from manikin.workflow.learn import AUTO, Limits, check_name, fit
from manikin.workflow.output import check_free, is_resumable, whole_folder
from manikin.workflow.places import name_of, place_of
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.study.patients import (
    bounded,
    check_generators,
    check_target,
    compared_with,
    default_of,
    first,
    read_patients,
)
from manikin.workflow.study.record import Studied, file_name, head_of, job_of, piece, publish

REAL, WHOLE = "real", "whole"
HOLDOUT = 0.2
DEFAULTS = {"table": ("forest", "autoregressive"), "records": ("markov", "event_transformer")}
MOST_ROWS = 10_000  # synthetic rows or patients drawn at most; as many as the pool of real rows has otherwise
FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class CurveOptions:
    """What decides a learning curve, besides the data; see `manikin study learning-curve --help`."""

    target: str
    synthesizers: tuple[str, ...] | None = None
    sizes: tuple[int, ...] = (100, 200, 500, 1000, 2000, 5000)
    repeats: int = 3
    max_rows: int | None = None
    time_budget_seconds: float | None = None
    max_steps: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Refuses what is outside its domain.

        Raises
        ------
        ParameterError : names the option and its domain.
        """
        for name in self.synthesizers or ():
            check_name(name)
            if name in (AUTO, REAL, WHOLE):
                raise ParameterError(f"A study compares named generators; {name!r} is none. Name them with --synthesizers.")
        if self.synthesizers == ():
            raise ParameterError("A learning curve needs at least one generator. Name them with --synthesizers.")
        if not self.sizes:
            raise ParameterError("A learning curve needs at least one number of patients. Name them with --sizes 100,200,500.")
        if min(self.sizes) < FEWEST:
            raise parameter_error("sizes", "study learning-curve", f"whole numbers, {FEWEST} or above", min(self.sizes))
        if self.seed < 0:
            raise parameter_error("seed", "study learning-curve", "a whole number, 0 or above", self.seed)
        if self.repeats < 1:
            raise parameter_error("repeats", "study learning-curve", "a whole number above 0", self.repeats)
        if self.max_rows is not None and self.max_rows < 100:
            raise parameter_error("max-rows", "study learning-curve", "a whole number, 100 or above", self.max_rows)

    @property
    def compared(self) -> tuple[str, ...]:
        """The generators, once it is known which."""
        return self.synthesizers or ()

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def study_learning_curve(
    data: str | Path,
    *,
    out: str | Path,
    options: CurveOptions,
    schema: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Studied:
    """Runs the study and writes study.json and study.html into the folder `out`.

    After an interruption OUT.partial stays; the same call again goes on from the last finished point.

    Raises
    ------
    InputError : the data or an option cannot be used.
    """
    source, folder = place_of(data), Path(out)
    options.check()
    check_free(folder, force=force, inputs=[source, schema])
    stages = Stages(watcher or Silent())
    with stages.stage("read", f"Reading {name_of(source)}"):
        patients, notice = bounded(read_patients(source, options.target, schema=schema), options.max_rows, options.seed)
        options = replace(options, synthesizers=default_of(patients, DEFAULTS, options.synthesizers))
        check_generators(options.compared, patients, source)
    if notice:
        stages.note(notice)
    check_target(patients)
    n_pool = split(patients, holdout=HOLDOUT, seed=options.seed)[0].n_records
    if n_pool < FEWEST:
        raise DataError(f"Only {n_pool:,} patients can be learned from; a learning curve needs at least {FEWEST}. Bring more.")
    sizes = sorted({size for size in options.sizes if size <= n_pool})
    if not sizes:
        raise ParameterError(
            f"Only {n_pool:,} patients can be learned from, fewer than the smallest of --sizes. Name smaller ones."
        )
    if len(sizes) < len(set(options.sizes)):
        stages.note(f"Sizes above the {n_pool:,} patients that can be learned from are left out.")
    job = job_of("learning-curve", source, patients, options.to_json())
    if is_resumable(folder, job):
        stages.note(f"An interrupted run of this study was found beside {folder.name}; going on from there.")
    with whole_folder(folder, force=force, job=job) as partial:
        with stages.stage("points", f"{options.repeats} repeats, {len(sizes)} sizes, {len(options.compared)} generators"):
            points = [_repeat(partial, patients, sizes, options, number, stages) for number in range(options.repeats)]
        _tell_failed(points, sizes, options, stages)
        document = head_of("learning-curve", source, patients, options.to_json(), stages) | _figures(sizes, options, points)
        publish(partial, document)
    files = {"report": folder / "study.html", "results": folder / "study.json"}
    return Studied(folder, files, document)


def _repeat(
    partial: Path, patients: Dataset, sizes: list[int], options: CurveOptions, number: int, stages: Stages
) -> dict[str, Any]:
    """The points of one repeat: key "size-name" -> figures; "whole" is the pool of real rows itself."""
    from manikin.evaluation.studies.curves import point

    seed = derive(options.seed, "study", "repeat", number) % 2**31
    pool, holdout = split(patients, holdout=HOLDOUT, seed=seed)
    order = generator(seed, "study", "nested").permutation(pool.n_records)
    n_rows = min(len(pool), MOST_ROWS)

    def judged(rows: Dataset, *, with_c2st: bool) -> dict[str, Any]:
        return point(compared_with(pool, holdout, rows, options.target), seed=seed, with_c2st=with_c2st)

    def generated(name: str, size: int) -> dict[str, Any]:
        start = time.process_time()
        try:
            limits = Limits(options.time_budget_seconds, options.max_steps)
            model = fit(name, pool.subset(order[:size]), seed=seed, limits=limits, watcher=Silent())
            rows = model.sample(n_rows, seed=seed)
        except (InputError, JobError) as error:  # too few patients, or a table that a generator refuses, is a result here
            return {"c2st": None, "tstr": {}, "failed": str(error)}
        return judged(rows, with_c2st=True) | {"cpu_seconds": round(time.process_time() - start, 2)}

    points: dict[str, Any] = {}
    tasks = [(size, name) for size in sizes for name in (REAL, *options.compared)]
    whole = first(pool, n_rows)
    points[WHOLE] = piece(partial, f"repeat{number}-{WHOLE}", lambda: judged(whole, with_c2st=False))
    for i, (size, name) in enumerate(tasks):
        done = (number * len(tasks) + i) / (options.repeats * len(tasks))
        stages.watcher.advance(done, f"repeat {number + 1}, {size:,} patients, {name}")

        def make(size: int = size, name: str = name) -> dict[str, Any]:
            if name == REAL:
                return judged(pool.subset(order[:size]), with_c2st=False)
            return generated(name, size)

        points[f"{size}-{name}"] = piece(partial, f"repeat{number}-{size}-{file_name(name)}", make)
    return points


def _tell_failed(points: list[dict[str, Any]], sizes: list[int], options: CurveOptions, stages: Stages) -> None:
    """Says where a generator has no figures, and the first reason."""
    for name in options.compared:
        tried = [one[f"{size}-{name}"] for one in points for size in sizes]
        failed = [found["failed"] for found in tried if "failed" in found]
        if failed:
            stages.warn(f"{name} failed on {len(failed)} of {len(tried)} points, which are left out: {failed[0]}")


def _figures(sizes: list[int], options: CurveOptions, points: list[dict[str, Any]]) -> dict[str, Any]:
    from manikin.evaluation.studies.curves import FIGURES, c2st_of, curve, enough_from, excess, sentence

    curves: list[dict[str, Any]] = []
    sentences = []
    for name in (REAL, *options.compared):
        for figure in FIGURES:
            if name == REAL and figure == "c2st":
                continue
            values = {
                size: [
                    c2st_of(one[f"{size}-{name}"]) if figure == "c2st" else excess(one[f"{size}-{name}"], one[WHOLE])
                    for one in points
                ]
                for size in sizes
            }
            lines = curve(values)
            curves.append({"name": name, "figure": figure, "points": lines, "enough_from": enough_from(lines)})
            title = "The real patients themselves" if name == REAL else name
            sentences.append({"name": name, "figure": figure, "text": sentence(title, FIGURES[figure], lines)})
    return {
        "question": {"target": options.target, "measure": points[0][WHOLE]["measure"]},
        "design": {"repeats": options.repeats, "holdout": HOLDOUT, "sizes": sizes},
        "sentences": sentences,
        "curves": curves,
        "trials": points,
    }
