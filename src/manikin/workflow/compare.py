"""Comparing releases of one table: run folders go in, the trade-off between likeness and privacy comes out. Knows no metric by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError
from manikin.evaluation.base import Results
from manikin.evaluation.comparison import DEFAULT_PAIRS, TradeOff, possible_pairs, trade_off
from manikin.evaluation.definition import clean
from manikin.evaluation.results_file import read_results
from manikin.release.manifest import Manifest, read_manifest, versions
from manikin.workflow.output import check_free, whole_folder, write_json

FORMAT = "manikin-comparison 1"
INTERNAL = "Figures of real patients without protection: keep this folder in the house."


@dataclass(frozen=True)
class Compared:
    """What a comparison found: the trade-offs, everything else as the document of comparison.json, and its files if it wrote any."""

    trade_offs: tuple[TradeOff, ...]
    document: dict[str, Any]
    files: dict[str, Path]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the trade-offs say, and what could not be checked."""
        from manikin.report.comparison import sentences

        return (*sentences(self.document), *self.document["notices"])


def compare(
    folders: Sequence[str | Path],
    *,
    fidelity: str | None = None,
    privacy: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Compared:
    """Compares run folders that `synthesize` or `evaluate` wrote; with `out` writes comparison.json and comparison.html there.

    Parameters
    ----------
    folders : two or more run folders of releases that were made from one table and judged against the same real rows.
    fidelity, privacy : names of two figures to draw against each other; the usual pairs when neither is given.

    Raises
    ------
    ParameterError : fewer than two folders, releases of different tables, an unknown figure. Nothing is written.
    DataError : a folder holds no results.json that can be read.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) < 2:
        raise ParameterError("A comparison needs at least two run folders. Name those that synthesize or evaluate wrote.")
    if out is not None:
        check_free(Path(out), force=force, inputs=paths)
    names = _names(paths)
    results = {name: read_results(path / "results.json") for name, path in zip(names, paths, strict=True)}
    manifests = {name: _manifest(path) for name, path in zip(names, paths, strict=True)}
    notices = _check_same_table(manifests, results)
    trades = compared(results, fidelity=fidelity, privacy=privacy)
    document = _document(results, manifests, trades, notices)
    files: dict[str, Path] = {}
    if out is not None:
        from manikin.report.comparison import render_comparison

        with whole_folder(Path(out), force=force) as partial:
            write_json(partial / "comparison.json", document)
            render_comparison(document, partial / "comparison.html")
        files = {"comparison": Path(out) / "comparison.html", "figures": Path(out) / "comparison.json"}
    return Compared(trades, document, files)


def compared(
    candidates: Mapping[str, Results], *, fidelity: str | None = None, privacy: str | None = None
) -> tuple[TradeOff, ...]:
    """The trade-offs of results that are at hand, by name of the release.

    Raises
    ------
    ParameterError : no release holds both figures of a pair.
    """
    usual = DEFAULT_PAIRS[0]
    chosen = [(fidelity or usual[0], privacy or usual[1])] if fidelity or privacy else possible_pairs(candidates)
    if not chosen:
        raise ParameterError("The releases share no figure of likeness and of privacy to compare. Evaluate them again.")
    return tuple(trade_off(candidates, *pair) for pair in chosen)


def _names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with as much of the way there as tells them apart."""
    for depth in range(1, 8):
        names = ["/".join(path.absolute().parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise ParameterError("The same run folder is named twice. Name each release once.")


def _manifest(folder: Path) -> Manifest | None:
    path = folder / "manifest.json"
    return read_manifest(path) if path.is_file() else None


def _check_same_table(manifests: Mapping[str, Manifest | None], results: Mapping[str, Results]) -> list[str]:
    """Refuses releases of different real rows; says where that could not be checked."""
    marks: dict[tuple[str, str], dict[str, str]] = {}
    unknown = []
    for name, manifest in manifests.items():
        if manifest is None:
            unknown.append(name)
            continue
        parts = {one.name.split(":")[0]: one.sha256 for one in manifest.inputs}
        is_judged = manifest.command == "evaluate"
        mark = f"{parts.get('train')} {parts.get('holdout')}" if is_judged else f"{manifest.data_sha256} {manifest.seed}"
        marks.setdefault(("files" if is_judged else "split", ""), {})[name] = mark
    for known in marks.values():
        first = next(iter(known))
        for name, mark in known.items():
            if mark != known[first]:
                raise ParameterError(
                    f"{first} and {name} were not judged against the same real rows (another table, split or seed), so their figures "
                    "cannot be compared. Evaluate both against the same train and holdout files."
                )
    rows = {(r.run.get("rows") or {}).get("holdout") for r in results.values()}
    notices = []
    if unknown or len(marks) > 1 or len(rows) > 1:
        notices.append(
            "Whether all releases were judged against the same real rows could not be checked by the manifests; make sure that they were."
        )
    return notices


def _document(
    results: Mapping[str, Results],
    manifests: Mapping[str, Manifest | None],
    trades: Sequence[TradeOff],
    notices: Sequence[str],
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
        "internal": INTERNAL,
        "unit": str(next(iter(results.values())).run.get("unit") or "rows"),
        "candidates": [_candidate(name, results[name], manifests[name]) for name in results],
        "trade_offs": [clean(_plain(trade)) for trade in trades],
        "figures": _figures(results),
        "notices": list(notices),
    }


def _candidate(name: str, results: Results, manifest: Manifest | None) -> dict[str, Any]:
    from manikin.synthesizers import SYNTHESIZERS

    made_by = manifest.synthesizer.name if manifest and manifest.synthesizer else ""
    is_yardstick = made_by in SYNTHESIZERS and not SYNTHESIZERS[made_by].releasable
    policies = {str(one.get("policy")): str(one.get("verdict")) for one in results.run.get("policies") or ()}
    rows = {str(part): n for part, n in (results.run.get("rows") or {}).items()}
    return {"name": name, "synthesizer": made_by, "is_yardstick": is_yardstick, "rows": rows, "policies": policies}


def _plain(trade: TradeOff) -> dict[str, Any]:
    points = [{"candidate": point.name, **{k: v for k, v in asdict(point).items() if k != "name"}} for point in trade.points]
    return {**asdict(trade), "directions": [str(one) for one in trade.directions], "points": points}


def _figures(results: Mapping[str, Results]) -> list[dict[str, Any]]:
    """Every figure that some release holds, with each release's value."""
    order = dict.fromkeys(figure.name for one in results.values() for figure in one.figures)
    lines = []
    for figure_name in order:
        held = {name: one[figure_name] for name, one in results.items() if figure_name in one}
        first = next(iter(held.values()))
        releases = {name: {"value": f.value, "interval": f.interval, "reference": f.reference} for name, f in held.items()}
        line = {"name": figure_name, "title": first.title, "section": str(first.section), "direction": str(first.direction)}
        lines.append(clean({**line, "releases": releases}))
    return lines


__all__ = ["Compared", "compare", "compared"]
