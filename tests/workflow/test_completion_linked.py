"""Partially synthetic linked patients: what they have once is kept, in their order, and all their rows are drawn anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from linked_ward import FILES
from manikin.data.errors import DataError, FitError, ParameterError
from manikin.workflow.completion import complete
from manikin.workflow.models import fit_model
from manikin.workflow.options import Options

LIMITS = Options(synthesizer="event_transformer", hyperparameters={"width": 16, "layers": 1}, max_steps=3)
KEEP = ["patients.sex", "died"]


@pytest.fixture(scope="module")
def model(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit_model(ward, out=tmp_path_factory.mktemp("model") / "m", options=LIMITS).out


def people(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "patients.csv")


def test_what_a_patient_has_once_is_kept_and_all_else_is_new(ward: Path, model: Path, tmp_path: Path) -> None:
    done = complete(model, ward, out=tmp_path / "made", keep=KEEP, seed=3)
    before, after = people(ward), people(tmp_path / "made")
    assert (done.unit, done.n_rows, done.out) == ("patients", 120, tmp_path / "made")
    pd.testing.assert_frame_equal(after[["sex", "died"]], before[["sex", "died"]])
    assert set(after["subject_id"]).isdisjoint(before["subject_id"])
    assert (after["born"] != before["born"]).mean() > 0.9
    assert {path.name for path in (tmp_path / "made").iterdir()} == set(FILES.values())
    data = mk.read(tmp_path / "made")
    assert set(data.tables["labs"].frame["subject_id"]) <= set(data.tables["patients"].frame["subject_id"])
    assert "Real cells are kept in patients.sex, died: these are partially synthetic patients" in done.notices[-1]
    made = mk.complete(mk.load(model), ward, keep=KEEP, seed=3)
    assert made.tables["patients"].frame["died"].astype(str).tolist() == before["died"].tolist()
    again = complete(model, ward, out=tmp_path / "again", keep=KEEP, seed=3)
    assert [(again.out / file).read_bytes() for file in FILES.values()] == [(done.out / file).read_bytes() for file in FILES.values()]


def test_one_file_of_the_patients_is_enough(ward: Path, model: Path, tmp_path: Path) -> None:
    few = people(ward).head(5)
    few.to_csv(tmp_path / "patients.csv", index=False)
    complete(model, tmp_path / "patients.csv", out=tmp_path / "made", keep=["sex"])
    assert people(tmp_path / "made")["sex"].tolist() == few["sex"].tolist()


def test_what_cannot_be_is_one_sentence(ward: Path, women: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    for keep, why in (
        (["stays.unit"], "changes from row to row of table 'stays'. Name what a patient has once: patients.sex, patients.born"),
        (["subject_id"], "several tables have"),
        (["patients.born"], "is a date, which is learned as the time since the patient's first event"),
        (["sx"], "no column of a table of patients"),
        (None, "fills no missing cells"),
    ):
        with pytest.raises(ParameterError, match=why):
            complete(model, ward, out=out, keep=keep)
    with pytest.raises(ParameterError, match="name of a file"):
        complete(model, ward, out=tmp_path / "made.csv", keep=["sex"])
    with pytest.raises(DataError, match="none of the tables that the model learned"):
        complete(model, women, out=out, keep=["sex"])
    shutil.copytree(ward, tmp_path / "ward")
    people(ward).head(100).to_csv(tmp_path / "ward" / "patients.csv", index=False)
    with pytest.raises(ParameterError, match="20 of 120 patients have no row in table 'patients'"):
        complete(model, tmp_path / "ward", out=out, keep=["sex"])
    mk.save(mk.synthesizer("independent").fit(mk.read(women), seed=0), tmp_path / "flat")
    with pytest.raises(ParameterError, match="learned no linked tables, and ward holds such"):
        complete(tmp_path / "flat", ward, out=tmp_path / "x.csv", keep=["age"])
    assert not out.exists()


def test_numbers_are_kept_to_the_digit(ward: Path, tmp_path: Path) -> None:
    weighed = tmp_path / "ward"
    shutil.copytree(ward, weighed)
    weight = np.round(np.random.default_rng(0).normal(70, 12, 120), 1)
    people(ward).assign(weight=weight).to_csv(weighed / "patients.csv", index=False)
    model = fit_model(weighed, out=tmp_path / "m", options=LIMITS).out
    complete(model, weighed, out=tmp_path / "made", keep=["weight"])
    assert people(tmp_path / "made")["weight"].tolist() == weight.tolist()


def test_the_end_of_follow_up_is_kept_and_rows_lie_before_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, followed = 60, tmp_path / "followed"
    ends = rng.integers(30, 400, n)
    owner = np.repeat(np.arange(n), 4)
    days = (np.arange(4) * 0.25 * ends[:, None]).astype(int).ravel()
    followed.mkdir()
    sexes = np.array(["F", "M"])[np.arange(n) % 2]
    frame = pd.DataFrame({"id": np.arange(n) + 1, "futime": ends, "status": rng.integers(0, 2, n), "sex": sexes})
    frame.to_csv(followed / "patients.csv", index=False)
    visits = pd.DataFrame({"id": owner + 1, "day": days, "bili": rng.normal(2, 0.5, 4 * n).round(1)})
    visits.to_csv(followed / "visits.csv", index=False)
    model = mk.load(fit_model(followed, out=tmp_path / "m", options=LIMITS).out)
    assert model.codec_.plan_.bound == "futime"
    complete(tmp_path / "m", followed, out=tmp_path / "made", keep=["futime"], seed=1)
    made = people(tmp_path / "made")
    assert made["futime"].tolist() == ends.tolist()
    last = pd.read_csv(tmp_path / "made" / "visits.csv").groupby("id")["day"].max()
    assert (last <= made.set_index("id")["futime"].reindex(last.index)).all()


def test_a_model_that_changes_what_is_kept_is_refused(
    ward: Path, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fitted, data = mk.load(model), mk.read(ward)
    own = data.tables["patients"]
    turned = replace(own, frame=own.frame.assign(sex=own.frame["sex"].iloc[::-1].to_numpy()))
    other = replace(data, tables={**data.tables, "patients": turned})
    monkeypatch.setattr(type(fitted), "sample_batches", lambda *_, **__: iter([other]))
    with pytest.raises(FitError, match=r"'event_transformer' did not keep 'patients.sex' as it was given"):
        mk.complete(fitted, ward, keep=["sex"], seed=1)
    with pytest.raises(FitError, match=r"did not keep 'patients.sex'"):
        complete(model, ward, out=tmp_path / "made", keep=["sex"])
    assert not (tmp_path / "made").exists()
