"""Automatic labels with people's: what is certain, what is queued, who decides, and how often they differ."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from manikin.cli.failures import guarded
from manikin.data.errors import DataError, ParameterError
from manikin.evaluation.readers.reliability import reliability
from manikin.report.annotation import headline
from manikin.workflow.annotate import COLUMNS, UNSURE, Judged, annotate, merged, person_labels, report, review


def images(n: int, seed: int, *, spread: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Dark and bright ones, which overlap, with noise: (n, 8, 8) and their names."""
    rng = np.random.default_rng(seed)
    bright = np.arange(n) % 2 == 1
    level = 128 + np.where(bright, 25, -25) + rng.normal(0, 20, n)
    pixels = np.clip(level[:, None, None] + rng.normal(0, spread, (n, 8, 8)), 0, 255).astype(np.uint8)
    return pixels, np.where(bright, "bright", "dark")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("annotate")
    pixels, names = images(400, 0)
    np.savez(root / "real.npz", images=pixels, label=names)
    np.savez(root / "unknown.npz", images=images(120, 1)[0])
    annotate(root / "unknown.npz", labelled=root / "real.npz", out=root / "labels", audit=15, seed=2)
    return root


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_certain_ones_are_labelled_and_others_wait(made: Path) -> None:
    document = json.loads((made / "labels/annotate.json").read_text())
    rows = table(made / "labels")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 120
    for row in rows:
        certain = float(row["confidence"]) >= 0.9
        assert row["queue"] in (("", "audit") if certain else ("uncertain",))
        assert (row["label"], row["label_source"]) == ((row["auto_label"], "auto") if certain else ("", ""))
    assert sum(row["queue"] == "audit" for row in rows) == 15
    n_queued = sum(row["queue"] != "" for row in rows)
    assert len(list((made / "labels/images").iterdir())) == n_queued > 20
    held = document["held_out"]
    assert held["n"] == 100
    assert held["interval"][0] < 0.9 < held["interval"][1] + 0.05
    assert held["is_calibrated"]
    assert held["calibration_error"] < 0.12
    truth = images(120, 1)[1]
    right = [row["auto_label"] == truth[i] for i, row in enumerate(rows) if row["label"]]
    assert np.mean(right) > 0.85


def test_people_decide_and_are_compared(made: Path) -> None:
    folder = made / "labels"
    room = review(folder)
    document = json.loads((folder / "annotate.json").read_text())
    of_number = {row["image"]: (i, row) for i, row in enumerate(document["images"]) if row["image"] is not None}
    truth = images(120, 1)[1]
    state = room.join({"name": "anna", "role": "other"})
    key, order = state["reader"], room._readers["anna"].order
    assert sorted(order) == sorted(of_number)
    kinds = [of_number[number][1]["queue"] for number in order]
    assert kinds != sorted(kinds), "the two kinds come mixed"
    assert "auto" not in json.dumps(room.form.to_json())
    said = {}
    while state["image"]:
        i, _ = of_number[order[state["position"]]]
        said[order[state["position"]]] = UNSURE if state["position"] == 0 else str(truth[i])
        room.answer(key, {"position": state["position"], "answer": said[order[state["position"]]], "seconds": 1.0})
        state = room.detail(key, {"position": state["position"]})
    room.close()
    assert person_labels(folder) == said
    found, files = report(folder)
    for row in table(folder):
        if row["person_label"] == UNSURE:
            assert (row["label"], row["label_source"]) == ("", "")
        elif row["person_label"]:
            assert (row["label"], row["label_source"]) == (row["person_label"], "person")
    audited = [(of_number[number][1]["auto_label"], label) for number, label in said.items() if of_number[number][1]["queue"] == "audit"]
    errors = sum(auto != label for auto, label in audited if label != UNSURE)
    assert found["audit"]["errors"] == errors
    assert found["audit"]["n"] + found["audit"]["cannot_tell"] == 15
    low, high = found["audit"]["interval"]
    assert low <= found["audit"]["error_rate"] <= high
    assert found["sources"]["person"] + found["sources"]["auto"] + found["sources"]["none yet"] == 120
    assert "drawn at random" in " ".join(headline(found))
    page = files["report"].read_text()
    assert "Can the certain automatic labels be built on?" in page
    assert "<script" not in page


