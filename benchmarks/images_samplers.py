"""How near samplers with few looks come to many, from the same noise: `python images_samplers.py MODEL`, a saved `ddpm`."""

from __future__ import annotations

import sys

import torch

from manikin.synthesizers.storage import load
from manikin.training.networks.diffusion_samplers import heun, karras_levels, multistep

N = 64
LOW, HIGH = 0.005, 80.0


def main() -> None:
    torch.set_num_threads(1)
    model = load(sys.argv[1])
    net, sizes = model.network_, model.codec_.layout.sizes
    torch.manual_seed(0)
    noise = torch.randn(N, net.channels, *net.size)
    tokens = torch.stack([torch.full((N,), size - 1) for size in sizes], 1) if sizes else torch.zeros(N, 0, dtype=torch.long)

    def made(sampler: object, steps: int) -> torch.Tensor:
        with torch.no_grad():
            return net.outer(sampler(net._guided(tokens, 1.0), noise, karras_levels(steps, LOW, HIGH)))

    def gradient(images: torch.Tensor) -> float:
        return float(((images.clamp(-1, 1) + 1) / 2).diff(dim=2).abs().mean())

    many = made(heun, 40)
    print(f"heun, 79 looks: gradient {gradient(many):.4f}")
    for sampler, name, steps in ((heun, "heun", 12), (heun, "heun", 16), (multistep, "multistep", 16), (multistep, "multistep", 20)):
        few = made(sampler, steps)
        looks = 2 * steps - 1 if sampler is heun else steps
        off = float((few - many).square().mean().sqrt())
        print(f"{name}, {looks} looks: difference {off:.4f}, gradient {gradient(few):.4f}", flush=True)


if __name__ == "__main__":
    main()
