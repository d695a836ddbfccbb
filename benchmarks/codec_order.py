"""Do tokens of number columns keep their order: rank correlation of values with their tokens, and of values with themselves redrawn.

    python benchmarks/codec_order.py TABLES/heart/train.csv TABLES/gbsg2/train.csv …

One line a column that has two frequent values or more: how many of these it has, Spearman's correlation of each value with the place of its
token, Pearson's with the value decoded from its token (eight draws), the Kolmogorov-Smirnov distance of decoded from real values, and the
ratio of their standard deviations. No model is fitted: this is what the codec alone loses.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp, spearmanr

import manikin as mk
from manikin.codecs.numbers import NumberCodec, to_units
from manikin.codecs.table import TableCodec

DRAWS = 8


def main(paths: list[str]) -> None:
    """Prints the table."""
    print(f"{'table':12} {'column':18} {'frequent':>8} {'order':>7} {'redrawn':>7} {'KS':>7} {'spread':>7}")
    for path in paths:
        data = mk.read(path)
        codec = TableCodec().fit(data)
        for column, own in zip(codec.schema_.learned, codec.columns_, strict=True):
            if not isinstance(own, NumberCodec) or len(own.spikes) < 2:
                continue
            values = to_units(data.table.frame[column.name], own.unit)[data.table.mark(column.name) == 0]
            tokens, rng = own.encode(values), np.random.default_rng(0)
            drawn = np.concatenate([own.decode(tokens, rng) for _ in range(DRAWS)])
            order = spearmanr(own.positions()[tokens], values)[0]
            redrawn = np.corrcoef(drawn, np.tile(values, DRAWS))[0, 1]
            figures = f"{order:7.4f} {redrawn:7.4f} {ks_2samp(drawn, values)[0]:7.4f} {drawn.std() / values.std():7.3f}"
            print(f"{Path(path).parent.name:12} {column.name:18} {len(own.spikes):8d} {figures}")


if __name__ == "__main__":
    main(sys.argv[1:])
