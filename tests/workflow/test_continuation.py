"""Given patients continued and scored through the commands, with a generator that repeats what was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import manikin as mk
import records_fake
from linked_ward import write_ward
from manikin.cli.failures import guarded
from manikin.data.errors import DataError, ParameterError
from manikin.synthesizers.storage import save
from manikin.workflow import bands
from manikin.workflow.anomalies import anomalies, ranked
from manikin.workflow.continuation import continue_patients
from manikin.workflow.linked_given import read_given
from manikin.workflow.linked_times import first_and_last, horizon


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        records_fake.registered(patch)
        patch.setattr(bands, "MOST_CODES", 1)  # drawings take most of the time
        yield


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients of the ward, with a column that no model learned."""
    folder = write_ward(tmp_path_factory.mktemp("few") / "few", n=3)
    patients = pd.read_csv(folder / "patients.csv").assign(nurse="somebody")
    patients.to_csv(folder / "patients.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def real(ward: Path) -> mk.Dataset:
    return mk.read(ward)


@pytest.fixture
def model(real: mk.Dataset, tmp_path: Path) -> Path:
    return save(records_fake.Repeats().fit(real, seed=0), tmp_path / "model")


def test_all_draws_lie_in_one_folder_with_the_patients_own_keys(few: Path, model: Path, tmp_path: Path) -> None:
    done = continue_patients(few, model, until="+2d", draws=5, out=tmp_path / "twins", seed=4)
    labs = pd.read_csv(tmp_path / "twins" / "continued" / "labs.csv")
    given = pd.read_parquet(few / "labs.parquet")
    assert sorted(labs["draw"].unique()) == [1, 2, 3, 4, 5]
    assert set(labs["subject_id"]) == set(given["subject_id"])
    assert len(labs) == 5 * (len(given) + 3)
    assert not set(labs["stay_id"]) & set(given["stay_id"]), "keys of rows are made anew"
    assert done.tables == {"patients": 0.0, "stays": 3.0, "labs": 3.0}
    codes = pd.read_csv(tmp_path / "twins" / "continued" / "d_codes.csv")
    assert list(codes.columns) == ["code", "label"], "a table of nobody is written once and as it is"


def test_bands_are_those_of_the_draws(few: Path, model: Path, tmp_path: Path) -> None:
    continue_patients(few, model, until="+2d", draws=40, out=tmp_path / "twins", seed=4)
    found = pd.read_csv(tmp_path / "twins" / "bands.csv")
    labs = pd.read_csv(tmp_path / "twins" / "continued" / "labs.csv")
    assert (found["low"] <= found["median"]).all()
    assert (found["median"] <= found["high"]).all()
    assert (found["draws"] <= 40).all()
    first = found[found["draws"] == 40].iloc[0]
    mine = labs[(labs["subject_id"] == first["patient"]) & (labs["code"] == first["code"])]
    drawn = mine[mine.groupby("draw").cumcount() == mine.groupby("draw")["value"].transform("size") - 1]["value"]
    np.testing.assert_allclose(first["median"], drawn.median())
    np.testing.assert_allclose([first["low"], first["high"]], np.quantile(drawn, [0.05, 0.95], method="weibull"))
    document = json.loads((tmp_path / "twins" / "continue.json").read_text())
    assert document["format"] == "manikin-continuation"
    assert {file["name"] for file in document["files"]} >= {"bands.csv", "report.html", "continued/labs.csv"}
    page = (tmp_path / "twins" / "report.html").read_text()
    assert page.count("<svg") == len(document["panels"]) > 0
    assert "no basis for care" in page


def test_what_is_set_holds_in_what_is_drawn(few: Path, model: Path, tmp_path: Path) -> None:
    continue_patients(few, model, until="+2d", draws=2, out=tmp_path / "twins", set={"stays.unit": "ICU", "unit": "ICU"})
    stays = pd.read_csv(tmp_path / "twins" / "continued" / "stays.csv")
    last = stays.groupby(["subject_id", "draw"]).tail(1)
    assert set(last["unit"]) == {"ICU"}


def test_same_seed_same_bytes_and_nothing_is_replaced_unasked(few: Path, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        continue_patients(few, model, until="+1d", draws=2, out=tmp_path / name, seed=1)
    for file in ("continued/labs.csv", "bands.csv", "report.html"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    with pytest.raises(ParameterError, match="exists already"):
        continue_patients(few, model, until="+1d", draws=2, out=tmp_path / "a")
    continue_patients(few, model, until="+1d", draws=1, out=tmp_path / "a", force=True)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"until": "soon"}, ParameterError, "'soon' is no time"),
        ({"until": "-3d"}, ParameterError, "is no time"),
        ({"draws": 0}, ParameterError, "from 1 to 10,000"),
        ({"set": {"wardd": "x"}}, ParameterError, "--set names 'wardd', which is no column"),
        ({"records": "nowhere"}, DataError, "nothing at nowhere"),
    ],
)
def test_what_cannot_be_used_is_refused(few: Path, model: Path, tmp_path: Path, given: dict, error: type, words: str) -> None:
    call = {"records": few, "until": "+1d", "draws": 1, **given}
    with pytest.raises(error, match=words):
        continue_patients(call.pop("records"), model, out=tmp_path / "twins", **call)
    assert not (tmp_path / "twins").exists()


