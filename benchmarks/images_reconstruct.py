"""How much of patches nobody learned from latent_ddpm's autoencoder gives back: `python images_reconstruct.py TABLES/NAME MODEL [-o FILE]`.

PSNR and SSIM (7 x 7 windows) of up to 64 patches of test, from the means of their latents; beside them the same from drawn latents, and of
latents that are off by a fifth of their spread, as diffusion leaves them. detail: strength of the finest band, over that of the patches:
below 1 is blur. border: the error of the outermost pixels over that of inner ones; much above 1 is a border. 8-bit patches of a side that
halves evenly.

--write FILE.npz keeps what comes of up to -n train patches that were encoded, drawn and decoded, for images_patches_judge.py: what it finds
there is lost by the autoencoder, whatever the diffusion does; the rest is the diffusion's.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from images_judge import read
from skimage.metrics import structural_similarity

from manikin.synthesizers.storage import load
from manikin.training.networks.image_autoencoder import drawn

MOST = 64


def fine(images: torch.Tensor) -> float:
    return float((images - F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)).square().mean().sqrt())


def root(difference: torch.Tensor) -> float:
    return float(difference.square().mean().sqrt())


def told(made: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    made, gap = made.clamp(-1, 1), made.clamp(-1, 1) - real
    like = [structural_similarity(a, b, channel_axis=0, data_range=2) for a, b in zip(made.numpy(), real.numpy(), strict=True)]
    edge = torch.cat([gap[:, :, [0, -1]].flatten(), gap[..., [0, -1]].flatten()])
    found = {"psnr": float((-10 * torch.log10((gap / 2).square().flatten(1).mean(1))).mean()), "ssim": float(np.mean(like))}
    return found | {"detail": fine(made) / fine(real), "border": root(edge) / root(gap[..., 8:-8, 8:-8])}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = read(args.table / "test.npz")[0]
    real = torch.from_numpy(images[:: max(1, -(-len(images) // MOST))]) * 2 - 1
    both = load(args.model).network_
    mean, log_variance = both.coder.encode(real)
    spread = mean.std((0, *range(2, mean.dim())), keepdim=True)
    codes = {"mean": mean, "drawn": drawn(mean, log_variance), "off": mean + 0.2 * spread * torch.randn_like(mean)}
    found = {"n": len(real), "numbers": real[0].numel() / mean[0].numel()}
    found |= {name: {k: round(v, 3) for k, v in told(both.decode(code), real).items()} for name, code in codes.items()}
    (args.out or args.model.parent / "reconstructed.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found))
    if args.write:
        images, labels = read(args.table / "train.npz")
        rows = np.sort(np.random.default_rng(1).permutation(len(images))[: args.n])
        made = [both.decode(drawn(*both.coder.encode(part * 2 - 1))) for part in torch.from_numpy(images[rows]).split(16)]
        pixels = ((torch.cat(made).clamp(-1, 1) + 1) * 127.5).round().byte().movedim(1, -1).numpy()
        np.savez_compressed(args.write, images=pixels, labels=labels[rows])


if __name__ == "__main__":
    main()
