"""Re-splits small tables: one 80/20 split decides too much below 2,000 rows. Knows nothing of synthesizers or scores.

    python benchmarks/splits.py TABLES OUT [NAME...]

writes OUT/<name>/split0 … split4, each a table's folder of its own (train.csv, test.csv, target.txt). Cells are
copied as text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SMALL_TABLE_ROWS = 2_000
N_SPLITS = 5


def read_text(path: Path) -> pd.DataFrame:
    """All cells as the text in the file; only the empty field is missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])


def is_small(folder: Path) -> bool:
    """Whether train and test together hold fewer than 2,000 rows."""
    return len(read_text(folder / "train.csv")) + len(read_text(folder / "test.csv")) < SMALL_TABLE_ROWS


def resplit(folder: Path, out: Path, n_splits: int = N_SPLITS) -> list[Path]:
    """Pools train and test and splits them 80/20 with seeds 0 … n_splits - 1; returns the folders written."""
    pooled = pd.concat([read_text(folder / "train.csv"), read_text(folder / "test.csv")], ignore_index=True)
    cut = round(0.8 * len(pooled))
    written = []
    for seed in range(n_splits):
        # a stream of its own: seed 0 of the original split would give a relative of it
        order = np.random.default_rng([2_000, seed]).permutation(len(pooled))
        split = out / f"split{seed}"
        split.mkdir(parents=True, exist_ok=True)
        pooled.iloc[order[:cut]].to_csv(split / "train.csv", index=False)
        pooled.iloc[order[cut:]].to_csv(split / "test.csv", index=False)
        (split / "target.txt").write_text((folder / "target.txt").read_text())
        written.append(split)
    return written


def fresh(folder: Path, out: Path, n_splits: int) -> list[Path]:
    """Splits whose holdout nobody has looked at, of the size of the given ones; returns the folders written.

    Where a table has rows that were never sampled (rest.csv) both parts are drawn from these alone; else train and test are pooled, which
    makes holdouts new as sets but not row by row.
    """
    parts = {name: read_text(folder / f"{name}.csv") for name in ("train", "test")}
    rest = folder / "rest.csv"
    n_train, n_test = len(parts["train"]), len(parts["test"])
    pooled = read_text(rest) if rest.exists() else pd.concat(list(parts.values()), ignore_index=True)
    written = []
    for seed in range(n_splits):
        order = np.random.default_rng([4_000, seed]).permutation(len(pooled))
        split = out / f"fresh{seed}"
        split.mkdir(parents=True, exist_ok=True)
        pooled.iloc[order[:n_train]].to_csv(split / "train.csv", index=False)
        pooled.iloc[order[n_train : n_train + n_test]].to_csv(split / "test.csv", index=False)
        if rest.exists():
            pooled.iloc[order[n_train + n_test :]].to_csv(split / "rest.csv", index=False)
        (split / "target.txt").write_text((folder / "target.txt").read_text())
        written.append(split)
    return written


def main(tables: Path, out: Path, names: list[str]) -> None:
    """Re-splits the named tables, or every small one."""
    for folder in sorted(tables.iterdir()):
        if (folder / "train.csv").exists() and (folder.name in names or (not names and is_small(folder))):
            print(*resplit(folder, out / folder.name), sep="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
