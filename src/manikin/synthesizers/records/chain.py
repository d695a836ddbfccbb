"""A chain over linked patients' events, as it was counted or bought: its parts, and how they are saved. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.lengths import N_LENGTHS
from manikin.data.errors import ModelFolderError
from manikin.synthesizers.base import Arrays, State
from manikin.synthesizers.records.chain_history import (
    ALIKE,
    BESIDE,
    HERE,
    KIND,
    LAST,
    N_RUNS,
    PLAN,
    RUN,
    STATE,
    WITH,
    n_contexts,
)
from manikin.synthesizers.records.chances import NONE, Chances
from manikin.synthesizers.records.code_sets import CodeSets
from manikin.synthesizers.records.moment_kinds import MomentKinds, suiting
from manikin.synthesizers.records.outline import Outline
from manikin.synthesizers.records.repeats import Repeats
from manikin.synthesizers.records.sharing import Sharing
from manikin.synthesizers.records.ties import Ties

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
STATE_LEVELS = 20_000  # most tokens of a code that the chain runs over
RAREST = 1e-15  # share of a table's rows


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Everything that patients are drawn from.

    Attributes
    ----------
    static : chances of the patients' own fields, and under a ledger of the class of her number of rows in each table.
    fields : of each table the chances of its fields. contexts : what each code of each table says of the next row.
    following : float64 (n_states + 1, n_tables), the next table behind each state, the last for none.
    usual : float64 (n_tables,), about each table's share of all rows, 1 under a ledger. longest : the most rows of a record.
    same : how often each field of each table repeats the last row of its code. begins : how likely a row of each table begins a moment, by
        how many rows that before it has, float64 (N_RUNS,). sharing : how rows of each table are shared among what they lie within.
    repeats, kinds : of each table how its codes come again, and which kinds of moments it has; None where that is not known.
    ties : how numbers follow the last one of their code, by table and field.
    outline, sets : how long records are, and which codes patients have together; None under a ledger.
    """

    codec: RecordsCodec
    static: tuple[Chances, ...]
    fields: tuple[tuple[Chances, ...], ...]
    contexts: tuple[Ints, ...]
    following: Floats
    usual: Floats
    longest: int
    same: tuple[Floats, ...]
    begins: tuple[Floats, ...]
    sharing: tuple[Sharing, ...]
    repeats: tuple[Repeats | None, ...]
    kinds: tuple[MomentKinds | None, ...]
    ties: Mapping[tuple[int, int], Ties]
    outline: Outline | None
    sets: CodeSets | None

    @cached_property
    def codes(self) -> list[int]:
        """The field of each table that the chain runs over, -1 where it has no code."""
        return codes_of(self.codec)

    @cached_property
    def numbers(self) -> dict[tuple[int, int], int]:
        """The fields that are numbers, as `numbers_of` says."""
        return numbers_of(self.codec)

    @cached_property
    def holders(self) -> list[int]:
        """The table whose rows those of each table come with, -1 for none."""
        return holders_of(self.codec)

    @cached_property
    def offsets(self) -> Ints:
        """The first state of each table; the last one is that of a patient before her first event."""
        return offsets_of(self.contexts)

    def state(self) -> State:
        """Everything fitted: the codec and counts."""
        values, arrays = self.codec.state()
        out: Arrays = {f"codec/{name}": array for name, array in arrays.items()}
        out |= {"next": self.following, "usual": self.usual}
        if self.outline is not None:
            out |= {f"outline/{name}": array for name, array in self.outline.state().items()}
        if self.sets is not None:
            out |= {f"sets/{name}": array for name, array in self.sets.state().items()}
        for i, (repeats, same) in enumerate(zip(self.repeats, self.same, strict=True)):
            out[f"same{i}"], out[f"contexts{i}"] = same, self.contexts[i]
            out[f"begins{i}"], kinds = self.begins[i], self.kinds[i]
            out |= {f"kinds{i}/{name}": array for name, array in ({} if kinds is None else kinds.state()).items()}
            out |= {f"sharing{i}/{name}": array for name, array in self.sharing[i].state().items()}
            out |= {f"repeats{i}/{name}": array for name, array in ({} if repeats is None else repeats.state()).items()}
        for (i, j), ties in self.ties.items():
            out |= {f"ties{i}.{j}/{name}": array for name, array in ties.state().items()}
        for j, chances in enumerate(self.static):
            out |= {f"static{j}/{name}": array for name, array in chances.state().items()}
        for i, fields in enumerate(self.fields):
            for j, chances in enumerate(fields):
                out |= {f"event{i}.{j}/{name}": array for name, array in chances.state().items()}
        return {"codec": values, "longest": self.longest}, out

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Arrays) -> Chain:
        """The chain as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        codec = RecordsCodec.from_state(values["codec"], _below(arrays, "codec/"))
        layout, codes, n_codes = codec.layout, codes_of(codec), n_codes_of(codec)
        n_tables, outline, sets = len(layout.tables), _below(arrays, "outline/"), _below(arrays, "sets/")
        sizes = [*layout.static.sizes, *([] if outline else [N_LENGTHS] * n_tables)]
        contexts = tuple(arrays[f"contexts{i}"] for i in range(n_tables))
        for own, sound in zip(contexts, own_contexts(codec), strict=True):
            if own.shape != sound.shape or own.dtype != np.int64 or len(np.unique(own)) != n_contexts(own) or (own < 0).any():
                raise ModelFolderError("The contexts of a model are not those of its codes. Save the model again.")
        kinds, repeats = ([_below(arrays, f"{name}{i}/") for i in range(n_tables)] for name in ("kinds", "repeats"))
        ties = {(i, j): _below(arrays, f"ties{i}.{j}/") for i, j in numbers_of(codec)}
        chain = cls(
            codec=codec,
            static=tuple(Chances.from_state(_below(arrays, f"static{j}/"), n) for j, n in enumerate(sizes)),
            fields=tuple(
                tuple(Chances.from_state(_below(arrays, f"event{i}.{j}/"), n) for j, n in enumerate(table.layout.sizes))
                for i, table in enumerate(layout.tables)
            ),
            contexts=contexts,
            following=arrays["next"],
            usual=arrays["usual"],
            longest=int(values["longest"]),
            same=tuple(arrays[f"same{i}"] for i in range(n_tables)),
            begins=tuple(arrays[f"begins{i}"] for i in range(n_tables)),
            sharing=tuple(Sharing.from_state(_below(arrays, f"sharing{i}/")) for i in range(n_tables)),
            repeats=tuple(Repeats.from_state(own, n) if own else None for own, n in zip(repeats, n_codes, strict=True)),
            kinds=tuple(MomentKinds.from_state(own) if own and code > 0 else None for own, code in zip(kinds, codes, strict=True)),
            ties={at: Ties.from_state(own, n_contexts(contexts[at[0]])) for at, own in ties.items() if own},
            outline=Outline.from_state(outline, n_tables) if outline else None,
            sets=CodeSets.from_state(sets, n_codes) if sets else None,
        )
        if not chain._is_sound():
            raise ModelFolderError("The chain of a model does not fit its tables. Save the model again.")
        return chain

    def _is_sound(self) -> bool:
        """Whether the parts fit each other and the tables."""
        n_tables, shapes = len(self.fields), [(len(own),) for own in self.fields]
        parts = (self.following, self.usual)
        is_fit = self.following.shape == (int(self.offsets[-1]) + 1, n_tables) and self.usual.shape == (n_tables,)
        is_fit = is_fit and all(own.dtype == np.float64 for own in (*parts, *self.same, *self.begins))
        is_fit = is_fit and all(bool(np.isfinite(own).all() and (own >= 0).all()) for own in parts)
        is_fit = is_fit and bool((self.following > 0).all() and ((self.usual > RAREST) & (self.usual <= 1)).all())
        is_fit = is_fit and bool((self.following <= 1 + 1e-9).all())
        is_fit = is_fit and all(own.shape == shape and _are_shares(own) for own, shape in zip(self.same, shapes, strict=True))
        is_fit = is_fit and all(own.shape == (N_RUNS,) and _are_shares(own) for own in self.begins)
        repeats = enumerate(zip(self.repeats, self.codes, strict=True))
        is_fit = is_fit and all(one is None or self._may_follow(i, code, one.fresh.parent) for i, (one, code) in repeats)
        is_fit = is_fit and all(own is None or self._kinds_follow(own) for own in self.kinds)
        is_fit = is_fit and all(self._may_follow(-1, j, own.parent) for j, own in enumerate(self.static))
        is_fit = is_fit and all(self._may_follow(i, j, own.parent) for i, fields in enumerate(self.fields) for j, own in enumerate(fields))
        return is_fit and self.longest >= 1 and (self.outline is None or self.longest == self.outline.most)

    def _kinds_follow(self, kinds: MomentKinds) -> bool:
        """Whether the kinds of moments follow from what they may."""
        n_groups, parent = 0 if self.outline is None else len(self.outline.groups), kinds.of_next.parent
        is_fit = kinds.ends_at.parent in (NONE, KIND + 1) and kinds.after.shape == (int(self.offsets[-1]) + 1,)
        return is_fit and (parent in (NONE, 0, LAST, STATE) or 0 <= parent - PLAN < n_groups)

    def _may_follow(self, i: int, j: int, parent: int) -> bool:
        """Whether field j of table i, -1 for the patient's own, may follow a parent."""
        n_groups = 0 if self.outline is None else len(self.outline.groups)
        if parent >= KIND:
            return i >= 0 and j == self.codes[i] and parent == KIND and self.kinds[i] is not None
        if parent >= WITH:
            return i >= 0 and j == self.codes[i] and parent - WITH < j
        if parent >= HERE:
            return i >= 0 and j > 0 and parent in (HERE + j, BESIDE + j)
        if parent >= STATE:
            return i >= 0 == j and parent in (STATE, STATE + 1)
        if parent >= RUN:
            return i >= 0 == j and parent - RUN <= n_groups
        if parent >= PLAN:
            return parent - PLAN < n_groups
        if parent >= ALIKE:
            return i >= 0 and (parent == LAST + j or (parent == ALIKE + j and NONE < self.codes[i] < j))
        return NONE <= parent < max(j, 0 if i < 0 else len(self.fields[i]))


