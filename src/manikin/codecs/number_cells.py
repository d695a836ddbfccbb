"""The cells of a number column: values that many patients share (spikes), and intervals of others that are held by as many together.

Every cell is held by at least k patients, and none of one value is one patient's number. What too few patients have between two spikes is
counted together with what they have between others, as one interval that spans spikes; it is then cut at these spikes into *pieces*, each
with a share of the interval's rows by its width, which says nothing of who lies where. A piece goes beside a spike at its end, so that a
token is a place on the column's scale and not two ends of it. Knows nothing of tokens.
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
    count : int64 (n_cells,), rows in each; a piece's are its share of an interval, fewer than k.
    spikes : float64, the values that have a cell of their own.
    host : float64 (n_cells,), the spike beside which a piece lies and whose token it has to share; NaN for every other cell.
    """

    low: Floats
    high: Floats
    count: Ints
    spikes: Floats
    host: Floats


@dataclass(frozen=True)
class Grid:
    """The points on which a column's numbers lie: multiples of `step`, or no finer than it with so many significant digits."""

    step: float
    significant: int | None = None

    @property
    def edge(self) -> float | None:
        """The step that an interval's edges may be moved by; on a grid of significant digits there is none."""
        return None if self.significant is not None else self.step

    def points_within(self, low: Floats, high: Floats, spikes: Floats) -> Floats:
        """How many points that are no spike lie from `low` to `high`, ends included, float64 (n,); spikes lie at ends only."""
        size: Floats | float = self.step
        if self.significant is not None:
            middle = np.maximum(np.abs(low + high) / 2, self.step)
            size = np.maximum(10.0 ** (np.floor(np.log10(middle)) - self.significant + 1), self.step)
        n = np.floor(high / size + 1e-6) - np.ceil(low / size - 1e-6) + 1
        return np.maximum(n - np.isin(low, spikes) - np.isin(high, spikes), 0)


def _sorted(parts: list[tuple[Floats, Floats, Ints]], spikes: Floats, hosts: dict[int, Floats] | None = None) -> Cells:
    """The cells of all parts (low, high, count), sorted; `hosts` of those parts that are pieces."""
    low, high, count = (np.concatenate([part[i] for part in parts]) for i in range(3))
    host = np.concatenate([(hosts or {}).get(i, np.full(len(part[0]), np.nan)) for i, part in enumerate(parts)])
    order = np.lexsort((high, low))
    return Cells(low[order], high[order], count[order].astype(np.int64), spikes, host[order])


def _alone(spikes: Floats, counts: Ints) -> Cells:
    return Cells(spikes, spikes, counts, spikes, np.full(len(spikes), np.nan))


def cells_of(values: Floats, patients: Ints, k: int, grid: Grid, *, protect: bool) -> Cells:
    """Spikes and intervals, each held by at least k patients; the k extreme patients at either end are folded into the range of the rest.

    No cell is one patient's number: a cell of one value is a spike of the data, never a folded tail or a lonely rest.
    """
    if not len(values):
        return _alone(np.empty(0), np.empty(0, dtype=np.int64))
    distinct, place = np.unique(values, return_inverse=True)
    place = place.astype(np.int64)
    n_holders = count_holders(place, patients, len(distinct))
    rows = np.bincount(place, minlength=len(distinct))
    is_spike = n_holders >= k
    if k > 1 and len(np.unique(patients)) < 2 * k and not is_spike.all():
        return _few(values, patients, k, (distinct[is_spike], rows[is_spike], ~is_spike[place]), grid.step)
    low_end, high_end = _protected_range(values, patients, k) if protect and k > 1 else (-np.inf, np.inf)
    outside = (distinct < low_end) | (distinct > high_end)  # fewer than k patients lie there: folded, and no spike of theirs
    is_spike &= ~outside
    spikes, counts = distinct[is_spike], rows[is_spike]
    rest = ~is_spike[place]
    if not rest.any():
        return _alone(spikes, counts)
    if k > 1 and len(spikes):
        return _between_spikes(values[rest], patients[rest], k, (low_end, high_end), grid, (spikes, counts))
    low, high, count = _intervals(values, patients, k, (low_end, high_end), grid.edge)
    return _sorted([(low, high, count)], spikes) if len(low) else _coarse(values, grid.step)


def _between_spikes(
    values: Floats, patients: Ints, k: int, ends: tuple[float, float], grid: Grid, told: tuple[Floats, Ints]
) -> Cells:
    """Spikes and their rows, which are `told`, and intervals within the gaps between them where k patients hold other values there.

    What is left, in gaps that fewer than k patients have values in, is cut into pieces; where fewer than k have any of it, together with
    the nearest gap that has intervals, or without one it goes to the spikes beside it.
    """
    spikes, counts = told
    gap = np.searchsorted(spikes, values)  # 0 below all spikes
    n_holders = count_holders(gap, patients, len(spikes) + 1)
    within: dict[int, tuple[Floats, Floats, Ints]] = {}
    for own in np.flatnonzero(n_holders >= k).tolist():
        mine = gap == own
        found = _intervals(values[mine], patients[mine], k, ends, grid.edge)
        if len(found[0]):
            within[own] = found
    left = np.setdiff1d(np.flatnonzero(n_holders), list(within))
    is_left = np.isin(gap, left)
    joint = _joint(values[is_left], patients[is_left], k, ends, grid)
    if len(left) and within and not len(joint[0]):
        nearest = min(within, key=lambda own: np.abs(left - own).min())
        del within[nearest]
        is_left |= gap == nearest
        joint = _joint(values[is_left], patients[is_left], k, ends, grid)
    parts, hosts = [(spikes, spikes, counts), *within.values()], {}
    pieces = _pieces(joint, np.isin(np.arange(len(spikes) + 1), list(within)), grid, told)
    if pieces is not None:
        hosts[len(parts)] = pieces[3]
        parts.append(pieces[:3])
    elif is_left.any():
        parts[0] = (spikes, spikes, _folded(values[is_left], spikes, counts).count)
    return _sorted(parts, spikes, hosts)


