"""The gate: a judged folder and a policy go in, a signed folder of public files comes out, or the reasons why not. Knows no model.

Only what stands in the judged folder's manifest is read, and only if its bytes are those that the manifest names.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.dataset import Dataset
from manikin.data.errors import GateError, ParameterError, parameter_error
from manikin.data.schema import Schema
from manikin.evaluation.base import Results
from manikin.evaluation.results_file import read_results
from manikin.release import facts as public
from manikin.release.beside import columns_beside
from manikin.release.croissant import FEW, media_type
from manikin.release.facts import LEDGER
from manikin.release.judgement import Decision, Verdict, judge
from manikin.release.labels import ENDING, PARQUET, csvw, mark_parquet
from manikin.release.manifest import FileHash, Manifest, hash_file, hash_folder, read_manifest, versions
from manikin.release.measures import Evidence
from manikin.release.policy import Policy, load_policy
from manikin.release.questions import QUESTIONS, STEPS, check_answers
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow.audit import audit
from manikin.workflow.images import size_words
from manikin.workflow.leaving import Leaving, check_few, parts_in, read_leaving, tables_of_files, write_leaving
from manikin.workflow.options import check_format
from manikin.workflow.output import JOB, check_free, whole_folder
from manikin.workflow.sources import read_schema

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

JUDGING = ("synthesize", "evaluate")
MAX_ANSWERS_BYTES = 1 << 20
TITLES = {
    f"synthetic.csv{ENDING}": ("What the rows are: columns, and the mark that they are synthetic (CSVW)", "application/ld+json"),
    "schema.toml": ("The schema of the data", "application/toml"),
    LEDGER: ("The privacy ledger: every spend, for `manikin audit`", "application/json"),
    "decision.json": ("What was decided, on which grounds", "application/json"),
    "card.html": ("The card, for people", "text/html"),
    "card.md": ("The card, as Markdown", "text/markdown"),
    "croissant.json": ("Croissant 1.1 metadata", "application/ld+json"),
    "public-key.pem": ("The public key; take it from the publisher instead", "application/x-pem-file"),
    "SHA256SUMS": ("SHA-256 of every file", "text/plain"),
    "release.dsse.json": ("The signature over every file (DSSE, in-toto)", "application/json"),
}
CALLED = {"table": "Synthetic table", "records": "Synthetic patients", "images": "Synthetic images"}


@dataclass(frozen=True)
class Released:
    """What came of it: the decision, and the folder with its files, or None where nothing may leave; what was kept back of it is told."""

    decision: Decision
    out: Path | None
    files: dict[str, Path]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Judged:
    """A judged folder whose files are what its manifest says."""

    folder: Path
    manifest: Manifest
    results: Results
    data: Path
    schema: Schema
    evidence: Evidence
    ledger: Path | None = None


def release(
    folder: str | Path,
    *,
    policy: str | Path,
    key: str | Path,
    out: str | Path,
    passphrase: str | None = None,
    answers: str | Path | Mapping[str, str] | None = None,
    answered: Mapping[str, str] | None = None,
    expires: date | None = None,
    file_format: str | None = None,
    force: bool = False,
    today: date | None = None,
) -> Released:
    """Judges a folder that `synthesize` or `evaluate` wrote, and writes the release folder if the policy is passed.

    What is released is a table, linked tables or images. Tables of nobody (code books) stay inside unless the answer `code_books` says why
    they may go along: no figure looks at them.

    Parameters
    ----------
    policy : internal, partners, open, or the path of a .toml file.
    key : a private Ed25519 key in PEM, as `manikin keygen` writes it.
    answers : what people answer to the policy's steps and the card's questions, as a value or a .toml file; `answered` goes before it.
    expires : the last day of use; by default, and at most, what the policy allows.
    file_format : csv (the default of a table) or parquet; linked tables and images leave as they came where it is None.

    Raises
    ------
    InputError : an argument cannot be used. Nothing is written.
    GateError : the folder is not what its manifest says. A policy that is not passed is no error: it comes back as a decision.
    """
    from manikin.release.signing import read_private_key

    source, target, issued = Path(folder), Path(out), today or date.today()
    rules = load_policy(policy)
    given = _answers(rules, answers, answered or {})
    last_day = _last_day(rules, issued, expires)
    check_free(target, force=force, inputs=[source, source / "manifest.json", Path(key)])
    signer = read_private_key(Path(key), passphrase)
    judged = _read_judged(source)
    check_format(file_format, judged.evidence.modality)
    decision = judge(rules, judged.evidence, given)
    if decision.verdict is not Verdict.PASS:
        return Released(decision, None, {})
    leaving = read_leaving(judged.data, judged.schema, with_books=bool(given.get("code_books")))
    facts = _facts(judged, decision, given, leaving, signer, (issued, last_day))
    with whole_folder(target, force=force) as partial:
        if judged.ledger is not None:
            shutil.copyfile(judged.ledger, partial / LEDGER)
        names = _write(partial, leaving, facts, signer, file_format)
    kept = f"Kept back, since no figure looks at tables of nobody: {', '.join(leaving.kept_back)}."
    notices = (f"{kept} To let code books out: --answer code_books=WHY.",) if leaving.kept_back else ()
    return Released(decision, target, {name: target / name for name in names}, notices)


def read_answers(path: Path) -> dict[str, Any]:
    """The answers in a .toml file.

    Raises
    ------
    ParameterError : it cannot be read as TOML.
    """
    try:
        if path.stat().st_size > MAX_ANSWERS_BYTES:
            raise ParameterError(f"{path} is larger than answers can be.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ParameterError(f"{path} cannot be read. Give a .toml file with a line for each answer: NAME = 'TEXT'.") from None
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{path} is not valid TOML: {error}.") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, a list of thousands of lists
        raise ParameterError(f"{path} cannot be read. Give a .toml file with a line for each answer: NAME = 'TEXT'.") from None


def _answers(policy: Policy, answers: str | Path | Mapping[str, str] | None, answered: Mapping[str, str]) -> dict[str, str]:
    known = {*QUESTIONS, *STEPS, *(step.name for step in policy.steps)}
    where = str(answers) if isinstance(answers, str | Path) else "The answers"
    written = read_answers(Path(answers)) if isinstance(answers, str | Path) else dict(answers or {})
    given = check_answers(policy.answers, known, f"The policy {policy.name}")
    return {**given, **check_answers(written, known, where), **check_answers(answered, known, "--answer")}


def _last_day(policy: Policy, issued: date, expires: date | None) -> date:
    latest = issued + timedelta(days=policy.expires_after_days)
    if expires is None:
        return latest
    if not issued < expires <= latest:
        must = f"a day after {issued.isoformat()} and at most {latest.isoformat()}, which is what policy {policy.label} allows"
        raise parameter_error("expires", "release", must, expires.isoformat())
    return expires


def _read_judged(folder: Path) -> _Judged:
    manifest = read_manifest(folder / "manifest.json")
    if manifest.command not in JUDGING:
        raise ParameterError(f"{folder} was written by `{manifest.command}`. Give a folder of `synthesize` or `evaluate`.")
    _check_generator(folder, manifest)
    hashes = {file.name: file for file in manifest.outputs}
    data = parts_in(hashes)
    if len(data) > 1:
        raise ParameterError(
            f"{folder} holds {len(data)} synthetic data sets, and one leaves at a time. Evaluate the one that is to leave by itself."
        )
    if manifest.options.get("partial"):
        raise ParameterError(f"{folder} is of partially synthetic rows, which hold cells of real patients. They are never released.")
    if not data or not {"results.json", "schema.toml"} <= set(hashes):
        where = " What is in a database does not stand in the folder." if not data else ""
        raise ParameterError(f"{folder} does not hold the synthetic data that were judged.{where} Run `{manifest.command}` again on files.")
    for name, file in hashes.items():
        _check_untouched(folder, name, file)
    _check_none_added(folder, data[0], set(hashes))
    results, schema = read_results(folder / "results.json"), read_schema(folder / "schema.toml")
    unjudged = results.run.get("unjudged") or ()
    if unjudged:
        raise GateError(
            f"{folder} holds columns that the holdout lacks, so that no figure or attack looked at them: {', '.join(map(repr, unjudged))}. "
            "Evaluate with a holdout that has them, or take them out of the synthetic data."
        )
    if LEDGER not in hashes and manifest.options.get("epsilon") is None:
        evidence = Evidence(results, manifest.rows.get("train", 0), modality=schema.modality, beside=columns_beside(schema))
        return _Judged(folder, manifest, results, folder / data[0], schema, evidence)
    evidence = replace(_audited(folder, results), modality=schema.modality, beside=columns_beside(schema))
    return _Judged(folder, manifest, results, folder / data[0], schema, evidence, folder / LEDGER)


def _check_generator(folder: Path, manifest: Manifest) -> None:
    """Refuses what a generator made whose rows never leave, whatever figures say of them: yardsticks hand out real rows, or next to it."""
    name = "" if manifest.synthesizer is None else manifest.synthesizer.name
    if name in SYNTHESIZERS and not SYNTHESIZERS[name].releasable:
        raise GateError(
            f"{folder} was made by {name!r} ({SYNTHESIZERS[name].summary}), whose output the registry says is never released. "
            "Make it with a synthesizer that `manikin list synthesizers` does not mark as never released."
        )


def _check_none_added(folder: Path, part: str, known: set[str]) -> None:
    """Refuses a file that lies among those of the judged data and is none of them."""
    place = folder / part
    for path in sorted(place.rglob("*")) if place.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if name not in known and not path.is_dir():
            raise GateError(f"{name} of {folder} was added after the judgement, so nobody has judged it. Remove it, or evaluate again.")


def _audited(folder: Path, results: Results) -> Evidence:
    """The evidence with the budget of the folder's ledger, once it passed its audit; what the options say is not believed."""
    found = audit(folder)
    failed = next((finding for finding in found.findings if not finding.passed), None)
    if failed is not None or found.n_patients is None:
        why = f": {failed.check}. {failed.words}" if failed else "."
        raise GateError(f"The privacy budget of {folder} does not pass its audit{why} Nothing is released on its word.")
    power = dict(found.at).get(0.01)
    has_key = found.public.get("patient_key", "") is not None
    return Evidence(results, found.n_patients, found.epsilon, found.delta, power, found.rows_per_patient or 1, has_key)


