"""Images of a rare label are made beside the real ones: a folder in which each file and each row says what it is."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import manikin as mk
from manikin.data.errors import DataError, ParameterError
from manikin.evaluation.images import utility
from manikin.io.images.marks import says_synthetic
from manikin.io.images.picture_writing import refuse_place
from manikin.workflow.augmentation import Wishes
from manikin.workflow.augmented_file import Written, augment_file
from manikin.workflow.augmented_worth import in_words
from manikin.workflow.options import Options

picture = pytest.importorskip("PIL.Image")
OPTIONS = Options(synthesizer="image_pca", seed=1)
N_RARE, N_OTHERS = 15, 45


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rare") / "films"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N_RARE + N_OTHERS):
        is_rare = i < N_RARE
        pixels = rng.normal(60, 10, (8, 8))
        pixels[:, 4 * is_rare : 4 * is_rare + 4] += 90
        picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"film-{i}.png")
        rows.append([f"film-{i}.png", "mass" if is_rare else "clear", "train"])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label", "split"], *rows])
    return folder


@pytest.fixture(scope="module")
def written(films: Path) -> Written:
    return augment_file(films, out=films.parent / "more", wishes=Wishes(target="label"), options=OPTIONS)


def test_the_rare_label_is_filled_up_and_every_row_is_marked(written: Written) -> None:
    made = mk.read(written.out)
    frame = made.table.frame
    assert frame.groupby(["label", "row_origin"], observed=True).size().to_dict() == {
        ("clear", "real"): N_OTHERS,
        ("mass", "real"): N_RARE,
        ("mass", "synthetic"): N_OTHERS - N_RARE,
    }
    assert written.made.rows == {"given": 60, "real": 60, "synthetic": 30}
    assert written.made.statement.startswith("The real images stand in it unchanged")


def test_every_file_says_what_it_is_and_real_pixels_stay(written: Written, films: Path) -> None:
    with (written.out / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert says_synthetic(written.out / row["file"]) is (row["row_origin"] == "synthetic"), row
    real, whole = mk.read(films), mk.read(written.out)
    assert np.array_equal(whole.table.images["file"].array()[:60], real.table.images["file"].array())
    left = whole.table.images["file"].array()[60:, 0, :, :4].mean(axis=(1, 2))
    right = whole.table.images["file"].array()[60:, 0, :, 4:].mean(axis=(1, 2))
    assert (right > left).mean() > 0.9, "made images show what they are called"


def test_the_record_stands_beside(written: Written, films: Path) -> None:
    record = json.loads(written.record.read_text())
    assert written.record == films.parent / "more.augmented.json"
    assert record["holds_real_patients"] is True
    assert {one["name"] for one in record["outputs"]} >= {"labels.csv", "film-0.png"}
    assert [cell["synthetic"] for cell in record["cells"]] == [0, 30]


def test_made_images_alone_and_in_python(films: Path) -> None:
    made = mk.augment(films, target="label", mode="full", rows=12, synthesizer="image_pca")
    assert len(made.data) == 12
    assert made.data.table.images["file"].array().shape == (12, 1, 8, 8)
    assert set(made.data.table.frame["row_origin"]) == {"synthetic"}


@pytest.mark.parametrize(
    ("wishes", "out", "more", "why"),
    [
        (Wishes(target="label", mode="partial", replace=("label",)), "x", {}, "--mode partial makes columns of a table anew"),
        (Wishes(target="label"), "x.csv", {}, "augmented images are a folder of pictures"),
        (Wishes(target="label"), "x", {"file_format": "npz"}, "Leave --format npz out"),
        (Wishes(target="label"), "films", {"force": True}, "never replaced"),
    ],
)
def test_what_does_not_go_is_told(films: Path, wishes: Wishes, out: str, more: dict[str, object], why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        augment_file(films, out=films.parent / out, wishes=wishes, options=OPTIONS, **more)  # type: ignore[arg-type]
    assert (films / "labels.csv").is_file()


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def learns(*_: object, **__: object) -> None:
        raise AssertionError("it was learned from what cannot be written")

    monkeypatch.setattr("manikin.workflow.augmented_file.begun", learns)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("place", "force", "why"),
    [
        ("a-file", True, "is a file or a link; images need a folder"),
        ("foreign", False, "exists already"),
        ("foreign", True, "holds thesis.txt, which is none of these images"),
        ("more.png", False, "is called like a file"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_any_work(films: Path, tmp_path: Path, place: str, force: bool, why: str) -> None:
    (tmp_path / "a-file").write_text("mine")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=why):
        augment_file(films, out=tmp_path / place, wishes=Wishes(target="label"), options=OPTIONS, force=force)
    assert (tmp_path / "a-file").read_text() == (tmp_path / "foreign" / "thesis.txt").read_text() == "mine"


@pytest.mark.usefixtures("no_work")
def test_what_is_no_picture_is_refused_before_any_work(tmp_path: Path) -> None:
    rng, labels = np.random.default_rng(0), ["mass"] * 4 + ["clear"] * 8
    np.savez(tmp_path / "scans.npz", images=rng.integers(0, 255, (12, 4, 6, 6), dtype=np.uint8), label=labels)
    with pytest.raises(ParameterError, match=r"scans.npz holds volumes in the column 'file'.* a folder of pictures"):
        augment_file(tmp_path / "scans.npz", out=tmp_path / "more", wishes=Wishes(target="label"), options=OPTIONS)
    np.savez(tmp_path / "deep.npz", images=rng.integers(0, 4000, (12, 6, 6, 3), dtype=np.uint16), label=labels)
    with pytest.raises(DataError, match=r"deep.npz, column 'file': colours beyond 0 to 255"):
        augment_file(tmp_path / "deep.npz", out=tmp_path / "more", wishes=Wishes(target="label"), options=OPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep.npz", "scans.npz"]


def test_folders_above_may_be_missing(tmp_path: Path) -> None:
    refuse_place(tmp_path / "new" / "more", force=False)
    assert not (tmp_path / "new").exists()


def test_what_made_images_add_is_told_on_images_set_aside(films: Path, tmp_path: Path) -> None:
    test = tmp_path / "test"
    test.mkdir()
    rng = np.random.default_rng(9)
    lines = ["file,label"]
    for i in range(40):
        pixels = rng.normal(60, 40, (8, 8))
        pixels[:, 4 * (i % 2) : 4 * (i % 2) + 4] += 20  # hard to tell, so that no arm is always right
        picture.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(test / f"t{i}.png")
        lines.append(f"t{i}.png,{'mass' if i % 2 else 'clear'}")
    (test / "labels.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utility, "ADDED_STEPS", 20)
        patch.setattr(utility, "N_SEEDS", 2)
        written = augment_file(films, out=tmp_path / "more", wishes=Wishes(target="label"), options=OPTIONS, test=test)
        same = mk.augment(films, target="label", synthesizer="image_pca", seed=1, test=test).added
    assert same is not None
    assert same.value == written.added.value
    added = json.loads(written.record.read_text())["added"]
    assert (added["details"]["label"], added["n_test_images"]) == ("mass", 40)
    assert added["details"]["n_of_the_class"] == {"real": N_RARE, "synthetic": N_OTHERS, "repeated": N_OTHERS}
    assert all(0.6 < area < 1 for area in added["details"]["auc"].values())
    assert added["interval"][0] <= added["value"] <= added["interval"][1]
    first, second = in_words(written.added)
    assert first.startswith("Recognising 'mass' on 40 real images set aside (AUC, 95 % interval): learned from the real images alone 0.")
    assert second.startswith("The made images ")


def test_images_to_test_on_are_others(films: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="60 of the 60 images of --test are among those to learn from"):
        augment_file(films, out=tmp_path / "more", wishes=Wishes(target="label"), options=OPTIONS, test=films)
    assert not (tmp_path / "more").exists()
    (tmp_path / "rows.csv").write_text("age,died\n" + "60,no\n" * 50 + "70,yes\n" * 20)
    with pytest.raises(ParameterError, match="--test judges images"):
        augment_file(tmp_path / "rows.csv", out=tmp_path / "m.csv", wishes=Wishes(target="died"), test=films)


@pytest.mark.usefixtures("no_work")
def test_images_set_aside_are_never_replaced(films: Path, tmp_path: Path) -> None:
    test = tmp_path / "test"
    test.mkdir()
    picture.fromarray(np.full((8, 8), 9, dtype=np.uint8)).save(test / "t.png")
    with pytest.raises(ParameterError, match="never replaced"):
        augment_file(films, out=test, wishes=Wishes(target="label"), options=OPTIONS, test=test, force=True)
    assert [path.name for path in test.iterdir()] == ["t.png"]
