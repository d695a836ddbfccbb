"""What adaptive augmentation does where films are few: `images_few.py prepare TABLES`, `images_few.py judge TABLES/pneumoniafew RESULT…`.

prepare writes TABLES/pneumoniafew from TABLES/pneumoniamnist: train.npz of a few films (stratified), others.npz with the rest of train,
which no generator of these sees. judge takes folders that `images_run.py --table pneumoniafew` wrote with a checkpoint, and imports of
Manikin the critic alone, to ask it. For each, into few.json:

p, r_t        of the training signals by step: probability of each change, and the mean sign of the critic's scores of real films as it
              was shown them (twice the share taken for real, minus 1), over the steps since the last look.
critic        mean sign of the last critic's scores of unchanged films: those learned, as many others, and synthetic ones. One that has
              learned its films by heart calls them real (1) and others synthetic (-1).
c2st          AUC of boosted trees, and c2st_cnn of a CNN, that tell 1,000 synthetic from 1,000 other films of the same labels; real:
              others against others. kid: squared maximum mean discrepancy (unbiased, cubic kernel) in 64 features of a CNN that learned
              the labels of the rest of the others, times 1,000.
nearest       median distance of synthetic films to the nearest learned film, over that to the nearest of as many others: 1 tells no
              copies.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from images_judge import CNN, cnn_c2st, counts_for, nearest, read, stratified, taught, trees
from safetensors.torch import load_file

N = 1000


def prepare(tables: Path, n: int) -> None:
    with np.load(tables / "pneumoniamnist" / "train.npz", allow_pickle=False) as given:
        images, labels = given["images"], given["labels"]
    few = np.sort(stratified(labels, counts_for(labels, n), np.random.default_rng(0)))
    rest = np.setdiff1d(np.arange(len(labels)), few)
    folder = tables / "pneumoniafew"
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in (("train", few), ("others", rest)):
        np.savez_compressed(folder / f"{part}.npz", images=images[rows], labels=labels[rows])
        print(f"{part}: {len(rows)} films, {np.bincount(labels[rows]).tolist()} of each label")


@torch.no_grad()
def features(net: CNN, like: np.ndarray, *given: np.ndarray) -> list[np.ndarray]:
    """What the last layer but one tells of each, in the mean and spread of what it learned, (n, 64)."""

    def told(images: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy((images - like.mean()) / like.std())
        return torch.cat([net.body[:-1](part) for part in pixels.split(256)]).numpy().astype(np.float64)

    own = told(like)
    return [(told(images) - own.mean(0)) / np.maximum(own.std(0), 1e-6) for images in given]


def kid(a: np.ndarray, b: np.ndarray) -> float:
    """1,000 times the unbiased squared maximum mean discrepancy of equally many rows, kernel (x y / d + 1)^3."""
    own, other, both = (((x @ y.T) / x.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    n = len(a)
    within = (own.sum() - np.trace(own) + other.sum() - np.trace(other)) / (n * (n - 1))
    return float(1000 * (within - 2 * both.mean()))


def asked(run: Path, films: dict[str, tuple[np.ndarray, np.ndarray]], settings: dict[str, Any]) -> dict[str, float]:
    """What the critic of the last checkpoint says of unchanged films of each kind; 512 of each at most, in the groups it learned in."""
    from manikin.synthesizers.images.stylegan2ada import StyleGAN2ADA
    from manikin.training.networks.image_conditioning import Attribute
    from manikin.training.networks.image_frame import Frame
    from manikin.training.networks.style import StyleCritic

    model = StyleGAN2ADA(**settings)
    critic = StyleCritic(Frame(1, (28, 28)), [Attribute(2)], width=model.width, told=model.style)
    if not (run / "checkpoint" / "state.safetensors").is_file():
        return {}  # a run of less than a minute leaves none
    kept = load_file(run / "checkpoint" / "state.safetensors")
    start = next(key for key in kept if "critic" in key and key.endswith("first.weight")).removesuffix("first.weight")
    critic.load_state_dict({key.removeprefix(start): value for key, value in kept.items() if key.startswith(start)})
    found = {}
    with torch.no_grad():
        for name, (images, labels) in films.items():
            batches = zip(*(torch.from_numpy(part[:512]).split(model.batch_size) for part in (images * 2 - 1, labels)), strict=True)
            scores = torch.cat([critic(pixels, told[:, None]) for pixels, told in batches])
            found[name] = round(float(scores.sign().mean()), 3)
    return found


def judge(table: Path, run: Path) -> dict[str, Any]:
    (few, few_y), (others, others_y), (made, made_y) = (
        read(path) for path in (table / "train.npz", table / "others.npz", run / "synthetic.npz")
    )
    rng = np.random.default_rng(0)
    counts = counts_for(others_y, N)
    rest = np.arange(len(others))
    a = stratified(others_y, counts, rng)
    rest = np.setdiff1d(rest, a)
    b = rest[stratified(others_y[rest], counts, rng)]
    rest = np.setdiff1d(rest, b)
    m = stratified(made_y, counts, rng)
    net = taught(others[rest], others_y[rest], 0, 8)
    fa, fb, fm = features(net, others[rest], others[a], others[b], made[m])
    like_few = a[stratified(others_y[a], counts_for(few_y, len(few)), rng)]
    films = {"learned": (few, few_y), "others": (others[a], others_y[a]), "synthetic": (made[m], made_y[m])}
    signals = json.loads((run / "signals.json").read_text())
    settings = json.loads((run / "run.json").read_text())["settings"]
    return {
        "steps": [int(look["step"]) for look in signals],
        "p": [round(look["augmented"], 3) for look in signals],
        "r_t": [round(2 * look["accuracy real"] - 1, 3) for look in signals],
        "critic": asked(run, films, settings),
        "c2st": {"synthetic": trees(others[a], made[m], 0), "real": trees(others[a], others[b], 0)},
        "c2st_cnn": {"synthetic": cnn_c2st(others[a], made[m], 0), "real": cnn_c2st(others[a], others[b], 0)},
        "kid": {"synthetic": kid(fa, fm), "real": kid(fa, fb)},
        "nearest": float(np.median(nearest(made[m], few)) / np.median(nearest(made[m], others[like_few]))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "judge"])
    parser.add_argument("tables", type=Path)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--films", type=int, default=150)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "prepare":
        prepare(args.tables, args.films)
    for run in args.runs:
        found = judge(args.tables, run)
        (run / "few.json").write_text(json.dumps(found, indent=1))
        print(f"{run}: {json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
