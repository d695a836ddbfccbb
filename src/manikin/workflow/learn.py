"""Learning with the options of a job: which generator, under which control, with words about how far it is. Knows no model by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError, parameter_error
from manikin.privacy.answers_kept import AnswersKept
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS, names_of, synthesizer
from manikin.training.signals import HELD_OUT
from manikin.workflow.stages import Watcher
from manikin.workflow.wishes import candidates

if TYPE_CHECKING:
    from manikin.training.control import Progress

AUTO = "auto"
PRIVATE_CHOICE = "aim"  # what `auto` means under a privacy budget, where trying candidates on the data would have to be paid for
PRIVATE_CHOICE_LINKED = "markov"  # the same for linked tables
PRIVATE_COMMANDS = ("synthesize", "fit")
CHECKPOINT_SECONDS = 20.0
KINDS = {"table": "one flat table", "records": "linked tables", "images": "images"}


@dataclass(frozen=True)
class Limits:
    """What bounds learning; None is no bound. All hold for models that learn in steps and mean nothing to the others.

    Attributes
    ----------
    planned_steps, stop_at : what a run that is replayed had planned and where it stopped; they overrule the others.
    """

    time_budget_seconds: float | None = None
    max_steps: int | None = None
    planned_steps: int | None = None
    stop_at: int | None = None


def check_name(name: str) -> None:
    """Refuses a name that is neither `auto` nor registered, with those that are spelled like it."""
    if name != AUTO and name not in SYNTHESIZERS:
        raise ParameterError(f"There is no synthesizer named {name!r}. {candidates(name, [AUTO, *sorted(SYNTHESIZERS)])}")


def check_modality(name: str, data: Dataset, where: str = "the data set", *, with_auto: bool = True) -> None:
    """Refuses a generator of one kind of data (a flat table, linked tables, images) for another; `with_auto` is whether `auto` will do.

    Raises
    ------
    ParameterError : names the generators that fit.
    """
    wanted = data.modality
    if name not in SYNTHESIZERS or SYNTHESIZERS[name].modality == wanted:
        return
    learns, holds = KINDS[SYNTHESIZERS[name].modality], KINDS[wanted]
    able = ", ".join(names_of(wanted)) + (", or auto" if with_auto else "")
    raise ParameterError(f"The synthesizer {name!r} learns {learns}, and {where} holds {holds}. Choose one of {able}.")


def check_learned(model: Any, data: Dataset, where: str = "the data set") -> None:
    """Refuses a model that learned another kind of data (a flat table, linked tables, images) than is given to it.

    Raises
    ------
    ParameterError : says which is which, and the way out.
    """
    from manikin.synthesizers.storage import name_of

    name, wanted = name_of(model), data.modality
    if SYNTHESIZERS[name].modality == wanted:
        return
    learned, holds = KINDS[SYNTHESIZERS[name].modality], KINDS[wanted]
    raise ParameterError(
        f"The model given with --model learned {learned} ({name}), and {where} holds {holds}. Give a model that learned {holds}, or leave "
        "--model out: one is learned then."
    )


def can_be_given(name: str) -> bool:
    """Whether a generator can be given class and groups: any columns, those it is told of, or of linked patients what they have once."""
    entry = SYNTHESIZERS[name]
    return entry.conditions or bool(entry.told_by) or (entry.modality == "records" and entry.some_conditions)


def able_to_be_given(modality: str) -> list[str]:
    """The generators of a kind of data that can be given class and groups, and whose output may be released."""
    return [name for name, entry in SYNTHESIZERS.items() if entry.modality == modality and entry.releasable and can_be_given(name)]


def private_names(modality: str | None = None) -> list[str]:
    """Names of the synthesizers that can learn under a privacy ledger; those of one kind of data, where it is named."""
    return sorted(name for name, entry in SYNTHESIZERS.items() if entry.private and modality in (None, entry.modality))


def check_privacy(
    name: str, epsilon: float | None, delta: float | None, *, command: str = "synthesize", needs: Mapping[str, bool] | None = None
) -> None:
    """Refuses a privacy budget that the command or the synthesizer cannot honour; nothing is ever learned unprotected in its stead.

    Parameters
    ----------
    needs : other options that mean nothing without --epsilon, by name, and whether they are given.

    Raises
    ------
    ParameterError : an epsilon or delta outside its domain, one that this command or synthesizer cannot keep, or a delta alone.
    """
    if epsilon is None:
        alone = [option for option, is_given in {"--delta": delta is not None, **(needs or {})}.items() if is_given]
        if alone:
            raise ParameterError(f"{alone[0]} means nothing without --epsilon. Give both or neither.")
        return
    if not 0 < epsilon < inf:
        raise ParameterError(f"--epsilon must be a finite number above 0. Got {epsilon:g} instead.")
    if delta is not None and not 0 < delta < 1:
        raise ParameterError(f"--delta must be between 0 and 1. Got {delta:g} instead.")
    if command not in PRIVATE_COMMANDS:
        raise ParameterError(
            f"`manikin {command}` cannot keep a privacy budget (epsilon). Those that can are {' and '.join(PRIVATE_COMMANDS)}."
        )
    meant = PRIVATE_CHOICE if name == AUTO else name
    if meant in SYNTHESIZERS and SYNTHESIZERS[meant].private:
        return
    learned = SYNTHESIZERS[meant].modality if meant in SYNTHESIZERS else None
    able = ", ".join(private_names(learned))
    none = f"No generator of {KINDS[learned]} can: leave" if learned and name != AUTO else "Leave"
    way_out = f"Choose one of {able}." if able else f"{none} --epsilon and --delta out."
    asked = "--synthesizer auto" if name == AUTO else f"The synthesizer {name!r}"
    raise ParameterError(f"{asked} cannot keep a privacy budget (epsilon). {way_out}")


def fit(
    name: str,
    data: Dataset,
    *,
    seed: int,
    limits: Limits,
    watcher: Watcher,
    checkpoint: Path | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    warned: set[str] | None = None,
    ledger: Ledger | None = None,
) -> Any:
    """A fitted synthesizer.

    Parameters
    ----------
    checkpoint : where a model that learns in steps keeps what it needs to go on after a kill.
    warned : takes up the monitors' warnings that were shown as they happened.
    ledger : pays for everything that the model takes from the data; None learns without a guarantee.

    Raises
    ------
    FitError : the model could not learn.
    """
    check_modality(name, data)
    model = synthesizer(name, **dict(hyperparameters or {}))
    paid = {} if ledger is None else {"ledger": ledger}
    if not SYNTHESIZERS[name].is_neural:
        if ledger is not None and checkpoint is not None:
            ledger.answers = AnswersKept(checkpoint, ledger)  # networks keep what they learned themselves
        return model.fit(data, seed=seed, **paid)
    from manikin.training.control import Control

    shown: set[str] = set() if warned is None else warned

    def told(progress: Progress) -> None:
        """Passes on how far learning is and how it goes; under a ledger only how far, since nothing else is paid for."""
        if ledger is not None:
            watcher.advance(progress.fraction, f"step {progress.step}")
            return
        watcher.watch(signals_of(progress))
        loss = progress.validation if progress.validation is not None else progress.loss
        has_distance = "drift" in progress.signals
        words = f"step {progress.step}" + ("" if loss is None or has_distance else f", loss {loss:.4g}")
        watcher.advance(progress.fraction, words)
        if progress.warning and progress.warning not in shown:
            shown.add(progress.warning)
            watcher.warn(progress.warning)

    control = Control(
        time_budget_seconds=limits.time_budget_seconds,
        max_steps=limits.max_steps,
        planned_steps=limits.planned_steps,
        stop_at=limits.stop_at,
        checkpoint=checkpoint,
        checkpoint_seconds=CHECKPOINT_SECONDS,
        on_progress=told,
    )
    watcher.watch({})
    try:
        return model.fit(data, seed=seed, control=control, **paid)
    finally:
        watcher.watch({})


def signals_of(progress: Progress) -> dict[str, float]:
    """What a run tells of itself, with its held-out loss where no signal says the same."""
    signals = dict(progress.signals)
    if progress.validation is not None and not {"drift", "bound"} & signals.keys():
        signals[HELD_OUT] = progress.validation
    return signals


def training_of(model: Any) -> dict[str, Any]:
    """What a model says of how it learned (steps, why it stopped, curve); empty for one that does not learn in steps."""
    return dict(getattr(model, "training_", None) or {})


def check_hyperparameters(name: str, hyperparameters: Mapping[str, Any] | None) -> None:
    """Refuses hyperparameters for no generator in particular, and those that the named one does not have.

    Raises
    ------
    ParameterError : names the hyperparameter and those that there are.
    """
    if not hyperparameters:
        return
    if name == AUTO:
        raise ParameterError(
            f"The hyperparameter {next(iter(hyperparameters))!r} is set, but no generator is named. Name one with --synthesizer."
        )
    settings = settings_of(name, hyperparameters)
    kinds = _kinds(SYNTHESIZERS.load(name))
    for key, value in settings.items():
        if key not in kinds:
            raise parameter_error(key, name, f"one of its hyperparameters ({', '.join(kinds) or 'it has none'})", value)
        kind = kinds[key]
        if value is None and "None" not in kind:
            raise parameter_error(key, name, "a value", None)
        if not kind.startswith("tuple") or value is None:
            continue
        is_of_texts = kind.startswith("tuple[str")
        if not isinstance(value, list | tuple) or (is_of_texts and not all(isinstance(one, str) for one in value)):
            raise parameter_error(key, name, f"a list, such as --set {key}={'a,b' if is_of_texts else '[64,64]'}", value)


def settings_of(name: str, hyperparameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Hyperparameters with texts as lists where the generator asks for a list: "sex,age" is two items."""
    if not hyperparameters:
        return {}
    kinds = _kinds(SYNTHESIZERS.load(name))
    return {
        key: value.split(",") if isinstance(value, str) and kinds.get(key, "").startswith("tuple") else value
        for key, value in hyperparameters.items()
    }


def _kinds(made: Any) -> dict[str, str]:
    """The type of each hyperparameter of a synthesizer's class, as it is written; class variables are none."""
    return {one.name: str(one.type) for one in fields(made) if one.init} if is_dataclass(made) else {}


def hyperparameters_of(model: Any) -> dict[str, Any]:
    """The hyperparameters of a model, by name."""
    return {name: getattr(model, name) for name in _kinds(type(model))}


def check_releasable(name: str) -> str | None:
    """A warning when the output of a synthesizer may never be released; None when it may."""
    entry = SYNTHESIZERS[name]
    return None if entry.releasable else f"{name} is a reference, not a release ({entry.summary})."
