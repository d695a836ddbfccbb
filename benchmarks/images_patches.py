"""Colour patches of two open images as npz: `python images_patches.py OUT`. Each is one patient's: to look at what a larger image takes.

histology, histology128: 96 x 96 and 128 x 128 pixels of the stained section in scikit-image (ihc.png, CC0), labelled by how much of it is
brown. retina: 64 x 64 of the eye's background there (retina.jpg, CC0) at half its resolution, labelled by whether its finer vessels lie in
it. retina256: 256 x 256 at full resolution. Patches overlap, but no pixel is in patches of both train and test, which are different parts
of the image: what is told of test is told of places that no generator saw, and still of the same patient. volumes: NIfTI of 120 simulated
heads, half with a lesion.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

Patches = tuple[np.ndarray, np.ndarray]  # images (n, side, side, 3) and what they are labelled by (n,)


def cut(image: np.ndarray, value: np.ndarray, side: int, stride: int, columns: tuple[int, int], is_inside: np.ndarray) -> Patches:
    """Patches within columns of an image that lie inside by all their corners and edges, and the mean of `value` in each."""
    tops, lefts = range(0, image.shape[0] - side + 1, stride), range(columns[0], columns[1] - side + 1, stride)
    corners = [(t, left) for t in tops for left in lefts if is_inside[t : t + side, left : left + side].all()]
    images = np.stack([image[t : t + side, left : left + side] for t, left in corners])
    return images, np.array([value[t : t + side, left : left + side].mean() for t, left in corners])


def store(folder: Path, train: Patches, test: Patches) -> None:
    """The label is whether the value lies above the median of train's."""
    folder.mkdir(parents=True, exist_ok=True)
    limit = np.median(train[1])
    for part, (images, values) in (("train", train), ("test", test)):
        np.savez_compressed(folder / f"{part}.npz", images=images, labels=(values > limit).astype(np.int64))
        print(f"{folder.name}, {part}: {images.shape} patches, {int((values > limit).sum())} labelled 1")


def histology(out: Path) -> None:
    from skimage.color import rgb2hed
    from skimage.data import immunohistochemistry

    section = immunohistochemistry()
    brown, everywhere = rgb2hed(section)[..., 2], np.ones(section.shape[:2], dtype=bool)
    train = cut(section, brown, 96, 12, (0, 400), everywhere)
    store(out / "histology", train, cut(section, brown, 96, 8, (400, 512), everywhere))
    train = cut(section, brown, 128, 12, (0, 384), everywhere)
    store(out / "histology128", train, cut(section, brown, 128, 8, (384, 512), everywhere))


def retina(out: Path) -> None:
    from skimage.data import retina as background
    from skimage.filters import gaussian
    from skimage.morphology import black_tophat, disk

    full = background()[:1410, :1410]
    half = np.rint(full.reshape(705, 2, 705, 2, 3).mean((1, 3))).astype(np.uint8)
    vessels = black_tophat(gaussian(half[..., 1].astype(float), 1), disk(5))
    is_inside = half.max(2) > 20
    train = cut(half, vessels, 64, 10, (0, 480), is_inside)
    store(out / "retina", train, cut(half, vessels, 64, 12, (480, 705), is_inside))
    twice = vessels.repeat(2, 0).repeat(2, 1), is_inside.repeat(2, 0).repeat(2, 1)
    train = cut(full, twice[0], 256, 32, (0, 960), twice[1])
    test = cut(full, twice[0], 256, 32, (960, 1410), twice[1])
    store(out / "retina256", train, test)
    store(out / "retina256s", (train[0][::4], train[1][::4]), test)  # every fourth, for a first look


def volumes(out: Path, n: int = 120) -> None:
    """Heads of 16 x 16 x 16 voxels with two ventricles, and a bright lesion in half of them."""
    import nibabel

    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, 16)] * 3, indexing="ij")

    def ball(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        """1 inside an ellipsoid, 0 outside, soft between."""
        away = sum(((axis - c) / r) ** 2 for axis, c, r in zip((z, y, x), centre, radii, strict=True))
        return 1 / (1 + np.exp(8 * (np.sqrt(away) - 1) * min(radii) / 0.15))

    lines = ["file,lesion"]
    for i in range(n):
        radii, centre = rng.uniform(0.75, 0.95, 3), rng.normal(0, 0.04, 3)
        head = 600 * ball(tuple(centre), tuple(radii))
        for side in (-0.25, 0.25):
            head -= 250 * ball((centre[0], centre[1], centre[2] + side), (0.25, 0.4, 0.13))
        has = rng.random() < 0.5
        if has:
            head += 400 * ball(tuple(centre + rng.uniform(-0.4, 0.4, 3)), (0.2, 0.2, 0.2))
        head += rng.normal(0, 20, head.shape)
        nibabel.save(nibabel.Nifti1Image(np.rint(head).astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), out / f"v{i:03d}.nii.gz")
        lines.append(f"v{i:03d}.nii.gz,{'yes' if has else 'no'}")
    (out / "labels.csv").write_text("\n".join(lines) + "\n")
    print(f"volumes: {n}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    histology(out)
    retina(out)
    volumes(out / "volumes")


if __name__ == "__main__":
    main()
