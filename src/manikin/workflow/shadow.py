"""Learning the chosen generator anew on other rows, for attackers with shadow models: same settings, same steps. Knows no attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from manikin.data.dataset import Dataset
from manikin.privacy.ledger import Ledger
from manikin.release.manifest import Choice
from manikin.workflow.budget import throw_away
from manikin.workflow.learn import Limits, fit
from manikin.workflow.sources import compared
from manikin.workflow.stages import Silent, Stages

LONG_SECONDS = 600.0  # from here on the user is warned beforehand


@dataclass
class ShadowGenerators:
    """Makes as many rows as the release has from a generator that learns anew from the rows it is given, and says how far it is.

    Attributes
    ----------
    choice : the generator that made the release, with its hyperparameters and how it learned: the others take as many steps.
    n_rows, n_all : rows of the release, and how many generators there will be.
    ledger : of the release, whose budget each of them keeps in a ledger of its own. They measure the mechanism, inside the house: their
        spends are nobody's guarantee and their rows never leave, so nothing is paid for them.
    """

    choice: Choice
    n_rows: int
    n_all: int
    stages: Stages
    ledger: Ledger | None = None
    n_done: int = field(default=0, init=False)

    def __call__(self, rows: Dataset, seed: int) -> Dataset:
        """The rows that the generator makes, having learned from these."""
        self.stages.watcher.advance(self.n_done / self.n_all, f"shadow model {self.n_done + 1} of {self.n_all}")
        training = self.choice.training
        limits = Limits(planned_steps=training.get("planned_steps"), stop_at=training.get("steps"))
        settings = self.choice.hyperparameters
        own = None if self.ledger is None else throw_away(self.ledger)
        model = fit(self.choice.name, rows, seed=seed, limits=limits, watcher=Silent(), hyperparameters=settings, ledger=own)
        self.n_done += 1
        made: Dataset = model.sample(self.n_rows, seed=seed)
        return made if own is None else compared(made, rows.columns)[0]


def shadow_generators(
    n: int, choice: Choice, n_rows: int, stages: Stages, *, ledger: Ledger | None = None
) -> Callable[[Dataset, int], Dataset] | None:
    """What retrains the generator; None where no shadow models are wished. Says beforehand about how long they take.

    Each learns from about half of the rows; a generator that learns in steps takes as many steps as the first, so what the
    first took is the measure.
    """
    if not n:
        return None
    seconds = sum(spent.wall_seconds for spent in stages.spent if spent.stage in ("fit", "sample"))
    if any(spent.stage == "fit" for spent in stages.spent):
        text = f"{n} shadow models of {choice.name} take up to about {_duration(n * seconds)}."
        (stages.warn if n * seconds > LONG_SECONDS else stages.note)(text)
    if ledger is not None:
        stages.note(
            "Each shadow model learns under a budget of the same size that is thrown away: they measure the mechanism inside the house, "
            "cost no patient anything as long as their figures stay here, and are not covered by the release's epsilon."
        )
    return ShadowGenerators(choice, n_rows, n, stages, ledger)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes" if seconds >= 90 else f"{max(1, seconds):.0f} seconds"
