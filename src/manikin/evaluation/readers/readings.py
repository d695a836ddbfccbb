"""What readers answered, as arrays, and views of it. Knows no statistic and no file."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Readings:
    """Readings of images by people, one element per reading, all of shape (n_readings,).

    Attributes
    ----------
    reader : who read. image : which image, an integer per image of the study.
    is_synthetic, called_synthetic : the truth and the answer.
    confidence : how sure the reader was, 1 to 5; NaN where not told.
    seconds : how long it took; NaN where not measured.
    label : the image's label, empty where it has none.
    is_repeat : whether the same reader had read this image before.
    """

    reader: Texts
    image: Ints
    is_synthetic: Flags
    called_synthetic: Flags
    confidence: Floats
    seconds: Floats
    label: Texts
    is_repeat: Flags

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def is_right(self) -> Flags:
        """Whether each answer is the truth."""
        return self.is_synthetic == self.called_synthetic

    @property
    def readers(self) -> list[str]:
        """The readers, in the order of their first reading."""
        return list(dict.fromkeys(str(name) for name in self.reader))

    def where(self, mask: npt.NDArray[np.bool_]) -> Readings:
        """The readings of a mask (n_readings,)."""
        return Readings(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    def of(self, reader: str) -> Readings:
        """One reader's."""
        return self.where(self.reader == reader)

    def first(self) -> Readings:
        """Without repeats: accuracy counts each image once for each reader."""
        return self.where(~self.is_repeat)

    def suspicion(self) -> Floats:
        """How sure each reading is that the image is synthetic, from -5 (surely real) to 5 (surely synthetic); NaN without confidence."""
        return np.where(self.called_synthetic, self.confidence, -self.confidence)


def readings(
    reader: npt.ArrayLike,
    image: npt.ArrayLike,
    is_synthetic: npt.ArrayLike,
    called_synthetic: npt.ArrayLike,
    *,
    confidence: npt.ArrayLike | None = None,
    seconds: npt.ArrayLike | None = None,
    label: npt.ArrayLike | None = None,
    is_repeat: npt.ArrayLike | None = None,
) -> Readings:
    """Readings of plain lists; what is not given is unknown.

    >>> len(readings(["a", "b"], [0, 0], [True, True], [False, True]))
    2
    """
    names = np.asarray(reader, dtype=np.str_)
    n = len(names)
    nothing = np.full(n, np.nan)
    return Readings(
        names,
        np.asarray(image, dtype=np.int64),
        np.asarray(is_synthetic, dtype=np.bool_),
        np.asarray(called_synthetic, dtype=np.bool_),
        nothing if confidence is None else np.asarray(confidence, dtype=np.float64),
        nothing if seconds is None else np.asarray(seconds, dtype=np.float64),
        np.zeros(n, dtype="<U1") if label is None else np.asarray(label, dtype=np.str_),
        np.zeros(n, dtype=np.bool_) if is_repeat is None else np.asarray(is_repeat, dtype=np.bool_),
    )
