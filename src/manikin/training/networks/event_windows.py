"""Windows of events for training and scoring: which events a step sees, and which it is asked about. Knows tokens alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.training.networks.event_history import History, Ints, Plan, Vocabulary, situation
from manikin.training.networks.event_transformer import EventNet, PlanSlots, Situation, nats


@dataclass(frozen=True)
class Windows:
    """Parts of patients' records: the events from `first` are seen, those from `asked` to `stop` are asked about, and the end at the last.

    int64 (n_windows,) each; rows are those of the history.
    """

    patient: Ints
    first: Ints
    asked: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.patient)

    def __getitem__(self, index: Ints | slice) -> Windows:
        return Windows(self.patient[index], self.first[index], self.asked[index], self.stop[index])

    @property
    def lengths(self) -> Ints:
        """Positions of each window, the opening included."""
        return self.stop - self.first + 1


def cut(starts: Ints, patients: Ints, *, window: int, overlap: int, rng: np.random.Generator | None = None) -> Windows:
    """Windows that ask about every event of these patients once.

    Parameters
    ----------
    window : most events of a window, those seen only for context included. overlap : how many of these a later window starts with.
    rng : moves the cuts of records longer than a window, so that every pass cuts elsewhere.
    """
    step = window - overlap
    patient, asked, stop = [], [], []
    lengths = starts[patients + 1] - starts[patients]
    is_short = lengths <= window
    patient.append(patients[is_short])
    asked.append(starts[patients[is_short]])
    stop.append(starts[patients[is_short] + 1])
    for p in patients[~is_short]:
        n = int(starts[p + 1] - starts[p])
        head = window if rng is None else int(rng.integers(window - step // 2, window + 1))
        cuts = np.concatenate([[0], np.arange(head, n, step), [n]])
        patient.append(np.full(len(cuts) - 1, p))
        asked.append(starts[p] + cuts[:-1])
        stop.append(starts[p] + cuts[1:])
    whose, begin = np.concatenate(patient).astype(np.int64), np.concatenate(asked).astype(np.int64)
    first = np.maximum(begin - overlap, starts[whose])
    return Windows(whose, first, begin, np.concatenate(stop).astype(np.int64))


@dataclass(frozen=True)
class Positions:
    """The positions of windows, one behind the other, and what the network is told at each.

    Attributes
    ----------
    window : int64 (n_positions,), whose window. behind : int64, the row of the event behind which each stands.
    flat : int64, where it lies in padded windows. states as the trunk gives them come back through it.
    x : (n_windows, longest, width), the padded inputs.
    """

    window: Ints
    behind: Ints
    flat: Tensor
    now: Situation
    x: Tensor


def inputs(
    network: EventNet,
    vocabulary: Vocabulary,
    events: Tensor,
    history: History,
    person: Tensor,
    plan: Plan | None,
    windows: Windows,
    has_plan: npt.NDArray[np.bool_],
) -> Positions:
    """What the trunk reads: each window's opening, and behind it its events.

    Parameters
    ----------
    events : the vocabulary of events, as `network.prepared` gives it. person : (n_windows, width), as `network.patient` gives it.
    plan : of the patients of the history.
    """
    slots, put = network.slots, network.put
    n, lengths = len(windows), windows.lengths
    longest = int(lengths.max(initial=0))
    window = np.repeat(np.arange(n), lengths)
    begin = np.cumsum(lengths) - lengths
    place = np.arange(len(window)) - begin[window]
    behind = windows.first[window] + place - 1
    starts = history.starts[windows.patient][window]
    is_opening, is_start = place == 0, behind < starts
    rows = behind[~is_opening]
    before, so_far = _counts(history, slots.of_key, slots.n, windows, network.n_keys, rows, window, is_opening)
    days, tied = np.zeros(len(window)), np.zeros(len(window), dtype=np.int64)
    days[~is_start], tied[~is_start] = history.days[behind[~is_start]], history.tied[behind[~is_start]] + 1
    planned = None if plan is None else plan[windows.patient[window]]
    now = situation(slots, days, behind - starts + 1, tied, so_far, planned, has_plan[window]).to(network.device)
    x = network.told(now) + person[put(window)]
    table = history.table[rows].astype(np.int64)
    numbered = put(vocabulary.numbered(table, history.tokens[rows]))
    key = put(history.key[rows].astype(np.int64))
    x = x.index_add(0, put(np.flatnonzero(~is_opening)), network.event(put(table), numbered, key, events))
    x = x.index_add(0, put(np.flatnonzero(is_opening)), network.opening(put(before)))
    flat = put(window * longest + place)
    padded = x.new_zeros(n * longest, x.shape[1]).index_copy(0, flat, x).view(n, longest, -1)
    return Positions(window, behind, flat, now, padded)


def window_nats(
    network: EventNet,
    vocabulary: Vocabulary,
    history: History,
    static: Tensor,
    plan: Plan | None,
    windows: Windows,
    has_plan: npt.NDArray[np.bool_],
) -> Tensor:
    """Nats of what each window is asked about, float32 (n_windows,): its events, and the end where it is the patient's last.

    The parameters are those of `event_nats`.
    """
    found = event_nats(network, vocabulary, history, static, plan, windows, has_plan)
    lost = found.kind
    for rows, fields in found.fields.values():
        lost = lost.index_add(0, network.put(rows), fields.sum(1))
    return lost.new_zeros(len(windows)).index_add(0, network.put(found.window), lost)


@dataclass(frozen=True)
class EventNats:
    """Nats of what windows are asked about, n events and ends.

    Attributes
    ----------
    kind : float32 (n,), of what comes: which table, or the end.
    fields : by table, which of the n are its rows, and the nats of their fields, (n_rows, n_fields).
    window : int64 (n,), whose window each is. event : int64 (n,), the event's row in the history, -1 for an end.
    """

    kind: Tensor
    fields: dict[int, tuple[Ints, Tensor]]
    window: Ints
    event: Ints


def event_nats(
    network: EventNet,
    vocabulary: Vocabulary,
    history: History,
    static: Tensor,
    plan: Plan | None,
    windows: Windows,
    has_plan: npt.NDArray[np.bool_],
) -> EventNats:
    """Nats of each event or end that windows are asked about.

    Parameters
    ----------
    static : int64 (n_patients, n_fields), of all patients. plan : of all patients. has_plan : bool (n_windows,), who is told of hers.
    """
    put = network.put
    events, of_rows, remembered = network.prepared()
    person = network.patient(put(static.numpy()[windows.patient]), put(has_plan))
    at_ = inputs(network, vocabulary, events, history, person, plan, windows, has_plan)
    state = network.trunk(at_.x).flatten(0, 1)
    ahead, window = at_.behind + 1, at_.window
    is_end = ahead == history.starts[windows.patient + 1][window]
    at = np.flatnonzero((ahead >= windows.asked[window]) & ((ahead < windows.stop[window]) | is_end))
    ahead, window, is_end = ahead[at], window[at], is_end[at]
    state = state.index_select(0, at_.flat[put(at)])
    now = at_.now.at(put(at))
    wanted = np.full(len(at), network.n_tables, dtype=np.int64)
    wanted[~is_end] = history.table[ahead[~is_end]]
    fields: dict[int, tuple[Ints, Tensor]] = {}
    for t in range(network.n_tables):
        mine = np.flatnonzero(wanted == t)
        if len(mine):
            pick, drawn, whose = put(mine), ahead[mine], windows.patient[window[mine]]
            key, is_told = history.key[drawn].astype(np.int64), has_plan[window[mine]]
            level = levels(network, static.numpy()[whose], key, is_told)
            place = places(network.slots, plan, whose, key, history.seen[drawn], is_told)
            memory = network.recall(history.recalled(vocabulary, drawn, level, place).to(network.device), remembered)
            tokens = put(vocabulary.numbered(history.table[drawn].astype(np.int64), history.tokens[drawn]))
            each = row_nats(network, t, state[pick], now.at(pick), memory, tokens, of_rows)
            fields[t] = (mine, each)
    return EventNats(nats(network.next(state, now), put(wanted)), fields, window, np.where(is_end, -1, ahead))


def row_nats(
    network: EventNet, t: int, state: Tensor, now: Situation, memory: Tensor, numbered: Tensor, vocabulary: Tensor
) -> Tensor:
    """Nats of each field of rows of one table, (n, n_fields)."""
    table, first = network.tables[t], int(network.first_field[t])
    row = memory if table.key is None else torch.zeros_like(memory)
    out: list[Tensor] = []
    for f in range(len(table.fields)):
        logits = network.logits(t, f, state, row, now, vocabulary)
        out.append(nats(logits, numbered[:, f] - int(network.offsets[first + f])))
        row = row + vocabulary[numbered[:, f]]
        if f == table.key:
            row = row + memory
    return torch.stack(out, 1)


def levels(network: EventNet, static: Ints, key: Ints, has_plan: npt.NDArray[np.bool_]) -> Ints:
    """The planned level and drift of each row's number as numbers of the static vocabulary, the padding where there is none, int64 (n, 2).

    Parameters
    ----------
    static : int64 (n, n_static_fields), of each row's patient. key : int64 (n,).
    """
    slots = network.slots
    if not slots.n:
        return np.full((len(key), 2), network.n_static_tokens, dtype=np.int64)
    slot = slots.of_key[key]
    field = np.where((slots.key_of[slot] == key)[:, None], np.stack([slots.level[slot], slots.drift[slot]], 1), -1)
    at = np.maximum(field, 0)
    own = np.take_along_axis(static, at, 1) + network.static_offsets[at]
    return np.where((field >= 0) & has_plan[:, None], own, network.n_static_tokens)


def places(
    slots: PlanSlots, plan: Plan | None, patient: Ints, key: Ints, seen: npt.NDArray[np.int32], has_plan: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Where each row stands among the rows that the plan has of its key, in [-1, 1], float32 (n,); 0 without a plan.

    Parameters
    ----------
    plan : of all patients. patient : of each row, (n,). seen : how many rows of the key came before, (n,).
    """
    if plan is None or not slots.n:
        return np.zeros(len(key), dtype=np.float32)
    slot = slots.of_key[key]
    planned = plan.counts[patient, slot]
    place = np.clip((2 * seen + 1) / np.maximum(planned, 1) - 1, -1, 1)
    return np.where((slots.key_of[slot] == key) & has_plan, place, 0).astype(np.float32)


def _counts(
    history: History,
    of_key: Ints,
    n_slots: int,
    windows: Windows,
    n_keys: int,
    rows: Ints,
    window: Ints,
    is_opening: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How often every key came before each window, (n_windows, n_keys), and every slot until each position, (n_positions, n_slots)."""
    before = np.zeros((len(windows), n_keys), dtype=np.float32)
    for w in np.flatnonzero(windows.first > history.starts[windows.patient]):
        seen = history.key[history.starts[windows.patient[w]] : windows.first[w]]
        before[w] = np.bincount(seen, minlength=n_keys)
    base = np.zeros((len(windows), n_slots), dtype=np.float32)
    hit = np.zeros((len(window), n_slots), dtype=np.float32)
    if n_slots:
        late = np.flatnonzero(before.any(1))
        for w in late:
            base[w] = np.bincount(of_key, weights=before[w], minlength=n_slots)
        hit[np.flatnonzero(~is_opening), of_key[history.key[rows]]] = 1
        hit = np.cumsum(hit, axis=0, dtype=np.float32)
        opening = np.flatnonzero(is_opening)
        hit = hit - hit[opening][window] + base[window]
    return before, hit
