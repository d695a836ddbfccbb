"""`manikin study tradeoff`: what privacy costs. Fidelity, utility and attacks at each epsilon, over several seeds.

Knows no generator by name but the floor that all are compared with. Every budget has a ledger of its own, and no ledger covers the study:
its releases never leave memory, and its figures are made of patients without protection.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from math import inf, isinf
from pathlib import Path
from traceback import extract_tb
from typing import Any

from manikin.data.dataset import Dataset, split
from manikin.data.errors import DataError, ManikinError, ParameterError, parameter_error
from manikin.data.seeds import derive
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow.learn import AUTO, Limits, check_name, fit, private_names
from manikin.workflow.output import check_free, is_resumable, read_json, whole_folder
from manikin.workflow.places import Place, name_of, place_of
from manikin.workflow.sources import compared
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.study.epsilon_papers import papers
from manikin.workflow.study.patients import (
    bounded,
    check_generators,
    check_target,
    compared_with,
    default_of,
    each_by_itself,
    read_patients,
)
from manikin.workflow.study.record import Studied, file_name, job_of, piece, publish

LOG = logging.getLogger(__name__)
REAL, FLOOR = "real", "independent"  # lines to read the others by: the train rows themselves, and columns drawn one by one
AT_INF = "@inf"
HOLDOUT = 0.2
NO_FLOOR = "Linked tables have no line of columns drawn one by one to be compared with."
FILES = {"report": "study.html", "results": "study.json", "figures": "study.csv", "picture": "study.svg"}
DEFAULTS = {"table": ("aim", "autoregressive"), "records": ("markov", "event_transformer")}
FEWEST = 100  # patients; fewer cannot be learned from and attacked


@dataclass(frozen=True)
class Job:
    """One fit of each seed: a generator and its epsilon, infinite where it learns without a ledger."""

    synthesizer: str
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class TradeoffOptions:
    """What decides a trade-off study, besides the data; see `manikin study tradeoff --help`."""

    target: str | None = None
    epsilons: tuple[float, ...] = (0.1, 0.5, 1.0, 3.0, 10.0, inf)
    synthesizers: tuple[str, ...] | None = None
    seeds: int = 3
    delta: float | None = None
    rows_per_patient: int = 1
    max_rows: int | None = None
    time_budget_seconds: float | None = None
    max_steps: int | None = None
    seed: int = 0

    def check(self) -> list[Job]:
        """The fits of one seed, when everything is inside its domain; the lines of reference come first.

        Raises
        ------
        ParameterError : names the option and its domain, or the generator that cannot keep a budget.
        """
        if not self.epsilons or any(not epsilon > 0 for epsilon in self.epsilons):
            raise parameter_error("epsilons", "study tradeoff", "numbers above 0, or inf", ",".join(map(_text, self.epsilons)))
        if self.delta is not None and not 0 < self.delta < 1:
            raise parameter_error("delta", "study tradeoff", "a number in (0, 1)", self.delta)
        for name, least, value in (
            ("seeds", 1, self.seeds),
            ("rows-per-patient", 1, self.rows_per_patient),
            ("seed", 0, self.seed),
            ("max-rows", FEWEST, self.max_rows),
        ):
            if value is not None and value < least:
                raise parameter_error(name, "study tradeoff", f"a whole number, {least} or above", value)
        if self.synthesizers == ():
            raise ParameterError("A trade-off study needs at least one generator. Name them with --synthesizers.")
        jobs = [Job(REAL, inf), *(Job(FLOOR, epsilon) for epsilon in self.along(FLOOR))]
        for asked in self.synthesizers or ():
            jobs += self._jobs(asked)
        return list(dict.fromkeys(jobs))

    def along(self, name: str) -> list[float]:
        """The epsilons at which a generator is fitted, in ascending order."""
        every = sorted(set(self.epsilons))
        return every if SYNTHESIZERS[name].private else [epsilon for epsilon in every if isinf(epsilon)]

    def _jobs(self, asked: str) -> list[Job]:
        """The fits of one generator as it was asked for: NAME, or NAME@inf."""
        name = asked.removesuffix(AT_INF)
        check_name(name)
        if name in (AUTO, REAL):
            raise ParameterError(f"A study compares named generators; {name!r} is none. Name them with --synthesizers.")
        if name != asked:
            return [Job(name, inf)]
        if not SYNTHESIZERS[name].private and any(not isinf(epsilon) for epsilon in self.epsilons) and name != FLOOR:
            able = ", ".join(private_names(SYNTHESIZERS[name].modality)) or "none so far"
            raise ParameterError(
                f"The synthesizer {name!r} cannot keep a privacy budget (epsilon); able are: {able}. "
                f"Write {name}{AT_INF} to compare it without a budget only, or leave it out."
            )
        return [Job(name, epsilon) for epsilon in self.along(name)]

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values; an infinite epsilon is "inf"."""
        made = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**made, "epsilons": [plain(epsilon) for epsilon in self.epsilons]}


