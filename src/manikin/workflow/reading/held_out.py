"""The images of a run's data that its generator did not see, so that readers are not shown what it learned from."""

from __future__ import annotations

from pathlib import Path

from manikin.data.dataset import Dataset
from manikin.data.errors import InputError
from manikin.release.manifest import read_manifest

MANIFEST = "manifest.json"


def held_out(run: Path, real: str | Path) -> Dataset | None:
    """The images that a run of `synthesize` held out; None where there is no such run, or it was made from other images.

    Parameters
    ----------
    run : its folder. real : the images that it was made from.

    Raises
    ------
    InputError : the manifest cannot be read.
    """
    from manikin.workflow import images
    from manikin.workflow.options import options_from_json
    from manikin.workflow.places import hash_place, place_of
    from manikin.workflow.sources import as_wished, read, read_schema
    from manikin.workflow.stages import Silent, Stages
    from manikin.workflow.synthesize import split_as_wished

    if not (run / MANIFEST).is_file():
        return None
    manifest = read_manifest(run / MANIFEST)
    if manifest.command != "synthesize":
        return None
    source = place_of(real)
    options = options_from_json(manifest.options, run / MANIFEST)
    known = read_schema(run / "schema.toml") if (run / "schema.toml").is_file() else None
    try:
        patients = images.prepared(as_wished(read(source, schema=known), **options.of_columns), options, Stages(Silent()))
    except InputError:  # other columns than the run's: other images
        return None
    if hash_place(source, patients)[0].sha256 != manifest.data_sha256:
        return None
    return split_as_wished(patients, options)[1]