def test_a_model_that_cannot_is_refused_by_name(few: Path, real: mk.Dataset, tmp_path: Path) -> None:
    floor = save(mk.synthesizer("resample_patients").fit(real, seed=0), tmp_path / "floor")
    with pytest.raises(ParameterError, match=r"'resample_patients' continues no patients. Those that do: .*repeats"):
        continue_patients(few, floor, until="+1d", draws=1, out=tmp_path / "twins")
    with pytest.raises(ParameterError, match="'resample_patients' scores no patients"):
        anomalies(few, floor, out=tmp_path / "ranks.csv")


def test_times_until_are_counted_from_the_first_event_or_the_last(real: mk.Dataset) -> None:
    data = real
    first, last = first_and_last(data)
    np.testing.assert_allclose(horizon("48h", data), 2.0)
    np.testing.assert_allclose(horizon("+30d", data), last - first + 30)
    day = horizon("2030-01-01", data)
    np.testing.assert_allclose(day, (np.datetime64("2030-01-01") - np.datetime64("1970-01-01")).astype(int) - first)
    assert (horizon("1900-01-01", data) == 0).all()


def test_given_patients_are_read_by_what_was_learned(few: Path, real: mk.Dataset, tmp_path: Path) -> None:
    schema = real.schema
    data = read_given(few, schema)
    assert len(data) == 3
    assert "nurse" not in data.schema["patients"]
    part = tmp_path / "part"
    part.mkdir()
    pd.read_csv(few / "patients.csv").drop(columns="sex").to_csv(part / "patients.csv", index=False)
    with pytest.raises(DataError, match=r"'patients' of part has no column 'sex', which the model learned"):
        read_given(part, schema)
    pd.read_csv(few / "patients.csv").to_csv(part / "patients.csv", index=False)
    alone = read_given(part, schema)
    assert len(alone) == 3
    assert len(alone.tables["labs"]) == 0
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "other.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match="none of the tables that the model learned"):
        read_given(tmp_path / "empty", schema)


def test_anomalies_rank_patients_and_name_events_without_values(few: Path, model: Path, tmp_path: Path) -> None:
    done = anomalies(few, model, out=tmp_path / "ranks.csv")
    ranks = pd.read_csv(tmp_path / "ranks.csv")
    assert list(ranks["rank"]) == list(range(1, 4))
    assert ranks["per_event"].is_monotonic_increasing
    labs = pd.read_parquet(few / "labs.parquet")
    top = ranks.iloc[0]
    assert labs["subject_id"].iloc[int(top["event_1_row"]) - 1] == top["patient"]
    own = labs[labs["subject_id"] == top["patient"]]
    assert labs["value"].iloc[int(top["event_1_row"]) - 1] == own["value"].max()
    np.testing.assert_allclose(top["log_likelihood"], -2.1 - (1.5 + own["value"].fillna(0).abs() / 100).sum(), atol=1e-3)
    assert top["event_1_by"] in ("gap", "value", "kind")
    assert "value" not in ranks.columns
    assert done.n_patients == 3
    anomalies(few, model, out=tmp_path / "ranks.parquet")
    assert len(pd.read_parquet(tmp_path / "ranks.parquet")) == 3
    with pytest.raises(ParameterError, match="ends in no format"):
        anomalies(few, model, out=tmp_path / "ranks.xlsx")


def test_patients_without_events_are_ranked_by_what_they_are(real: mk.Dataset) -> None:
    data = real
    model = records_fake.Repeats().fit(data, seed=0)
    bare = read_given(data.subset(np.arange(3)), data.schema)
    tables = {**bare.tables, "labs": bare.tables["labs"].take(np.arange(0)), "stays": bare.tables["stays"].take(np.arange(0))}
    found = ranked(type(bare)(tables, bare.schema), model.log_likelihood(type(bare)(tables, bare.schema)))
    assert len(found) == 3
    assert (found["events"] == 0).all()
    assert found["event_1_row"].isna().all()


def test_commands_say_what_they_did(few: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["continue", few, "--model", model, "--until", "+1d", "--draws", 2, "--set", "unit=ICU", "-o", tmp_path / "twins"]
    assert guarded([str(one) for one in arguments]) == 0
    said = capsys.readouterr().out
    assert "3 patients, each continued 2 times" in said
    assert guarded([str(one) for one in ["anomalies", few, "--model", model, "-o", tmp_path / "ranks.csv"]]) == 0
    said = capsys.readouterr().out
    assert "most surprising" in said
    assert guarded([str(one) for one in [*arguments[:-1], tmp_path / "twins-2", "--json"]]) == 0
    assert json.loads(capsys.readouterr().out)["draws"] == 2


def test_tables_that_are_not_there_are_told(few: Path, model: Path, tmp_path: Path) -> None:
    scored = anomalies(few / "patients.csv", model=model, out=tmp_path / "scores.csv")
    assert "patients.csv has no row of stays, labs: these patients are taken to have none" in scored.notices[0]
    done = continue_patients(few, model, until="+2d", draws=1, out=tmp_path / "twins")
    assert not any("has no row of" in notice for notice in done.notices)
    with pytest.raises(ParameterError, match="linked tables and the train part is one flat table"):
        mk.evaluate(train=few / "patients.csv", holdout=few, synthetic=few)