def _joint(values: Floats, patients: Ints, k: int, ends: tuple[float, float], grid: Grid) -> tuple[Floats, Floats, Ints]:
    """Intervals of these values, none where fewer than k patients have them."""
    if len(np.unique(patients)) < k:
        return np.empty(0), np.empty(0), np.empty(0, dtype=np.int64)
    return _intervals(values, patients, k, ends, grid.edge)


def _pieces(
    joint: tuple[Floats, Floats, Ints], is_taken: npt.NDArray[np.bool_], grid: Grid, told: tuple[Floats, Ints]
) -> tuple[Floats, Floats, Ints, Floats] | None:
    """Intervals cut at the spikes that they span, with the spike that each piece goes to (NaN: it is whole); None if one has no place.

    A piece keeps the spikes at its ends, which are not drawn from it. It goes to the one that it reaches, of two to the one with fewer
    rows. Gaps that are taken by intervals of their own are left out.
    """
    spikes, counts = told
    walls = np.r_[-np.inf, spikes, np.inf]
    rows = np.r_[np.iinfo(np.int64).max, counts, np.iinfo(np.int64).max]
    made: list[tuple[Floats, Floats, Ints, Floats]] = []
    for low, high, count in zip(*joint, strict=True):
        gaps = np.arange(np.searchsorted(spikes, low), np.searchsorted(spikes, high, side="right") + 1)
        is_whole = len(gaps) == 1
        gaps = gaps[~is_taken[gaps]]
        a, b = np.maximum(low, walls[gaps]), np.minimum(high, walls[gaps + 1])
        width = np.where(b > a, grid.points_within(a, b, spikes), 0.0)
        gaps, a, b, width = (part[width > 0] for part in (gaps, a, b, width))
        if not len(gaps):
            return None
        share = np.diff(np.round(np.r_[0.0, np.cumsum(width)] / width.sum() * count)).astype(np.int64)
        is_below = (a == walls[gaps]) & ((b < walls[gaps + 1]) | (rows[gaps] <= rows[gaps + 1]))
        host = np.where(is_below, walls[gaps], walls[gaps + 1])
        made.append((a, b, share, np.full(1, np.nan) if is_whole else host))
    if not made:
        return None
    a, b, share, host = (np.concatenate(part) for part in zip(*made, strict=True))
    return a, b, share, host


def _few(values: Floats, patients: Ints, k: int, told: tuple[Floats, Ints, npt.NDArray[np.bool_]], step: float) -> Cells:
    """Fewer than 2 k patients: the numbers that k of them have and their rows, which are `told`, beside one coarse interval of the rest."""
    spikes, counts, rest = told
    if not len(spikes):
        return _coarse(values, step)
    if len(np.unique(patients[rest])) < k:
        return _folded(values[rest], spikes, counts)
    others = _coarse(values[rest], step)
    return _sorted([(spikes, spikes, counts), (others.low, others.high, others.count)], spikes)


def _folded(values: Floats, spikes: Floats, counts: Ints) -> Cells:
    """Spikes alone; values of too few go to the one beside them."""
    nearest = np.abs(values[:, None] - spikes[None]).argmin(axis=1)
    return _alone(spikes, counts + np.bincount(nearest, minlength=len(spikes)))


def cells_with_tails(values: Floats, patients: Ints, k: int, *, step: float) -> Cells:
    """Cells of a column with heavy tails: the k extreme patients at either end have a cell, and are not folded into the rest.

    That cell is the middle half of how far beyond the rest these patients lie, rounded outward to one digit, as for a column that too few
    fill.
    """
    if not len(values) or len(np.unique(patients)) < 2 * k:
        return cells_of(values, patients, k, Grid(step), protect=True)
    low_end, high_end = _protected_range(values, patients, k)
    below, above = values < low_end, values > high_end
    if low_end >= high_end or not (below.any() or above.any()):
        return cells_of(values, patients, k, Grid(step), protect=True)
    inner = ~below & ~above
    cells = cells_of(values[inner], patients[inner], k, Grid(step), protect=False)
    parts = [(cells.low, cells.high, cells.count)]
    for outer, theirs, sign, end in ((below, values <= low_end, -1, low_end), (above, values >= high_end, 1, high_end)):
        if outer.any():
            first, last = np.quantile(sign * (values[theirs] - end), [0.25, 0.75])  # how far beyond the rest
            grid = max(10.0 ** np.floor(np.log10(max(last, step))), step)
            near = max(np.floor(first / grid) * grid, step)
            ends = np.sort([end + sign * near, end + sign * max(np.ceil(last / grid) * grid, near)])
            parts.append((ends[:1], ends[1:], np.array([int(outer.sum())], dtype=np.int64)))
    return _sorted(parts, cells.spikes, {0: cells.host})


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
    return _sorted([(np.array([bottom]), np.array([top]), np.array([len(values)], dtype=np.int64))], np.empty(0))


def _protected_range(values: Floats, patients: Ints, k: int) -> tuple[float, float]:
    """Between the value that k patients reach at the bottom and the one that k reach at the top."""
    who = np.unique(patients, return_inverse=True)[1]
    lowest, highest = np.full(who.max() + 1, np.inf), np.full(who.max() + 1, -np.inf)
    np.minimum.at(lowest, who, values)
    np.maximum.at(highest, who, values)
    return float(np.partition(lowest, k - 1)[k - 1]), float(np.partition(highest, -k)[-k])
