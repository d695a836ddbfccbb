"""Patients unlike reference patients: planted ones are found, ordinary ones are flagged as often as was said, no value is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import manikin as mk
from linked_ward import FILES, frames, write_ward
from manikin.cli.failures import guarded
from manikin.data.errors import ParameterError
from manikin.workflow import unlike as of
from manikin.workflow.anomalies import anomalies
from manikin.workflow.unlike import conformal

QUICK = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.synthesizers.records.surprise.EPOCHS", QUICK)


def planted(n: int = 120) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """The ward, a tenth of whose patients have creatinine in other units, and as many stay ten times as long."""
    tables = frames(n)
    keys = tables["patients"]["subject_id"].to_numpy()
    wrong, long = keys[: n // 10], keys[n // 10 : n // 5]
    labs, stays = tables["labs"], tables["stays"]
    hit = labs["subject_id"].isin(wrong) & (labs["code"] == "creatinine")
    labs.loc[hit, "value"] = labs.loc[hit, "value"] * 88.4
    hit = stays["subject_id"].isin(long)
    begin, end = (pd.to_datetime(stays[name]) for name in ("admitted", "discharged"))
    stays.loc[hit, "discharged"] = (begin + 10 * (end - begin) + pd.Timedelta("20D"))[hit].dt.strftime("%Y-%m-%d %H:%M:%S")
    more = pd.concat([labs[labs["subject_id"].isin(long)]] * 6)
    tables["labs"] = pd.concat([labs, more], ignore_index=True)
    return tables, np.isin(keys, np.concatenate([wrong, long]))


def written(tables: dict[str, pd.DataFrame], folder: Path) -> Path:
    folder.mkdir()
    for name, frame in tables.items():
        frame.to_parquet(folder / FILES[name]) if FILES[name].endswith(".parquet") else frame.to_csv(folder / FILES[name], index=False)
    return folder


def test_planted_patients_come_first_and_no_value_is_written(ward: Path, tmp_path: Path) -> None:
    tables, is_planted = planted()
    folder = written(tables, tmp_path / "new")
    done = anomalies(folder, out=tmp_path / "unlike.csv", reference=ward, share=0.1)
    found = pd.read_csv(tmp_path / "unlike.csv")
    assert done.n_patients == len(found) == 120
    truth = pd.Series(is_planted, index=tables["patients"]["subject_id"]).loc[found["patient"]].to_numpy()
    assert roc_auc_score(truth, found["nats"]) > 0.85
    assert found["flagged"][truth].mean() > 0.5
    assert (found["p"] > 0).all()
    assert found["nats"].is_monotonic_decreasing
    np.testing.assert_allclose(found["reconstruction"] + found["divergence"], found["nats"], atol=1e-3)
    assert found.loc[truth, "part_1"].str.contains("labs|rows|days").mean() > 0.5
    assert set(found.columns) == {
        "rank", "patient", "nats", "reconstruction", "divergence", "p", "flagged", *(f"part_{i}" for i in (1, 2, 3)),
        *(f"part_{i}_nats" for i in (1, 2, 3)),
    }  # fmt: skip


def test_the_same_seed_gives_the_same_scores(ward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.synthesizers.records.surprise.EPOCHS", 2)
    for name in ("a", "b"):
        anomalies(ward, out=tmp_path / f"{name}.csv", reference=ward, share=0.1, seed=3)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_conformal_p_flags_no_more_than_was_said() -> None:
    rng = np.random.default_rng(0)
    assert conformal(np.array([0.5, 2.0, -1.0]), np.array([0.0, 1.0, 2.0])).tolist() == [0.75, 0.5, 1.0]
    flagged = [(conformal(rng.normal(size=200), rng.normal(size=99)) <= 0.05).mean() for _ in range(400)]
    assert np.mean(flagged) == pytest.approx(0.05, abs=0.005)


@pytest.mark.verify
def test_the_share_of_ordinary_patients_that_is_flagged_is_what_was_said(tmp_path: Path) -> None:
    data = mk.read(write_ward(tmp_path / "ward", 1200))
    shares = []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(data))
        usual, fresh = data.subset(np.sort(order[:400])), data.subset(np.sort(order[400:800]))
        table = of.unlike(fresh, usual, [str(i) for i in range(len(fresh))], share=0.1, seed=seed)
        shares.append(float(table["flagged"].mean()))
    assert np.mean(shares) == pytest.approx(0.1, abs=0.03)


def test_what_cannot_be_used_is_refused(ward: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="--model or --reference, one of them"):
        anomalies(ward, out=tmp_path / "a.csv")
    with pytest.raises(ParameterError, match=r"120 reference patients are too few to flag a share of 0.001: 2,"):
        anomalies(ward, out=tmp_path / "a.csv", reference=ward, share=0.001)
    with pytest.raises(ParameterError, match=r"'share'.*between 0 and 1"):
        anomalies(ward, out=tmp_path / "a.csv", reference=ward, share=1.5)
    assert not (tmp_path / "a.csv").exists()


def test_the_command_says_how_many_are_flagged(
    ward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("manikin.synthesizers.records.surprise.EPOCHS", 2)
    assert guarded(["anomalies", str(ward), "--reference", str(ward), "--share", "0.1", "-o", str(tmp_path / "u.csv")]) == 0
    shown = capsys.readouterr().out
    assert "of 120 patients flagged" in shown
    parts = pd.read_csv(tmp_path / "u.csv")[["part_1", "part_2", "part_3"]]
    assert parts.isin(["labs.value, mean", "labs.code, count"]).any(axis=None)
    tables = frames()
    cells = {*tables["labs"]["code"], *tables["stays"]["unit"], *tables["d_codes"]["label"]} - {"ward"}
    text = " ".join([shown, *parts.to_numpy().ravel()])
    assert {"creatinine", "ICU"} <= cells
    assert not [cell for cell in cells if re.search(rf"\b{re.escape(cell)}\b", text)], "a code beside a patient's key"
