"""The gate on images that another tool made, under names of people, with a column that nobody judged: neither goes along."""

from __future__ import annotations

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import manikin as mk
from gate_rules import check_croissant, let_out, policy
from manikin.data.errors import ParameterError
from manikin.release.judgement import Verdict
from manikin.workflow import judge as judging
from manikin.workflow.receive import label

SIDE = 8
picture = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("image gate")
    for seed, name in enumerate(("train", "holdout", "fresh", "copied")):
        blobs(place / name, seed, copies=place / "train" if name == "copied" else None)
    with pytest.MonkeyPatch.context() as patch:
        few = partial(judging.measure, metrics=["identifiers", "rare_values"], attacks=["image_copies"])
        patch.setattr(judging, "measure", few)
        for name in ("fresh", "copied"):
            judging.judge(place / "train", place / "holdout", place / name, out=place / f"{name} evidence")
    policy(place / "gate.toml", ("rare_values", "at_most = 0\nexact = true"), ("image_copies", "at_most = 0.3"))
    return place


def blobs(folder: Path, seed: int, *, n: int = 60, copies: Path | None = None) -> None:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        name, is_left = f"jane-doe-{i:03d}.png", i % 2 == 0
        pixels = rng.normal(60, 25, (SIDE, SIDE))
        pixels[:, : SIDE // 2] += 80 * is_left
        pixels[:, SIDE // 2 :] += 80 * (not is_left)
        if copies is not None:
            shutil.copyfile(copies / name, folder / name)
        else:
            picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        rows.append([name, "left" if is_left else "right", *([f"seen by Dr {i}"] if seed == 2 else [])])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", *(["remark"] if seed == 2 else [])], *rows])


@pytest.fixture(scope="module")
def released(place: Path) -> Path:
    made = let_out(place / "fresh evidence", place / "release", place / "gate.toml")
    assert made.decision.verdict is Verdict.PASS, made.decision.lines
    assert made.decision.statement == "passed policy gate v1 under adversaries image copies (60 synthetic images)"
    assert made.out is not None
    return made.out


def test_pictures_leave_under_new_names_with_judged_labels_alone(place: Path, released: Path) -> None:
    for path in released.rglob("*"):
        assert "jane" not in path.name
        assert not path.is_file() or b"jane-doe" not in path.read_bytes(), path
        assert not path.is_file() or b"seen by" not in path.read_bytes(), path
    made = mk.read(released / "synthetic", schema=released / "schema.toml")
    assert made.columns.names == ["file", "label"]
    assert not made.columns.notes, "the description beside labels.csv is no stray file"
    assert np.array_equal(made.table.images["file"].array(), mk.read(place / "fresh").table.images["file"].array())


def test_every_picture_is_signed_and_marked(place: Path, released: Path) -> None:
    sums = (released / "SHA256SUMS").read_text().splitlines()
    assert sum(line.endswith(".png") for line in sums) == 60
    assert label(released).is_synthetic
    assert not label(place / "fresh" / "jane-doe-000.png").is_synthetic
    assert "60 synthetic images of 8 x 8 pixels, 1 attribute" in (released / "card.md").read_text()
    assert json.loads((released / "decision.json").read_text())["images"] == 60
    check_croissant(released)


@pytest.mark.parametrize("file_format", ["npz", "dicom", "nifti"])
def test_other_kinds_of_files_leave_too(file_format: str, place: Path, tmp_path: Path) -> None:
    pytest.importorskip({"dicom": "pydicom", "nifti": "nibabel"}.get(file_format, "numpy"))
    made = let_out(place / "fresh evidence", tmp_path / "release", place / "gate.toml", file_format=file_format)
    assert made.out is not None
    assert label(made.out).is_synthetic
    where = made.out / ("synthetic.npz" if file_format == "npz" else "synthetic")
    assert len(mk.read(where)) == 60
    check_croissant(made.out)


def test_copies_are_refused(place: Path, tmp_path: Path) -> None:
    made = let_out(place / "copied evidence", tmp_path / "no", place / "gate.toml")
    assert made.out is None
    assert {str(o.verdict) for o in made.decision.outcomes if o.figure.is_attack} == {"fail"}
    with pytest.raises(ParameterError, match="--format csv is no format of images"):
        let_out(place / "fresh evidence", tmp_path / "no", place / "gate.toml", file_format="csv")


def test_rows_of_real_patients_never_leave_as_labels(tmp_path: Path) -> None:
    for seed, name in enumerate(("train", "holdout", "made")):
        rng = np.random.default_rng(seed % 2)  # the labels of what was made are those of train
        labels = {"label": np.repeat(["left", "right"], 30), "age": rng.normal(60, 9, 60).round(2)}
        np.savez(tmp_path / f"{name}.npz", images=np.random.default_rng(seed).integers(0, 255, (60, SIDE, SIDE), dtype=np.uint8), **labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "measure", partial(judging.measure, metrics=["identifiers", "rare_values"], attacks=["image_copies"]))
        judging.judge(tmp_path / "train.npz", tmp_path / "holdout.npz", tmp_path / "made.npz", out=tmp_path / "evidence")
    rules = policy(tmp_path / "gate.toml", ("rare_values", "at_most = 0\nexact = true"), ("image_copies", "at_most = 0.3"))
    made = let_out(tmp_path / "evidence", tmp_path / "release", rules)
    assert made.out is None
    assert made.decision.verdict is Verdict.INSUFFICIENT
    assert any("Nobody attacked the columns beside the images (label, age)" in reason for _, _, reason, _ in made.decision.lines)
