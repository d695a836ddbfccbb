"""Classifiers that are put to the test: ONNX files and Python functions, brought to one face.

Nothing is unpickled; of a model file only its operators are run, by onnxruntime on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.errors import DataError, MissingExtraError, ParameterError, parameter_error
from manikin.data.images import LUMA
from manikin.simulation.imaging.degradations import resized

Array = np.ndarray[Any, np.dtype[Any]]
MOST_BYTES = 1 << 30
BATCH = 64
RANGES: dict[str, tuple[float, float]] = {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255)}
_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass
class Classifier:
    """A function of pictures with its answers as probabilities.

    Attributes
    ----------
    run : (n, channels, rows, columns) float32 in [0, 1] -> anything of shape (n,), (n, 1) or (n, k).
    n_classes : the number of labels. notes : what was found or assumed.
    """

    run: Callable[[Array], Any]
    n_classes: int
    name: str
    notes: list[str]
    _reads: str | None = None

    def probabilities(self, pictures: Array) -> Array:
        """float64 (n, n_classes).

        Raises
        ------
        DataError : the answers are of another number, or no numbers.
        """
        parts = [self._answer(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self.n_classes))

    def _answer(self, pictures: Array) -> Array:
        out = np.asarray(self.run(pictures.astype(np.float32)), dtype=float)
        if out.ndim == 1:
            out = out[:, None]
        if out.ndim != 2 or len(out) != len(pictures):
            must = "(n,), (n, 1) or (n, classes) is needed"
            raise DataError(f"{self.name} answers with the shape {out.shape} for {len(pictures)} images; {must}.")
        single = out.shape[1] == 1
        if not ((single and self.n_classes == 2) or out.shape[1] == self.n_classes):
            raise DataError(
                f"{self.name} answers with {out.shape[1]} values for each image, and the labels are {self.n_classes}. "
                "Name the classes in the model's order with --class, once for each."
            )
        if not np.isfinite(out).all():
            raise DataError(f"{self.name} answers with values that are no numbers. Check its range of input values.")
        self._settle(out, single=single)
        if self._reads == "log-odds":
            out = 1 / (1 + np.exp(-np.clip(out, -500, 500))) if single else _softmax(out)
        return np.column_stack([1 - out[:, 0], out[:, 0]]) if single else out

    def _settle(self, out: Array, *, single: bool) -> None:
        """Whether answers are probabilities, decided by the first, which are of clean images."""
        if self._reads is None:
            bounded = bool(((out >= -1e-4) & (out <= 1 + 1e-4)).all())
            is_shares = bounded and (single or bool(np.abs(out.sum(axis=1) - 1).max() < 1e-2))
            self._reads = "probabilities" if is_shares else "log-odds"
            self.notes.append(f"The model's answers are taken as {self._reads}.")


def _softmax(out: Array) -> Array:
    powers = np.exp(out - out.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def of_function(run: Callable[[Array], Any], n_classes: int) -> Classifier:
    """A Python function of pictures (n, channels, rows, columns), float32 in [0, 1]."""
    return Classifier(run, n_classes, getattr(run, "__name__", "The classifier"), [])


def of_onnx(path: str | Path, n_classes: int, *, values: str = "0..1") -> Classifier:
    """A model file with one input of pictures, NCHW or NHWC, of 1 or 3 channels.

    Parameters
    ----------
    values : what black and white are to the model, a key of `RANGES`; whole-number inputs always get 0 to 255.

    Raises
    ------
    MissingExtraError : onnxruntime is not there. InputError : the file cannot be used as a classifier of images.
    """
    file = Path(path)
    if values not in RANGES:
        raise parameter_error("values", "stress", f"one of {', '.join(RANGES)}", values)
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "ONNX models need the package 'onnxruntime'. Install it with: pip install 'manikin[onnx]'"
        ) from error
    if not file.is_file():
        raise ParameterError(f"{file} is no file. Name an .onnx model.")
    if file.stat().st_size > MOST_BYTES:
        raise DataError(f"{file.name} has more than {MOST_BYTES >> 30} GiB. Bring a smaller model.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        # from bytes: a model can then name no other file to be read with it
        session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception:  # onnxruntime raises classes of its own, some of them C++ texts that quote the file
        raise DataError(
            f"{file.name} is no ONNX model that onnxruntime can load. It must be whole in one file, with standard operators."
        ) from None
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _FLOATS or len(inputs[0].shape) != 4:
        raise DataError(
            f"{file.name} must have one input of pictures with 4 axes, of float or uint8. It has {_shapes(inputs)}."
        )
    form = _Form.of(inputs[0], file.name)
    output = next((one.name for one in session.get_outputs() if one.type in _FLOATS), None)
    if output is None:
        raise DataError(f"{file.name} has no output of plain numbers. Export it without a ZipMap.")
    low, high = RANGES["0..255" if inputs[0].type == "tensor(uint8)" else values]

    def run(pictures: Array) -> Array:
        given = (form.fitted(pictures) * (high - low) + low).astype(_FLOATS[inputs[0].type])
        try:
            if form.batch is None:
                return np.asarray(session.run([output], {inputs[0].name: given})[0])
            parts = [np.asarray(session.run([output], {inputs[0].name: one})[0]) for one in form.batches(given)]
            return np.concatenate(parts)[: len(given)]
        except Exception:  # as above
            raise DataError(
                f"{file.name} cannot be run on images of the shape {given.shape[1:]}. Check what it expects."
            ) from None

    return Classifier(
        run, n_classes, file.name, [f"{file.name}: input {_shapes(inputs)}, black and white as {low:g} and {high:g}."]
    )


@dataclass(frozen=True)
class _Form:
    """What a model's input wants: channels and size (None where it takes any), where the channels stand, a fixed number of pictures."""

    channels: int | None
    size: tuple[int | None, int | None]
    is_last: bool
    batch: int | None

    @classmethod
    def of(cls, given: Any, name: str) -> _Form:
        shape = [one if isinstance(one, int) and one > 0 else None for one in given.shape]
        is_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
        channels = shape[3] if is_last else shape[1]
        size = (shape[1], shape[2]) if is_last else (shape[2], shape[3])
        if channels not in (1, 3, None) or max(one or 1 for one in (*size, shape[0])) > 8192:
            raise DataError(
                f"{name} wants pictures of the shape {given.shape}; 1 or 3 channels and up to 8,192 pixels are supported."
            )
        return cls(channels, size, is_last, shape[0])

    def fitted(self, pictures: Array) -> Array:
        """Pictures with the model's channels and size."""
        out = pictures
        if self.channels == 3 and out.shape[1] == 1:
            out = np.repeat(out, 3, axis=1)
        elif self.channels == 1 and out.shape[1] == 3:
            out = np.tensordot(out, LUMA, (1, 0))[:, None]
        size = (self.size[0] or out.shape[2], self.size[1] or out.shape[3])
        if size != out.shape[2:]:
            out = np.stack([resized(one, size) for one in out])
        return np.moveaxis(out, 1, -1) if self.is_last else out

    def batches(self, given: Array) -> list[Array]:
        """Pieces of the fixed number, the last filled up with its own last picture."""
        n = self.batch or len(given)
        missing = -len(given) % n
        whole = np.concatenate([given, np.repeat(given[-1:], missing, axis=0)]) if missing else given
        return [whole[i : i + n] for i in range(0, len(whole), n)]


def _shapes(inputs: Any) -> str:
    return "; ".join(f"{one.type} {list(one.shape)}" for one in inputs) or "none"
