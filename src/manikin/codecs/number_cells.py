"""The cells of a number column: values that many patients share, and intervals of others that are held by as many together.

Every cell is held by at least k patients, and none of one value is one patient's number. Knows nothing of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.codecs.levels import count_holders

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Cells sorted by `low`, then `high`.

    Attributes
    ----------
    low, high : float64 (n_cells,), the first and last grid point of each; equal for a spike.
    count : int64 (n_cells,), rows in each.
    spikes : float64, the values that have a cell of their own.
    """

    low: Floats
    high: Floats
    count: Ints
    spikes: Floats


def cells_of(values: Floats, patients: Ints, k: int, *, step: float, edge_step: float | None, protect: bool) -> Cells:
    """Spikes and intervals, each held by at least k patients; the k extreme patients at either end are folded into the range of the rest.

    No cell is one patient's number: a cell of one value is a spike of the data, never a folded tail or a lonely rest.
    """
    if not len(values):
        return Cells(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64), np.empty(0))
    distinct, place = np.unique(values, return_inverse=True)
    place = place.astype(np.int64)
    n_holders = count_holders(place, patients, len(distinct))
    rows = np.bincount(place, minlength=len(distinct))
    is_spike = n_holders >= k
    if k > 1 and len(np.unique(patients)) < 2 * k and not is_spike.all():
        return _few(values, patients, k, (distinct[is_spike], rows[is_spike], ~is_spike[place]), step)
    low_end, high_end = _protected_range(values, patients, k) if protect and k > 1 else (-np.inf, np.inf)
    outside = (distinct < low_end) | (distinct > high_end)  # fewer than k patients lie there: folded, and no spike of theirs
    is_spike &= ~outside
    spikes, counts = distinct[is_spike], rows[is_spike]
    rest = ~is_spike[place]
    if not rest.any():
        return Cells(spikes, spikes, counts, spikes)
    if k == 1 or len(np.unique(patients[rest])) >= k:
        low, high, count = _intervals(values[rest], patients[rest], k, (low_end, high_end), edge_step)
        if len(low):
            cells = Cells(np.r_[spikes, low], np.r_[spikes, high], np.r_[counts, count], spikes)
            order = np.lexsort((cells.high, cells.low))
            return Cells(cells.low[order], cells.high[order], cells.count[order], spikes)
    return _folded(values[rest], spikes, counts) if len(spikes) else _coarse(values, step)


def _few(values: Floats, patients: Ints, k: int, told: tuple[Floats, Ints, npt.NDArray[np.bool_]], step: float) -> Cells:
    """Fewer than 2 k patients: the numbers that k of them have and their rows, which are `told`, beside one coarse interval of the rest."""
    spikes, counts, rest = told
    if not len(spikes):
        return _coarse(values, step)
    if len(np.unique(patients[rest])) < k:
        return _folded(values[rest], spikes, counts)
    others = _coarse(values[rest], step)
    low, high, count = np.r_[spikes, others.low], np.r_[spikes, others.high], np.r_[counts, others.count]
    order = np.lexsort((high, low))
    return Cells(low[order], high[order], count[order], spikes)


def _folded(values: Floats, spikes: Floats, counts: Ints) -> Cells:
    """Spikes alone; values of too few go to the one beside them."""
    nearest = np.abs(values[:, None] - spikes[None]).argmin(axis=1)
    return Cells(spikes, spikes, counts + np.bincount(nearest, minlength=len(spikes)), spikes)


def cells_with_tails(values: Floats, patients: Ints, k: int, *, step: float) -> Cells:
    """Cells of a column with heavy tails: the k extreme patients at either end have a cell, and are not folded into the rest.

    That cell is the middle half of how far beyond the rest these patients lie, rounded outward to one digit, as for a column that too few
    fill.
    """
    if not len(values) or len(np.unique(patients)) < 2 * k:
        return cells_of(values, patients, k, step=step, edge_step=step, protect=True)
    low_end, high_end = _protected_range(values, patients, k)
    below, above = values < low_end, values > high_end
    if low_end >= high_end or not (below.any() or above.any()):
        return cells_of(values, patients, k, step=step, edge_step=step, protect=True)
    inner = ~below & ~above
    cells = cells_of(values[inner], patients[inner], k, step=step, edge_step=step, protect=False)
    low, high, count = [cells.low], [cells.high], [cells.count]
    for outer, theirs, sign, end in ((below, values <= low_end, -1, low_end), (above, values >= high_end, 1, high_end)):
        if outer.any():
            first, last = np.quantile(sign * (values[theirs] - end), [0.25, 0.75])  # how far beyond the rest
            grid = max(10.0 ** np.floor(np.log10(max(last, step))), step)
            near = max(np.floor(first / grid) * grid, step)
            ends = np.sort([end + sign * near, end + sign * max(np.ceil(last / grid) * grid, near)])
            low.append(ends[:1])
            high.append(ends[1:])
            count.append(np.array([int(outer.sum())], dtype=np.int64))
    made = Cells(np.concatenate(low), np.concatenate(high), np.concatenate(count), cells.spikes)
    order = np.lexsort((made.high, made.low))
    return Cells(made.low[order], made.high[order], made.count[order], made.spikes)


