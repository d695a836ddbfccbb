"""A small classifier of PneumoniaMNIST, exported to ONNX by hand, put to the stress test on the official test split.

    OMP_NUM_THREADS=1 python benchmarks/stress_pneumonia.py /path/to/pneumoniamnist_28.npz OUT

Trains a convolutional network on the train split (validation chooses nothing: the passes are fixed), writes OUT/model.onnx with onnx.helper
from its weights, the test images as OUT/test (PNG with labels.csv), and runs `manikin stress OUT/model.onnx OUT/test`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

PASSES, BATCH, SEED = 6, 64, 0


def network():
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 2),
    )  # fmt: skip


def train(images, labels):
    torch.set_num_threads(1)
    model = network()
    rng = np.random.default_rng(SEED)
    steps = PASSES * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    x, y = torch.from_numpy(images[:, None].astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))
    for _ in range(PASSES):
        for rows in np.array_split(rng.permutation(len(x)), len(x) // BATCH):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step() if schedule.last_epoch < steps - 1 else None
    return model.eval()


def export(model, path: Path) -> None:
    """The network as ONNX operators with its weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, last = [], [], "pictures"
    for i, layer in enumerate(model):
        names = [last]
        if isinstance(layer, nn.Conv2d | nn.Linear):
            for key, value in (("w", layer.weight), ("b", layer.bias)):
                weights.append(numpy_helper.from_array(value.detach().numpy(), f"{key}{i}"))
                names.append(f"{key}{i}")
        kind, more = {
            nn.Conv2d: ("Conv", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
            nn.Linear: ("Gemm", {"transB": 1}),
            nn.ReLU: ("Relu", {}),
            nn.MaxPool2d: ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            nn.Flatten: ("Flatten", {"axis": 1}),
        }[type(layer)]
        last = f"x{i}"
        nodes.append(helper.make_node(kind, names, [last], **more))
    given = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 1, 28, 28])
    out = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "pneumonia", [given], [out], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, str(path))


def main() -> None:
    data, out = np.load(sys.argv[1], allow_pickle=False), Path(sys.argv[2])
    (out / "test/images").mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    model = train(data["train_images"], data["train_labels"].ravel())
    print(f"trained in {time.process_time() - start:.0f} CPU s")
    export(model, out / "model.onnx")
    rows = []
    for i, (image, label) in enumerate(zip(data["test_images"], data["test_labels"].ravel(), strict=True)):
        Image.fromarray(image).save(out / f"test/images/{i:05d}.png")
        bright = "dark" if image.mean() < np.median(data["test_images"].mean(axis=(1, 2))) else "bright"
        rows.append({"file": f"images/{i:05d}.png", "label": ["normal", "pneumonia"][label], "exposure": bright})
    pd.DataFrame(rows).to_csv(out / "test/labels.csv", index=False)
    from manikin.workflow.stress import stress_files

    start = time.process_time()
    _, files = stress_files(out / "model.onnx", out / "test", out / "stress", force=True)
    print(f"stress test in {time.process_time() - start:.0f} CPU s: {files['report']}")
    document = json.loads(files["figures"].read_text())
    print("| shift | fails at | still holds at | strongest tried | AUC there | loss there |\n|---|---|---|---|---|---|")
    for curve in document["curves"]:
        shift, points = document["shifts"][curve["shift"]], curve["points"]
        last, strengths = points[-1], [point["strength"] for point in points]
        at, unit = curve["fails_at"], shift["unit"]
        before = "" if at is None else f"{strengths[strengths.index(at) - 1]:g}"
        auc, loss = last["auc"], last["loss"]
        print(
            f"| {shift['what']} | {'holds' if at is None else f'{at:g} {unit}'} | {before} | {last['strength']:g} {unit} "
            f"| {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}] | {loss['value']:.3f} [{loss['low']:.3f}, {loss['high']:.3f}] |"
        )
    clean = document["curves"][0]["points"][0]
    print("clean:", {name: clean[name] for name in ("auc", "accuracy", "calibration_error")})


if __name__ == "__main__":
    main()
