"""A test read by made-up readers: rows, figures, the page that tells them, and the commands."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manikin.cli.failures import guarded
from manikin.data.errors import DataError, ParameterError
from manikin.report.blocks import Filmstrip, walk
from manikin.report.turing import chapters, headline
from manikin.workflow.turing import Begun, answers, begin, planned, report, results, sides

REASON = "=texture"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("folders")
    for kind in ("real", "synthetic"):
        (root / kind).mkdir()
        for i in range(30):
            Image.fromarray(np.full((4, 4), 8 * i, dtype=np.uint8)).save(root / kind / f"{kind}{i}.png")
        names = [f"{kind}{i}.png,{'<b>ill' if i % 2 else 'well'}" for i in range(30)]
        (root / kind / "labels.csv").write_text("\n".join(["file,label", *names]))
    return root / "real", root / "synthetic"


def read(begun: Begun, name: str, decide: Callable[[str, int], str], *, n: int | None = None) -> None:
    """Lets a reader read, who decides by truth and place."""
    state = begun.room.join({"name": name, "role": "resident" if name < "c" else "radiologist", "years": 3})
    key, order = state["reader"], begun.room._readers[name].order
    while state["image"] and (n is None or state["position"] < n):
        position = state["position"]
        kind = begun.document["images"][order[position]]["kind"]
        begun.room.answer(key, {"position": position, "answer": decide(kind, position), "seconds": 1.0 + position})
        state = begun.room.detail(key, {"position": position, "confidence": 1 + position % 5, "reasons": [REASON] if position == 0 else []})


@pytest.fixture
def begun(folders: tuple[Path, Path], tmp_path: Path) -> Begun:
    return begin(tmp_path / "test", real=folders[0], synthetic=folders[1], images=40, reasons=[REASON, "other"])


def test_rows_and_figures(begun: Begun) -> None:
    with pytest.raises(ParameterError, match="Nobody has answered"):
        results(begun.folder)
    read(begun, "anna", lambda kind, _: kind)
    read(begun, "ben", lambda _kind, place: ("real", "synthetic")[place % 2])
    read(begun, "zoe", lambda kind, _: kind, n=3)
    zoe = begun.room.join({"name": "zoe", "role": "radiologist"})["reader"]
    begun.room.answer(zoe, {"position": 3, "answer": "real", "seconds": 9.5})
    begun.room.answer(zoe, {"position": 3, "answer": "synthetic", "seconds": 30})
    document, rows = results(begun.folder)
    assert len(rows) == 48 + 48 + 4
    assert sum(row["repeat"] for row in rows if row["reader"] == "anna") == 8
    changed = next(row for row in rows if row["reader"] == "zoe" and row["position"] == 4)
    assert (changed["answer"], changed["seconds"]) == ("synthetic", 9.5), "the last decision, the first time"
    anna = next(one for one in document["readers"] if one["reader"] == "anna")
    assert anna["accuracy"]["value"] == anna["sensitivity"]["value"] == anna["auc"]["value"] == 1
    assert document["n"]["left_out"] == ["zoe"]
    assert document["pooled"]["n_readers"] == 2
    assert {one["label"] for one in document["labels"]} == {"<b>ill", "well"}
    assert next(one for one in document["within"] if one["reader"] == "anna")["value"] == 1
    assert document["reasons"] == [{"reason": REASON, "n": 3, "right": document["reasons"][0]["right"]}]
    begun.room.close()


def test_the_report(begun: Begun, tmp_path: Path) -> None:
    for name in ("anna", "ben", "carla"):
        read(begun, name, lambda kind, _: kind)
    begun.room.close()
    document, files = report(begun.folder)
    page = files["report"].read_text()
    assert "Readers could tell" in page
    assert "<b>ill" not in page, "texts are escaped"
    assert "<script" not in page
    assert headline(document)[0].startswith("Readers could tell. They were right in 100 %")
    assert json.loads(files["results"].read_text()) == document
    with files["answers"].open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 144
    assert {row["reasons"] for row in table} == {"", f"'{REASON}"}, "no formula for a spreadsheet"
    strips = [block for chapter in chapters(document, [_picture()]) for block in walk(chapter.blocks) if isinstance(block, Filmstrip)]
    assert [strip.title for strip in strips] == ["Synthetic, recognised by most"]
    with pytest.raises(ParameterError, match="exists already"):
        report(begun.folder)
    report(begun.folder, force=True)


def _picture() -> dict:
    return {"group": "recognised", "file": "a.png", "label": "", "right": 2, "n": 3, "png": b"png"}


def test_a_test_that_has_hardly_begun(begun: Begun) -> None:
    read(begun, "anna", lambda kind, _: kind, n=2)
    begun.room.close()
    document, _ = report(begun.folder)
    assert headline(document)[0].startswith("Undecided: no reader has read 10 images")


def test_which_images_are_meant(folders: tuple[Path, Path], tmp_path: Path) -> None:
    real, synthetic = folders
    run = synthetic.parent
    assert sides(run, real=real, synthetic=None, out=None) == (real, synthetic, run.with_name(f"{run.name}-turing"))
    for given in ({"images": None, "out": None}, {"images": run, "synthetic": synthetic}, {"images": tmp_path}, {"images": run}):
        with pytest.raises(ParameterError):
            sides(given.pop("images"), **{"real": None, "synthetic": None, "out": None, **given})


def test_a_run_shows_the_images_that_it_held_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    from manikin.workflow.options import Options
    from manikin.workflow.synthesize import synthesize

    rng = np.random.default_rng(0)
    data, run = tmp_path / "data.npz", tmp_path / "run"
    np.savez(data, images=rng.integers(0, 255, (60, 6, 6)).astype(np.uint8), label=np.arange(60) % 2)
    synthesize(data, out=run, options=Options(synthesizer="image_pca", rows=20))
    real, synthetic, out = sides(run, real=data, synthetic=None, out=None)
    begun = begin(out, real=real, synthetic=synthetic, run=run)
    begun.room.close()
    assert sum(image["kind"] == "real" for image in begun.document["images"]) <= 12
    assert any("12 that the run held out" in notice for notice in begun.document["notices"])
    other = begin(tmp_path / "other", real=folders[0], synthetic=synthetic, run=run, images=8)
    other.room.close()
    assert any("make sure that its generator did not see them" in notice for notice in other.document["notices"])
    assert any("no labels in common" in notice for notice in other.document["notices"])
    with pytest.raises(DataError, match="No 'label' of"):
        begin(tmp_path / "third", real=folders[0], synthetic=synthetic, label="label")


def test_the_commands(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "test")
    real, synthetic = map(str, folders)
    assert guarded(["turing", "--real", real, "--synthetic", synthetic, "-o", out, "--prepare"]) == 0
    told = capsys.readouterr().out
    assert "60 images, half of them synthetic" in told
    assert "that takes 264" in told
    assert guarded(["turing", out, "--prepare", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resumed"] is True
    assert guarded(["turing", "report", out]) == 2
    assert guarded(["turing", "plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"][0] == {"readers": 1, "images": 264}
    assert guarded(["turing", "plan", "--power", "2"]) == 2
    assert guarded(["turing", "--real", real, "-o", str(tmp_path / "x")]) == 2
    assert guarded(["turing", out, "--host", "0.0.0.0"]) == 2
    assert "one address" in capsys.readouterr().err
    assert answers(Path(out))[1] == []
    assert planned(margin=0.2)[0]["images"] == 66
