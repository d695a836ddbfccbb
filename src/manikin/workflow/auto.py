"""`auto`: which registered generator suits a table, by a score on patients that the candidates did not see. Knows none by name.

The holdout is never touched: the candidates learn from one part of train and are judged on another part of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from manikin.data.dataset import Dataset, split
from manikin.data.errors import DataError, ManikinError, ParameterError
from manikin.data.seeds import derive
from manikin.evaluation import METRICS
from manikin.release.manifest import Choice
from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry, names_of
from manikin.workflow.learn import AUTO, PRIVATE_CHOICE, PRIVATE_CHOICE_LINKED, Limits, fit
from manikin.workflow.linked import n_learned
from manikin.workflow.options import Options
from manikin.workflow.sources import target_of
from manikin.workflow.stages import Stages, Watcher

FEWEST_PATIENTS = (
    20  # below this nothing is learned: eleven patients share a value before it is shown, so less than two values fit
)
HONEST_PATIENTS = 100  # below either of these two the user is warned
HONEST_PATIENTS_PER_COLUMN = 5
LARGE_ROWS = (
    5_000  # from here on the candidates are not compared: the network wins on every table measured, and trials cost most
)
SMALL_BUDGET_SECONDS = 30.0  # a network learns too little in less
TRIAL_SHARE = 0.4  # of a time budget, for all candidates' trials together
SMALL_ROWS = 1_500  # below this one trial rests on too few kept rows to tell candidates apart, and trials are cheap
SMALL_TRIALS = 3
MOST_VOXELS = 64  # a side of volumes: no network was measured on larger ones
FEWEST_FOR_NETWORKS = 200  # images
TIE = 0.01  # AUCs closer than this are a tie, broken by TSTR
_SCORES = ("c2st", "tstr")


@dataclass(frozen=True)
class Trial:
    """How one candidate did: C2ST AUC (lower is better, from 0.5), TSTR (higher is better), and seconds."""

    name: str
    c2st: float
    tstr: float | None
    seconds: float

    @property
    def text(self) -> str:
        """`forest 0.587`."""
        return f"{self.name} {self.c2st:.3f}"


def check_enough(train: Dataset, stages: Stages, *, has_holdout: bool = False) -> None:
    """Refuses or warns when the patients are too few to synthesize honestly.

    Fewer than 20 patients to learn from are refused. Fewer than 100, or fewer than 5 for each learned column, are learned from with
    a warning: what comes out is then either noise or close to single patients.

    Parameters
    ----------
    has_holdout : whether other patients were set aside, which the message then says.

    Raises
    ------
    DataError : fewer than 20 patients.
    """
    n_columns = n_learned(train.schema) if train.is_linked else len(train.columns.learned)
    check_number(train.n_records, n_columns, stages, has_holdout=has_holdout)


def check_number(
    n_patients: int, n_columns: int, stages: Stages, *, has_holdout: bool = False, is_bought: bool = False
) -> None:
    """The same from the numbers. A number that was bought under a privacy budget is noisy and paid for: it only warns."""
    if n_patients < FEWEST_PATIENTS and not is_bought:
        raise DataError(
            f"There are {n_patients} patients to learn from{' after the holdout is set aside' if has_holdout else ''}; fewer than "
            f"{FEWEST_PATIENTS} are not learned from, since every row would either be invented or point at one of them. Bring more "
            "patients."
        )
    if n_patients < max(HONEST_PATIENTS, HONEST_PATIENTS_PER_COLUMN * n_columns):
        stages.warn(
            f"INSUFFICIENT DATA: {n_patients} patients for {n_columns} columns are too few to learn from honestly (at least "
            f"{HONEST_PATIENTS} patients, and {HONEST_PATIENTS_PER_COLUMN} for each column, are wanted): made rows may be noise, or close "
            "to single patients. Do not rely on them, and measure what they expose before anyone else sees them."
        )


def choose(train: Dataset, *, options: Options, stages: Stages, conditional: bool = False) -> Choice:
    """The generator to use and why; with `conditional` only those that condition exactly are candidates.

    From 5,000 rows on the first neural candidate is taken without a trial, unless the time budget is below 30 seconds. Smaller tables
    decide by trial: every releasable candidate learns from three quarters of the patients of `train` and is told apart from the other
    quarter (C2ST AUC, lower is better); a tie within 0.01 goes to the better TSTR. Below 1,500 rows the mean of three such trials,
    each with another quarter kept, decides.

    Raises
    ------
    ParameterError : no candidate is installed.
    """
    if train.is_linked:
        return _of_patients(conditional=conditional)
    if train.modality == "images":
        return _of_images(train, options, conditional=conditional)
    names = candidates(conditional=conditional)
    if not names:
        raise ParameterError(
            "No generator that may be released is installed, so auto cannot choose. Name one with --synthesizer."
        )
    networks = [name for name in names if SYNTHESIZERS[name].is_neural]
    budget = options.time_budget_seconds
    if budget is not None and budget < SMALL_BUDGET_SECONDS and len(names) > len(networks) > 0:
        names = [name for name in names if name not in networks]
        reason = f"a network learns too little within {budget:g} s."
        if len(names) == 1:
            return Choice(name=names[0], asked=AUTO, reasons=(reason,))
        stages.note(f"Networks are not tried: {reason}")
        networks = []
    if len(train) >= LARGE_ROWS and networks:
        why = f"with {len(train):,} rows to learn from, a network does best; smaller tables are decided by trial."
        return Choice(name=networks[0], asked=AUTO, reasons=(why,))
    if len(names) == 1:
        return Choice(name=names[0], asked=AUTO, reasons=("it is the only candidate.",))
    return _by_trial(names, train, options, stages)


def private_choice(data: Dataset) -> Choice:
    """What `auto` means under a privacy budget: one generator whatever the data, since to try several on them would have to be paid for."""
    why = "under a privacy budget it is taken for every table without a look at the data, since to try several would have to be paid for."
    name = PRIVATE_CHOICE_LINKED if data.is_linked else PRIVATE_CHOICE
    return Choice(name=name, asked=AUTO, reasons=(why,))


def _of_patients(*, conditional: bool) -> Choice:
    """What `auto` means for linked tables: the first generator that stands for choice, without a trial, which would cost as much again."""
    names = candidates(conditional=conditional, modality="records")
    if not names:
        known = [name for name in names_of("records") if SYNTHESIZERS[name].releasable and _is_here(name)]
        way_out = f"Name one of {', '.join(known)} with --synthesizer." if known else "Make one table with a row per patient."
        raise ParameterError(f"No generator of linked tables stands for auto. {way_out}")
    why = "for linked tables it is taken without a trial, which would cost as much again."
    return Choice(name=names[0], asked=AUTO, reasons=(why,))


def _of_images(train: Dataset, options: Options, *, conditional: bool) -> Choice:
    """What `auto` means for images: the first network that stands for choice and learns such images; another where it cannot learn enough.

    No trial: one costs as much as the learning itself. What is decided is the number of images and the time alone, never the holdout.
    """
    form = train.columns.images[0].image
    if form is None or form.size is None:
        raise ParameterError(
            "The images differ in size. Name a generator and the size at which it learns: --synthesizer image_pca --set size=64."
        )
    size, is_pair = form.size, len(train.columns.images) == 2
    names = [name for name in candidates(conditional=conditional, modality="images") if _learns_images(SYNTHESIZERS[name], size, is_pair)]
    if not names:
        known = [name for name in names_of("images") if SYNTHESIZERS[name].releasable and _is_here(name)]
        raise ParameterError(f"No generator of such images stands for auto. Name one of {', '.join(known)} with --synthesizer.")
    networks = [name for name in names if SYNTHESIZERS[name].is_neural]
    others = [name for name in names if name not in networks]
    budget = options.time_budget_seconds
    if networks and others and budget is not None and budget < SMALL_BUDGET_SECONDS:
        return Choice(name=others[0], asked=AUTO, reasons=(f"a network learns too little of images within {budget:g} s.",))
    if networks and others and len(train) < FEWEST_FOR_NETWORKS:
        why = f"with {len(train):,} images a network would learn them by heart (from {FEWEST_FOR_NETWORKS} on one is taken)."
        return Choice(name=others[0], asked=AUTO, reasons=(why,))
    if networks:
        return Choice(name=networks[0], asked=AUTO, reasons=("for images it is taken without a trial, which would cost as much again.",))
    return Choice(name=others[0], asked=AUTO, reasons=("no network that learns such images stands for auto; its images are blurred.",))


def _learns_images(entry: SynthesizerEntry, size: tuple[int, ...], is_pair: bool) -> bool:
    """Whether a generator is one for images of this size, by its line in the registry."""
    fewest, most = entry.pixels or (1, max(size))
    learns_axes = len(size) == 2 or (entry.volumes and (not entry.is_neural or max(size) <= MOST_VOXELS))
    return entry.pairs == is_pair and learns_axes and fewest <= min(size) and max(size) <= most


def candidates(*, conditional: bool = False, modality: str = "table") -> list[str]:
    """Names of the generators that stand for choice, whose output may be released and that can be imported here."""
    fit = [name for name, entry in SYNTHESIZERS.items() if entry.auto and entry.releasable and entry.modality == modality]
    return [name for name in fit if (SYNTHESIZERS[name].conditions or not conditional) and _is_here(name)]


def _is_here(name: str) -> bool:
    try:
        SYNTHESIZERS.load(name)
    except ImportError:  # its extra is not installed; `list synthesizers` says so
        return False
    return True


def _by_trial(names: list[str], train: Dataset, options: Options, stages: Stages) -> Choice:
    n_trials = SMALL_TRIALS if len(train) < SMALL_ROWS else 1
    seeds = [derive(options.seed, "auto", i) % 2**31 for i in range(n_trials)]
    budget = options.time_budget_seconds
    limits = Limits(None if budget is None else TRIAL_SHARE * budget / (n_trials * len(names)), options.max_steps)
    share = 1 / (n_trials * len(names))
    trials, failed = [], []
    for i, name in enumerate(names):
        watchers = [_Part(stages.watcher, name, (i * n_trials + k) * share, share) for k in range(n_trials)]
        try:
            trials.append(
                _mean([_trial(name, train, seed, limits, watcher) for seed, watcher in zip(seeds, watchers, strict=True)])
            )
        except ManikinError as error:
            failed.append(f"{name} could not be tried ({error})")
    if not trials:
        raise DataError(f"No generator could learn from these data: {'; '.join(failed)}")
    best = min(trials, key=lambda trial: trial.c2st)
    tied = [trial for trial in trials if trial.c2st - best.c2st <= TIE]
    won = max(tied, key=lambda trial: (-math.inf if trial.tstr is None else trial.tstr, -trial.c2st))
    reasons = [
        f"told apart from patients that no candidate saw with AUC {', '.join(t.text for t in sorted(trials, key=lambda t: t.c2st))} "
        "(0.5 is best)" + (f"; within {TIE:g} the better downstream model decides." if len(tied) > 1 else ".")
    ]
    scores = {trial.name: _scores(trial) for trial in trials}
    return Choice(name=won.name, asked=AUTO, reasons=(*reasons, *(f"{text}." for text in failed)), scores=scores)


def _scores(trial: Trial) -> dict[str, float]:
    scores = {"c2st": trial.c2st, "seconds": trial.seconds}
    return scores if trial.tstr is None else {**scores, "tstr": trial.tstr}


def _mean(trials: list[Trial]) -> Trial:
    tstr = [trial.tstr for trial in trials if trial.tstr is not None]
    c2st = fmean(trial.c2st for trial in trials)
    return Trial(
        trials[0].name,
        round(c2st, 6),
        round(fmean(tstr), 6) if tstr else None,
        round(sum(trial.seconds for trial in trials), 2),
    )


def _trial(name: str, train: Dataset, seed: int, limits: Limits, watcher: Watcher) -> Trial:
    from manikin.workflow.judge import measure

    start = time.monotonic()
    watcher.advance(0.0)
    part, kept = split(train, holdout=0.25, seed=seed)
    model = fit(name, part, seed=seed, limits=limits, watcher=watcher)
    synthetic = model.sample(len(part), seed=seed)
    metrics = [metric for metric in _SCORES if metric in METRICS]
    results = measure(part, kept, [synthetic], target=target_of(part.columns), seed=seed, metrics=metrics, attacks=(), with_views=False)
    c2st = results["c2st"].value
    tstr = results["tstr"].value if "tstr" in results else None
    return Trial(name, 1.0 if c2st is None else c2st, tstr, round(time.monotonic() - start, 2))


class _Part:
    """Shows a trial as its share of the whole choice."""

    def __init__(self, watcher: Watcher, name: str, start: float, share: float) -> None:
        self._watcher, self._name, self._start, self._share = watcher, name, start, share

    def stage(self, title: str) -> None:
        """A trial has no stages."""

    def advance(self, fraction: float | None, note: str = "") -> None:
        """Moves the bar of the choice by the trial's share."""
        done = self._start + self._share * (fraction or 0.0)
        self._watcher.advance(done, f"trying {self._name}{', ' if note else ''}{note}")

    def watch(self, signals: Mapping[str, float]) -> None:
        """Passes it on."""
        self._watcher.watch(signals)

    def note(self, text: str) -> None:
        """Passes it on."""
        self._watcher.note(text)

    def warn(self, text: str) -> None:
        """Passes it on, as a word on the candidate."""
        self._watcher.warn(f"Trying {self._name}: {text}")
