"""Plans that say how numbers drift, drawn before the static fields that they bear out."""

import numpy as np
import pandas as pd
import torch
from linked_tables import BY_DAY, built, once, values_by_code

from manikin.data.cells import texts_of
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind
from manikin.synthesizers.records.event_transformer import EventTransformer
from manikin.synthesizers.records.plan import DRIFT_FROM, PlanFields, PlanNumbers, in_hindsight, make_plan
from manikin.synthesizers.records.plan_first import PlanFirst
from manikin.training.networks.any_order import draw_masks
from manikin.training.networks.event_history import History, Vocabulary
from manikin.training.networks.event_transformer import PlanSlots

RISE = 6.0


def courses(n: int = 320, seed: int = 0) -> Dataset:
    """Six rows of one measurement each; it rises where the patient dies and falls where she does not, about the same mean."""
    rng = np.random.default_rng(seed)
    died = rng.random(n) < 0.4
    patient, day = np.repeat(np.arange(1, n + 1), 6), np.tile(np.arange(6), n)
    course = np.where(died[patient - 1], RISE, -RISE) * (day - 2.5) / 5
    value = 50 + rng.normal(0, 3, n)[patient - 1] + course + rng.normal(0, 0.5, 6 * n)
    people = {"patient": np.arange(1, n + 1).astype(str), "died": np.where(died, "yes", "no")}
    labs = {"patient": patient.astype(str), "day": day.astype(str), "code": np.full(6 * n, "GCS"), "value": [f"{one:.1f}" for one in value]}
    outcome = Column("died", Kind.CATEGORICAL, levels=("no", "yes"))
    return built([(once("people", outcome), people), (values_by_code("labs", BY_DAY), labs)])


def rises(data: Dataset) -> dict[str, float]:
    """What the measurement rises from the first half of a record to the second, by outcome."""
    labs, people = texts_of(data.tables["labs"], data.schema["labs"]), texts_of(data.tables["people"], data.schema["people"])
    owner, value = data.owners["labs"], labs["value"].astype(float).to_numpy()
    place = pd.Series(owner).groupby(owner).cumcount().to_numpy() / np.maximum(np.bincount(owner)[owner] - 1, 1)
    died = people["died"].to_numpy()[owner]
    late, early = (pd.Series(value[half]).groupby(died[half]).mean() for half in (place > 0.5, place < 0.5))
    return {str(one): float(late[one] - early[one]) for one in late.index}


def test_an_outcome_goes_with_the_course_of_what_is_measured() -> None:
    data = courses()
    model = EventTransformer(width=32, layers=1, epochs=8, batch_events=256, dropout=0.0).fit(data, seed=0)
    real, made = rises(data), rises(model.sample(320, seed=1))
    assert made["yes"] > 0.6 * real["yes"] > 1
    assert made["no"] < 0.6 * real["no"] < -1
    assert rises(model.sample(160, seed=2, conditions={"people.died": "yes"}))["yes"] > 0.25 * real["yes"]
    assert rises(model.sample(160, seed=2, conditions={"people.died": "no"}))["no"] < 0.25 * real["no"]

    records = model.codec_.encode(data)
    vocabulary = Vocabulary.of(model.events_.tables)
    history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
    numbers = in_hindsight(model.plan_.slots, history, vocabulary)
    slot = int(np.flatnonzero(model.plan_.slots.drift >= 0)[0])
    own = vocabulary.numbers(history.table[:6].astype(np.int64), history.tokens[:6])
    line = np.polynomial.polynomial.polyfit((2 * np.arange(6) + 1) / 6 - 1, own, 1)
    np.testing.assert_allclose(numbers.drifts[0, slot], line[1], rtol=1e-5)
    np.testing.assert_allclose(numbers.levels[0, slot], line[0], rtol=1e-5)
    static = np.concatenate([records.static, model.plan_.tokens(numbers)], 1).astype(np.int64)
    other = static.copy()
    other[:, model.plan_.slots.n_static :] = other[::-1, model.plan_.slots.n_static :]
    np.testing.assert_array_equal(model._static_nats(static), model._static_nats(other))  # scored with no plan


def test_few_patients_have_no_drift_in_their_plan() -> None:
    rng = np.random.default_rng(0)
    slots = PlanSlots(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([3]), np.array([4]), 0, *[np.zeros(0, np.float32)] * 2)

    def plan_of(n: int) -> PlanFields:
        """The plan of n patients with drifts."""
        numbers = PlanNumbers(np.ones(n), np.full(n, 9.0), np.full((n, 1), 9, np.float32), rng.normal(size=(n, 1)), rng.normal(size=(n, 1)))
        plan = make_plan(slots, numbers, fewest=11)
        assert all((own < len(groups)).all() for own, groups in zip(plan.tokens(numbers).T, plan.groups, strict=True))
        return plan

    assert [len(plan_of(n).groups[4]) > 1 for n in (DRIFT_FROM - 1, DRIFT_FROM)] == [False, True]


def test_static_fields_stand_behind_the_plan_in_the_network() -> None:
    fields = PlanFirst(2, 5)
    assert fields.order.tolist() == [2, 3, 4, 0, 1]
    assert fields.order[fields.place].tolist() == [0, 1, 2, 3, 4]

    class Whole:
        """Says what it was asked."""

        def sample(self, uniform: object, tokens: np.ndarray, given: np.ndarray) -> np.ndarray:
            """The tokens as they came, with what is given marked."""
            del uniform
            return tokens * 10 + given

    tokens, given = np.array([[1, 2, 3, 4, 5]], dtype=np.int32), np.array([True, False, False, False, False])
    drawn = fields.sample(Whole(), np.zeros((1, 5), dtype=np.float32), tokens, given)  # type: ignore[arg-type]
    assert drawn.tolist() == [[11, 20, 30, 40, 50]]
    assert fields.within(None) is None
    asked = fields.within(lambda column, tokens, given: np.array([[column, tokens[0, 0], given[0]]]))
    assert asked(3, tokens[:, fields.order], given[fields.order]).tolist() == [[0, 1, 1]]
    assert asked(2, tokens[:, fields.order], given[fields.order]) is None
    seen = fields.of_static()
    assert seen[:, 3].tolist() == [0, 0, 0, 0, 0]
    assert seen[:, 4].tolist() == [0, 0, 0, 1, 0]


def test_only_columns_that_may_be_given_are_put_in_front() -> None:
    torch.manual_seed(0)
    masks = draw_masks(5, 400, 0.3, given=(3, 4))
    plain = (masks == torch.triu(torch.ones(5, 5), 1)).all((1, 2))
    assert 0.25 < plain.float().mean() < 0.75
    assert (masks[:, 0, 1:3] == 1).all()  # the others keep their order
    assert (masks[:, 1, 2] == 1).all()
    assert (masks[:, 1, 0] == 0).all()
    in_front = (masks[:, 3, 0] == 1) & (masks[:, 4, 0] == 1)
    assert in_front.float().mean() > 0.2
