"""Kinds of moments: panels are told apart by their codes, a chain that knows them keeps them together, nobody alone makes one."""

from __future__ import annotations

import numpy as np
import pytest
from linked_tables import built, identifier, moments

import manikin as mk
from manikin.data.errors import ModelFolderError
from manikin.data.schema import Column, Form, Kind, Role, Storage, TableSchema
from manikin.synthesizers.records.chances import counted
from manikin.synthesizers.records.moment_kinds import FEWEST, NO_KIND, MomentKinds, kinds_of

N_PANELS, SIZE, OF_FIRST = 4, 5, 3  # panels, codes of each, and codes of a first moment


def rows(seed: int, n: int = 150, n_moments: int = 17) -> tuple[np.ndarray, ...]:
    """Moments of patients, each of one panel whose codes come in any order, three of five and one code that all panels have; which panel it
    is, -1 for a patient's first moment, which has codes of its own. Returns moments, codes, patients and panels, one entry a row."""
    rng = np.random.default_rng(seed)
    out: list[tuple[int, int, int, int]] = []
    for patient in range(n):
        panel = int(rng.integers(N_PANELS))
        for step in range(n_moments):
            panel = panel if rng.random() < 0.6 else int(rng.integers(N_PANELS))
            codes = 1 + panel * SIZE + rng.choice(SIZE, 3, replace=False)
            own = np.append(codes, 0) if step else 1 + N_PANELS * SIZE + np.arange(OF_FIRST)
            out += [(patient * n_moments + step, code, patient, panel if step else -1) for code in rng.permutation(own).tolist()]
    return tuple(np.array(part, dtype=np.int64) for part in zip(*out, strict=True))


N_CODES = 1 + N_PANELS * SIZE + OF_FIRST


def tables(seed: int) -> mk.Dataset:
    """The same as a table of patients' codes; moments of a patient are hours apart."""
    moment, code, patient, _ = rows(seed)
    return as_tables(code, patient, times(moment, patient))


