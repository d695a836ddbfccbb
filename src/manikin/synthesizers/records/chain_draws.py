"""Draws patients from a chain over their events, table by table, row by row. Knows nothing of how it was counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import later
from manikin.codecs.records.lengths import drawn_lengths
from manikin.codecs.records.masks import EventMasks, Progress
from manikin.synthesizers.records.chain import Chain, suits_of
from manikin.synthesizers.records.chain_history import ALIKE, LAST, PLAN, ChainHistory, run_class
from manikin.synthesizers.records.chances import NONE
from manikin.synthesizers.records.moment_kinds import ends_of
from manikin.synthesizers.records.pace import SLACK, Pace, Stays, urge
from manikin.synthesizers.records.sharing import Portions

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
TRIES = 5  # draws of a gap that must keep to the outline
MOST_AT_ONCE = 10_000  # rows whose chances are in memory


class ChainDraws:
    """Draws from a chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def draw(self, n: int, rng: np.random.Generator) -> Records:
        """`n` new patients, as tokens."""
        masks, layout = self.chain.codec.masks(), self.chain.codec.layout
        static, planned, hours, groups = self._draw_static(n, rng)
        progress = masks.begin(static)
        n_groups = [len(one) for one in self.chain.outline.groups] if self.chain.outline is not None else []
        fields = [table.layout.sizes for table in layout.tables]
        repeating = [own is not None for own in self.chain.repeats]
        tied = {at: first for at, first in self.chain.numbers.items() if at in self.chain.ties}
        behind = ChainHistory(n, fields, self.chain.codes, self.chain.contexts, repeating, (groups, n_groups), tied)
        if self.chain.sets is not None:
            emitted = [self.chain.codec.emitted(i, max(code, 0)) for i, code in enumerate(self.chain.codes)]
            behind.have(self.chain.sets, planned, emitted, rng)
            for i, (kinds, seen) in enumerate(zip(self.chain.kinds, behind.seen, strict=True)):
                if kinds is not None and seen is not None:
                    behind.suits[i] = suits_of(self.chain.fields[i][self.chain.codes[i]], len(kinds), seen.open, n)
        pace = None if hours is None else self._pace(hours, planned, masks)
        going, n_tables, width = np.arange(n), len(layout.tables), layout.width
        moments = [self._moments_a_row(i, masks) for i in range(n_tables)]
        portions = Portions(planned, self.chain.sharing, {} if pace is None else {i: p for i, p in enumerate(self.chain.holders) if p >= 0})
        # rows without a time come with the row that they belong to
        timeless = [i for i in portions.holders if self.chain.codec.events_[i].plan.start is None]
        owner, tables, tokens = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int16)], [np.zeros((0, width), dtype=np.int32)]
        while True:
            allowed = masks.tables(progress, going)[:, :n_tables]
            for i in timeless:
                allowed[:, i] &= (portions.share[going, i] > 0) & (progress.last[going, portions.holders[i]] == progress.ticks[going])
            allowed = portions.allowed(going, allowed)
            going, allowed = going[allowed.any(axis=1)], allowed[allowed.any(axis=1)]
            if not len(going):
                break
            weight = allowed * self.chain.following[behind.state[going]]
            if pace is not None:  # the more readily the more of a table's rows are left
                weight *= planned[going] / self.chain.usual
                stays, ahead = Stays(len(going)), np.zeros(allowed.shape, dtype=bool)
                for i in timeless:
                    stays.stop(i, allowed[:, i])
                for i in range(n_tables):
                    left = masks.time_left(progress, going, i)
                    if left is None:
                        continue
                    leads = portions.lead(going, i, left)
                    weight[:, i] *= pace.haste(going, progress.ticks[going], left) * urge(leads)
                    ahead[:, i] = leads > SLACK
                    is_open = allowed[:, i] | (planned[going][:, masks.enclosing(i)] > 0).any(axis=1)
                    stays.add(i, left * is_open, portions.to_come(going, i) * moments[i])
                weight *= pace.hold(going, progress.ticks[going], stays, allowed, ahead)
            edges = np.cumsum(weight, axis=1)
            chosen = (edges <= (rng.random(len(going)) * edges[:, -1])[:, None]).sum(axis=1)
            for i in np.unique(chosen).tolist():
                rows, own = self._draw_rows(i, going[chosen == i], behind, masks, progress, portions, pace, rng)
                owner.append(rows)
                tables.append(np.full(len(rows), i, dtype=np.int16))
                tokens.append(own)
        return self._records(static, np.concatenate(owner), np.concatenate(tables), np.concatenate(tokens))

    def _draw_rows(
        self,
        i: int,
        rows: Ints,
        behind: ChainHistory,
        masks: EventMasks,
        progress: Progress,
        portions: Portions,
        pace: Pace | None,
        rng: np.random.Generator,
    ) -> tuple[Ints, Tokens]:
        """The next rows of a table of some patients: whose they are, and their tokens. Those whose row is to wait have none; the table is
        closed to patients whose time for it is up.
        """
        own = np.zeros((len(rows), self.chain.codec.layout.width), dtype=np.int32)
        if pace is not None:
            given, allowed = behind.of(self.chain.fields[i][0].parent, rows, i, 0, own), masks.field(progress, rows, i, 0, own)
            own[:, 0], goes = self._gaps(i, rows, given, allowed, behind, masks, progress, pace, rng)
            rows, own, given, allowed = rows[goes], own[goes], given[goes], None if allowed is None else allowed[goes]
            if allowed is not None:
                is_over = own[:, 0] > np.where(allowed, np.arange(allowed.shape[1]), -1).max(axis=1)
                portions.close(rows[is_over], i)
                rows, own, given, allowed = rows[~is_over], own[~is_over], given[~is_over], allowed[~is_over]
                lost = np.flatnonzero(~allowed[np.arange(len(rows)), own[:, 0]])
                own[lost, 0] = self.chain.fields[i][0].draw(given[lost], allowed[lost], rng)
        for j, chances in enumerate(self.chain.fields[i]):
            if j == 0 and pace is not None:
                continue
            if j == 1:
                behind.at(rows, i, masks.middles[i][own[:, 0]] > 0)
                self._draw_kinds(i, rows, own, behind, rng)
            allowed, given = masks.field(progress, rows, i, j, own), behind.of(chances.parent, rows, i, j, own)
            repeats, seen = self.chain.repeats[i], behind.seen[i]
            if j == behind.codes[i] and repeats is not None and seen is not None:
                new = behind.of(repeats.fresh.parent, rows, i, j, own)
                own[:, j] = repeats.draw(seen, rows, chances, (given, new), allowed, rng)
                continue
            own[:, j] = chances.draw(given, allowed, rng)
            if (i, j) in self.chain.ties:
                self._tie(i, j, rows, own, behind, given, allowed, rng)
            if self.chain.same[i][j] > 0:
                before = behind.of(ALIKE + j, rows, i, j, own)
                is_same = (rng.random(len(rows)) < self.chain.same[i][j]) & (before >= 0)
                if allowed is not None:
                    is_same &= allowed[np.arange(len(rows)), before]
                own[is_same, j] = before[is_same]
        ticks, runs = progress.ticks[rows], behind.run[rows]
        masks.advance(progress, rows, i, own)
        is_later = progress.ticks[rows] > ticks
        behind.add(rows, i, own, is_later)
        portions.drawn(rows, i, masks.lengths(i, own), rng)
        if pace is not None:
            pace.follow(rows[runs > 0], i, run_class(runs[runs > 0]), is_later[runs > 0])
            pace.add(rows, i, progress.ticks[rows])
        return rows, own

    def _draw_kinds(self, i: int, rows: Ints, own: Tokens, behind: ChainHistory, rng: np.random.Generator) -> None:
        """Draws the kinds of the moments of a table that begin with these rows, of which nothing but the gap is drawn."""
        kinds, begins = self.chain.kinds[i], behind.begins(rows, i)
        if kinds is None or not begins.any():
            return
        rows, own = rows[begins], own[begins]
        parent = kinds.of_next.parent
        given = behind.kind[rows, i] if parent == LAST else behind.of(parent, rows, i, 0, own)
        behind.kind[rows, i] = kinds.draw(given, behind.when[i][rows] < 0, behind.suits[i][rows], rng)

    def _tie(
        self, i: int, j: int, rows: Ints, own: Tokens, behind: ChainHistory, given: Ints, allowed: Bools | None, rng: np.random.Generator
    ) -> None:
        """Draws the numbers of a field anew, in place, where the patient has a last one of the same code."""
        before, first, code = behind.number_before(rows, i, j, own), behind.tied[i, j], behind.codes[i]
        bound = np.flatnonzero((before >= 0) & (own[:, j] >= first))
        weights = self.chain.fields[i][j].weights(given[bound]) * (1.0 if allowed is None else allowed[bound])
        weights[:, :first] = 0.0
        can = weights.sum(axis=1) > 0
        bound, weights = bound[can], weights[can]
        contexts = self.chain.contexts[i][own[bound, code] if code >= 0 else np.zeros(len(bound), dtype=np.int64)]
        own[bound, j] = self.chain.ties[i, j].draw(contexts, before[bound], weights, rng)

    def _pace(self, hours: Ints, planned: Ints, masks: EventMasks) -> Pace:
        assert self.chain.outline is not None
        kinds = enumerate(zip(masks.middles, self.chain.kinds, strict=True))
        begins = [(self._later(i, middles) if own is None else ends_of(own.ends_at), self.chain.begins[i]) for i, (middles, own) in kinds]
        return Pace(hours, planned, self.chain.codec.plan_.clock.days_per_tick, begins, is_late=self.chain.outline.is_late)

    def _moments_a_row(self, i: int, masks: EventMasks) -> float:
        """The share of the rows of a table that lie behind the row before."""
        shares = self.chain.fields[i][0].shares
        return float(shares[masks.middles[i] > 0].sum() / max(shares.sum(), 1e-9))

    def _later(self, i: int, middles: Ints) -> Floats:
        """How likely a row of a table lies behind the moment of the row before, by what its gap follows from, the last of nothing."""
        chances, out = self.chain.fields[i][0], []
        given = np.append(np.arange(len(chances.starts) - 1), NONE)
        for at in range(0, len(given), MOST_AT_ONCE):
            weights = chances.weights(given[at : at + MOST_AT_ONCE])
            out.append((weights * (middles > 0)).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-300))
        return np.concatenate(out)

    def _gaps(
        self,
        i: int,
        rows: Ints,
        given: Ints,
        allowed: Bools | None,
        behind: ChainHistory,
        masks: EventMasks,
        progress: Progress,
        pace: Pace,
        rng: np.random.Generator,
    ) -> tuple[Ints, Bools]:
        """Gaps before rows of a table, and which of these come now.

        They are drawn again for some times where they may not be or would outrun the patient's outline. Who has a stay to fill goes no
        further at once than `pace` says; a row of another table that is due later waits.
        """
        chances, middles, most = self.chain.fields[i][0], masks.middles[i], pace.longest_gap(rows, i, progress.ticks[rows])
        held = np.isfinite(most)
        out, goes = chances.draw(given, None, rng), np.ones(len(rows), dtype=bool)
        follows = np.flatnonzero(behind.run[rows] > 0)  # who has rows
        seen, repeats = behind.seen[i], self.chain.repeats[i]
        forced = pace.is_due(rows[follows], i, progress.ticks[rows[follows]])
        if seen is not None and repeats is not None and repeats.is_once:
            seen.at(rows[follows], behind.moment[rows[follows]])
            forced |= seen.is_full(rows[follows])
        kinds, none = self.chain.kinds[i], np.zeros((len(follows), 0), dtype=np.int32)
        told = given[follows] if kinds is None else behind.of(kinds.ends_at.parent, rows[follows], i, 0, none)
        times = 1.0 if kinds is None else kinds.after[behind.state[rows[follows]]]
        begins = forced | pace.begins(rows[follows], i, told, times, rng)
        wrong = follows[begins != (middles[out[follows]] > 0)]
        fits = ((middles[None] > 0) != (middles[out[wrong]] > 0)[:, None]) & self.chain.codec.emitted(i, 0)
        wrong, fits = wrong[fits.any(axis=1)], fits[fits.any(axis=1)]
        out[wrong] = chances.draw(given[wrong], fits, rng)
        at = later(progress.ticks[rows, None], middles[None], self.chain.codec.events_[i].plan.unit)
        open_ = np.broadcast_to(self.chain.codec.emitted(i, 0), at.shape) if allowed is None else allowed
        lost = np.flatnonzero(~held)
        for attempt in range(TRIES):
            lost = lost[pace.outruns(rows[lost], at[lost, out[lost]]) | ~open_[lost, out[lost]]]
            if not len(lost) or attempt == TRIES - 1:
                break
            out[lost] = chances.draw(given[lost], None, rng)
        outside = (at[np.arange(len(rows)), out] > progress.ticks[rows] + most) | ~open_[np.arange(len(rows)), out]
        far = np.flatnonzero(held & (middles[out] > 0) & outside)
        after = open_[far] & (middles > 0)
        near = after & (at[far] <= (progress.ticks[rows] + most)[far, None])
        soonest = np.where(after, at[far], np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        is_near, has_any = near.any(axis=1), after.any(axis=1)
        out[far[is_near]] = chances.draw(given[far[is_near]], near[is_near], rng)
        wait = has_any & ~is_near & pace.can_wait(rows[far], i)
        pace.wait(rows[far[wait]], i, soonest[wait])
        goes[far[wait]] = False
        late = has_any & ~is_near & ~wait
        out[far[late]] = chances.draw(given[far[late]], after[late] & (at[far[late]] == soonest[late, None]), rng)
        return out, goes

    def _draw_static(self, n: int, rng: np.random.Generator) -> tuple[Tokens, Ints, Ints | None, Ints]:
        """The patients' own fields; rows to come of each table, int64 (n, n_tables); hours, int64 (n,); and the groups of their outline."""
        masks, n_static = self.chain.codec.masks(), len(self.chain.codec.layout.static.fields)
        out, given = np.zeros((n, len(self.chain.static)), dtype=np.int32), np.zeros(n_static, dtype=bool)
        numbers, groups = (np.zeros((n, 0), dtype=np.int64),) * 2 if self.chain.outline is None else self.chain.outline.draw(n, rng)
        for j, chances in enumerate(self.chain.static):
            behind = np.full(n, NONE, dtype=np.int64)
            if chances.parent >= 0:
                behind = (groups[:, chances.parent - PLAN] if chances.parent >= PLAN else out[:, chances.parent]).astype(np.int64)
            allowed = masks.static_field(j, out[:, :n_static], given) if j < n_static else None
            if j in masks.presences and self.chain.outline is not None:
                i, says_yes = masks.presences[j]
                as_planned = (says_yes == (numbers[:, 1 + i] > 0)[:, None]) & self.chain.codec.emitted(-1, j)
                allowed = as_planned | ~as_planned.any(axis=1, keepdims=True)
            out[:, j] = chances.draw(behind, allowed, rng)
            given[j : j + 1] = True
        if self.chain.outline is None:
            return out[:, :n_static], drawn_lengths(out[:, n_static:].astype(np.int64), rng), None, groups
        return out, numbers[:, 1:], numbers[:, 0], groups

    def _records(self, static: Tokens, owner: Ints, table: npt.NDArray[np.int16], tokens: Tokens) -> Records:
        order = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[order], np.arange(len(static) + 1)).astype(np.int64)
        table, tokens = table[order], tokens[order]
        return Records(static, starts, table, tokens, self.chain.codec.times(starts, table, tokens))