def codes_of(codec: RecordsCodec) -> list[int]:
    """The field of each table that the chain runs over, -1 where it has no code."""
    out = []
    for event in codec.events_:
        if event.about >= 0 and len(event.emitted(event.about)) <= STATE_LEVELS:
            out.append(event.about)
            continue
        sizes = {}
        for place, i in enumerate(event.fields.tolist()):
            own = event.flat.fields_[i] if i >= 0 else None
            is_link = any(event.field(link.name) == place for link in event.plan.links)
            if isinstance(own, LevelCodec) and not is_link and 1 < own.n_tokens <= STATE_LEVELS:
                sizes[place] = own.n_tokens
        out.append(max(sizes, key=lambda place: sizes[place]) if sizes else NONE)
    return out


def n_codes_of(codec: RecordsCodec) -> list[int]:
    """How many codes each table has, 0 where it has none."""
    return [table.layout.sizes[code] if code >= 0 else 0 for table, code in zip(codec.layout.tables, codes_of(codec), strict=True)]


def numbers_of(codec: RecordsCodec) -> dict[tuple[int, int], int]:
    """The fields that are numbers behind the code of their row, by table and field, with their first token that is one."""
    out = {}
    for i, (own_codec, code) in enumerate(zip(codec.events_, codes_of(codec), strict=True)):
        for j, place in enumerate(own_codec.fields.tolist()):
            own = own_codec.flat.fields_[place] if place >= 0 else None
            if j > max(code, 0) and (own is None or isinstance(own, NumberCodec)):
                out[i, j] = own_codec.by[-1 - place].n_missing if own is None else own.n_missing
    return out


