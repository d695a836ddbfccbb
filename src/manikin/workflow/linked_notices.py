"""What is told of linked tables while a job runs: their size, what is left out, who is held out. Counts and names only."""

from __future__ import annotations

from collections.abc import Sequence

from manikin.data.dataset import Dataset
from manikin.data.new_keys import lost_references, released_schema
from manikin.data.rare_values import quiet_columns, quiet_words, telling_columns
from manikin.workflow.judge import several_notice
from manikin.workflow.linked import KEY, left_out
from manikin.workflow.linked_sizes import size_words
from manikin.workflow.sources import unreadable_notices
from manikin.workflow.stages import Stages

LEAST_TOLD = 0.005  # of the rows of a table


def tell_linked(patients: Dataset, train: Dataset, holdout: Dataset, stages: Stages, *, n_sets: int = 1, is_private: bool = False) -> None:
    """Says what the tables hold, what of them is not learned, and who is held out."""
    out: dict[str, list[str]] = {}
    for name, reason in left_out(patients.schema):
        out.setdefault(reason, []).append(name)
    for reason, names in out.items():
        if reason != KEY:
            stages.note(f"Left out ({reason}): {shortened(names)}.")
    n_keys = len(out.get(KEY, ()))
    if n_keys:
        stages.note(f"Made anew: {n_keys} column{'s' if n_keys > 1 else ''} of keys ({shortened(out[KEY])}).")
    lost = lost_references(patients.schema.tables, released_schema(patients.schema).tables)
    if lost:
        stages.warn(f"Foreign keys that are not kept, since a column of theirs is left out: {shortened(lost)}.")
    if is_private:  # no figure of private rows, and none of what reading them taught
        notice = several_notice(n_sets)
        if notice:
            stages.note(notice)
        stages.note(
            f"{len(patients.schema.of_patients)} tables of patients. Each patient is learned from or held out by a keyed hash of her own; "
            "about one in five is held out for judging."
        )
        return
    for table in patients.schema.of_patients:
        for text in unreadable_notices(table):
            stages.warn(f"Table {table.name!r}: {text}")
    k = min(table.min_patients for table in train.schema.tables)
    for text in quiet_words(quiet_columns(train), k, shortened):
        stages.note(text)
    _warn_of_public(train, stages)
    notice = several_notice(n_sets)
    if notice:
        stages.note(notice)
    stages.note(f"{size_words(patients)}; the generator sees {len(train):,} patients, {len(holdout):,} are held out for judging.")


def _warn_of_public(train: Dataset, stages: Stages) -> None:
    """Says what the rare values of lists that were declared public give away."""
    found = telling_columns(train)
    if found:
        n_rare, names = sum(counts.n_rare for *_, counts in found), [f"{table}.{column}" for table, column, _ in found]
        stages.warn(
            f"Declared public: {n_rare:,} values of {shortened(names)} that too few patients hold are released as they are. Each says that "
            "somebody who has it is in the data; the membership attack on histories asks for those of events."
        )


def withheld_words(rows: Sequence[tuple[str, str, float]]) -> str:
    """Which tables lose rows about codes that too few patients have, as `RecordsCodec.withheld_rows` tells; "" where none does."""
    told = [f"{share:.0%} of {table} ({column})" for table, column, share in sorted(rows, key=lambda row: -row[2]) if share >= LEAST_TOLD]
    if not told:
        return ""
    return (
        f"Rows about what too few patients have are left out, and nothing else takes their place: {shortened(told)}. Where such a list is "
        "public knowledge, --public TABLE.COLUMN keeps every row."
    )


def shortened(names: Sequence[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
