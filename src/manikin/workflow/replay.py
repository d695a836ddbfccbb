"""Making a run again from its manifest: the options it had, what `auto` chose, and the steps that its time budget allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manikin.data.errors import ParameterError
from manikin.data.schema import Schema
from manikin.release.manifest import Manifest, read_manifest, version_changes
from manikin.workflow.decide import Decision
from manikin.workflow.learn import Limits
from manikin.workflow.options import Options, options_from_json
from manikin.workflow.sources import read_schema, schema_hash
from manikin.workflow.stages import Stages
from manikin.workflow.threads import threads_in_use


@dataclass(frozen=True)
class Replay:
    """A run to be made again."""

    manifest: Manifest
    options: Options
    decision: Decision
    schema: Schema | None
    path: Path

    def check_data(self, data_hash: str) -> None:
        """Refuses other data.

        Raises
        ------
        ParameterError : the data are not those of the manifest.
        """
        if data_hash != self.manifest.data_sha256:
            raise ParameterError(f"The data are not those of {self.path}: their SHA-256 differs. Bring the file that run was made from.")

    def check_schema(self, data_schema_hash: str, stages: Stages) -> None:
        """Refuses another schema; warns where versions or threads differ, since bytes may differ then.

        Raises
        ------
        ParameterError : the schema is not that of the manifest.
        """
        if data_schema_hash != self.manifest.schema_sha256:
            raise ParameterError(f"The schema is not that of {self.path}: its hash differs. Pass that run's schema.toml with --schema.")
        changes = version_changes(self.manifest.versions)
        if changes:
            stages.warn(f"The bytes may differ from the first run, since versions do: {'; '.join(changes)}.")
        if threads_in_use() != self.manifest.threads:
            stages.warn(
                f"The bytes may differ from the first run, which had {self.manifest.threads} threads; there are {threads_in_use()} now "
                "(set MANIKIN_THREADS)."
            )


def read_replay(path: Path, wishes: Options) -> Replay:
    """What a manifest says of its run.

    Raises
    ------
    ParameterError : it is no manifest of `synthesize`, or options were given that only the manifest may decide.
    """
    changed = wishes.changed()
    if changed:
        raise ParameterError(f"--replay takes every option from the manifest. Leave out {', '.join(changed)}.")
    manifest = read_manifest(path)
    if manifest.command != "synthesize" or manifest.synthesizer is None:
        raise ParameterError(f"{path} was written by `manikin {manifest.command}`, not by `manikin synthesize`, and is not replayed.")
    options = options_from_json(manifest.options, path)
    if options.epsilon is not None:
        raise ParameterError(
            f"{path} is of a run with a privacy budget, whose noise came from the operating system and was never kept, so that it cannot "
            "be replayed. Draw more rows from its model, which costs nothing, or make a new run with its options, which spends anew."
        )
    training = manifest.synthesizer.training
    limits = Limits(planned_steps=training.get("planned_steps"), stop_at=training.get("steps"))
    beside = path.parent / "schema.toml"
    schema = read_schema(beside) if beside.is_file() else None
    if schema is not None and schema_hash(schema) != manifest.schema_sha256:
        schema = None
    choice = manifest.synthesizer.model_copy(update={"training": {}})
    return Replay(manifest, options, Decision(choice, limits), schema, path)
