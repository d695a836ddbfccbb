"""How fast and how true 512 x 512 CT is on one thread: forward, adjoint and filtered back-projection, beside scikit-image in the same run.

    OMP_NUM_THREADS=1 python benchmarks/imaging_speed.py [--size 512] [--angles 360]

Truth is the Shepp–Logan head, whose projections are known in closed form. CPU seconds, best of three for ours, one run for scikit-image.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from manikin.simulation.imaging import shepp_logan
from manikin.simulation.imaging.parallel_beam import ParallelBeam


def timed(job, times=3):
    seconds = []
    for _ in range(times):
        start = time.process_time()
        out = job()
        seconds.append(time.process_time() - start)
    return out, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--angles", type=int, default=360)
    given = parser.parse_args()
    n, pixel = given.size, 2 / given.size
    angles = np.arange(given.angles) * (180 / given.angles)
    head = shepp_logan.image(n)
    place = np.linspace(-1, 1, n)
    inside = np.hypot(place[:, None], place[None, :]) < 0.98

    def rmse(found):
        return float(np.sqrt(((found - head)[inside] ** 2).mean()))

    def error(sinogram, offsets):
        truth = shepp_logan.line_integrals(shepp_logan.Rays.parallel(angles, offsets))
        return float(np.linalg.norm(sinogram - truth) / np.linalg.norm(truth))

    def prepared():
        beam = ParallelBeam((n, n), angles, pixel)
        beam.forward(head)
        return beam

    beam, first = timed(prepared, 1)
    sinogram, forward = timed(lambda: beam.forward(head))
    _, adjoint = timed(lambda: beam.adjoint(sinogram))
    image, fbp = timed(lambda: beam.fbp(sinogram))
    print(f"{n} x {n}, {given.angles} angles, {beam.detectors} detector cells, one thread, CPU seconds")
    print(f"ours          first call with its preparation {first:.2f}, forward {forward:.2f}, adjoint {adjoint:.2f}, fbp {fbp:.2f}")
    print(f"              forward and back, prepared: {forward + fbp:.2f}; from nothing: {first + fbp:.2f}")
    off = error(sinogram, beam.offsets_mm)
    print(f"              projections off the exact chords by {off:.2%}, fbp rmse {rmse(image):.4f} (values 0 to 1)")
    from skimage.transform import iradon, radon

    theirs, forward = timed(lambda: radon(head.astype(float), angles, circle=False), 1)
    image, back = timed(lambda: iradon(theirs, angles, circle=False, output_size=n), 1)
    offsets = (np.arange(theirs.shape[0]) - theirs.shape[0] // 2) * pixel
    print(f"scikit-image  radon {forward:.2f}, iradon {back:.2f}, together {forward + back:.2f}")
    print(f"              projections off the exact chords by {error(theirs.T * pixel, offsets):.2%}, fbp rmse {rmse(image):.4f}")


if __name__ == "__main__":
    main()
