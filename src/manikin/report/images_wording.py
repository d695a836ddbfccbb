"""What the figures of images mean in plain words. Knows the names of the metrics and nothing of how they are taken."""

from __future__ import annotations

from collections.abc import Mapping

from manikin.evaluation.base import Results
from manikin.report.plain import Plain

_FAR = "0 is the same; the reference is what real images that the generator never saw score."

IMAGES: Mapping[str, Plain] = {
    "image_c2st": Plain(
        "Shown one real and one synthetic image, how often trained decision trees point at the synthetic one. They look at coarse pixels, "
        "texture and edges, and see what no reader would. 0.5 is guessing.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="1: always told apart",
    ),
    "image_c2st_cnn": Plain(
        "The same by a small neural network that looks at whole images: grain, edges and shapes. 0.5 is guessing.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="1: always told apart",
    ),
    "frechet_cnn": Plain(
        f"How far synthetic images lie from real ones, as a small network sees them that learned the label here. {_FAR} Figures of other "
        "extractors cannot be compared with this one.",
        high=None,
        low_text="0: the same",
    ),
    "frechet_radiomics": Plain(
        f"The same in grey values, texture and edges (radiomics), without any trained network. {_FAR}",
        high=None,
        low_text="0: the same",
    ),
    "kid_cnn": Plain(
        "Another measure of the same distance, which few images do not inflate, as the network sees them. About 0, at times just below, is "
        "the same.",
        low=None,
        high=None,
    ),
    "kid_radiomics": Plain(
        "That measure in grey values, texture and edges. About 0, at times just below, is the same.", low=None, high=None
    ),
    "image_intensity": Plain(
        "How far grey values must be moved, on average, to lie as in real images, in parts of the way from black to white.",
        high=None,
        low_text="nothing to move",
        style="percent",
    ),
    "image_spectrum": Plain(
        "How far fine and coarse detail differ in strength from real images, in powers of ten. Blur lacks fine detail, grain has too much.",
        high=None,
        low_text="0: the same",
    ),
    "image_sharpness": Plain(
        "How rough synthetic images are from pixel to pixel, beside real ones. 1 is as sharp, less is blurred, more is grainy.",
        high=None,
        low_text="0: no detail",
    ),
    "image_precision": Plain(
        "The share of synthetic images that look like some real image, in grey values, texture and edges.",
        low_text="unlike real images",
        high_text="all among real ones",
    ),
    "image_density": Plain(
        "In how many neighbourhoods of real images a synthetic one lies, beside what is usual. Above 1 they gather at typical images.",
        high=None,
        low_text="0: unlike real images",
    ),
    "image_recall": Plain(
        "The share of real images that look like some synthetic image: whether all kinds of image are made.",
        low_text="one kind of image",
        high_text="all kinds",
    ),
    "image_coverage": Plain(
        "The share of real images that have a synthetic one near them, nearer than their neighbours among real images.",
        low_text="one kind of image",
        high_text="all kinds",
    ),
    "image_diversity": Plain(
        "How much alike two synthetic images of one label are (multi-scale SSIM). Above the reference they are too much alike, below it "
        "they have too little in common.",
        low_text="nothing in common",
        high_text="always the same image",
    ),
    "image_tstr": Plain(
        "How well a small network that learned from synthetic images recognises the label of real images it never saw. The reference is "
        "the same network having learned from as many real images. 0.5 is guessing.",
        low=0.4,
        low_text="0.5 is guessing",
        high_text="perfect",
    ),
    "image_labels": Plain(
        "Whether a synthetic image shows what its label says: the share that a network of real images takes for it. The reference is the "
        "same of unseen real images, on which the network errs too.",
        low_text="labels say nothing",
        high_text="all recognised",
    ),
    "image_rare_class": Plain(
        "The rarest finding was made rarer still (5 %), and its images then filled up with synthetic ones: what a network gains in "
        "recognising it. The reference is the gain by the real images that were taken away.",
        low=None,
        high=None,
    ),
    "image_nearer_train": Plain(
        "The share of synthetic images that are nearer to a training image than to any of as many unseen real images. Half is what chance "
        "gives. It stays dark over a few copies.",
        low_text="0 %",
        high_text="100 %",
        style="percent",
    ),
    "image_membership": Plain(
        "Somebody holds real images and the synthetic ones, and names those that she takes for training images. The figure is how many "
        "training images she names, the reference how many of people who were not in the data, when she is wrong about 1 in 100.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "image_copies": Plain(
        "The share of synthetic images that show a training image again, mirrored, moved, brightened or not, beyond what chance gives "
        "between images of different patients.",
        high=None,
        low_text="none",
        style="percent",
    ),
}
ATTACKS: Mapping[str, str] = {
    "image_membership": "recognising whose image was in the training data (membership)",
    "image_copies": "finding training images shown again",
}
UNTRIED: Mapping[str, str] = {
    "image_shadow_membership": "recognising vulnerable patients by retraining the generator",
    "image_attributes": "inferring from an image what is not written beside it",
    "image_faces": "recognising a person by what an image shows (a face, an implant, burned-in text)",
}
ATTACK_NAMES: Mapping[str, str] = {"image_membership": "Membership by images", "image_copies": "Copied images"}
OF_IMAGES = (
    "These are images with their labels. Figures of labels and attributes look at what is written beside each image; the images "
    "themselves are in “Images”."
)


def is_of_images(results: Results) -> bool:
    """Whether images were judged, and not the rows of a table."""
    return any(figure.name in IMAGES for figure in results.figures)