def _check_untouched(folder: Path, name: str, file: FileHash) -> None:
    path = folder / name
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise GateError(f"{name} of {folder} leads out of the folder, so it was not judged. Evaluate the release again.")
    if not path.is_file():
        raise GateError(f"{name} of {folder} is missing since it was judged. Evaluate the release again.")
    if path.stat().st_size != file.n_bytes or hash_file(path).sha256 != file.sha256:
        raise GateError(f"{name} of {folder} was changed after it was judged, so the evidence is void. Evaluate the release again.")


def _facts(
    judged: _Judged,
    decision: Decision,
    answers: Mapping[str, str],
    leaving: Leaving,
    key: Ed25519PrivateKey,
    days: tuple[date, date],
) -> public.PublicFacts:
    """What the public files are written from."""
    from manikin.release.signing import fingerprint

    manifest, policy, evidence = judged.manifest, decision.policy, judged.evidence
    version = versions(["manikin"]).get("manikin", "")
    made_by = manifest.versions.get("manikin", version)
    generator, settings = public.generator_words(manifest.synthesizer, made_by, answers)
    recipients = f"{policy.recipients}: {answers['recipients']}" if answers.get("recipients") else policy.recipients
    is_private = evidence.is_private
    n_train, n_holdout = manifest.rows.get("train", 0), manifest.rows.get("holdout", 0)
    if is_private:  # the true numbers are not paid for; about one patient in five was held out
        n_train, n_holdout = evidence.n_patients, round(evidence.n_patients / 4)
    noun = public.NOUNS[leaving.modality]
    hashes = {judged.data.name: leaving.sha256}
    if not is_private:  # a hash of real rows' figures is one more of them
        hashes["results.json"] = next(file.sha256 for file in manifest.outputs if file.name == "results.json")
    spent = {"epsilon": evidence.epsilon, "delta": evidence.delta}
    budget = {name: value for name, value in spent.items() if value is not None}
    return public.PublicFacts(
        title=answers.get("title", CALLED[leaving.modality]),
        statement=public.public_statement(decision, is_private=is_private),
        policy={"name": policy.name, "version": policy.version, "label": policy.label, "title": policy.title},
        checks=public.public_checks(decision, is_private=is_private),
        steps=tuple((outcome.step.title, outcome.answer) for outcome in decision.steps if outcome.answer),
        labels=decision.labels,
        adversaries=public.adversaries(decision, judged.results, is_private=is_private),
        answers=answers,
        columns=public.public_columns(leaving.data.schema),
        n_rows=len(leaving.data),
        generator=generator,
        settings=settings,
        n_train=public.about(n_train),
        n_holdout=public.about(n_holdout),
        unit="patients, as bought with noise" if is_private else noun,
        privacy=public.privacy_words(evidence, manifest.synthesizer),
        budget=budget,
        not_assessed=public.not_assessed(decision, evidence, leaving.kept_back),
        recipients=recipients,
        issued=days[0],
        expires=days[1],
        key=fingerprint(key.public_key()),
        evidence=hashes,
        version=version,
        noun=noun,
        size=_size(leaving.data),
    )