def study_tradeoff(
    data: str | Path,
    *,
    out: str | Path,
    options: TradeoffOptions,
    schema: str | Path | None = None,
    force: bool = False,
    extend: bool = False,
    watcher: Watcher | None = None,
) -> Studied:
    """Runs the study and writes study.json, study.csv, study.html and study.svg into the folder `out`.

    After an interruption OUT.partial stays; the same call again goes on from the last finished fit, with more seeds, epsilons and
    generators too. With `extend` a finished study in `out` is taken up in the same way; fits that failed are tried again.

    Raises
    ------
    InputError : the data or an option cannot be used, or `out` holds no study that can be extended.
    """
    from manikin.report.study_tradeoff import render_picture

    source, folder = place_of(data), Path(out)
    options.check()
    check_free(folder, force=force or extend, inputs=[source, schema])
    stages = Stages(watcher or Silent())
    with stages.stage("read", f"Reading {name_of(source)}"):
        patients, notice = bounded(read_patients(source, options.target, schema=schema), options.max_rows, options.seed)
        options = replace(options, synthesizers=default_of(patients, DEFAULTS, options.synthesizers))
        jobs = _jobs_for(patients, source, options)
    if notice:
        stages.note(notice)
    target = _target(patients, stages)
    if patients.n_records < FEWEST:
        raise DataError(f"The data have {patients.n_records:,} patients; a trade-off study needs at least {FEWEST}. Bring more.")
    _tell_floor(patients, options, stages)
    shared = {name: value for name, value in options.to_json().items() if name not in ("seeds", "epsilons", "synthesizers")}
    job = job_of("tradeoff", source, patients, shared)
    if is_resumable(folder, job):
        stages.note(f"An interrupted run of this study was found beside {folder.name}; going on from there.")
    known = _finished(folder, job) if extend else []
    has_budget = any(not isinf(job.epsilon) for job in jobs)
    plain_rows = each_by_itself(source, patients, options.max_rows, options.seed) if has_budget else patients
    with whole_folder(folder, force=force or extend, job=job) as partial:
        for trial in known:
            _keep(partial, trial)
        with stages.stage("fits", f"{options.seeds} seed{'s' if options.seeds > 1 else ''}, {len(jobs)} fits each"):
            trials = [
                trial
                for number in range(options.seeds)
                for trial in _one_seed(partial, (patients, plain_rows), target, jobs, options, number, stages)
            ]
        _tell_failed(trials, stages)
        document = papers(partial, source, patients, options.to_json(), trials, stages, target=target, holdout=HOLDOUT)
        document["job"] = job
        render_picture(document, partial / "study.svg")
        publish(partial, document)
    return Studied(folder, {purpose: folder / name for purpose, name in FILES.items()}, document)


def _jobs_for(patients: Dataset, source: Place, options: TradeoffOptions) -> list[Job]:
    """The fits of one seed on such data; linked tables have no floor of columns drawn one by one."""
    check_generators([asked.removesuffix(AT_INF) for asked in options.synthesizers or ()], patients, source)
    jobs = options.check()
    return [job for job in jobs if job.synthesizer != FLOOR] if patients.is_linked else jobs


def _target(patients: Dataset, stages: Stages) -> str | None:
    """The column that models predict: the named one, or the schema's; without one utility is not measured, which is said."""
    target = check_target(patients)
    if target is None:
        stages.note("No target is named, so that utility is not measured. Name the column that a model would predict with --target.")
    return target


def _tell_floor(patients: Dataset, options: TradeoffOptions, stages: Stages) -> None:
    if patients.is_linked:
        stages.note(NO_FLOOR)
        return
    if not SYNTHESIZERS[FLOOR].private and any(not isinf(epsilon) for epsilon in options.epsilons):
        stages.note(f"'{FLOOR}' cannot keep a budget in this version, so that its line of reference is drawn at inf only.")


def _one_seed(
    partial: Path,
    sides: tuple[Dataset, Dataset],
    target: str | None,
    jobs: list[Job],
    options: TradeoffOptions,
    number: int,
    stages: Stages,
) -> list[dict[str, Any]]:
    """All fits of one seed, whose holdout they share; each is kept on the disk when it is done.

    Parameters
    ----------
    sides : the patients as they are judged, and the same as they are handed to a generator under a budget.
    """
    seed = derive(options.seed, "study", "tradeoff", number) % 2**31
    train, holdout = split(sides[0], holdout=HOLDOUT, seed=seed)
    learned_from = split(sides[1], holdout=HOLDOUT, seed=seed)[0]
    done = []
    for i, job in enumerate(jobs):
        at = (number * len(jobs) + i) / (options.seeds * len(jobs))
        stages.watcher.advance(at, f"seed {number + 1}, {job.synthesizer}, epsilon {_text(job.epsilon)}")

        def make(job: Job = job) -> dict[str, Any]:
            facts = {"synthesizer": job.synthesizer, "epsilon": plain(job.epsilon), "seed": number}
            given = train if isinf(job.epsilon) else learned_from
            return facts | _trial(job, given, (train, holdout), target, options, seed)

        done.append(piece(partial, _piece_name(number, job), make))
    return done


