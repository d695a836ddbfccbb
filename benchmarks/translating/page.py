"""TRANSLATION.md, results/translation.json and the pictures, from what the steps of `translation.py` wrote. Computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from translating import phantoms

SCALE, GAP, LINE, LEFT = 2, 4, 16, 150
KINDS = ("cyst", "haemorrhage", "tumour")
NAMES = {
    "truth": "true CT (noisy)",
    "identity": "MR as it is",
    "by_intensity": "regression by intensity",
    "nearest": "CT of the nearest training MR",
    "mean_image": "mean training CT",
    "film": "original",
    "degraded": "degraded, as it is",
    "filter": "linear filter, 5 x 5",
    "restored": "pix2pix",
    "patch": "original",
}


def write(work: Path, benchmarks: Path) -> None:
    """Writes the page beside the benchmarks."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(work.glob("*.json"))}
    (benchmarks / "results" / "translation.json").write_text(json.dumps(found, indent=1) + "\n")
    notes = (benchmarks / "translation_notes.md").read_text()
    parts = {
        "PIXELS": _pixels(found),
        "LESIONS": _lesions(found),
        "FILMS": _restored(found.get("films"), with_area=True),
        "UNPAIRED": _restored(found.get("films-cyclegan"), with_area=True),
        "RETINA": _restored(found.get("retina"), with_area=False),
    }
    for name, text in parts.items():
        notes = notes.replace(f"<!-- {name} -->", text)
    (benchmarks / "TRANSLATION.md").write_text(notes)
    _pictures(work, benchmarks / "images")


