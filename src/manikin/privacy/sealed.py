"""Private rows behind a seal: what code under a ledger is handed instead of a table. Knows no budget and draws no noise.

Whoever holds a `Sealed` can transform its rows one by one and hand it to a mechanism. Asking how many there are, for the smallest, the
largest or the different ones, or for any value, is an error: these are queries, and a query is bought. Only this package opens a seal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError, DataError, ManikinError
from manikin.data.schema import Form, TableSchema

EVERYBODY = "(patients)"  # of linked tables: an entry for each patient
EVENTS = "(rows)"  # of linked tables: the rows of all tables of patients, table by table in the order of `Schema.of_patients`


class _Shut:
    """What both seals refuse: every look."""

    __slots__ = ()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise BudgetError(
            f"Private rows were asked for {name!r}. Under a ledger that is a query: buy it through privacy.mechanisms."
        )

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise BudgetError("Private rows were looked into. Under a ledger that is a query: buy it through privacy.mechanisms.")

    __len__ = __iter__ = __getitem__ = __contains__ = __bool__ = __array__ = __array_ufunc__ = __array_function__ = _refuse
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __add__ = __sub__ = __mul__ = __float__ = __int__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        self._refuse()


class Sealed(_Shut):
    """An array with one entry per private row; its first axis is the rows."""

    __slots__ = ("_rows",)

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._rows = rows

    def map(self, change: Callable[[Any], npt.NDArray[Any]]) -> Sealed:
        """The rows after a change that sees each row by itself (the function is given all of them, so that it can be quick).

        Raises
        ------
        BudgetError : the change does not give one entry per row.
        """
        out = np.asarray(_row_wise(change, self._rows))
        if out.shape[:1] != self._rows.shape[:1]:
            raise BudgetError(
                "A change of private rows must give one entry per row; other functions of them are queries and are bought."
            )
        return Sealed(out)

    def summary(self, of: Callable[[Any], npt.NDArray[Any]]) -> SealedSummary:
        """A function of all rows together, behind a seal of its own: what several choices ask for is worked out once."""
        return SealedSummary(np.asarray(_row_wise(of, self._rows)))

    def __repr__(self) -> str:
        return "Sealed(private rows)"


class SealedSummary(_Shut):
    """What a function says of all private rows, exactly and therefore sealed: only scores of `mechanisms.chosen` are worked out from it.

    It is no row and is not counted: `noisy_counts` and `discovered`, which know what a patient changes in rows, do not take it.
    """

    __slots__ = ("_summary",)

    def __init__(self, summary: npt.NDArray[Any]) -> None:
        self._summary = summary

    def __repr__(self) -> str:
        return "SealedSummary(of private rows)"


class PrivateDataset:
    """A flat data set behind a seal, made by `mechanisms.seal`: its columns' description is open, its cells are not.

    What the description says is not thereby public: whoever learns from it under a ledger uses declared facts and buys the rest.

    Attributes
    ----------
    columns : the schema as it was read, learned facts included. native : the kind of frame the user brought.
    rows_per_patient : the most rows of one patient that are behind the seal.
    """

    __slots__ = ("_data", "columns", "native", "rows_per_patient")

    def __init__(self, data: Dataset, *, rows_per_patient: int) -> None:
        self._data, self.columns, self.native, self.rows_per_patient = data, data.columns, data.native, rows_per_patient

    def map(self, change: Callable[[Dataset], npt.NDArray[Any]]) -> Sealed:
        """An entry for each row, by a change that sees each row by itself (the function is given the data set, so that it can be quick).

        Raises
        ------
        BudgetError : the change does not give one entry per row.
        """
        out = np.asarray(_row_wise(change, self._data))
        if out.shape[:1] != (len(self._data),):
            raise BudgetError(
                "A change of private rows must give one entry per row; other functions of them are queries and are bought."
            )
        return Sealed(out)

    def with_schema(self, schema: TableSchema, change: Callable[[Dataset], Dataset]) -> PrivateDataset:
        """The same rows read by another schema, by a change that sees each row by itself."""
        made = _row_wise(change, self._data)
        if len(made) != len(self._data) or made.columns != schema:
            raise DataError("The private rows do not fit the schema that was bought.")
        return PrivateDataset(made, rows_per_patient=self.rows_per_patient)

    @property
    def patients(self) -> Sealed:
        """The number of the patient that each row belongs to, counted over all of them: it tells her rows from others', and is never to be
        counted, compared or divided, since one patient more moves the numbers of those after her.
        """
        return Sealed(self._data.records)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise BudgetError(
            f"A private table was asked for {name!r}. Under a ledger that is a query: buy it through privacy.mechanisms."
        )

    def __len__(self) -> int:
        raise BudgetError(
            "A private table was asked for its number of rows. Under a ledger that is bought: privacy.mechanisms.count."
        )

    def __repr__(self) -> str:
        return f"PrivateDataset({len(self.columns.columns)} columns)"

    def __reduce__(self) -> NoReturn:
        raise BudgetError("Private rows are not copied out of the process.")


class PrivateRecords:
    """Linked tables behind a seal, made by `mechanisms.seal_records`: what is known of their structure is open, their cells are not.

    Whoever holds them works out arrays and flat tables with an entry for each row of a table, by a change that treats each patient by
    herself: what one patient's entries are must not hang on any other patient. Of each patient no more entries than `rows_per_patient`
    are kept behind the seals that come out; which ones is settled when the tables are sealed, and the others are never counted.

    Attributes
    ----------
    schema : as the tables were read. native : the kind of frame the user brought. rows_per_patient : rows of one table that count.
    of_nobody : the tables of nobody (vocabularies), which are public.
    """

    __slots__ = ("_data", "_kept", "native", "of_nobody", "rows_per_patient", "schema")

    def __init__(self, data: Dataset, kept: Mapping[str, npt.NDArray[np.bool_]], *, rows_per_patient: int) -> None:
        self._data, self._kept, self.schema, self.native = data, kept, data.schema, data.native
        self.rows_per_patient = rows_per_patient
        self.of_nobody = {table.name: data.tables[table.name] for table in data.schema.tables if table.form is Form.REFERENCE}

    @property
    def patients(self) -> Sealed:
        """The number of the patient of each entry of `EVERYBODY`; as `PrivateDataset.patients` never to be counted or divided."""
        return Sealed(np.arange(self._data.n_records))

    def map(self, change: Callable[[Dataset], Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]]) -> dict[str, Sealed]:
        """Arrays by the name of a table (or `EVERYBODY`, or `EVENTS`), each with the row that each of its entries is of."""
        made = _row_wise(change, self._data)
        return {name: Sealed(np.asarray(array)[self._kept[name][rows]]) for name, (array, rows) in made.items()}

    def tables(self, change: Callable[[Dataset], Mapping[str, tuple[Dataset, npt.NDArray[np.int64]]]]) -> dict[str, PrivateDataset]:
        """Flat tables with a patient key by the same names, each with the row of the linked table that each of its rows is of."""
        made = _row_wise(change, self._data)
        out = {}
        for name, (data, rows) in made.items():
            out[name] = PrivateDataset(data.take(np.flatnonzero(self._kept[name][rows])), rows_per_patient=self.rows_per_patient)
        return out

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise BudgetError(
            f"Private linked tables were asked for {name!r}. Under a ledger that is a query: buy it through privacy.mechanisms."
        )

    def __len__(self) -> int:
        raise BudgetError("Private linked tables were asked for their number of patients. Under a ledger that is bought.")

    def __repr__(self) -> str:
        return f"PrivateRecords({len(self.schema.tables)} tables)"

    def __reduce__(self) -> NoReturn:
        raise BudgetError("Private rows are not copied out of the process.")


def _row_wise(change: Callable[[Any], Any], rows: Any) -> Any:
    """What a change gives. An error in it is told without its words, which may hold a patient's value."""
    try:
        return change(rows)
    except ManikinError:
        raise
    except Exception as error:
        raise BudgetError(f"A change of private rows failed with {type(error).__name__}; its words are kept back.") from None


def opened(sealed: Sealed) -> npt.NDArray[Any]:
    """The rows behind a seal; for mechanisms only, which a test asserts."""
    return sealed._rows


def opened_summary(sealed: SealedSummary) -> npt.NDArray[Any]:
    """The summary behind a seal; for mechanisms only, which a test asserts."""
    return sealed._summary


def opened_data(data: PrivateDataset | PrivateRecords) -> Dataset:
    """The data set behind a seal; for mechanisms only, which a test asserts."""
    return data._data
