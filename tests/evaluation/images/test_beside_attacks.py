"""A clinical table beside images is attacked as tables are; a few labels are not, since nobody can be told by them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import EvaluationData, Results
from manikin.evaluation.images.beside import beside, may_tell
from manikin.evaluation.suite import OF_LABELS, evaluate
from manikin.report.attacks import attacks
from manikin.report.safety import is_safe

N = 160
OF_TABLES = [name for name, entry in ATTACKS.items() if entry.beside]


def films(seed: int, *, like: Dataset | None = None, only_label: bool = False) -> Dataset:
    """Noise with ages, weights and pressures beside it, or those of another data set."""
    rng = np.random.default_rng(seed)
    age = rng.normal(60, 12, N).round(1)
    frame = pd.DataFrame({"file": pd.Series([f"{seed}-{i}.png" for i in range(N)], dtype=object), "age": age})
    frame["weight"] = (70 + 0.3 * (age - 60) + rng.normal(0, 9, N)).round(1)
    frame["pressure"] = (120 + 0.5 * (age - 60) + rng.normal(0, 12, N)).round()
    frame["sex"] = pd.Categorical(rng.choice(["F", "M"], N), categories=["F", "M"])
    if like is not None:
        frame = like.table.frame.assign(file=frame["file"])
    columns = [Column("file", Kind.IMAGE, image=ImageForm(1, (8, 8)))]
    columns += [Column(name, Kind.CONTINUOUS, decimals=n) for name, n in (("age", 1), ("weight", 1), ("pressure", 0))]
    columns += [Column("sex", Kind.CATEGORICAL, levels=("F", "M"), roles=(Role.TARGET,))]
    pixels = rng.integers(0, 255, (N, 1, 8, 8), dtype=np.uint8)
    data = flat(Table(frame, images={"file": Images.of_array(pixels)}), TableSchema("films", tuple(columns)))
    return data.only(["file", "sex"]) if only_label else data


def judged(train: Dataset, made: Dataset, holdout: Dataset, **named: list[str]) -> Results:
    data = EvaluationData(train, holdout, (made,), train.columns, "sex")
    return evaluate(data, seed=0, with_views=False, **{"metrics": ["copies"], **named})  # type: ignore[arg-type]


def test_rows_of_patients_beside_new_images_are_found() -> None:
    train, holdout = films(0), films(1)
    found = judged(train, films(3, like=train), holdout)
    assert {attack.name for attack in found.attacks} == {*OF_TABLES, "image_membership", "image_copies"}
    assert all(found[name].title.endswith(OF_LABELS) for name in (*OF_TABLES, "copies"))
    assert found["copies"].details["excess"] == 1.0
    for name in ("membership", "singling_out", "attribute_inference", "linkability"):
        assert found[name].interval[0] > 0.5, name
    assert "by what stands beside their images" in " ".join(is_safe(found).reasons)
    headings = [block.text for block in attacks(found) if type(block).__name__ == "Heading"]
    assert {f"Membership{OF_LABELS}", "Copied images"} <= set(headings)
    assert found["image_copies"].value < 0.1  # the images alone tell nothing


def test_fresh_people_are_not_found() -> None:
    found = judged(films(0), films(2), films(1), attacks=["membership", "singling_out", "linkability"])
    assert found["copies"].details["excess"] == 0.0
    assert all(attack.interval[0] <= 0.05 for attack in found.attacks)


def test_a_label_alone_is_not_attacked_unless_asked() -> None:
    train, holdout, made = (films(seed, only_label=True) for seed in (0, 1, 2))
    assert not may_tell(beside(train.columns), N)
    assert may_tell(beside(films(0).columns), N)
    found = judged(train, made, holdout, attacks=["image_copies"])
    assert found["copies"].title.endswith(OF_LABELS)  # it was named
    data = EvaluationData(train, holdout, (made,), train.columns, "sex")
    names = {one.name for one in evaluate(data, seed=0, metrics=[], with_views=False).attacks}
    assert names == {"image_membership", "image_copies"}