def _size(data: Dataset) -> str:
    """How much is released, in words."""
    if data.modality == "images":
        return size_words(data).replace(" images", " synthetic images", 1)
    if data.is_linked:
        rows = sum(len(data.tables[table.name]) for table in data.schema.of_patients)
        n_tables = len(data.schema.tables)
        return f"{len(data):,} synthetic patients with {rows:,} rows in {n_tables} table{'s' * (n_tables != 1)}"
    return f"{len(data):,} synthetic rows, {len(data.columns.columns)} columns"


def _write(folder: Path, leaving: Leaving, facts: public.PublicFacts, key: Ed25519PrivateKey, file_format: str | None) -> list[str]:
    """Fills the release folder: the data first, then what describes them, the hashes, and the signature last."""
    from manikin.io.schema_file import write_schema
    from manikin.release.card import card_html, card_markdown
    from manikin.release.croissant import croissant
    from manikin.release.public_schema import PUBLIC_HEADER, public_schema
    from manikin.release.receiver import ENVELOPE, MAX_FILES
    from manikin.release.ro_crate import NAME, ro_crate
    from manikin.release.signing import public_pem, sign

    data = write_leaving(leaving, folder, file_format)
    check_few(len(data) + len(TITLES), MAX_FILES)
    columns = _marked(folder, leaving, data, facts)
    write_schema(public_schema(leaving.data), folder / "schema.toml", header=PUBLIC_HEADER)
    _json(folder / "decision.json", facts.to_json())
    _text(folder / "card.html", card_html(facts))
    _text(folder / "card.md", card_markdown(facts))
    (folder / "public-key.pem").write_bytes(public_pem(key.public_key()))
    found = {file.name: file for file in _hashes(folder)}
    _json(folder / "croissant.json", croissant(facts, [found[name] for name in data], columns))
    _json(folder / NAME, ro_crate(facts, *_described(folder, data, facts), ["SHA256SUMS", ENVELOPE], _folders(data, facts)))
    hashed = _hashes(folder)
    _text(folder / "SHA256SUMS", "".join(f"{file.sha256}  {file.name}\n" for file in hashed))
    signed = sorted([*hashed, hash_file(folder / "SHA256SUMS")], key=lambda file: file.name)
    _text(folder / ENVELOPE, sign(signed, _predicate(facts), key))
    return [file.name for file in _hashes(folder)]


