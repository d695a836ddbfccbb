"""What an augmentation study learns from: the arms, and the rows that generators make for them. Knows no model by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import ParameterError
from manikin.data.seeds import derive, generator
from manikin.evaluation.studies.question import Question
from manikin.evaluation.studies.resampling import Wish, drawn, wishes
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow.learn import AUTO, can_be_given, check_name
from manikin.workflow.study.cohort import group_labels, is_positive

MOST_DRAWS = 50  # rows drawn for each row that is wished of a generator without conditions
LEAST_DRAWN = 1_000  # rows that such a generator is asked for at a time, unless it says how few will do (`least_drawn`)
CLASSIC = {
    "real": "real rows",
    "weighted": "real rows, weighted",
    "oversampled": "real rows, drawn again",
    "smote": "real rows and SMOTE-NC",
}


@dataclass(frozen=True)
class Arm:
    """One training set of the study: `key` names its files and figures."""

    key: str
    title: str
    way: str
    generator: str | None = None


def arms(generators: Sequence[str], skip: Sequence[str] = ()) -> list[Arm]:
    """Real rows, the three classic remedies, and for each generator its rows added to real ones and alone.

    Parameters
    ----------
    skip : "weighted", "oversampled", "smote" or "alone".

    Raises
    ------
    ParameterError : an unknown generator, `auto`, or an arm that cannot be skipped.
    """
    can = [*(key for key in CLASSIC if key != "real"), "alone"]
    for name in skip:
        if name not in can:
            raise ParameterError(
                f"--skip names {name!r}, which is no arm that can be left out. Choose one of {', '.join(can)}."
            )
    for name in generators:
        check_name(name)
        if name == AUTO:
            raise ParameterError(
                "A study compares named generators; 'auto' is none. Name them with --synthesizers: forest,autoregressive, or of linked "
                "tables markov,event_transformer."
            )
    made = [Arm(key, title, key) for key, title in CLASSIC.items() if key not in skip]
    for name in dict.fromkeys(generators):
        made.append(Arm(f"with-{name}", f"real rows and {name}", "added", name))
        if "alone" not in skip:
            made.append(Arm(f"only-{name}", f"{name} alone", "alone", name))
    return made


def rows_for(arm: Arm, model: Any, train: Dataset, question: Question, *, seed: int) -> Dataset:
    """The generated rows of an arm: as many as train has, or those that the rarer class lacks, conditioned on exactly.

    A generator that takes no conditions is asked for rows until enough of the wished class and group have come, at most 50 for each;
    what is missing then stays missing. One that is told beforehand what it will be given (`told_of`) keeps to it exactly.
    """
    own = derive(seed, "study", "sample") % 2**31
    if arm.way == "alone":
        return model.sample(len(train), seed=own)
    wanted = _wanted(train, question)
    columns = [question.target, *question.balance]
    if arm.generator is not None and can_be_given(arm.generator):
        given = train.only(columns).take(drawn(wanted, generator(seed, "study", "conditions")))
        return model.sample(len(given), seed=own, conditions=given)
    return _sifted(model, train, wanted, columns, own)


def told_of(generator: str, question: Question) -> dict[str, Any]:
    """What a generator is told before it learns, so that it can be given class and groups; nothing where any columns may be given."""
    told_by = SYNTHESIZERS[generator].told_by
    return {told_by: [question.target, *question.balance]} if told_by else {}


def n_wanted(arm: Arm, train: Dataset, question: Question) -> int:
    """How many generated rows an arm asks for."""
    return len(train) if arm.way == "alone" else sum(wish.n for wish in _wanted(train, question))


def _wanted(train: Dataset, question: Question) -> list[Wish]:
    positive = is_positive(train, question.target, question.positive)
    return wishes(positive, [group_labels(train, name) for name in question.balance])


def _sifted(model: Any, train: Dataset, wanted: Sequence[Wish], columns: Sequence[str], seed: int) -> Dataset:
    """Rows of an unconditional generator that fall into the wished cells, as many as wished or as come."""
    cells = {tuple(group_labels(train, name)[wish.rows[0]] for name in columns): wish.n for wish in wanted}
    total = sum(cells.values())
    left, kept, n_drawn, batch = dict(cells), [], 0, max(total, getattr(model, "least_drawn", LEAST_DRAWN))
    while any(left.values()) and n_drawn < MOST_DRAWS * total:
        rows = model.sample(batch, seed=derive(seed, "sift", n_drawn) % 2**31)
        n_drawn += batch
        labels = list(zip(*(group_labels(rows, name) for name in columns), strict=True))
        chosen = []
        for position, label in enumerate(labels):
            if left.get(label, 0) > 0:
                left[label] -= 1
                chosen.append(position)
        kept.append(rows.take(np.array(chosen, dtype=np.int64)))
    return concat(kept) if kept else model.sample(0, seed=seed)