def holders_of(codec: RecordsCodec) -> list[int]:
    """The table whose rows those of each table come with, -1 for none."""
    masks, plan = codec.masks(), codec.plan_
    links = [masks.holder(i) for i in range(len(masks.events))]
    return [plan.place(masks.events[i].plan.links[j].parent) if j >= 0 else NONE for i, j in enumerate(links)]


def own_contexts(codec: RecordsCodec) -> tuple[Ints, ...]:
    """Each code by itself."""
    sizes = [1 if code < 0 else t.layout.sizes[code] for t, code in zip(codec.layout.tables, codes_of(codec), strict=True)]
    return tuple(np.arange(size) for size in sizes)


def offsets_of(contexts: Sequence[Ints]) -> Ints:
    """The first state of each table; the last one is that of a patient before her first event."""
    return np.concatenate([[0], np.cumsum([n_contexts(own) for own in contexts])]).astype(np.int64)


def suits_of(codes: Chances, n_kinds: int, open_: Bools | None, n: int) -> Floats:
    """How well kinds of moments suit n patients who may have these codes, bool (n, n_codes), None for all; float64 (n, n_kinds)."""
    return np.ones((n, n_kinds)) if open_ is None or codes.parent != KIND else suiting(open_, codes, n_kinds)


def _are_shares(own: Floats) -> bool:
    return bool(((own >= 0) & (own <= 1)).all())


def _below(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
