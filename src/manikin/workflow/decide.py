"""What a job decides before it learns: which generator, within which bounds. Kept beside the work, so that a resumed run decides alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.privacy.ledger import Ledger
from manikin.release.manifest import Choice
from manikin.workflow import auto
from manikin.workflow.learn import AUTO, Limits, check_modality, check_releasable, fit, hyperparameters_of, training_of
from manikin.workflow.linked_notices import withheld_words
from manikin.workflow.options import Options
from manikin.workflow.output import CHECKPOINT, read_json, write_json
from manikin.workflow.stages import Stages

STATE = "state.json"  # in a folder under construction


@dataclass(frozen=True)
class Decision:
    """The generator, what bounds its learning, and whether it has learned already (before an interruption)."""

    choice: Choice
    limits: Limits
    is_fitted: bool = False


def decide(
    partial: Path,
    data: Dataset,
    options: Options,
    stages: Stages,
    *,
    replay: Decision | None = None,
    conditional: bool = False,
) -> Decision:
    """What was decided before an interruption, else what is replayed, else what was asked for, else what `auto` finds.

    Parameters
    ----------
    conditional : whether the job needs a generator that conditions exactly.
    """
    check_modality(options.synthesizer, data)
    state = read_json(partial / STATE)
    if state:
        decision = Decision(Choice.model_validate(state["choice"]), Limits(**state["limits"]), state["is_fitted"])
    else:
        decision = replay or _decide(data, options, stages, conditional)
        _keep(partial, decision)
    if decision.choice.asked == AUTO:
        stages.note(f"auto chose {decision.choice.name}: {' '.join(decision.choice.reasons)}")
    warning = check_releasable(decision.choice.name)
    if warning:
        stages.warn(warning)
    return decision


def learn(
    partial: Path, data: Dataset, decision: Decision, seed: int, stages: Stages, *, ledger: Ledger | None = None
) -> tuple[Any, Choice]:
    """The fitted model and the choice with what it set and how it learned; goes on from the checkpoint where there is one."""
    choice, warned = decision.choice, set[str]()
    with stages.stage("fit", f"Learning with {choice.name}"):
        model = fit(
            choice.name,
            data,
            seed=seed,
            limits=decision.limits,
            watcher=stages.watcher,
            checkpoint=partial / CHECKPOINT,
            hyperparameters=choice.hyperparameters,
            warned=warned,
            ledger=ledger,
        )
    rows_of = getattr(getattr(model, "codec_", None), "withheld_rows", None)  # linked patients have such a codec
    if rows_of is not None and (notice := withheld_words(rows_of())):
        stages.note(notice)
    training = training_of(model)
    for warning in training.get("warnings") or ():
        stages.warn(str(warning), is_shown=warning in warned)
    return model, choice.model_copy(update={"hyperparameters": hyperparameters_of(model), "training": training})


def remember_fitted(partial: Path, decision: Decision, choice: Choice) -> None:
    """Says that the model is saved, so that a resumed run takes it instead of learning again."""
    _keep(partial, replace(decision, choice=choice, is_fitted=True))


def _decide(data: Dataset, options: Options, stages: Stages, conditional: bool) -> Decision:
    if options.synthesizer != AUTO:
        asked = options.synthesizer
        return Decision(Choice(name=asked, asked=asked, hyperparameters=options.settings), options.limits)
    if options.epsilon is not None:
        return Decision(auto.private_choice(data), options.limits)
    with stages.stage("choose", "Choosing a generator"):
        choice = auto.choose(data, options=options, stages=stages, conditional=conditional)
    budget = options.time_budget_seconds
    if budget is not None:  # what is left of it, at least a quarter
        spent = stages.spent[-1].wall_seconds
        budget = round(max(budget - spent, budget / 4), 3)
    return Decision(choice, replace(options.limits, time_budget_seconds=budget))


def _keep(partial: Path, decision: Decision) -> None:
    choice = decision.choice.model_dump(mode="json")
    write_json(partial / STATE, {"choice": choice, "limits": asdict(decision.limits), "is_fitted": decision.is_fitted})
