"""Images beside the cells of a table: lazily read, and carried through every choice of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table, concat, flat, split
from manikin.data.errors import DataError, SchemaError
from manikin.data.images import Images, joined
from manikin.data.schema import Column, ImageForm, Kind, Schema, TableSchema
from manikin.data.schema_text import schema_from_json, schema_to_json
from manikin.io.schema_file import read_schema, write_schema

SCHEMA = TableSchema(
    "chest",
    (
        Column("file", Kind.IMAGE, image=ImageForm(size=(4, 3), spacing=(0.5, 0.25), modality="CR")),
        Column("label", Kind.CATEGORICAL, levels=("normal", "pneumonia")),
    ),
)


@dataclass
class Counting:
    """A source that remembers what was read."""

    n: int
    read: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return self.n

    def image(self, i: int) -> Any:
        self.read.append(i)
        return np.full((1, 4, 3), i, dtype=np.uint8)


def chest(n: int, source: Any | None = None) -> Dataset:
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(n)], "label": pd.Categorical(["normal", "pneumonia"] * (n // 2))})
    return flat(Table(frame, images={"file": Images.of(source or Counting(n))}), SCHEMA)


def test_rows_keep_their_images_through_splits_and_joins() -> None:
    data = chest(20)
    train, holdout = split(data, seed=3)
    back = concat([train, holdout])
    for part in (train, holdout, back, back.subset(np.array([4, 2]))):
        names = [f"{int(value)}.png" for value in part.table.images["file"].array()[:, 0, 0, 0]]
        assert names == part.table.frame["file"].tolist()
    assert data.modality == "images"
    assert data.only(["label"]).modality == "table"
    assert not data.only(["label"]).table.images


def test_only_the_images_asked_for_are_read() -> None:
    source = Counting(100)
    data = chest(100, source)
    part = data.take(np.array([7, 3, 3]))
    assert source.read == []
    assert part.table.images["file"].array(np.array([0, 2])).shape == (2, 1, 4, 3)
    assert source.read == [7, 3]


def test_a_row_without_an_image_is_named_and_sizes_must_agree() -> None:
    images = Images(Counting(2), np.array([0, -1, 1]))
    assert images.present.tolist() == [True, False, True]
    with pytest.raises(DataError, match="Row 2 has no image"):
        images.array()
    different = joined([Images.of_array(np.zeros((1, 1, 2, 2))), Images.of_array(np.zeros((1, 1, 3, 2)))])
    with pytest.raises(DataError, match=r"row 2 has the shape \(1, 3, 2\)"):
        different.array()
    again = joined([images, images])
    assert again.present.tolist() == [True, False, True] * 2
    assert again.image(5)[0, 0, 0] == 1
    with pytest.raises(DataError, match="4 axes"):
        Images.of_array(np.zeros((3, 3)))


def test_rows_left_over_do_not_keep_what_nobody_shows() -> None:
    left = Images.of_array(np.zeros((4, 1, 2, 2)))
    for value in range(1, 40):
        left = joined([left, Images.of_array(np.full((10, 1, 2, 2), value))]).take(np.arange(9, 14))
        assert left.array()[:, 0, 0, 0].tolist() == [value] * 5
    assert len(left.source) <= 24


def test_no_image_at_all() -> None:
    none = chest(2).take(np.array([], dtype=np.int64))
    assert none.table.images["file"].array().shape[0] == 0


def test_what_images_have_in_common_comes_back_from_both_kinds_of_schema_file(tmp_path: Any) -> None:
    schema = Schema((SCHEMA,))
    assert schema_from_json(schema_to_json(schema)) == schema
    write_schema(schema, tmp_path / "schema.toml")
    assert read_schema(tmp_path / "schema.toml") == schema
    assert SCHEMA.images[0].name == "file"
    assert [column.name for column in SCHEMA.learned] == ["label"]


@pytest.mark.parametrize(
    "facts",
    [
        {"channels": 0},
        {"size": (0, 4)},
        {"size": (4,)},
        {"lowest": 1.0, "highest": 1.0},
        {"spacing": (1.0, 1.0)},
        {"size": (4, 4), "spacing": (1.0, -1.0)},
    ],
)
def test_impossible_images_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(SchemaError, match=r"Correct the schema|above 0"):
        ImageForm(**facts)
