"""`manikin study augmentation`: does adding generated rows help a downstream model, and whom? Many splits, one fixed real test each.

Knows no generator by name. No generator, resampler or learner ever sees a test row, nor a row that chooses a threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ManikinError, parameter_error
from manikin.data.seeds import derive
from manikin.evaluation.studies.learners import LEARNERS
from manikin.evaluation.studies.resampling import require_smote
from manikin.report.nouns import throughout
from manikin.workflow.judge import shared_columns
from manikin.workflow.learn import Limits, fit
from manikin.workflow.output import check_free, is_resumable, whole_folder
from manikin.workflow.places import name_of, place_of
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.study.arms import Arm, arms, n_wanted, rows_for, told_of
from manikin.workflow.study.cohort import SHARES, Cohort, cohort
from manikin.workflow.study.linked_cohort import LinkedCohort, Sides, linked_cohort, sides_of
from manikin.workflow.study.patients import check_generators, default_of, read_patients
from manikin.workflow.study.record import Studied, file_name, head_of, job_of, piece, publish

DEFAULTS = {"table": ("forest", "autoregressive"), "records": ("markov", "event_transformer")}


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """What decides an augmentation study, besides the data; see `manikin study augmentation --help`."""

    target: str
    positive: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    balance: tuple[str, ...] = ()
    synthesizers: tuple[str, ...] | None = None
    learners: tuple[str, ...] = tuple(LEARNERS)
    skip: tuple[str, ...] = ()
    splits: int = 5
    max_rows: int | None = None
    time_budget_seconds: float | None = None
    max_steps: int | None = None
    seed: int = 0

    def check(self) -> list[Arm]:
        """The arms, when everything is inside its domain.

        Raises
        ------
        ParameterError : names the option and its domain.
        """
        if self.splits < 2:
            raise parameter_error("splits", "study augmentation", "a whole number above 1", self.splits)
        if self.max_rows is not None and self.max_rows < 100:
            raise parameter_error("max-rows", "study augmentation", "a whole number, 100 or above", self.max_rows)
        if self.seed < 0:
            raise parameter_error("seed", "study augmentation", "a whole number, 0 or above", self.seed)
        if not self.learners or any(name not in LEARNERS for name in self.learners):
            raise parameter_error("learner", "study augmentation", f"among {', '.join(LEARNERS)}", ",".join(self.learners))
        return arms(self.synthesizers or (), self.skip)

    def to_json(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def study_augmentation(
    data: str | Path,
    *,
    out: str | Path,
    options: AugmentationOptions,
    schema: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Studied:
    """Runs the study and writes study.json and study.html into the folder `out`.

    After an interruption OUT.partial stays; the same call again goes on from the last finished pair of split and arm.

    Raises
    ------
    InputError : the data or an option cannot be used. MissingExtraError : SMOTE is wanted without imbalanced-learn.
    """
    source, folder, chosen = place_of(data), Path(out), options.check()
    check_free(folder, force=force, inputs=[source, schema])
    if any(arm.way == "smote" for arm in chosen):
        require_smote()
    stages = Stages(watcher or Silent())
    with stages.stage("read", f"Reading {name_of(source)}"):
        given = read_patients(source, options.target, schema=schema)
        options = replace(options, synthesizers=default_of(given, DEFAULTS, options.synthesizers))
        check_generators(options.synthesizers or (), given, source)
        chosen = _titled(options.check(), given)
        patients = (linked_cohort if given.is_linked else cohort)(
            given,
            target=options.target,
            positive=options.positive,
            groups=options.groups,
            balance=options.balance,
            max_rows=options.max_rows,
            seed=options.seed,
        )
        whole = patients.whole if isinstance(patients, LinkedCohort) else patients.data
    for notice in patients.notices:
        stages.note(notice)
    job = job_of("augmentation", source, whole, options.to_json())
    if is_resumable(folder, job):
        stages.note(f"An interrupted run of this study was found beside {folder.name}; going on from there.")
    with whole_folder(folder, force=force, job=job) as partial:
        with stages.stage("trials", f"{options.splits} splits, {len(chosen)} training sets each"):
            trials: dict[str, list[dict[str, Any]]] = {arm.key: [] for arm in chosen}
            for number in range(options.splits):
                for key, trial in _split(partial, patients, chosen, options, number, stages).items():
                    trials[key].append(trial)
        kept = _without_failed(chosen, trials, stages)
        _tell_single(trials, stages)
        _tell_lacking(kept, trials, stages, noun="patients" if whole.is_linked else "rows")
        head = head_of("augmentation", source, whole, options.to_json(), stages)
        document = _document(head, patients, kept, options, {arm.key: trials[arm.key] for arm in kept})
        publish(partial, document)
    files = {"report": folder / "study.html", "results": folder / "study.json"}
    return Studied(folder, files, document)


def _titled(chosen: list[Arm], patients: Dataset) -> list[Arm]:
    """The arms, of linked patients in words of patients."""
    return [replace(arm, title=throughout(arm.title, "patients")) for arm in chosen] if patients.is_linked else chosen


def _split(
    partial: Path, patients: Cohort, chosen: list[Arm], options: AugmentationOptions, number: int, stages: Stages
) -> dict[str, dict[str, Any]]:
    from manikin.evaluation.studies.trial import run_trial

    sides = sides_of(patients, number, options.seed)
    train = sides.rows["train"]
    schema = shared_columns(train, sides.rows["test"], [])
    seed = derive(options.seed, "study", "trial", number) % 2**31
    models: dict[str, Any] = {}
    done: dict[str, dict[str, Any]] = {}
    for i, arm in enumerate(chosen):
        stages.watcher.advance((number * len(chosen) + i) / (options.splits * len(chosen)), f"split {number + 1}, {arm.title}")

        def make(arm: Arm = arm) -> dict[str, Any]:
            try:
                made = _generated(arm, models, sides, patients, options, seed)
            except ManikinError as error:  # one generator that cannot learn here must not cost hours of the others
                return {"failed": str(error)}
            own: dict[str, Any] = {**sides.rows, "made": made, "learner_names": options.learners, "seed": seed}
            trial = run_trial(arm.way, patients.question, schema, **own)
            if made is not None:
                trial["n_lacking"] = n_wanted(arm, train, patients.question) - len(made)
            return trial

        done[arm.key] = piece(partial, f"split{number}-{file_name(arm.key)}", make)
    return done


def _without_failed(chosen: list[Arm], trials: Mapping[str, list[dict[str, Any]]], stages: Stages) -> list[Arm]:
    """The arms that have figures on every split; the others are told of, since means over other splits would not compare."""
    kept = []
    for arm in chosen:
        failed = [number for number, trial in enumerate(trials[arm.key], start=1) if "failed" in trial]
        if failed:
            why = trials[arm.key][failed[0] - 1]["failed"]
            stages.warn(f"'{arm.title}' failed on {len(failed)} of {len(trials[arm.key])} splits and is left out: {why}")
        else:
            kept.append(arm)
    return kept


def _tell_lacking(chosen: list[Arm], trials: Mapping[str, list[dict[str, Any]]], stages: Stages, *, noun: str) -> None:
    """Says which generators, that can only be sifted, made too few rows of the rarer class."""
    for arm in chosen:
        lacking = [trial.get("n_lacking", 0) for trial in trials[arm.key]]
        if any(lacking):
            added = sum(trial["n_added"] for trial in trials[arm.key])
            stages.note(
                f"'{arm.title}' got {added / (added + sum(lacking)):.0%} of the {noun} that it asked for: {arm.generator} cannot be given "
                "a class, and too few of what it drew fell into it."
            )


def _tell_single(trials: Mapping[str, list[dict[str, Any]]], stages: Stages) -> None:
    """Says where SMOTE had one row to go by, which is drawn again as random oversampling does."""
    counts = [trial.get("n_single", 0) for trial in trials.get("smote", ())]
    if any(counts):
        stages.note(
            f"SMOTE had a single row of the rarer class in up to {max(counts)} of the --balance groups, on {sum(map(bool, counts))} of "
            f"{len(counts)} splits: it has no neighbour, and is drawn again."
        )


def _generated(
    arm: Arm, models: dict[str, Any], sides: Sides, patients: Cohort, options: AugmentationOptions, seed: int
) -> Dataset | None:
    """The rows of an arm's generator, which learns once per split."""
    if arm.generator is None:
        return None
    if arm.generator not in models:
        limits = Limits(options.time_budget_seconds, options.max_steps)
        told = told_of(arm.generator, patients.question)
        fitted = fit(arm.generator, sides.learned_from, seed=seed, limits=limits, watcher=Silent(), hyperparameters=told)
        models[arm.generator] = sides.drawing(fitted)
    return rows_for(arm, models[arm.generator], sides.rows["train"], patients.question, seed=seed)


