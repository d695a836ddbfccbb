"""What translation of images is worth, and what becomes of lesions: `python benchmarks/translation.py WORK STEP …`.

    … WORK phantoms --model pix2pix --share 0.5           # MR to CT of head phantoms, simulated; one training set, one seed
    … WORK phantoms --model cyclegan --share 0.5 --targets 0
    … WORK baselines                                      # the same test phantoms without a network
    … WORK films --data pneumoniamnist_28.npz             # real films, degraded and brought back; official test
    … WORK films --model cyclegan --data pneumoniamnist_28.npz
    … WORK retina                                         # real patches of one eye, by region
    … WORK judge                                          # measures again what phantoms and baselines made
    … WORK page                                           # benchmarks/TRANSLATION.md, results/translation.json and the pictures

Each step writes WORK/NAME.json and WORK/NAME.npz (what was made) and is left out where they are; `--set width=16` sets a hyperparameter.
One thread; test phantoms, films and regions are those that nothing was learned from or chosen by.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from translating import measures, phantoms, restoring
from translating.models import cpu_seconds, dataset, heaps, learned, translated

N_HALF = phantoms.N_TRAIN // 2


def keep(work: Path, name: str, found: dict[str, Any], **made: np.ndarray) -> None:
    """Writes what a step found and made."""
    if made:
        np.savez_compressed(work / f"{name}.npz", **made)
    (work / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found), flush=True)


def run_phantoms(work: Path, args: argparse.Namespace, settings: dict[str, Any]) -> None:
    """One training set, one model."""
    data = phantoms.made(work / "phantoms" / "data.npz")
    if args.halved:
        data = phantoms.halved(data)
    window = tuple(map(float, args.window.split(","))) if args.window else None
    if window:
        data["ct"] = phantoms.windowed(data["ct"], *window)
    test = np.flatnonzero(data["part"] == "test")
    share, targets = args.share, args.share if args.targets is None else args.targets
    name = args.name or f"phantoms-{args.model}-{share:g}" + ("" if args.targets is None else f"-{targets:g}") + f"-seed{args.seed}"
    if (work / f"{name}.json").exists():
        return
    if args.model == "pix2pix":
        rows = np.flatnonzero(data["part"] == "train") if args.twins else phantoms.training(data, share)
        pairs = dataset(mr=data["mr"][rows], ct=data["ct"][rows])
    else:  # other phantoms on the two sides, so that no pair is hidden in them
        sources = phantoms.training(data, share, last=N_HALF)
        aims = phantoms.training(data, targets, first=N_HALF)
        pairs = heaps(data["mr"][sources], data["ct"][aims], ("mr", "ct"))
    model, told = learned(args.model, pairs, seed=args.seed, **settings)
    ct = translated(model, mr=data["mr"][test])
    if window:
        ct, data = phantoms.unwindowed(ct, *window), phantoms.made(work / "phantoms" / "data.npz")
    found = {"what": "MR to CT of head phantoms, simulated", **told, "share_source": share, "share_target": targets}
    found |= {"size": data["mr"].shape[1], "window": window, "twins": args.twins}
    keep(work, name, found | measures.measured(ct, data, test), ct=ct)


def run_baselines(work: Path) -> None:
    """What needs no network, and what the true CT scores by the same measures."""
    data = phantoms.made(work / "phantoms" / "data.npz")
    test, train = np.flatnonzero(data["part"] == "test"), phantoms.training(data, 0.5)
    made = {
        "truth": data["ct"][test],
        "identity": data["mr"][test],
        "by_intensity": measures.by_intensity(data, train, test),
        "nearest": measures.nearest(data, train, test),
        "mean_image": measures.mean_image(data, train, test),
    }
    keep(work, "phantoms-baselines", {name: measures.measured(ct, data, test) for name, ct in made.items()}, **made)


def run_judge(work: Path) -> None:
    """Measures again, where a measure has changed."""
    whole = phantoms.made(work / "phantoms" / "data.npz")
    for path in sorted(work.glob("phantoms-*.json")):
        found = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz")) as kept:
            made = {name: kept[name] for name in kept.files}
        data = phantoms.halved(whole) if found.get("size") == phantoms.SIZE // 2 else whole
        test = np.flatnonzero(data["part"] == "test")
        again = {name: measures.measured(images, data, test) for name, images in made.items()}
        keep(work, path.stem, found | again["ct"] if "ct" in again else again, **made)


def run_films(work: Path, path: Path, name: str, seed: int, settings: dict[str, Any]) -> None:
    """Degraded films brought back, and whether a classifier of films reads them; cyclegan sees other films degraded than whole."""
    torch.set_num_threads(1)
    data, half = restoring.films(path), name == "cyclegan"
    step = f"films-{name}" if half else "films"
    if not (work / f"{step}-restored.json").exists():
        pairs = dataset(degraded=data["train_degraded"], film=data["train"])
        if half:
            middle = len(data["train"]) // 2
            pairs = heaps(data["train_degraded"][:middle], data["train"][middle:], ("degraded", "film"))
        model, told = learned(name, pairs, seed=seed, **settings)
        keep(work, f"{step}-restored", told, film=translated(model, degraded=data["test_degraded"]))
    with np.load(work / f"{step}-restored.npz") as kept:
        made = {"film": data["test"], "degraded": data["test_degraded"], "restored": kept["film"]}
    made["filter"] = linear_filter(data["train_degraded"][:1000], data["train"][:1000], data["test_degraded"])
    start = cpu_seconds()
    network = restoring.classifier(data["train"], data["train_labels"])
    labels = data["test_labels"]
    found = {name: {**restoring.figures(images, data["test"]), **restoring.area(network, images, labels)} for name, images in made.items()}
    about = json.loads((work / f"{step}-restored.json").read_text())
    keep(work, step, {"model": about, "classifier_cpu_seconds": round(cpu_seconds() - start, 1), "test": found}, **made)


def run_retina(work: Path, seed: int, settings: dict[str, Any]) -> None:
    """Degraded patches of one eye brought back."""
    data = restoring.retina()
    model, told = learned("pix2pix", dataset(degraded=data["train_degraded"], patch=data["train"]), seed=seed, **settings)
    made = {"patch": data["test"], "degraded": data["test_degraded"], "restored": translated(model, degraded=data["test_degraded"])}
    made["filter"] = linear_filter(data["train_degraded"], data["train"], data["test_degraded"])
    found = {name: restoring.figures(images, data["test"]) for name, images in made.items()}
    keep(work, "retina", {"model": told, "test": found}, **made)


def linear_filter(source: np.ndarray, target: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The best linear filter of 5 x 5 pixels by least squares, the same for every channel."""
    from numpy.lib.stride_tricks import sliding_window_view

    def windows(images: np.ndarray) -> np.ndarray:
        """(n, height, width, …) to rows of 25 neighbours and a one."""
        wide = np.pad(images.astype(np.float32), [(0, 0), (2, 2), (2, 2)] + [(0, 0)] * (images.ndim - 3), mode="edge")
        views = sliding_window_view(wide, (5, 5), axis=(1, 2)).reshape(-1, 25)
        return np.hstack([views, np.ones((len(views), 1), np.float32)])

    x = windows(source).astype(np.float64)
    weights = np.linalg.solve(x.T @ x + 1e-3 * np.eye(26), x.T @ target.reshape(-1))
    return np.clip(np.round(windows(given) @ weights), 0, 255).astype(np.uint8).reshape(given.shape)


