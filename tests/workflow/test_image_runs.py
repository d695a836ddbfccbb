"""The jobs on images, from a folder to a run folder and back: learned, drawn, judged, made again, refused where they cannot."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manikin as mk
from manikin.data.errors import DataError, InputError, ParameterError
from manikin.release.manifest import read_manifest
from manikin.workflow import judge
from manikin.workflow.compare import compare
from manikin.workflow.completion import complete
from manikin.workflow.explanation import explain
from manikin.workflow.images import HONEST
from manikin.workflow.look import Inspected, inspect
from manikin.workflow.models import draw, fit_model
from manikin.workflow.options import Options
from manikin.workflow.receive import keygen
from manikin.workflow.release import release
from manikin.workflow.sources import read_flat
from manikin.workflow.synthesize import synthesize

picture = pytest.importorskip("PIL.Image")
N, SIDE = 90, 10


def write_folder(folder: Path, *, n: int = N, patients: bool = False, split: bool = True, seed: int = 0) -> Path:
    """Blobs at the left or at the right, with a label, and a third of them in the official test part."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    header = ["file", "label", *(["patient"] if patients else []), *(["split"] if split else [])]
    rows = []
    for i in range(n):
        is_left = rng.random() < 0.5
        pixels = rng.normal(60, 10, (SIDE, SIDE))
        pixels[:, : SIDE // 2] += 90 * is_left
        pixels[:, SIDE // 2 :] += 90 * (not is_left)
        name = f"jane-doe-{i:03d}.png"
        picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        row = [name, "left" if is_left else "right"]
        row += [f"p{i // 2}"] if patients else []
        row += ["test" if i % 3 == 0 else "train"] if split else []
        rows.append(row)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder


def labels_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in without)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module", autouse=True)
def few_figures() -> Iterator[None]:
    """All figures of images take long; tests/evaluation/images asks for them, and one run here in verification/."""
    whole = judge.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "measure", partial(whole, metrics=["image_intensity", "identifiers"], attacks=[]))
        yield


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images") / "scans")