def _intervals(
    values: Floats, patients: Ints, k: int, ends: tuple[float, float], step: float | None
) -> tuple[Floats, Floats, Ints]:
    """Intervals of consecutive values that k patients hold together, as (low, high, rows); their edges lie between patients' values."""
    order = np.argsort(values, kind="stable")
    values, patients = values[order], patients[order]
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf))
    stops = np.append(starts[1:], len(values))
    folded = np.clip(values[starts], *ends)
    each_once = len(np.unique(patients)) == len(patients)
    groups: list[tuple[int, int]] = []  # first and last position in `starts`
    first, n_held, held = 0, 0, set[int]()
    for i, (a, b) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        if each_once:
            n_held += b - a
        else:
            held.update(patients[a:b].tolist())
            n_held = len(held)
        if n_held >= k and (k == 1 or folded[i] > folded[first]):
            groups.append((first, i))
            first, n_held, held = i + 1, 0, set()
    if first < len(starts):  # too few are left at the end, or they were folded into one point: they join the group before
        groups = [*groups[:-1], (groups[-1][0], len(starts) - 1)] if groups else [(first, len(starts) - 1)]
    low = np.array([folded[a] for a, _ in groups])
    high = np.array([folded[b] for _, b in groups])
    count = np.array([stops[b] - starts[a] for a, b in groups], dtype=np.int64)
    if k > 1 and (len(groups) == 1 and low[0] == high[0]):
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    if step is None:  # on a grid of significant digits there is no common step to move by
        return low, high, count
    return *_between(low, high, count, step), count


def _between(low: Floats, high: Floats, count: Ints, step: float) -> tuple[Floats, Floats]:
    """Edges moved into the gaps between groups, by no more than the spacing inside a group, so that they are nobody's number."""
    spacing = (high - low) / np.maximum(count - 1, 1)
    gap = low[1:] - high[:-1]
    up = np.minimum(0.49 * gap, spacing[:-1])
    down = np.minimum(0.49 * gap, spacing[1:])
    new_low, new_high = low.copy(), high.copy()
    new_high[:-1] = np.round(np.floor((high[:-1] + up) / step + 1e-9) * step, 12)
    new_low[1:] = np.round(np.ceil((low[1:] - down) / step - 1e-9) * step, 12)
    new_high[:-1] = np.maximum(new_high[:-1], high[:-1])
    new_low[1:] = np.minimum(new_low[1:], low[1:])
    return new_low, new_high


def _coarse(values: Floats, step: float) -> Cells:
    """One interval for a column that too few patients fill: the middle half of the values, rounded outward to one significant digit."""
    low, high = np.quantile(values, [0.25, 0.75])
    size = high - low if high > low else max(abs(high), step)
    grid = max(10.0 ** np.floor(np.log10(size)), step)
    bottom, top = np.floor(low / grid) * grid, np.ceil(high / grid) * grid
    top = top if top > bottom else bottom + grid
    return Cells(np.array([bottom]), np.array([top]), np.array([len(values)], dtype=np.int64), np.empty(0))


def _protected_range(values: Floats, patients: Ints, k: int) -> tuple[float, float]:
    """Between the value that k patients reach at the bottom and the one that k reach at the top."""
    who = np.unique(patients, return_inverse=True)[1]
    lowest, highest = np.full(who.max() + 1, np.inf), np.full(who.max() + 1, -np.inf)
    np.minimum.at(lowest, who, values)
    np.maximum.at(highest, who, values)
    return float(np.partition(lowest, k - 1)[k - 1]), float(np.partition(highest, -k)[-k])