def _document(
    head: Mapping[str, Any],
    patients: Cohort,
    chosen: list[Arm],
    options: AugmentationOptions,
    trials: Mapping[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    from manikin.evaluation.studies.measures import measure_of
    from manikin.evaluation.studies.summary import compared, groups_compared, headline, sentences

    test_to_train = SHARES["test"] / SHARES["train"]
    lines = compared(trials, test_to_train=test_to_train)
    noun = head["data"]["unit"]
    told = sentences(lines, {arm.key: arm.title for arm in chosen}, LEARNERS)
    names = list(dict.fromkeys(line["measure"] for line in lines))
    measures = {name: {"title": measure_of(name).title, "better": str(measure_of(name).direction)} for name in names}
    return {
        **head,
        "question": {
            "target": patients.question.target,
            "positive": patients.question.positive,
            "groups": list(patients.question.groups),
            "balance": list(patients.question.balance),
            "band_edges": {name: list(edges) for name, edges in patients.question.edges.items()},
        },
        "design": {"splits": options.splits, "shares": SHARES, "test_to_train": round(test_to_train, 6)},
        "arms": [_arm_facts(arm, trials[arm.key]) for arm in chosen],
        "learners": {name: LEARNERS[name] for name in options.learners},
        "measures": measures,
        "headline": throughout(headline(told), noun),
        "sentences": [{**one, "text": throughout(one["text"], noun)} for one in told],
        "results": lines,
        "groups": groups_compared(trials, test_to_train=test_to_train),
        "trials": dict(trials),
    }


def _arm_facts(arm: Arm, trials: list[dict[str, Any]]) -> dict[str, Any]:
    facts = {"key": arm.key, "title": arm.title, "generator": arm.generator}
    for name in ("n_train", "n_added", "n_positive", "n_test", "n_test_positive"):
        facts[name] = round(sum(trial[name] for trial in trials) / len(trials), 1)
    return facts