@pytest.fixture(scope="module")
def run(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    made = synthesize(scans, out=out, options=Options(holdout="split=test", rows=40, seed=3))
    assert made.unit == "images"
    assert made.rows == {"train": 60, "holdout": 30, "synthetic": 40}
    assert any(f"at least {HONEST}" in notice for notice in made.notices)
    assert made.choice.asked == "auto"
    return out


def test_a_folder_comes_back_as_a_folder_with_its_evidence(run: Path) -> None:
    rows = labels_of(run / "synthetic")
    assert len(rows) == 40
    assert set(rows[0]) == {"file", "label"}
    assert {row["label"] for row in rows} == {"left", "right"}
    for row in rows:
        with picture.open(run / "synthetic" / row["file"]) as one:
            assert one.size == (SIDE, SIDE)
            assert any("synthetic" in str(value).lower() for value in one.info.values())
    assert "report.html" in contents(run)
    assert json.loads((run / "results.json").read_text())["run"]["unit"] == "images"
    manifest = read_manifest(run / "manifest.json")
    assert {file.name for file in manifest.inputs} >= {"scans", "scans/labels.csv", "scans/jane-doe-000.png"}
    assert "synthetic/labels.csv" in {file.name for file in manifest.outputs}


def test_nothing_of_a_real_image_leaves_but_in_the_report(run: Path, scans: Path) -> None:
    for name, content in contents(run, without=("report.html", "results.json", "manifest.json")).items():
        assert b"jane-doe" not in content, name
    real = {path.read_bytes() for path in scans.glob("*.png")}
    assert not real & {path.read_bytes() for path in (run / "synthetic").glob("*.png")}


def test_a_run_is_made_again_from_its_manifest(run: Path, scans: Path, tmp_path: Path) -> None:
    synthesize(scans, out=tmp_path / "again", replay=run / "manifest.json")
    assert contents(run / "synthetic") == contents(tmp_path / "again" / "synthetic")
    assert contents(run / "model") == contents(tmp_path / "again" / "model")
    other = write_folder(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match="SHA-256 differs"):
        synthesize(other, out=tmp_path / "no", replay=run / "manifest.json")


def test_two_runs_are_set_side_by_side(run: Path, scans: Path, tmp_path: Path) -> None:
    other = synthesize(scans, out=tmp_path / "other", options=Options(synthesizer="resample_images", holdout="split=test", rows=40, seed=3))
    found = compare([run, other.out], fidelity="image_intensity", privacy="identifiers", out=tmp_path / "compared")
    assert [one["synthesizer"] for one in found.document["candidates"]] == ["image_pca", "resample_images"]
    assert found.document["unit"] == "images"
    page = (tmp_path / "compared" / "comparison.html").read_text()
    assert "judged against the same real images" in page
    with pytest.raises(ParameterError, match="were not judged against the same real rows"):
        compare([run, synthesize(scans, out=tmp_path / "drawn", options=Options(synthesizer="image_pca", rows=40)).out])


def test_a_model_draws_in_the_kind_that_came_in_or_as_asked(run: Path, tmp_path: Path) -> None:
    drawn = draw(run, n=7, out=tmp_path / "made", conditions={"label": "left"}, seed=1)
    assert (drawn.unit, drawn.n_rows) == ("images", 7)
    assert {row["label"] for row in labels_of(tmp_path / "made")} == {"left"}
    draw(run, n=7, out=tmp_path / "made.npz", conditions={"label": "left"}, seed=1)
    again, folder = mk.read(tmp_path / "made.npz"), mk.read(tmp_path / "made")
    assert np.array_equal(again.table.images["file"].array(), folder.table.images["file"].array())
    draw(run, n=300, out=tmp_path / "more", seed=1)
    draw(run, n=300, out=tmp_path / "made", seed=1, force=True)
    assert contents(tmp_path / "more") == contents(tmp_path / "made"), "a folder of synthetic images is replaced with force"
    draw(run, n=300, out=tmp_path / "more again", seed=1)
    assert contents(tmp_path / "more") == contents(tmp_path / "more again")


@pytest.mark.parametrize(
    ("out", "asked", "why"),
    [
        ("made.csv", {}, "makes images"),
        ("made.npz", {"file_format": "images"}, "Choose one"),
        ("made", {"file_format": "npz"}, "must end in .npz"),
        ("made", {"file_format": "csv"}, "no format of images"),
        ("made", {"conditions": {"lable": "left"}}, "Did you mean 'label'"),
        ("made", {"conditions": {"label": "up"}}, "label"),
        ("made", {"conditions": {"file": "x.png"}}, "file"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(run: Path, tmp_path: Path, out: str, asked: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        draw(run, n=3, out=tmp_path / out, **asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stranger", ["real.png", "notes.txt"])
def test_force_replaces_no_folder_with_a_real_image_or_another_file(run: Path, tmp_path: Path, stranger: str) -> None:
    draw(run, n=3, out=tmp_path / "made", seed=1)
    picture.fromarray(np.zeros((SIDE, SIDE), dtype=np.uint8)).save(tmp_path / "real.png")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "made" / stranger).write_bytes((tmp_path / stranger).read_bytes())
    before = contents(tmp_path / "made")
    with pytest.raises(ParameterError, match="was not written by Manikin"):
        draw(run, n=3, out=tmp_path / "made", seed=2, force=True)
    assert contents(tmp_path / "made") == before


def test_arrays_come_back_as_arrays(scans: Path, tmp_path: Path) -> None:
    from manikin.workflow.sources import write

    write(mk.read(scans), tmp_path / "scans.npz")
    made = synthesize(tmp_path / "scans.npz", out=tmp_path / "run", options=Options(synthesizer="image_pca", rows=25))
    assert made.files["synthetic"] == tmp_path / "run" / "synthetic.npz"
    assert len(mk.read(made.files["synthetic"])) == 25
    assert "split" not in mk.read(made.files["synthetic"]).columns
    asked = Options(synthesizer="image_pca", rows=25, format="images")
    synthesize(tmp_path / "scans.npz", out=tmp_path / "as folder", options=asked)
    assert len(labels_of(tmp_path / "as folder" / "synthetic")) == 25


def test_patients_are_whole_on_either_side(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "scans", patients=True, n=120)
    with pytest.raises(ParameterError, match="both sides"):
        synthesize(folder, out=tmp_path / "no", options=Options(holdout="split=test"))
    made = synthesize(folder, out=tmp_path / "run", options=Options(synthesizer="image_pca"))
    assert (made.rows["train"], made.rows["holdout"]) == (96, 24)
    keys = [row["patient"] for row in labels_of(tmp_path / "run" / "synthetic")]
    assert len(set(keys)) == len(keys) == 96
    assert not {key for key in keys if key.startswith("p")}


def test_a_model_of_all_images_can_be_fitted(scans: Path, tmp_path: Path) -> None:
    fitted = fit_model(scans, out=tmp_path / "model", options=Options(synthesizer="image_pca"))
    assert (fitted.n_rows, fitted.unit) == (N, "images")
    assert set(contents(tmp_path / "model")) == {"config.json", "weights.safetensors", "files.json"}


def test_any_tools_images_are_judged(scans: Path, run: Path, tmp_path: Path) -> None:
    held = write_folder(tmp_path / "held", seed=5, n=40, split=False)
    judged = judge.judge(scans, held, run / "synthetic", out=tmp_path / "evidence")
    assert judged.results.run["unit"] == "images"
    assert judged.results.run["target"] == "label"
    assert contents(judged.files["synthetic"]) == contents(run / "synthetic")
    with pytest.raises(ParameterError, match="--analysis does not go with images"):
        judge.judge(scans, held, run / "synthetic", out=tmp_path / "no", analyses=["label ~ 1"])
    with pytest.raises(DataError, match="has no images"):
        judge.judge(scans, scans / "labels.csv", run / "synthetic", out=tmp_path / "no")


def test_python_takes_folders_and_data_sets(scans: Path, tmp_path: Path) -> None:
    train, holdout = mk.split(mk.read(scans).only(["file", "label"]), seed=0)
    model = mk.synthesizer("image_pca").fit(train, seed=0)
    made = model.sample(30, seed=1, conditions={"label": "left"})
    results = mk.evaluate(train=train, holdout=holdout, synthetic=made, seed=0)
    assert results.metrics
    mk.report(results, tmp_path / "report.html")
    shown = made._repr_html_()
    assert shown.count("data:image/png;base64,") == 1
    assert "image" in shown


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (Options(epsilon=1.0), "--epsilon does not go with images"),
        (Options(analyses=("label ~ 1",)), "--analysis does not go with images"),
        (Options(time="label", event="label"), "--time does not go with images"),
        (Options(shadow_models=4), "--shadow-models does not go with images"),
        (Options(format="csv"), "--format csv is no format of images"),
        (Options(synthesizer="forest"), "'forest' learns one flat table"),
        (Options(holdout="split=tst"), "Did you mean 'test'"),
        (Options(holdout="ward=test"), "no column of the table"),
        (Options(holdout="split"), "COL=VALUE"),
        (Options(target="file"), "--target names 'file'"),
    ],
)
def test_options_that_do_not_go_with_images_are_refused_by_name(scans: Path, tmp_path: Path, options: Options, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        synthesize(scans, out=tmp_path / "run", options=options)
    assert not list(tmp_path.iterdir())


def test_jobs_of_tables_refuse_images_by_name(scans: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"`manikin compare` sets the runs side by side"):
        read_flat(scans, "`manikin study`")
    with pytest.raises(ParameterError, match=r"images"):
        complete(run, scans / "labels.csv", out=tmp_path / "x.csv")
    with pytest.raises(ParameterError, match=r"images"):
        explain(run)
    key = tmp_path / "key.pem"
    keygen(key)
    judged = release(run, policy="internal", key=key, out=tmp_path / "out")
    assert judged.out is None
    assert {"image_membership", "image_copies"} <= {outcome.check.name for outcome in judged.decision.outcomes}


@pytest.mark.parametrize(("n", "why"), [(1, "at least 2 patients"), (19, "fewer than 20"), (24, "fewer than 20")])
def test_too_few_images_are_refused(tmp_path: Path, n: int, why: str) -> None:
    folder = write_folder(tmp_path / "scans", n=n, split=False)
    with pytest.raises(DataError, match=why):
        synthesize(folder, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_inspect_says_what_images_there_are(scans: Path, tmp_path: Path) -> None:
    found = inspect(scans, out=tmp_path / "schema.toml")
    assert isinstance(found, Inspected)
    assert f"{N} images of {SIDE} x {SIDE} pixels" in found.images
    assert any("--holdout split=test" in warning for warning in found.warnings)
    made = synthesize(scans, out=tmp_path / "run", schema=tmp_path / "schema.toml", options=Options(rows=20))
    assert made.rows["synthetic"] == 20


def test_tables_can_hold_out_rows_by_a_column_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    lines = ["age,sex,part"] + [f"{rng.integers(20, 90)},{'fm'[i % 2]},{'test' if i < 40 else 'train'}" for i in range(160)]
    (tmp_path / "patients.csv").write_text("\n".join(lines) + "\n")
    options = Options(synthesizer="independent", holdout="part=test")
    monkeypatch.setattr(judge, "measure", partial(judge.measure, metrics=["identifiers"]))
    made = synthesize(tmp_path / "patients.csv", out=tmp_path / "run", options=options)
    assert made.rows == {"train": 120, "holdout": 40, "synthetic": 120}
    assert (tmp_path / "run" / "synthetic.csv").read_text().splitlines()[0] == "age,sex"
