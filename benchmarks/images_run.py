"""Learns images and makes as many, by synthesizer and seed: `python images_run.py TABLES OUT --synthesizers ddpm --seeds 0,1,2`.

For each: OUT/TABLE/NAME/SEED/{synthetic.npz, run.json, signals.json, model/}. A killed run goes on where its checkpoint stands; what is
done is left.
Processor seconds are the process's own (user and system), one thread; memory is the largest resident set. Those of a killed run are
kept in spent.json and counted on, what it did after its last checkpoint included. A run that has spent --cpu-minutes stops; its checkpoint
stays.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.synthesizers import synthesizer
from manikin.synthesizers.storage import save
from manikin.training.control import Control


def dataset(path: Path) -> Dataset:
    """An npz of images (n, height, width[, channels]) and labels (n,)."""
    with np.load(path, allow_pickle=False) as given:
        images, labels = given["images"], given["labels"]
    pixels = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    levels = tuple(str(level) for level in sorted(set(labels.tolist())))
    frame = pd.DataFrame({"file": pd.Series([f"{i}.png" for i in range(len(labels))], dtype=object)})
    frame["label"] = pd.Categorical(labels.astype(str), categories=list(levels))
    columns = (
        Column("file", Kind.IMAGE, image=ImageForm(pixels.shape[1], pixels.shape[2:])),
        Column("label", Kind.CATEGORICAL, levels=levels, roles=(Role.TARGET,)),
    )
    return flat(Table(frame, images={"file": Images.of_array(pixels)}), TableSchema("images", columns))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Spent:
    """Processor seconds of a run over all its processes, in a file; bounded where there is a limit."""

    def __init__(self, file: Path, most: float | None) -> None:
        self.file, self.most, self.start = file, most, cpu_seconds()
        self.before = float(json.loads(file.read_text())["cpu"]) if file.is_file() else 0.0

    @property
    def seconds(self) -> float:
        return self.before + cpu_seconds() - self.start

    @property
    def is_over(self) -> bool:
        return self.most is not None and self.seconds >= self.most

    def keep(self) -> None:
        """Writes beside, then renames, so that a kill leaves the old or the new figure."""
        beside = self.file.with_suffix(".part")
        beside.write_text(json.dumps({"cpu": round(self.seconds, 2)}))
        beside.replace(self.file)


def told(text: str) -> tuple[str, Any]:
    """`key=value`, the value as JSON where it is some."""
    key, _, value = text.partition("=")
    try:
        read = json.loads(value)
    except ValueError:
        read = value
    return key, tuple(read) if isinstance(read, list) else read


def run(data: Dataset, name: str, label: str, seed: int, out: Path, args: argparse.Namespace) -> None:
    folder = out / label / str(seed)
    if (folder / "run.json").is_file():
        print(f"{folder} is done", flush=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    settings = dict(told(text) for text in args.set)
    seen, spent = [0.0], Spent(folder / "spent.json", args.cpu_minutes and args.cpu_minutes * 60)
    if spent.is_over:
        print(f"{folder} has spent {spent.seconds:.0f} CPU s, which is all that it may", flush=True)
        return

    def shown(progress: Any) -> None:
        """What was spent, always; a line a minute; the end, where nothing is left."""
        spent.keep()
        if spent.is_over:
            raise KeyboardInterrupt  # the loop writes a checkpoint and hands it on
        if time.time() - seen[0] > 60:
            seen[0] = time.time()
            line = f"{progress.step} of {progress.total_steps}, loss {progress.loss}, held out {progress.validation}"
            print(f"  {time.strftime('%H:%M:%S')} {cpu_seconds():.0f} CPU s: {line}", flush=True)

    limits = {"max_steps": args.max_steps, "stop_at": args.stop_at}
    control = Control(**limits, checkpoint=folder / "checkpoint", checkpoint_seconds=60, on_progress=shown, device="cpu")
    try:
        model = synthesizer(name, **settings).fit(data, seed=seed, control=control)
    except KeyboardInterrupt:
        spent.keep()
        if not spent.is_over:
            raise
        print(f"{folder} is stopped after {spent.seconds:.0f} CPU s of {spent.most:.0f}; its checkpoint stays", flush=True)
        return
    spent.keep()
    fitted = cpu_seconds()
    made = model.sample(args.rows or len(data.table), seed=seed + 1)
    sampled = cpu_seconds()
    images = made.table.images["file"].array()
    pixels = np.rint(images).astype(np.uint8) if data.columns["file"].image.highest <= 255 else images
    np.savez_compressed(folder / "synthetic.npz", images=np.moveaxis(pixels, 1, -1).squeeze(-1) if pixels.shape[1] == 1 else
                        np.moveaxis(pixels, 1, -1), labels=made.table.frame["label"].astype(str).astype(np.int64).to_numpy())
    save(model, folder / "model")
    record = {
        "synthesizer": name,
        "settings": settings,
        "seed": seed,
        "rows": len(made.table),
        "cpu_fit": round(spent.before + fitted - spent.start, 1),
        "cpu_sample": round(sampled - fitted, 1),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "command": " ".join(["python", *sys.argv]),
        "training": {k: v for k, v in model.training_.items() if k not in ("film", "signals")},
    }
    (folder / "signals.json").write_text(json.dumps(model.training_.get("signals", []), indent=1))
    (folder / "run.json").write_text(json.dumps(record, indent=1))
    print(json.dumps({k: v for k, v in record.items() if k != "training"}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--table", default="pneumoniamnist")
    parser.add_argument("--synthesizers", default="ddpm", help="names with commas")
    parser.add_argument("--label", help="name of the result's folder; the synthesizer's by default")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", type=int, help="images to make; as many as were learned by default")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--cpu-minutes", type=float, help="most processor minutes that a fit may take over all its processes")
    parser.add_argument("--stop-at", type=int, help="last step that is done of the plan")
    parser.add_argument("--set", action="append", default=[], help="key=value, a hyperparameter")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    data = dataset(args.tables / args.table / "train.npz")
    for seed in map(int, args.seeds.split(",")):
        for name in args.synthesizers.split(","):
            run(data, name, args.label or name, seed, args.out / args.table, args)


if __name__ == "__main__":
    main()
