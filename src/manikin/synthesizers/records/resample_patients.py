"""Whole real patients drawn again, with replacement, their keys made anew: the ceiling of likeness and the floor of privacy. It copies.

Evaluation is calibrated with it: whatever calls these patients safe is no measure of privacy. It keeps the training rows, says so in the
registry, and what it makes is never a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from manikin.codecs.kept_tables import table_arrays, table_from_arrays
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.links import copies
from manikin.data.new_keys import Family, above_real_keys, families, released_schema, renewed
from manikin.data.schema_text import schema_from_json, schema_to_json
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, refuse_conditions, refuse_ledger, require_fitted

NAME = "resample_patients"
BLOCK = 256  # patients, each with all her rows


@dataclass(kw_only=True)
class ResamplePatients:
    """Reference floor of privacy for linked patients: a bootstrap of the training patients with all their rows.

    Keys are made anew, identifiers of people and free text are left out, a reference to a row that is not the patient's own is emptied;
    every other cell is a real one, rare values among them.

    >>> ResamplePatients()
    ResamplePatients()
    """

    kept_: Dataset = field(init=False, repr=False)
    keys_: tuple[Family, ...] = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Keeps the patients; `seed` changes nothing.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there is no patient to keep, or the data are one flat table.
        """
        refuse_ledger(NAME, ledger)
        if not data.is_linked:
            raise FitError(f"The synthesizer {NAME!r} learns linked patients, not one flat table. Use 'resample', or give it a form.")
        if not len(data):
            raise FitError(f"The synthesizer {NAME!r} has no patient to keep: 0 patients were given. Bring tables with rows.")
        schema = released_schema(data.schema)
        tables = {table.name: data.tables[table.name].only(table.names) for table in schema.tables}
        self.keys_ = above_real_keys(data)
        plain = tuple(Family(family.places) for family in self.keys_)
        self.kept_ = renewed(Dataset(tables, schema, data.native), plain)[0]  # so that no real key is kept
        return self

    @property
    def schema_(self) -> Any:
        """The schema of what is made."""
        return self.kept_.schema

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` training patients, drawn with replacement.

        Raises
        ------
        ParameterError : conditions are given; the patients are what they are.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in batches."""
        require_fitted(self, "kept_")
        refuse_conditions(NAME, "draws", conditions)
        check_request("ResamplePatients", n, batch_size, None)
        used = [0] * len(self.keys_)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The patients of one block, from its own stream of randomness; keys go on from those of the blocks before."""
            chosen = generator(seed, NAME, number).integers(0, len(self.kept_), stop - start)
            rows, belongs = copies(self.kept_, chosen)
            made, used[:] = renewed(rows, self.keys_, groups=belongs, used=used)
            return made

        return in_batches(draw, n, batch_size=batch_size, block=BLOCK)

    def state(self) -> State:
        """Everything fitted, the rows among it."""
        schema = self.kept_.schema
        arrays: Arrays = {}
        for number, table in enumerate(schema.tables):
            arrays |= table_arrays(self.kept_.tables[table.name], table, prefix=f"{number}.")
        first = [family.first for family in self.keys_]
        return {"schema": schema_to_json(schema), "native": self.kept_.native, "first_keys": first}, arrays

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        schema = schema_from_json(values["schema"])
        tables = {
            table.name: table_from_arrays(arrays, table, prefix=f"{number}.") for number, table in enumerate(schema.tables)
        }
        self.kept_ = Dataset(tables, schema, values["native"])
        found = families(schema)
        if len(found) != len(values["first_keys"]) or not len(self.kept_):
            raise ModelFolderError("The model's keys are not those of its tables. Save the model again.")
        self.keys_ = tuple(Family(own.places, int(first)) for own, first in zip(found, values["first_keys"], strict=True))
        return self


