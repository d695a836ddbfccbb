"""The cells of a number column: values that many patients share (spikes), and intervals of others that as many hold together.

No spike and no interval is held by fewer than k patients. What too few have in a gap between two spikes is counted together with what they
have in other such gaps, as intervals that span spikes; these are cut into *pieces*, one a gap, from spike to spike, each with a share of
the interval's rows by its width, which says nothing of who lies where. A piece has no patients of its own, so it may be no token: it shares
that of a spike at its end, its host. So a token can be a place on the column's scale, and not two ends of it. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    count : int64 (n_cells,), rows in each; a piece's are its share of an interval that k patients hold.
    spikes : float64, the values that have a cell of their own.
    host : float64 (n_cells,), the spike beside whose gap a piece lies and whose token it has to share; NaN for every other cell.
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

    def after(self, values: Floats) -> Floats:
        """The next point above each value, float64 (n,)."""
        return self._value(np.floor(self._index(values) + 1e-6) + 1)

    def before(self, values: Floats) -> Floats:
        """The next point below each value, float64 (n,)."""
        return self._value(np.ceil(self._index(values) - 1e-6) - 1)

    def n_points(self, low: Floats, high: Floats) -> Floats:
        """How many points lie from `low` to `high`, ends included, at least 0, float64 (n,)."""
        n = np.floor(self._index(high) + 1e-6) - np.ceil(self._index(low) - 1e-6) + 1
        return np.where(np.isfinite(n), np.maximum(n, 0), 0)

    def _index(self, values: Floats) -> Floats:
        """Which point each value is, counted from 0; between two points in proportion."""
        if self.significant is None:
            return values / self.step
        size = np.abs(values) / self.step
        decade = np.floor(np.log10(np.maximum(size, 1)) - self.significant + 1e-12).clip(0)  # of those that lie further apart
        n = 9.0 * 10.0 ** (self.significant - 1)
        further = 10.0**self.significant + decade * n + size / 10.0 ** (decade + 1) - 10.0 ** (self.significant - 1)
        return np.sign(values) * np.where(size < 10.0**self.significant, size, further)

    def _value(self, index: Floats) -> Floats:
        if self.significant is None:
            return np.round(index * self.step, 12) if self.step < 1 else index * self.step
        n, size = 9.0 * 10.0 ** (self.significant - 1), np.abs(index)
        decade, rest = np.divmod(np.maximum(size - 10.0**self.significant, 0), n)
        further = (rest + 10.0 ** (self.significant - 1)) * 10.0 ** (decade + 1)
        return np.round(np.sign(index) * np.where(size < 10.0**self.significant, size, further) * self.step, 12)


def _sorted(parts: list[tuple[Floats, Floats, Ints]], spikes: Floats, hosts: dict[int, Floats] | None = None) -> Cells:
    """The cells of all parts (low, high, count), sorted; `hosts` of those parts that are pieces."""
    low, high, count = (np.concatenate([part[i] for part in parts]) for i in range(3))
    host = np.concatenate([(hosts or {}).get(i, np.full(len(part[0]), np.nan)) for i, part in enumerate(parts)])
    order = np.lexsort((high, low))
    return Cells(low[order], high[order], count[order].astype(np.int64), spikes, host[order])


def _alone(spikes: Floats, counts: Ints) -> Cells:
    return Cells(spikes, spikes, counts, spikes, np.full(len(spikes), np.nan))


def cells_of(values: Floats, patients: Ints, k: int, grid: Grid, *, protect: bool, pieces: bool = True) -> Cells:
    """Spikes and intervals, each held by at least k patients; the k extreme patients at either end are folded into the range of the rest.

    No cell is one patient's number: a cell of one value is a spike of the data, never a folded tail or a lonely rest. Without `pieces`
    intervals span spikes as they are, so that no spike is a host.
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
    if pieces and k > 1 and len(spikes):
        return _between_spikes(values[rest], patients[rest], k, (low_end, high_end), grid, (spikes, counts))
    if len(np.unique(patients[rest])) >= k:
        found = _intervals(values[rest], patients[rest], k, (low_end, high_end), grid.edge)
        if len(found[0]):
            return _sorted([(spikes, spikes, counts), found], spikes)
    return _alone(spikes, _folded(values[rest], _alone(spikes, counts))) if len(spikes) else _coarse(values, grid.step)