def times(moment: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """When moments are, six hours apart; patients lie far from each other."""
    return np.datetime64("2020-01-01T00:00") + patient * np.timedelta64(90, "D") + (moment % 17) * np.timedelta64(6, "h")


def as_tables(code: np.ndarray, patient: np.ndarray, time: np.ndarray) -> mk.Dataset:
    """Rows as a table of patients' codes."""
    columns = (
        identifier("patient", Role.PATIENT_KEY),
        Column("at", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M"),
        Column("code", Kind.CATEGORICAL),
    )
    cells = {"patient": [str(i) for i in patient], "at": moments(time), "code": [f"c{i:02d}" for i in code]}
    return built([(TableSchema("codes", columns, form=Form.EVENTS, start="at"), cells)])


def same_panel(data: mk.Dataset) -> float:
    """Of pairs of codes of one moment, both of a panel, how many are of the same one."""
    frame, owner = data.tables["codes"].frame, data.owners["codes"]
    code = np.array([int(own[1:]) for own in frame["code"].astype(str)])
    of_panel = (code > 0) & (code <= N_PANELS * SIZE)
    moment = np.unique(owner * 1_000_000 + frame["at"].to_numpy().astype("datetime64[h]").astype(np.int64), return_inverse=True)[1]
    counts = np.zeros((moment.max() + 1, N_PANELS))
    np.add.at(counts, (moment[of_panel], (code[of_panel] - 1) // SIZE), 1.0)
    total = counts.sum(axis=1)
    return float((counts * (counts - 1)).sum() / np.maximum((total * (total - 1)).sum(), 1))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_panels_are_told_apart_by_their_codes_and_first_moments_stand_apart(seed: int) -> None:
    moment, code, patient, panel = rows(seed)
    kind = kinds_of(moment, code, patient, N_CODES, np.random.default_rng(seed))
    assert len(np.unique(kind[panel < 0])) == 1
    assert kind[panel < 0][0] == kind.max()
    inner = panel >= 0
    assert not (kind[inner] == kind.max()).any()
    shares = np.zeros((kind.max() + 1, N_PANELS))
    np.add.at(shares, (kind[inner], panel[inner]), 1.0)
    assert shares.max(axis=1).sum() / shares.sum() > 0.9, "a kind holds moments of one panel, though not each panel need be one kind"
    assert all(len(np.unique(kind[moment == one])) == 1 for one in np.unique(moment)[:50])


def test_few_moments_single_rows_and_few_patients_have_no_kinds() -> None:
    moment, code, patient, _ = rows(0)
    rng = np.random.default_rng(0)
    nothing = np.zeros(0, dtype=np.int64)
    assert len(kinds_of(nothing, nothing, nothing, 3, rng)) == 0
    few = patient < 40
    assert (kinds_of(moment[few], code[few], patient[few], N_CODES, rng) == NO_KIND).all()
    single = np.unique(moment, return_index=True)[1]
    assert (kinds_of(moment[single], code[single], patient[single], N_CODES, rng) == NO_KIND).all()
    assert (kinds_of(moment, code, patient % (FEWEST - 1), N_CODES, rng) == NO_KIND).all()


def test_a_panel_that_few_patients_have_is_of_no_kind_of_its_own() -> None:
    moment, code, patient, panel = rows(0)
    alone = (panel == 0) & (patient >= FEWEST - 1)
    moment, code, patient, panel = (part[~alone] for part in (moment, code, patient, panel))
    many = np.repeat(np.arange(len(moment)), np.where(panel == 0, 12, 1))  # as often as the others, so that EM finds it
    copy = np.concatenate([np.arange(n) for n in np.where(panel == 0, 12, 1)])
    moment = np.unique(moment[many] * 100 + copy, return_inverse=True)[1]
    order = np.argsort(moment, kind="stable")
    moment, code, patient, panel = moment[order], code[many][order], patient[many][order], panel[many][order]
    kind = kinds_of(moment, code, patient, N_CODES, np.random.default_rng(0))
    for one in np.unique(kind[kind != NO_KIND]):
        assert len(np.unique(patient[kind == one])) >= FEWEST
    assert (kind[panel == 0] == NO_KIND).mean() > 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_codes_of_a_panel_come_at_one_moment(seed: int) -> None:
    data = tables(seed)
    own = mk.synthesizer("markov").fit(data, seed=0)
    made = own.sample(150, seed=seed)
    assert same_panel(data) == 1.0
    assert same_panel(made) > 0.9, "of a chain of codes that does not know what the moment began with 0.5"
    first = np.flatnonzero(np.diff(made.owners["codes"], prepend=-1))
    codes = np.array([int(one[1:]) for one in made.tables["codes"].frame["code"].astype(str)])
    assert (codes[first] > N_PANELS * SIZE).mean() > 0.95, "a record begins as records begin"
    assert (np.delete(codes, first) > N_PANELS * SIZE).mean() < 0.08
    again = type(own)().restore(*own.state()).sample(150, seed=seed)
    assert again.tables["codes"].frame.equals(made.tables["codes"].frame)


def test_what_one_patient_alone_has_is_no_kind_that_is_drawn() -> None:
    moment, code, patient, _ = rows(0)
    n = 777  # moments of codes that nobody else has, which are of no kind
    alone = np.repeat(moment.max() + 1 + np.arange(n), 3)
    more = alone, np.tile(N_CODES + np.arange(3), n), np.full(3 * n, patient.max() + 1)
    both = [np.concatenate([own, new]) for own, new in zip((moment, code, patient), more, strict=True)]
    time = np.datetime64("2020-01-01T00:00") + (both[0] * 6) * np.timedelta64(1, "h")
    kinds = mk.synthesizer("markov").fit(as_tables(both[1], both[2], time), seed=0).state()[1]
    assert kinds["kinds0/next/shares"][NO_KIND] == 0
    assert "kinds0/next/spare" not in kinds or kinds["kinds0/next/spare"][NO_KIND] == 0


@pytest.mark.parametrize("n", [100, 400])
def test_what_ends_the_moments_of_one_patient_alone_ends_nobody_else_s(n: int) -> None:
    """c01 is never the last code of a moment of 150 patients, and always of one more patient."""
    moment, code, patient, _ = rows(0)
    order = np.lexsort([code != 1, moment])
    order = order[(code[order] == 1) | (np.random.default_rng(0).random(len(order)) < 0.7)]
    order = order[~((code[order] == 1) & np.append(np.diff(moment[order]) > 0, True))]
    more = moment.max() + 1 + np.repeat(np.arange(n), 2), np.tile([0, 1], n), np.full(2 * n, patient.max() + 1)
    both = [np.concatenate([own[order], new]) for own, new in zip((moment, code, patient), more, strict=True)]
    time = np.datetime64("2020-01-01T00:00") + both[0] * np.timedelta64(6, "h")
    own = mk.synthesizer("markov").fit(as_tables(both[1], both[2], time), seed=0)
    assert any(name.startswith("kinds0/") for name in own.state()[1])
    assert ends(own.sample(600, seed=0), "c01")[0] < 0.25, "0.32 and 0.35 where she counts"


def ends(data: mk.Dataset, code: str) -> tuple[float, float]:
    """How many rows of a code are the last of their moment, and how many moments end with it."""
    frame = data.tables["codes"].frame
    at, codes = frame["at"].to_numpy(), frame["code"].astype(str).to_numpy()
    last = np.append((at[1:] != at[:-1]) | (np.diff(data.owners["codes"]) > 0), True)
    return float(last[codes == code].mean()), float((codes[last] == code).mean())


def ended(seed: int) -> tuple[np.ndarray, ...]:
    """Some of these rows, where the code that all panels have comes last in its moment."""
    moment, code, patient, _ = rows(seed)
    order = np.lexsort([code == 0, moment])
    order = order[(code[order] == 0) | (np.random.default_rng(seed).random(len(order)) < 0.7)]
    return moment[order], code[order], patient[order]


def test_a_moment_ends_with_the_code_that_ends_it() -> None:
    moment, code, patient = ended(0)
    made = mk.synthesizer("markov").fit(as_tables(code, patient, times(moment, patient)), seed=0).sample(150, seed=0)
    of_code, of_moments = ends(made, "c00")
    assert of_code > 0.8, "0.2 where nothing but the kind and its rows say when it ends"
    assert of_moments > 0.7


FORGED = ["next/parent", "end/parent", "next/shares", "end/shares", "next/starts", "end/starts", "next/tokens", "after", "usual"]


@pytest.mark.parametrize("name", FORGED)
def test_forged_kinds_are_refused(name: str) -> None:
    own = mk.synthesizer("markov").fit(tables(0), seed=0)
    values, arrays = own.state()
    whole = f"kinds0/{name}"
    assert whole in arrays
    forged = arrays | {whole: np.full_like(arrays[whole], 4_007 if "parent" in name else 0)}
    if name == "next/starts":
        forged = arrays | {whole: arrays[whole][:0]}
    elif name in ("end/starts", "next/tokens"):
        forged = arrays | {whole: arrays[whole].astype(float)}
    with pytest.raises(ModelFolderError, match="Save the model again"):
        type(own)().restore(values, forged)
    without = {key: array for key, array in arrays.items() if not key.startswith("kinds0/")}
    with pytest.raises(ModelFolderError, match="Save the model again"):
        type(own)().restore(values, without)


def test_kinds_that_are_too_many_or_too_few_are_refused() -> None:
    rng, everybody = np.random.default_rng(0), np.arange(300)
    of_next = counted(rng.integers(0, 2, 300), np.ones(2, dtype=bool), {}, everybody)
    ends_at = counted(rng.integers(0, 2, 300), np.ones(2, dtype=bool), {}, everybody)
    with pytest.raises(ModelFolderError, match="Save the model again"):
        MomentKinds.from_state(MomentKinds(of_next, ends_at, np.ones(4), np.ones(2)).state())
