"""Classifiers under shifts: functions, ONNX files, predictions of prepared images; what cannot be tested is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.cli.app import app
from manikin.data.errors import DataError, InputError
from manikin.workflow.classifiers import of_function, of_onnx
from manikin.workflow.stress_files import judge_predictions, prepare

pytest.importorskip("PIL")
typer_testing = pytest.importorskip("typer.testing")
N, SIZE = 60, 16


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose top is brighter in half of them."""
    rng = np.random.default_rng(seed)
    truth = np.arange(N) % 2
    out = rng.normal(100, 15, (N, SIZE, SIZE))
    out[:, : SIZE // 2] += 25 * truth[:, None, None] * rng.random(N)[:, None, None]
    return np.clip(out, 0, 255).astype(np.uint8), truth


def by_top(batch: np.ndarray) -> np.ndarray:
    """The odds that the top is brighter than the bottom."""
    return 40 * (batch[:, :, : SIZE // 2].mean(axis=(1, 2, 3)) - batch[:, :, SIZE // 2 :].mean(axis=(1, 2, 3)) - 0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from PIL import Image

    images, truth = pictures()
    place = tmp_path / "given"
    (place / "images").mkdir(parents=True)
    rows = []
    for i, (image, label) in enumerate(zip(images, truth, strict=True)):
        Image.fromarray(image).save(place / f"images/{i:03d}.png")
        rows.append({"file": f"images/{i:03d}.png", "label": "high" if label else "flat", "site": "ab"[i // 2 % 2]})
    pd.DataFrame(rows).to_csv(place / "labels.csv", index=False)
    return place


def onnx_model(path: Path, *, size: Sequence[Any] = ("n", 1, SIZE, SIZE), kind: int = 1, outputs: int = 2) -> Path:
    """Odds by the mean of the top less that of the bottom, as a convolution over the whole picture."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weight = np.ones((outputs, 1, SIZE, SIZE), np.float32) * 40 / (SIZE * SIZE / 2)
    weight[:, :, SIZE // 2 :] *= -1
    weight[0] *= -1 if outputs == 2 else 1
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=1),
        helper.make_node("Conv", ["c", "w"], ["y"]),
        helper.make_node("Flatten", ["y"], ["out"]),
    ]
    given = helper.make_tensor_value_info("x", kind, list(size))
    out = helper.make_tensor_value_info("out", 1, [size[0], outputs])
    graph = helper.make_graph(nodes, "g", [given], [out], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_a_function_is_tested_on_an_array() -> None:
    images, truth = pictures()
    found = mk.stress(by_top, images, truth.tolist(), shifts=["rotation=90,180", "blur=1"], draws=50)
    turned, blurred = found["rotation"], found["blur"]
    assert turned.points[0].auc.value > 0.7
    assert turned.fails_at is not None
    assert turned.points[-1].auc.value < 0.4  # upside down
    assert blurred.points[-1].loss.value == pytest.approx(0, abs=0.02)
    assert found.document["classes"] == {"0": N // 2, "1": N // 2}
    assert "log-odds" in found.document["notes"][0]
    again = mk.stress(by_top, images / 255.0, truth.tolist(), shifts=["rotation=90,180", "blur=1"], draws=50)
    assert again.document["curves"] == found.document["curves"]


def test_an_onnx_model_is_tested_on_a_folder(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = onnx_model(tmp_path / "m.onnx")
    run = typer_testing.CliRunner().invoke
    words = ["--class", "flat", "--class", "high", "--shifts", "rotation=180", "--draws", "50", "-o", str(tmp_path / "out"), "--json"]
    done = run(app, ["stress", str(model), str(folder), *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fails_at"] == {"rotation": 180}
    document = json.loads((tmp_path / "out/results.json").read_text())
    assert document["groups"] == {"site = a": 30, "site = b": 30}
    page = (tmp_path / "out/report.html").read_text()
    assert "Who loses most" in page
    assert page.count("data:image/png") == 2
    function = mk.stress(by_top, folder, shifts=["rotation=180"], draws=50)
    ours, theirs = (one["curves"][0]["points"][1]["auc"]["value"] for one in (function.document, document))
    assert ours == pytest.approx(theirs, abs=0.02)
    # a run is never written over what it reads, nor over another's folder
    refused = run(app, ["stress", str(model), str(folder), "-o", str(folder), "--force"])
    assert isinstance(refused.exception, InputError)
    assert (folder / "labels.csv").is_file()


@pytest.mark.parametrize(
    ("size", "kind", "outputs", "values"),
    [
        (("n", 1, SIZE, SIZE), 1, 2, "0..1"),
        ((7, 1, SIZE, SIZE), 1, 1, "0..1"),
        (("n", 1, SIZE, SIZE), 2, 2, "0..1"),
        ((1, 1, SIZE, SIZE), 11, 1, "-1..1"),
    ],
)
def test_inputs_of_several_kinds_are_fed(tmp_path: Path, size: tuple[Any, ...], kind: int, outputs: int, values: str) -> None:
    pytest.importorskip("onnxruntime")
    classifier = of_onnx(onnx_model(tmp_path / "m.onnx", size=size, kind=kind, outputs=outputs), 2, values=values)
    images = pictures()[0]
    batch = images[:20, None] / np.float32(255)
    found = classifier.probabilities(batch)
    assert found.shape == (20, 2)
    assert found.sum(axis=1) == pytest.approx(np.ones(20))
    assert np.corrcoef(found[:, 1], by_top(batch))[0, 1] > 0.5
    larger = np.kron(batch, np.ones((1, 1, 2, 2), np.float32))
    assert classifier.probabilities(larger) == pytest.approx(found, abs=0.2)  # brought to the model's size
    colour = np.repeat(batch, 3, axis=1)
    assert classifier.probabilities(colour) == pytest.approx(found, abs=1e-3)


def test_files_that_are_no_classifier_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(DataError, match=r"bad\.onnx is no ONNX model"):
        of_onnx(bad, 2)
    with pytest.raises(InputError, match="is no file"):
        of_onnx(tmp_path / "none.onnx", 2)
    with pytest.raises(InputError, match=r"0\.\.1"):
        of_onnx(bad, 2, values="0..7")
    with pytest.raises(DataError, match="one input of pictures"):
        of_onnx(onnx_model(tmp_path / "int.onnx", kind=7), 2)
    with pytest.raises(DataError, match="answers with 2 values"):
        of_onnx(onnx_model(tmp_path / "two.onnx"), 3).probabilities(np.zeros((2, 1, SIZE, SIZE), np.float32))
    with pytest.raises(DataError, match="no numbers"):
        of_function(lambda batch: np.full(len(batch), np.nan), 2).probabilities(np.zeros((2, 1, 4, 4)))


def test_prepared_images_are_judged_by_their_predictions(folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    n, files = prepare(folder, tmp_path / "ready", shifts=["rotation=180", "jpeg=20"], draws=50, tolerance=0.1)
    table = pd.read_csv(files["list"])
    assert n == len(table) == 3 * N
    assert "label" not in table
    odds = []
    for file in table["file"]:
        with Image.open(tmp_path / "ready" / file) as image:
            odds.append(float(by_top(np.asarray(image)[None, None] / 255)[0]))
    table["probability"] = 1 / (1 + np.exp(-np.array(odds)))
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "p.csv", index=False)
    run = typer_testing.CliRunner().invoke
    done = run(app, ["stress", str(tmp_path / "p.csv"), str(tmp_path / "ready"), "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "fails at 180 degrees" in done.stdout
    direct = mk.stress(by_top, folder, shifts=["rotation=180", "jpeg=20"], draws=50, tolerance=0.1)
    document = json.loads((tmp_path / "out/results.json").read_text())
    for ours, theirs in zip(document["curves"], direct.document["curves"], strict=True):
        assert ours["points"][-1]["auc"]["value"] == pytest.approx(theirs["points"][-1]["auc"]["value"], abs=0.02)
    stricter, _ = judge_predictions(tmp_path / "p.csv", tmp_path / "ready", tmp_path / "out2", tolerance=0.99)
    assert all(curve.fails_at is None for curve in stricter.curves)


def test_predictions_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    prepare(folder, tmp_path / "ready", shifts=["blur=1"], draws=20)
    table = pd.read_csv(tmp_path / "ready/images.csv")[["file"]]

    def judged(frame: pd.DataFrame) -> None:
        frame.to_csv(tmp_path / "p.csv", index=False)
        judge_predictions(tmp_path / "p.csv", tmp_path / "ready", tmp_path / "out")

    with pytest.raises(DataError, match="lacks the column 'flat'"):
        judged(table)
    with pytest.raises(DataError, match="1 of 120 files"):
        judged(table.assign(probability=0.5).iloc[1:])
    with pytest.raises(DataError, match="row 122"):
        judged(pd.concat([table, table.iloc[:1]]).assign(probability=0.5))
    with pytest.raises(DataError, match="120 of 120"):
        judged(table.assign(probability="much"))
    with pytest.raises(InputError, match="was not made by"):
        judge_predictions(tmp_path / "p.csv", folder, tmp_path / "out")
    (tmp_path / "ready/clean.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="is damaged"):
        judged(table.assign(probability=0.5))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"measure": "f1"}, "auc or accuracy"),
        ({"tolerance": 1.5}, "from 0 to below 1"),
        ({"draws": 3}, "20 to 10,000"),
        ({"shifts": ["fog"]}, "no shift 'fog'"),
        ({"labels": "site2"}, "no column 'site2'"),
        ({"groups": ["file"]}, "makes no groups"),
        ({"classes": ["flat", "low"]}, "not among the classes"),
    ],
)
def test_wishes_that_cannot_be_met_are_said(folder: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        mk.stress(by_top, folder, **more)


def test_images_that_memory_does_not_bear_are_refused_before_they_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.workflow.stress.MOST_PIXELS", N * SIZE * SIZE - 1)
    with pytest.raises(DataError, match="too much memory"):
        mk.stress(by_top, folder)


def test_arrays_that_cannot_be_tested_are_refused() -> None:
    images, truth = pictures()
    for wrong, labels, words in (
        (images, None, "needs labels"),
        (images, truth[:3].tolist(), "60 images and 3 labels"),
        (images.astype(float) * 3, truth.tolist(), "Pixel values"),
        (np.where(images > 90, np.nan, images / 255.0), truth.tolist(), "Pixel values"),
        (images[:, :, 0], truth.tolist(), "1 or 3 channels"),
        (images, [1] * N, "different labels"),
    ):
        with pytest.raises(InputError, match=words):
            mk.stress(by_top, wrong, labels, draws=20)


def test_one_pixel_and_colour_pictures_are_tested() -> None:
    truth = [0, 1] * 15
    pixels = np.random.default_rng(0).integers(0, 255, (30, 3, 1, 1)).astype(np.uint8)
    found = mk.stress(lambda batch: batch.mean(axis=(1, 2, 3)), pixels, truth, draws=20)
    assert {"warmer", "tilt", "jpeg"} <= {curve.shift for curve in found.curves}