def _between_spikes(
    values: Floats, patients: Ints, k: int, ends: tuple[float, float], grid: Grid, told: tuple[Floats, Ints]
) -> Cells:
    """Spikes and their rows, which are `told`, and intervals within the gaps between them where k patients hold other values there.

    What is left, in gaps that fewer than k patients have values in, is cut into pieces; where fewer than k have any of it, it goes to the
    cells beside it.
    """
    spikes, counts = told
    gap = np.searchsorted(spikes, values)  # 0 below all spikes
    n_holders = count_holders(gap, patients, len(spikes) + 1)
    order = np.argsort(gap, kind="stable")
    values, patients, gap = values[order], patients[order], gap[order]
    walls = np.r_[-np.inf, spikes, np.inf]
    parts, is_taken = [(spikes, spikes, counts)], np.zeros(len(walls) - 1, dtype=bool)
    for own in np.flatnonzero(n_holders >= k).tolist():
        mine = slice(*np.searchsorted(gap, [own, own + 1]))
        found = _intervals(values[mine], patients[mine], k, ends, grid.edge, (walls[own], walls[own + 1]))
        if len(found[0]):
            parts.append(found)
            is_taken[own] = True
    is_left = ~is_taken[gap]
    if len(np.unique(patients[is_left])) >= k:
        joint = _intervals(values[is_left], patients[is_left], k, ends, grid.edge)
        pieces = _pieces(joint, ~is_taken, grid, told)
        if pieces is not None:
            return _sorted([*parts, pieces[:3]], spikes, {len(parts): pieces[3]})
    cells = _sorted(parts, spikes)
    return replace(cells, count=_folded(values[is_left], cells)) if is_left.any() else cells


def _pieces(
    joint: tuple[Floats, Floats, Ints], is_open: npt.NDArray[np.bool_], grid: Grid, told: tuple[Floats, Ints]
) -> tuple[Floats, Floats, Ints, Floats] | None:
    """Intervals as pieces (low, high, rows, host), one for each open gap that they reach into; None where there is no point to draw.

    Pieces end right beside spikes or where the next interval begins, and beyond all spikes where the interval ends.
    Their host is the spike with fewer rows of those beside the gap. An interval without a point between spikes is told with the next one.
    """
    spikes, counts = told
    walls = np.r_[-np.inf, spikes, np.inf]
    least, most = np.r_[-np.inf, grid.after(spikes)], np.r_[grid.before(spikes), np.inf]
    rows = np.r_[np.iinfo(np.int64).max, counts, np.iinfo(np.int64).max]
    low, high, count = joint
    first, last = np.searchsorted(spikes, low, side="right"), np.searchsorted(spikes, high)
    low, high = low.copy(), high.copy()
    for i in range(len(low)):  # the outermost ends are one patient's number unless they lie at a spike
        if first[i] > 0 and (i == 0 or last[i - 1] < first[i]):
            low[i] = walls[first[i]]
        if last[i] < len(spikes) and (i == len(low) - 1 or first[i + 1] > last[i]):
            high[i] = walls[last[i] + 1]
    made: list[tuple[Floats, Floats, Ints, Floats]] = []
    waiting = 0
    for i in range(len(low)):
        gaps = np.arange(first[i], last[i] + 1)
        gaps = gaps[is_open[gaps]]
        a, b = np.maximum(low[i], least[gaps]), np.minimum(high[i], most[gaps])
        is_gap = (a == least[gaps]) & (b == most[gaps])  # else its ends are patients' numbers, and one of them alone is none of nobody
        width = np.where(is_gap | (a < b), grid.n_points(a, b), 0)
        gaps, a, b, width = (part[width > 0] for part in (gaps, a, b, width))
        if len(gaps):
            share = np.diff(np.round(np.r_[0.0, np.cumsum(width)] / width.sum() * (count[i] + waiting))).astype(np.int64)
            made.append((a, b, share, np.where(rows[gaps] <= rows[gaps + 1], walls[gaps], walls[gaps + 1])))
        waiting = 0 if len(gaps) else waiting + int(count[i])
    if not made:
        return None
    a, b, share, host = (np.concatenate(part) for part in zip(*made, strict=True))
    share[-1] += waiting
    return a, b, share, host