def told(text: str) -> tuple[str, Any]:
    """`key=value`, the value as JSON where it is some."""
    key, _, value = text.partition("=")
    return key, json.loads(value)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("step", choices=["phantoms", "baselines", "films", "retina", "judge", "page"])
    parser.add_argument("--model", choices=["pix2pix", "cyclegan"], default="pix2pix")
    parser.add_argument("--share", type=float, default=0.5, help="of training phantoms with a lesion; of the sources of cyclegan")
    parser.add_argument("--targets", type=float, help="of cyclegan's targets, where it is another")
    parser.add_argument("--twins", action="store_true", help="every training phantom twice: without its lesion, and with it")
    parser.add_argument("--halved", action="store_true", help="phantoms at 32 x 32 pixels")
    parser.add_argument("--window", default="", metavar="LOW,HIGH", help="HU between which CT is learned; its whole window without it")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    settings = dict(told(text) for text in args.set)
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.step == "phantoms":
        run_phantoms(args.work, args, settings)
    elif args.step == "baselines":
        run_baselines(args.work)
    elif args.step == "judge":
        run_judge(args.work)
    elif args.step == "films":
        run_films(args.work, args.data, args.model, args.seed, settings)
    elif args.step == "retina":
        run_retina(args.work, args.seed, settings)
    else:
        from translating.page import write

        write(args.work, Path(__file__).parent)


if __name__ == "__main__":
    main()