def _piece_name(number: int, job: Job) -> str:
    return f"seed{number}-{file_name(job.synthesizer)}-{float(job.epsilon)!r}"


def _keep(partial: Path, trial: dict[str, Any]) -> None:
    """Puts a fit of a finished study where the run looks for what is done."""
    piece(partial, _piece_name(trial["seed"], Job(trial["synthesizer"], float(trial["epsilon"]))), lambda: trial)


def _finished(folder: Path, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The fits of a finished study of the same data and options, without those that failed.

    Raises
    ------
    ParameterError : there is none.
    """
    document = read_json(folder / FILES["results"])
    if not isinstance(document, dict) or document.get("job") != json.loads(json.dumps(job)):
        raise ParameterError(
            f"{folder} holds no finished trade-off study of the same data, version and options. Leave --extend out, or name another --out."
        )
    return [trial for trial in document["trials"] if "failed" not in trial]


def _trial(
    job: Job, given: Dataset, sides: tuple[Dataset, Dataset], target: str | None, options: TradeoffOptions, seed: int
) -> dict[str, Any]:
    """What one fit gives: its figures and its ledger's sum, or why there are none; `given` is train as the generator is handed it."""
    from manikin.evaluation.studies.tradeoff import measured

    (train, holdout), lost = sides, list[str]()
    start, ledger = time.process_time(), None
    try:
        if job.synthesizer == REAL:
            rows, seconds = train, None
        else:
            if not isinf(job.epsilon):
                ledger = Ledger(epsilon=job.epsilon, delta=options.delta, rows_per_patient=options.rows_per_patient)
            limits = Limits(options.time_budget_seconds, options.max_steps)
            model = fit(job.synthesizer, given, seed=seed, limits=limits, watcher=Silent(), ledger=ledger)
            rows = model.sample(len(train), seed=seed)
            if ledger is not None:
                rows, lost = compared(rows, train.schema if train.is_linked else train.columns)
            seconds = round(time.process_time() - start, 2)
        start = time.process_time()
        found = measured(compared_with(train, holdout, rows, target), seed=seed)
    except ManikinError as error:  # a table or a budget that a generator refuses is a result here
        return {"failed": str(error)}
    except Exception as error:  # a defect of one generator must not cost the hours of all the others
        place = extract_tb(error.__traceback__)[-1]  # not the message: it may hold a patient's value
        LOG.warning("%s failed with %s at %s:%s.", job.synthesizer, type(error).__name__, place.filename, place.lineno)
        return {"failed": f"It failed unexpectedly ({type(error).__name__}); please report it."}
    found["figures"]["cpu_seconds"] = {"value": seconds, "interval": None, "reference": None, "note": ""}
    judged = round(time.process_time() - start, 2)
    return found | {"ledger": None if ledger is None else _sum_of(ledger), "not_compared": lost, "judging_cpu_seconds": judged}


def _sum_of(ledger: Ledger) -> dict[str, Any]:
    """What a fit spent, in a line."""
    cost = ledger.cost()
    return {"epsilon": round(cost.epsilon, 6), "delta": cost.delta, "spends": len(ledger.spends)}


def _tell_failed(trials: list[dict[str, Any]], stages: Stages) -> None:
    """Says where a generator has no figures, and the first reason."""
    for name in dict.fromkeys(trial["synthesizer"] for trial in trials):
        own = [trial for trial in trials if trial["synthesizer"] == name]
        failed = [trial for trial in own if "failed" in trial]
        if failed:
            at = ", ".join(dict.fromkeys(_text(float(trial["epsilon"])) for trial in failed))
            stages.warn(
                f"{name} failed on {len(failed)} of {len(own)} fits (epsilon {at}), which are left out: {failed[0]['failed']}"
            )
        lost = sorted({column for trial in own for column in trial.get("not_compared", ())})
        if lost:
            stages.warn(f"Of {name} some columns are not measured, since what was bought reads otherwise: {', '.join(lost)}.")


def plain(epsilon: float) -> float | str:
    """An epsilon as JSON can hold it."""
    return "inf" if isinf(epsilon) else epsilon


def _text(epsilon: float) -> str:
    return f"{epsilon:g}"