def _few(values: Floats, patients: Ints, k: int, told: tuple[Floats, Ints, npt.NDArray[np.bool_]], step: float) -> Cells:
    """Fewer than 2 k patients: the numbers that k of them have and their rows, which are `told`, beside one coarse interval of the rest."""
    spikes, counts, rest = told
    if not len(spikes):
        return _coarse(values, step)
    if len(np.unique(patients[rest])) < k:
        return _alone(spikes, _folded(values[rest], _alone(spikes, counts)))
    others = _coarse(values[rest], step)
    return _sorted([(spikes, spikes, counts), (others.low, others.high, others.count)], spikes)


def _folded(values: Floats, cells: Cells) -> Ints:
    """Rows of each cell, with those of too few patients at the cell that lies nearest, int64 (n_cells,); pieces get none."""
    whole = np.flatnonzero(np.isnan(cells.host))
    low, high = cells.low[whole], cells.high[whole]  # sorted, and none within another
    after = np.searchsorted(low, values, side="right")
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(whole) - 1)
    nearest = np.where(np.maximum(values - high[before], 0) <= np.abs(low[after] - values), before, after)
    return cells.count + np.bincount(whole[nearest], minlength=len(cells.count))


def cells_with_tails(values: Floats, patients: Ints, k: int, *, step: float, pieces: bool = True) -> Cells:
    """Cells of a column with heavy tails: the k extreme patients at either end have a cell, and are not folded into the rest.

    That cell is the middle half of how far beyond the rest these patients lie, rounded outward to one digit, as for a column that too few
    fill.
    """
    if not len(values) or len(np.unique(patients)) < 2 * k:
        return cells_of(values, patients, k, Grid(step), protect=True, pieces=pieces)
    low_end, high_end = _protected_range(values, patients, k)
    below, above = values < low_end, values > high_end
    if low_end >= high_end or not (below.any() or above.any()):
        return cells_of(values, patients, k, Grid(step), protect=True, pieces=pieces)
    inner = ~below & ~above
    cells = cells_of(values[inner], patients[inner], k, Grid(step), protect=False, pieces=pieces)
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
    values: Floats,
    patients: Ints,
    k: int,
    ends: tuple[float, float],
    step: float | None,
    walls: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[Floats, Floats, Ints]:
    """Intervals of consecutive values that k patients hold together, as (low, high, rows); their edges lie between patients' values.

    `walls` are the spikes around all of them.
    """
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
    n_values = np.array([b - a + 1 for a, b in groups])
    return *_between(low, high, n_values, step, walls), count


def _between(low: Floats, high: Floats, n_values: Ints, step: float, walls: tuple[float, float]) -> tuple[Floats, Floats]:
    """Edges moved into the gaps between groups, and to spikes, by no more than the spacing inside a group, but a step at least.

    So they are nobody's number where there is room for one of nobody.
    """
    spacing = np.maximum((high - low) / np.maximum(n_values - 1, 1), step)
    up = np.minimum(0.49 * (np.r_[low[1:], walls[1]] - high), spacing)
    down = np.minimum(0.49 * (low - np.r_[walls[0], high[:-1]]), spacing)
    new_high = np.round(np.floor((high + up) / step + 1e-9) * step, 12)
    new_low = np.round(np.ceil((low - down) / step - 1e-9) * step, 12)
    is_end = np.isinf(walls)  # beyond all spikes the ends stay: the protected range, or that which was declared
    new_low[0], new_high[-1] = low[0] if is_end[0] else new_low[0], high[-1] if is_end[1] else new_high[-1]
    return np.minimum(new_low, low), np.maximum(new_high, high)


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