def test_most_people_decide() -> None:
    document = {
        "images": [
            {"file": "a", "auto_label": "x", "confidence": 0.5, "queue": "uncertain", "image": 0},
            {"file": "b", "auto_label": "x", "confidence": 0.99, "queue": "audit", "image": 1},
            {"file": "c", "auto_label": "x", "confidence": 0.99, "queue": "", "image": None},
        ]
    }
    rows = merged(document, {0: "y", 1: UNSURE})
    assert [(row["label"], row["label_source"]) for row in rows] == [("y", "person"), ("", ""), ("x", "auto")]
    assert [row["label"] for row in merged(document, {})] == ["", "x", "x"]


def test_votes(tmp_path: Path) -> None:
    lines = [("a", 0, "x"), ("b", 0, "y"), ("c", 0, "y"), ("a", 1, "x"), ("b", 1, "y"), ("a", 1, "y")]
    text = "".join(json.dumps({"event": "answer", "reader": r, "image": i, "answer": w}) + "\n" for r, i, w in lines)
    (tmp_path / "answers.jsonl").write_text(text)
    assert person_labels(tmp_path) == {0: "y", 1: "y"}, "the last answer of each person counts"
    (tmp_path / "answers.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]))
    assert person_labels(tmp_path) == {0: UNSURE}, "divided"


def test_confidence_is_right_or_is_not() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 4000)
    good = reliability(sure, rng.random(4000) < sure)
    assert good["calibration_error"] < 2.5 * good["calibration_by_chance"]
    assert len(good["bins"]) == 10
    assert reliability(sure, rng.random(4000) < sure - 0.2)["calibration_error"] == pytest.approx(0.2, abs=0.03)
    assert reliability([], [])["calibration_error"] is None
    assert len(reliability([0.9] * 5, [True] * 5)["bins"]) == 1


def test_what_cannot_be_learned_from(made: Path, tmp_path: Path) -> None:
    pixels, names = images(400, 0)
    given = made / "unknown.npz"
    for wrong, match in (
        ({"images": pixels[:10], "label": names[:10]}, "It takes 20 images"),
        ({"images": pixels, "label": np.full(400, "one")}, "no column of labels"),
        ({"images": pixels}, "no column of labels"),
    ):
        np.savez(tmp_path / "real.npz", **wrong)
        with pytest.raises(DataError, match=match):
            annotate(given, labelled=tmp_path / "real.npz", out=tmp_path / "out")
    for options in ({"threshold": 1.0}, {"audit": -1}):
        with pytest.raises(ParameterError):
            annotate(given, labelled=made / "real.npz", out=tmp_path / "out", **options)
    with pytest.raises(ParameterError, match="exists already"):
        annotate(given, labelled=made / "real.npz", out=made / "labels")
    with pytest.raises(ParameterError, match="holds no annotation"):
        review(tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_commands(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"n": 9, "accuracy": 1.0, "interval": [0.7, 1.0], "is_calibrated": False, "n_learned": 30, "temperature": 1.0}
    told = {**held, "by_label": [], "bins": [], "calibration_error": None, "calibration_by_chance": None}
    answer = Judged(("bright", "dark"), np.full(120, "dark"), np.linspace(0.5, 1, 120), told)
    monkeypatch.setattr("manikin.workflow.annotate.judge", lambda *_args, **_given: answer)
    out = str(tmp_path / "labels")
    given = ["annotate", str(made / "unknown.npz"), "--with", str(made / "real.npz"), "-o", out, "--audit", "5", "--threshold", "0.999"]
    assert guarded([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queued"] == {"uncertain": 119, "audit": 1}
    assert guarded(["annotate", "report", out]) == 0
    assert "not known yet" in capsys.readouterr().out
    assert guarded(["annotate", "report", str(tmp_path)]) == 2
    assert guarded(["annotate", "review", out, "--port", "99999"]) == 2