def _runs(found: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(what it is, its figures, what is known of it) of baselines and models."""
    out = [(NAMES[name], one, {}) for name, one in found.get("phantoms-baselines", {}).items()]
    for name, one in found.items():
        if name.startswith("phantoms-") and "model" in one:
            source, target = one["share_source"], one["share_target"]
            shares = f"{source:.0%}" if source == target else f"{source:.0%} of MR, {target:.0%} of CT"
            other = name.rpartition("-")[2]
            note = "" if other.startswith("seed") else f" ({other.replace('_', ' ')})"
            out.append((f"`{one['model']}`, lesions in {shares}{note}", one, one))
    return out


def _pixels(found: dict[str, Any]) -> str:
    lines = ["| | MAE, HU | MAE in the brain | PSNR, dB | SSIM | Dice bone | Dice air | CPU s |", "|---|---|---|---|---|---|---|---|"]
    for name, one, known in _runs(found):
        cost = f"{known['cpu_seconds']:.0f}" if known else ""
        if known.get("window"):  # bone and air are cut off there
            lines.append(f"| {name} | | {one['mae_brain']:.1f} | | | | | {cost} |")
            continue
        values = (f"{one['mae']:.1f}", f"{one['mae_brain']:.1f}", f"{one['psnr']:.1f}", f"{one['ssim']:.3f}")
        lines.append(f"| {name} | {' | '.join(values)} | {one['dice_bone']:.3f} | {one['dice_air']:.3f} | {cost} |")
    return "\n".join(lines)


def _lesions(found: dict[str, Any]) -> str:
    lines = [
        f"| | kept of those shown | 95 % | {' | '.join(KINDS)} | false lesions in empty places |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one, _ in _runs(found):
        fates = one["lesions"]
        kinds = [
            f"{kind['kept']} of {kind['shown']} ({kind['median_share']:.2f})" if kind["shown"] else "none shown"
            for kind in (fates["by_kind"][each] for each in KINDS)
        ]
        low, high = fates["interval"]
        head = f"| {name} | {fates['kept']} of {fates['shown']} | {low:.2f} to {high:.2f} |"
        lines.append(f"{head} {' | '.join(kinds)} | {fates['false']} of {fates['places']} |")
    return "\n".join(lines)


def _restored(found: dict[str, Any] | None, *, with_area: bool) -> str:
    if found is None:
        return "Not run."
    lines = ["| | MAE, grey levels | PSNR, dB | SSIM |" + (" AUC of a classifier of films |" if with_area else "")]
    lines.append("|---|---|---|---|" + ("---|" if with_area else ""))
    for name, one in found["test"].items():
        area = f" {one['auc']:.3f} ({one['low']:.3f} to {one['high']:.3f}) |" if with_area else ""
        shown = f"`{found['model']['model']}`" if name == "restored" else NAMES[name]
        lines.append(f"| {shown} | {one['mae']:.2f} | {one['psnr']:.1f} | {one['ssim']:.3f} |{area}")
    known = found["model"]
    lines.append(f"\n`{known['model']}`: {known['steps']:,} steps, {known['cpu_seconds']:.0f} CPU s to learn.")
    return "\n".join(lines)


def _pictures(work: Path, folder: Path) -> None:
    data_file = work / "phantoms" / "data.npz"
    if data_file.is_file():
        data = phantoms.made(data_file)
        test = np.flatnonzero(data["part"] == "test")
        lesions = data["lesion"][test].reshape(len(test), -1).sum(1)
        large = [np.flatnonzero((data["label"][test] == kind) & (lesions > 25))[:3] for kind in KINDS]
        pick = np.concatenate([*large, np.flatnonzero(data["label"][test] == "normal")[:2]])
        rows = [("MR (simulated)", data["mr"][test][pick]), ("true CT (simulated)", _window(data["ct"][test][pick]))]
        marked = np.where(data["lesion"][test][pick], 255, _window(_grey(data["hu"][test][pick])) // 2).astype(np.uint8)
        rows.append(("where lesions are", marked))
        for path in sorted(work.glob("phantoms-*.npz")):
            if "baselines" in path.name:
                continue
            with np.load(path) as kept:
                rows.append((_short(path.stem), _window(kept["ct"][pick])))
        _sheet(rows, folder / "translation-phantoms.png", "Simulated images of phantoms; no patient.")
    films = ("degraded", "filter", "restored", "film")
    for name, columns in (("films", films), ("films-cyclegan", films), ("retina", ("degraded", "filter", "restored", "patch"))):
        if (work / f"{name}.npz").is_file():
            with np.load(work / f"{name}.npz") as kept:
                model = name.partition("-")[2] or NAMES["restored"]
                rows = [
                    (model if column == "restored" else NAMES[column], kept[column][:: len(kept[column]) // 11][:11]) for column in columns
                ]
            _sheet(rows, folder / f"translation-{name}.png", "Real open images, degraded and brought back.")


def _short(stem: str) -> str:
    """`phantoms-pix2pix-0.5-seed0` as `pix2pix, 50 %`."""
    model, share, *rest = stem.removeprefix("phantoms-").removesuffix("-seed0").split("-")
    shares = " to ".join(f"{float(each):.0%}" for each in (share, *(one for one in rest if one == "1")))
    others = [one.replace("_", " ") for one in rest if one != "1"]
    return f"{model}, {shares}" + "".join(f"\n{one}" for one in others)


def _grey(hu: np.ndarray) -> np.ndarray:
    return np.round((hu - phantoms.LOW) / phantoms.WIDTH * 255)


def _window(ct: np.ndarray) -> np.ndarray:
    """CT in a narrower window, -10 to 90 HU, in which lesions of the brain show."""
    return np.clip((phantoms.hounsfield(ct) + 10) / 100 * 255, 0, 255).astype(np.uint8)


def _sheet(rows: list[tuple[str, np.ndarray]], path: Path, about: str) -> None:
    """Rows of images with their names at the left."""
    size = rows[0][1].shape[1] * SCALE
    width, height = LEFT + len(rows[0][1]) * (size + GAP), len(rows) * (size + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, (name, images) in enumerate(rows):
        draw.text((4, i * (size + GAP) + size // 2 - LINE // 2), name, fill="black", font=font)
        for j, image in enumerate(images):
            tile = Image.fromarray(image).convert("RGB").resize((size, size), Image.Resampling.NEAREST)
            sheet.paste(tile, (LEFT + j * (size + GAP), i * (size + GAP)))
    info = PngInfo()
    info.add_text("Description", about)
    sheet.save(path, pnginfo=info, optimize=True)