def _marked(
    folder: Path, leaving: Leaving, data: Sequence[str], facts: public.PublicFacts
) -> dict[str, tuple[public.PublicColumn, ...]]:
    """Gives each table's file its mark that it is synthetic, which images bear already; the columns of each."""
    columns = {}
    for name, table in tables_of_files(leaving, data).items():
        columns[name] = public.columns_of(table)
        if name.endswith(PARQUET):
            mark_parquet(folder / name, facts)
        else:
            path = folder / name
            _json(path.with_name(path.name + ENDING), csvw(facts, path.name, hash_file(path).sha256, columns[name]))
    return columns


def _described(
    folder: Path, data: Sequence[str], facts: public.PublicFacts
) -> tuple[list[FileHash], dict[str, tuple[str, str]]]:
    """The files that are described one by one, those of the data first, and what each is; a folder of many files is described as one."""
    many = set(data) if len(data) > FEW else set()
    titles = {**TITLES, **{name: (f"The synthetic {facts.noun}", media_type(name)) for name in data}}
    found = {file.name: file for file in _hashes(folder) if file.name not in many}
    names = [name for name in data if name in found]
    names += [name for name in found if name not in data]
    for name in names:
        titles.setdefault(name, ("What the file beside it holds, and the mark that it is synthetic (CSVW)", "application/ld+json"))
    return [found[name] for name in names], titles


def _folders(data: Sequence[str], facts: public.PublicFacts) -> dict[str, str]:
    """Folders of more files than are described one by one."""
    return {data[0].partition("/")[0]: f"The synthetic {facts.noun}, {len(data):,} files"} if len(data) > FEW else {}


def _predicate(facts: public.PublicFacts) -> dict[str, Any]:
    """What is signed about the files: enough for `manikin verify` to say what the release passed and until when it holds."""
    document = facts.to_json()
    kept = ("title", "synthetic", "statement", "policy", "labels", "adversaries", "recipients", "intended_use", "issued", "expires")
    return {key: document[key] for key in kept}


def _hashes(folder: Path) -> tuple[FileHash, ...]:
    return hash_folder(folder, leave_out=(JOB,))


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _json(path: Path, document: Mapping[str, Any]) -> None:
    _text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
