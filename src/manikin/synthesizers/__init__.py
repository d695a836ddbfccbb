"""The registry of synthesizers: known without importing any of them. A new generator is one file, one line here, one test."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from manikin.data.errors import parameter_error
from manikin.data.registry import Entry, Registry


@dataclass(frozen=True)
class SynthesizerEntry(Entry):
    """A synthesizer's line.

    Attributes
    ----------
    modality : "table", "records" for linked and longitudinal patients, or "images" for images with their labels.
    conditions : whether it conditions on any subset of columns exactly.
    private : whether it can learn under a privacy ledger.
    releasable : whether its output may be released at all; reference floors and interpolators are not.
    keeps_rows : whether fitted state holds training rows (declared, so that nobody ships it by mistake).
    some_conditions : whether it conditions exactly on some columns, and refuses the others by name.
    told_by : the hyperparameter that lists these columns before it learns, where any list of columns will do.
    auto : whether `auto` may choose it: quick, and the best somewhere; the others are asked for by name.
    is_neural : whether it trains by gradient steps (takes max_steps, time budgets and checkpoints).
    pixels : of a generator of images the shortest and the longest side of images for which `auto` may take it; None for any.
    volumes : whether a generator of images learns volumes too. pairs : whether it learns two columns of images, one from the other
        (`base.Translates`).
    continues : whether it continues given patients (`base.Continues`). scores : whether it says how likely they are (`base.Scores`).
    """

    modality: str = "table"
    conditions: bool = False
    some_conditions: bool = False
    told_by: str = ""
    auto: bool = False
    private: bool = False
    releasable: bool = True
    keeps_rows: bool = False
    is_neural: bool = False
    pixels: tuple[int, int] | None = None
    volumes: bool = False
    pairs: bool = False
    continues: bool = False
    scores: bool = False
    aliases: tuple[str, ...] = field(default_factory=tuple)


_TABLES = "manikin.synthesizers.tables"
_RECORDS = "manikin.synthesizers.records"
_IMAGES = "manikin.synthesizers.images"

SYNTHESIZERS: Registry[SynthesizerEntry] = Registry(
    "synthesizer",
    {
        "autoregressive": SynthesizerEntry(
            f"{_TABLES}.autoregressive:Autoregressive",
            "any-order autoregressive network over mixed columns; the flagship for tables of 1,000 rows and more",
            conditions=True,
            auto=True,
            private=True,
            is_neural=True,
        ),
        "aim": SynthesizerEntry(
            f"{_TABLES}.aim:AIM",
            "AIM (McKenna et al. 2022): noisy tables of pairs of columns and a graphical model; the standard under --epsilon",
            conditions=True,
            private=True,
        ),
        "copula": SynthesizerEntry(
            f"{_TABLES}.copula:Copula",
            "Gaussian copula over mixed columns (Patki et al. 2016; Hoff 2007); quick, a plain baseline whose every part can be read",
            conditions=True,
        ),
        "forest": SynthesizerEntry(
            f"{_TABLES}.forest:Forest",
            "adversarial random forest (Watson et al. 2023); quick, strong on small tables",
            conditions=True,
            auto=True,
        ),
        "cgan": SynthesizerEntry(
            f"{_TABLES}.cgan:CGAN",
            "GAN conditioned on listed columns: labels, demographics, diagnoses (Mirza & Osindero 2014)",
            some_conditions=True,
            told_by="columns",
            is_neural=True,
        ),
        "ctgan": SynthesizerEntry(
            f"{_TABLES}.ctgan:CTGAN",
            "conditional tabular GAN (Xu et al. 2019): modes, training-by-sampling, Wasserstein critic",
            is_neural=True,
        ),
        "tvae": SynthesizerEntry(
            f"{_TABLES}.tvae:TVAE",
            "variational autoencoder for tables (Xu et al. 2019) with a learned prior and latent traversals",
            is_neural=True,
        ),
        "medgan": SynthesizerEntry(
            f"{_TABLES}.medgan:MedGAN",
            "GAN behind an autoencoder for sets of codes, yes-or-no and counted (Choi et al. 2017)",
            is_neural=True,
        ),
        "tabddpm": SynthesizerEntry(
            f"{_TABLES}.tabddpm:TabDDPM",
            "tabular diffusion (Kotelnikov et al. 2023): Gaussian for numbers, multinomial for choices, few steps to sample",
            is_neural=True,
        ),
        "tablegan": SynthesizerEntry(
            f"{_TABLES}.tablegan:TableGAN",
            "rows as square matrices, convolutional GAN with information and classification losses (Park et al. 2018)",
            is_neural=True,
        ),
        "fairgan": SynthesizerEntry(
            f"{_TABLES}.fairgan:FairGAN",
            "GAN with parity between the groups of a protected column, its trade-off a parameter (Xu et al. 2018)",
            some_conditions=True,
            is_neural=True,
        ),
        "k_anonymity": SynthesizerEntry(
            f"{_TABLES}.k_anonymity:KAnonymity",
            "yardstick: conventional anonymisation, real rows with blurred quasi-identifiers (Mondrian); never to be released",
            releasable=False,
            keeps_rows=True,
        ),
        "independent": SynthesizerEntry(
            f"{_TABLES}.independent:Independent",
            "reference floor: every column drawn by itself, no dependence at all",
            conditions=True,
            private=True,
            releasable=False,
        ),
        "resample": SynthesizerEntry(
            f"{_TABLES}.resample:Resample",
            "reference ceiling of likeness, floor of privacy: real rows drawn again; never to be released",
            releasable=False,
            keeps_rows=True,
        ),
        "smote": SynthesizerEntry(
            f"{_TABLES}.smote:Smote",
            "SMOTE-NC (Chawla et al. 2002): real rows interpolated, their levels copied; never to be released",
            extra="imbalanced",
            releasable=False,
            keeps_rows=True,
        ),
        "wgan": SynthesizerEntry(
            f"{_TABLES}.wgan:WGAN",
            "plain Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)",
            is_neural=True,
        ),
        "dpgan": SynthesizerEntry(
            f"{_TABLES}.dpgan:DPGAN",
            "private GAN: its critic learns by DP-SGD (Xie et al. 2018); under small budgets `aim` keeps more",
            private=True,
            is_neural=True,
        ),
        "dpwgan": SynthesizerEntry(
            f"{_TABLES}.dpwgan:DPWGAN",
            "private Wasserstein GAN with clipped weights (Arjovsky et al. 2017), its critic by DP-SGD",
            private=True,
            is_neural=True,
        ),
        "pategan": SynthesizerEntry(
            f"{_TABLES}.pategan:PateGAN",
            "private GAN taught by noisy votes of teachers on disjoint patients (Jordon et al. 2019)",
            private=True,
            is_neural=True,
        ),
        "timevae": SynthesizerEntry(
            f"{_RECORDS}.timevae:TimeVAE",
            "variational autoencoder of whole regular grids, missing cells and lengths included (Desai et al. 2021)",
            modality="records",
            is_neural=True,
        ),
        "timegan": SynthesizerEntry(
            f"{_RECORDS}.timegan:TimeGAN",
            "adversarial pair in a learned latent space with a supervisor, over regular grids (Yoon et al. 2019)",
            modality="records",
            is_neural=True,
        ),
        "halo": SynthesizerEntry(
            f"{_RECORDS}.halo:Halo",
            "two-level model of visits with codes: a transformer over visits, masked layers within one (HALO, Theodorou et al. 2023)",
            modality="records",
            private=True,
            some_conditions=True,
            is_neural=True,
        ),
        "event_transformer": SynthesizerEntry(
            f"{_RECORDS}.event_transformer:EventTransformer",
            "a plan of the whole record, then a transformer over its events in all tables; the flagship for linked patients",
            modality="records",
            private=True,
            some_conditions=True,
            continues=True,
            scores=True,
            auto=True,
            is_neural=True,
        ),
        "markov": SynthesizerEntry(
            f"{_RECORDS}.markov:Markov",
            "first-order chain over events, by counts alone; quick, a plain baseline of linked patients; learns under --epsilon",
            modality="records",
            private=True,
        ),
        "resample_patients": SynthesizerEntry(
            f"{_RECORDS}.resample_patients:ResamplePatients",
            "reference ceiling of likeness, floor of privacy: whole real patients drawn again, keys anew; never to be released",
            modality="records",
            releasable=False,
            keeps_rows=True,
        ),
        "ddpm": SynthesizerEntry(
            f"{_IMAGES}.ddpm:DDPM",
            "diffusion of images to 64 pixels, EDM or DDPM, guided by attributes; the flagship for images",
            modality="images",
            pixels=(8, 64),
            auto=True,
            conditions=True,
            volumes=True,
            is_neural=True,
        ),
        "latent_ddpm": SynthesizerEntry(
            f"{_IMAGES}.latent_ddpm:LatentDDPM",
            "diffusion in the latent space of an autoencoder that is learned first; for images above 64 pixels",
            modality="images",
            pixels=(65, 128),  # measured at 96; auto leaves larger ones to who asks for it
            auto=True,
            conditions=True,
            volumes=True,
            is_neural=True,
        ),
        "image_pca": SynthesizerEntry(
            f"{_IMAGES}.pca:ImagePCA",
            "reference floor of images: Gaussian principal components about a mean that follows the labels; blurred",
            modality="images",
            conditions=True,
            volumes=True,
            auto=True,
        ),
        "dcgan": SynthesizerEntry(
            f"{_IMAGES}.dcgan:DCGAN",
            "convolutional GAN of images told their labels (Radford et al. 2016); quick, plain",
            modality="images",
            volumes=True,
            conditions=True,
            is_neural=True,
        ),
        "image_vae": SynthesizerEntry(
            f"{_IMAGES}.image_vae:ImageVAE",
            "hierarchical variational autoencoder of images told their labels (Kingma & Welling 2014), every level drawn",
            modality="images",
            volumes=True,
            conditions=True,
            is_neural=True,
        ),
        "stylegan2ada": SynthesizerEntry(
            f"{_IMAGES}.stylegan2ada:StyleGAN2ADA",
            "StyleGAN2 with adaptive augmentation (Karras et al. 2020), in plain torch from the papers, told labels",
            modality="images",
            conditions=True,
            is_neural=True,
        ),
        "pix2pix": SynthesizerEntry(
            f"{_IMAGES}.pix2pix:Pix2Pix",
            "one image made of another, learned from pairs (Isola et al. 2017)",
            modality="images",
            volumes=True,
            pairs=True,
            is_neural=True,
        ),
        "cyclegan": SynthesizerEntry(
            f"{_IMAGES}.cyclegan:CycleGAN",
            "one image made of another, both ways, learned without pairs (Zhu et al. 2017); may invent or remove lesions",
            modality="images",
            volumes=True,
            pairs=True,
            is_neural=True,
        ),
        "resample_images": SynthesizerEntry(
            f"{_IMAGES}.resample_images:ResampleImages",
            "reference ceiling of likeness, floor of privacy: real images drawn again; never to be released",
            modality="images",
            conditions=True,
            volumes=True,
            releasable=False,
            keeps_rows=True,
        ),
    },
    group="manikin.synthesizers",
)


def names_of(modality: str) -> list[str]:
    """Names of the synthesizers of a modality, sorted."""
    return sorted(name for name, entry in SYNTHESIZERS.items() if entry.modality == modality)


def synthesizer(name: str, **hyperparameters: Any) -> Any:
    """A new, unfitted synthesizer by name; keyword arguments are its hyperparameters.

    >>> synthesizer("independent")
    Independent()
    """
    made = SYNTHESIZERS.load(name)
    known = [one.name for one in fields(made) if one.init] if is_dataclass(made) else []
    for key in hyperparameters:
        if key not in known:
            raise parameter_error(
                key, name, f"one of its hyperparameters ({', '.join(known) or 'it has none'})", hyperparameters[key]
            )
    return made(**hyperparameters)
