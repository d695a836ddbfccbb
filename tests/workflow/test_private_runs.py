"""--epsilon from end to end: one ledger, kept through kills, and nothing of private rows beside it. The generator is a fake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
import private_fake
from manikin.data.errors import BudgetError, ParameterError
from manikin.privacy import mechanisms
from manikin.privacy.answers_kept import AnswersKept
from manikin.privacy.ledger import Ledger, Spend, make_book, read_book, read_ledger
from manikin.workflow import budget, judge, models
from manikin.workflow import synthesize as job
from manikin.workflow.books import shown_book
from manikin.workflow.options import Options
from private_fake import Histogram, patients, with_schema

synthesize, fit_model = with_schema(job.synthesize), with_schema(models.fit_model)
PRIVATE = Options(synthesizer="fake", epsilon=1.0)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    private_fake.register(monkeypatch)
    monkeypatch.setattr(judge, "measure", lambda *_, **__: mk.Results(metrics=()))  # what is measured is not the point here
    monkeypatch.setattr("manikin.report.render.render", lambda _, path: path.write_text("a page"))
    yield
    Histogram.after = None


@pytest.fixture
def table(tmp_path: Path) -> Path:
    patients().to_csv(tmp_path / "patients.csv", index=False)
    return tmp_path / "patients.csv"


def test_a_run_has_a_closed_ledger_and_as_many_rows_as_patients_were_bought(table: Path, tmp_path: Path) -> None:
    made = synthesize(table, out=tmp_path / "run", options=PRIVATE)
    ledger = read_ledger(tmp_path / "run" / "ledger.json")
    assert ledger.n_patients == made.rows["synthetic"] == len(pd.read_csv(tmp_path / "run" / "synthetic.csv"))
    assert ledger.delta == 1e-5
    assert ledger.cost().epsilon <= 1.0
    assert [spend.purpose for spend in ledger.spends][:2] == ["number of patients", "counts of age"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert "ledger.json" in [file["name"] for file in manifest["outputs"]]
    assert json.loads((tmp_path / "run" / "ledger.json").read_text())["spent"]["epsilon"] == pytest.approx(ledger.cost().epsilon)
    budget_told = made.results.run["privacy_budget"]
    assert (budget_told["epsilon"], budget_told["delta"], budget_told["n_patients"]) == (1.0, 1e-5, ledger.n_patients)
    assert sum(one["share"] for one in budget_told["purposes"]) == pytest.approx(1)
    assert any("epsilon 1 and delta 1e-05 (the power of ten" in notice for notice in made.notices)


def test_notices_hold_no_count_of_private_rows(table: Path, tmp_path: Path) -> None:
    made = synthesize(table, out=tmp_path / "run", options=PRIVATE)
    n_train, n_holdout = made.rows["train"], made.rows["holdout"]
    assert n_train + n_holdout == 4000
    said = " ".join(made.notices).replace(f"about {read_ledger(tmp_path / 'run' / 'ledger.json').n_patients:,}", "")
    assert not any(str(n) in said for n in (n_train, n_holdout, 4000))


def test_given_rows_delta_and_rows_per_patient_are_kept(table: Path, tmp_path: Path) -> None:
    options = replace(PRIVATE, rows=50, delta=1e-7, rows_per_patient=3)
    made = synthesize(table, out=tmp_path / "run", options=options)
    ledger = read_ledger(tmp_path / "run" / "ledger.json")
    assert (made.rows["synthetic"], ledger.delta, ledger.rows_per_patient) == (50, 1e-7, 3)


def test_fit_keeps_its_ledger_beside_the_model_and_tells_the_bought_number(table: Path, tmp_path: Path) -> None:
    fitted = fit_model(table, out=tmp_path / "model", options=PRIVATE)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "ledger.json", "weights.safetensors"]
    assert fitted.n_rows == read_ledger(tmp_path / "model" / "ledger.json").n_patients
    assert mk.audit(tmp_path / "model").passed


def test_an_interrupted_run_stays_spent_and_goes_on_with_what_is_left(table: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    Histogram.after = stop
    with pytest.raises(KeyboardInterrupt):
        synthesize(table, out=tmp_path / "run", options=PRIVATE)
    kept = read_ledger(tmp_path / "run.partial" / "ledger.json")
    assert len(kept.spends) == 1
    assert not (tmp_path / "run").exists()
    Histogram.after = None
    synthesize(table, out=tmp_path / "run", options=PRIVATE)
    done = read_ledger(tmp_path / "run" / "ledger.json")
    assert done.release == kept.release
    assert done.spends[:1] == kept.spends
    assert [spend.purpose for spend in done.spends].count("number of patients") == 1


@pytest.mark.parametrize("n_answers", [1, 4, 8])
def test_a_killed_aim_run_is_given_its_answers_again_and_buys_nothing_twice(
    n_answers: int, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, kept, keep = Options(synthesizer="aim", epsilon=1.0), [], AnswersKept.keep

    def killed_after(self: AnswersKept, name: str, purpose: str, answer: object, spends: list[Spend]) -> None:
        keep(self, name, purpose, answer, spends)
        kept.append(answer)
        if len(kept) == n_answers:
            raise KeyboardInterrupt

    monkeypatch.setattr(AnswersKept, "keep", killed_after)
    with pytest.raises(KeyboardInterrupt):
        fit_model(table, out=tmp_path / "model", options=options)
    before = read_ledger(tmp_path / "model.partial" / "ledger.json")
    fit_model(table, out=tmp_path / "model", options=options)
    done = read_ledger(tmp_path / "model" / "ledger.json")
    assert len(before.spends) >= n_answers
    assert done.spends[: len(before.spends)] == before.spends
    assert (done.release, done.n_patients) == (before.release, kept[0])
    asked = [(spend.purpose, spend.columns) for spend in done.spends if "pair" not in spend.purpose]
    assert len(set(asked)) == len(asked), "no column is bought twice"
    assert 0.98 < done.cost().epsilon <= 1.0
    assert mk.audit(tmp_path / "model").passed
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["config.json", "ledger.json", "weights.safetensors"]


def test_an_answer_that_a_kill_took_stays_spent_and_what_is_left_is_planned_anew(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, keep, n = Options(synthesizer="aim", epsilon=1.0), AnswersKept.keep, 0

    def killed_before(self: AnswersKept, name: str, *more: object) -> None:
        nonlocal n
        n += name == "chosen"
        if n == 1 and name == "noisy_counts":
            n += 1
            raise KeyboardInterrupt
        keep(self, name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(AnswersKept, "keep", killed_before)
    with pytest.raises(KeyboardInterrupt):
        fit_model(table, out=tmp_path / "model", options=options)
    file = tmp_path / "model.partial" / "checkpoint" / "answers.jsonl"
    file.write_bytes(file.read_bytes() + b'{"name": "cut o')
    before = read_ledger(tmp_path / "model.partial" / "ledger.json")
    fit_model(table, out=tmp_path / "model", options=options)
    done = read_ledger(tmp_path / "model" / "ledger.json")
    assert done.spends[: len(before.spends)] == before.spends
    assert 0.98 < done.cost().epsilon <= 1.0
    assert mk.audit(tmp_path / "model").passed


def test_an_interrupted_run_that_cannot_be_paid_anew_is_refused_in_words(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = budget.seal_model
    monkeypatch.setattr("manikin.synthesizers.storage.save", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):  # everything is spent, and the model is not on the disk yet
        synthesize(table, out=tmp_path / "run", options=PRIVATE)
    monkeypatch.undo()
    assert saved is budget.seal_model
    private_fake.register(monkeypatch)
    monkeypatch.setattr(Histogram, "fit", _greedy)
    with pytest.raises(BudgetError, match="interrupted run had begun to spend its budget"):
        synthesize(table, out=tmp_path / "run", options=PRIVATE)


def test_lists_that_were_bought_and_lost_are_not_paid_for_twice(table: Path, tmp_path: Path) -> None:
    from manikin.privacy.events import Threshold

    book = tmp_path / "ward.json"
    make_book(book, epsilon=2, delta=1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Histogram, "fit", _lists)
        with pytest.raises(KeyboardInterrupt):
            fit_model(table, out=tmp_path / "model", options=replace(PRIVATE, budget=book))
    before = read_book(book).events()
    assert Threshold(1e-7) in before
    with pytest.raises(BudgetError, match=r"begins a new run\. In ward\.json its spends stay"):
        fit_model(table, out=tmp_path / "model", options=replace(PRIVATE, budget=book))
    assert read_book(book).events() == before
    fit_model(table, out=tmp_path / "model", options=replace(PRIVATE, budget=book))
    assert len(read_book(book).releases) == 2


def _lists(self: Histogram, data: object, *, seed: int, ledger: mk.Dataset) -> Histogram:
    from manikin.privacy.events import Threshold

    ledger.spend(Threshold(1e-7), purpose="a list")  # type: ignore[attr-defined]
    raise KeyboardInterrupt


def _greedy(self: Histogram, data: object, *, seed: int, ledger: mk.Dataset) -> Histogram:
    from manikin.privacy.events import Gaussian

    ledger.spend(Gaussian(ledger.precision**-0.5), purpose="all of it")  # type: ignore[attr-defined]
    return self


def test_a_model_that_was_saved_before_the_interruption_is_not_paid_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(judge, "measure", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            synthesize(table, out=tmp_path / "run", options=PRIVATE)
    spent = read_ledger(tmp_path / "run.partial" / "ledger.json").spends
    synthesize(table, out=tmp_path / "run", options=PRIVATE)
    assert read_ledger(tmp_path / "run" / "ledger.json").spends == spent
    assert mk.audit(tmp_path / "run").passed


def test_a_budget_file_is_shared_and_refuses_what_does_not_fit(table: Path, tmp_path: Path) -> None:
    book = tmp_path / "ward.json"
    make_book(book, epsilon=1.3, delta=1e-6, data="ward")
    shared = replace(PRIVATE, budget=book)
    synthesize(table, out=tmp_path / "one", options=shared)
    assert read_ledger(tmp_path / "one" / "ledger.json").delta == 1e-6  # the file's, where none is given
    assert read_book(book).cost().epsilon == pytest.approx(1, rel=0.01)
    with pytest.raises(BudgetError, match=r"allows epsilon 1\.3 in all, of which other releases spent"):
        fit_model(table, out=tmp_path / "two", options=shared)
    assert read_book(book).cost().epsilon == pytest.approx(1, rel=0.01)
    fit_model(table, out=tmp_path / "three", options=replace(shared, epsilon=0.5))
    assert len(read_book(book).releases) == 2
    assert mk.audit(book).passed


def test_a_budget_file_names_the_folder_of_each_release_and_no_ledger_does(table: Path, tmp_path: Path) -> None:
    book = tmp_path / "ward.json"
    make_book(book, epsilon=2, delta=1e-6)
    fit_model(table, out=tmp_path / "spring", options=replace(PRIVATE, budget=book))
    assert [out for _, out, *_ in shown_book(book).releases] == ["spring"]
    assert "(spring), begun" in mk.audit(book).purposes[0].purpose
    assert "spring" not in (tmp_path / "spring" / "ledger.json").read_text()


def test_a_delta_of_a_whole_patient_is_refused_before_anything_is_learned(table: Path, tmp_path: Path) -> None:
    book = tmp_path / "ward.json"
    make_book(book, epsilon=2, delta=0.01)
    with pytest.raises(BudgetError, match=r"Delta 0\.01 is above one over the number of patients .*Give a smaller --delta"):
        fit_model(table, out=tmp_path / "model", options=replace(PRIVATE, delta=0.01, budget=book))
    assert [len(entry["spends"]) for entry in read_book(book).releases.values()] == [1]  # the number of patients alone
    assert not (tmp_path / "model").exists()


def test_an_epsilon_that_protects_hardly_anybody_is_told(table: Path, tmp_path: Path) -> None:
    for epsilon, told in ((10.0, False), (10.5, True)):
        fitted = fit_model(table, out=tmp_path / f"{epsilon:g}", options=replace(PRIVATE, epsilon=epsilon))
        assert any("protects hardly anybody" in notice for notice in fitted.notices) is told


def test_a_killed_run_s_spends_stay_in_the_budget_file(table: Path, tmp_path: Path) -> None:
    book = tmp_path / "ward.json"
    make_book(book, epsilon=2, delta=1e-6)

    def stop() -> None:
        raise KeyboardInterrupt

    Histogram.after = stop
    with pytest.raises(KeyboardInterrupt):
        synthesize(table, out=tmp_path / "run", options=replace(PRIVATE, budget=book))
    assert [len(entry["spends"]) for entry in read_book(book).releases.values()] == [1]
    Histogram.after = None
    synthesize(table, out=tmp_path / "run", options=replace(PRIVATE, budget=book))
    assert [len(entry["spends"]) for entry in read_book(book).releases.values()] == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(synthesizer="forest", epsilon=1.0), r"'forest' cannot keep a privacy budget.*Choose one of .*fake"),
        (Options(synthesizer="fake", delta=1e-6), "--delta means nothing without --epsilon"),
        (Options(synthesizer="fake", rows_per_patient=2), "--rows-per-patient means nothing without --epsilon"),
        (Options(synthesizer="fake", budget="x.json"), "--budget means nothing without --epsilon"),
        (Options(synthesizer="fake", epsilon=1.0, public=("sex",)), "--public takes the list of values from the data"),
        (Options(synthesizer="fake", epsilon=0.0), "above 0"),
        (Options(synthesizer="fake", epsilon=float("inf")), "above 0"),
        (Options(synthesizer="fake", epsilon=float("nan")), "above 0"),
        (Options(synthesizer="fake", epsilon=1.0, delta=1.0), "between 0 and 1"),
        (Options(synthesizer="fake", epsilon=1.0, rows_per_patient=0), "rows_per_patient"),
        (Options(synthesizer="fake", epsilon=1.0, budget="missing.json"), "cannot be read"),
    ],
)
def test_budgets_that_cannot_be_kept_are_refused(options: Options, message: str, table: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        synthesize(table, out=tmp_path / "run", options=options)
    assert not (tmp_path / "run").exists()


def test_other_commands_refuse_a_budget_by_name() -> None:
    with pytest.raises(ParameterError, match="`manikin augment` cannot keep a privacy budget"):
        PRIVATE.check("augment")


def test_a_private_run_is_not_replayed(table: Path, tmp_path: Path) -> None:
    synthesize(table, out=tmp_path / "run", options=PRIVATE)
    with pytest.raises(ParameterError, match="noise came from the operating system"):
        synthesize(table, out=tmp_path / "again", replay=tmp_path / "run" / "manifest.json")


def test_shadow_models_keep_budgets_of_their_own(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers = []
    first = Histogram.fit

    def fit(self: Histogram, data: object, *, seed: int, ledger: object) -> Histogram:
        ledgers.append(ledger)
        return first(self, data, seed=seed, ledger=ledger)  # type: ignore[arg-type]

    def measured(*_: object, refit: object, **more: object) -> mk.Results:
        refit(mk.read(patients(100, 1)), 0)  # type: ignore[operator]
        return mk.Results(metrics=())

    monkeypatch.setattr(Histogram, "fit", fit)
    monkeypatch.setattr(judge, "measure", measured)
    made = synthesize(table, out=tmp_path / "run", options=replace(PRIVATE, shadow_models=4))
    release, shadow = ledgers
    assert (shadow.epsilon, shadow.delta, shadow.file) == (release.epsilon, release.delta, None)
    assert any("thrown away" in notice for notice in made.notices)
    assert len(read_ledger(tmp_path / "run" / "ledger.json").spends) == 5


def test_python_users_pass_a_ledger_themselves() -> None:
    ledger = mk.ledger(epsilon=1.0, rows_per_patient=2)
    train, _ = mk.split(mk.read(patients()), seed=0, each_by_itself=True)
    mk.synthesizer("fake").fit(train, seed=0, ledger=ledger)
    assert ledger.n_patients is not None
    assert ledger.cost().epsilon <= 1


def test_completing_real_rows_says_that_it_is_not_covered(table: Path, tmp_path: Path) -> None:
    from manikin.workflow.completion import complete
    from manikin.workflow.models import draw

    fit_model(table, out=tmp_path / "model", options=PRIVATE)
    done = complete(tmp_path / "model", table, out=tmp_path / "partly.csv", keep=["sex"])
    assert any("budget does not cover this table" in notice for notice in done.notices)
    before = (tmp_path / "model" / "ledger.json").read_bytes()
    assert draw(tmp_path / "model", n=20, out=tmp_path / "more.csv").n_rows == 20
    assert (tmp_path / "model" / "ledger.json").read_bytes() == before  # sampling costs nothing


def test_what_was_taken_as_public_is_in_the_ledger(table: Path, tmp_path: Path) -> None:
    mk.write_schema(mk.read(table).schema, tmp_path / "schema.toml")
    text = (tmp_path / "schema.toml").read_text()
    start = text.index("[columns.sex]")
    (tmp_path / "schema.toml").write_text(text[:start] + text[start:].replace('source = "data"', 'source = "declared"', 1))
    fit_model(table, out=tmp_path / "model", schema=tmp_path / "schema.toml", options=PRIVATE)
    public = mk.audit(tmp_path / "model").public
    assert public["columns"] == ["age", "score", "sex", "ward"]
    assert public["declared"] == {"sex": ["kind", "levels", "range"]}
    assert public["left_out"] == []
    assert public["patient_key"] is None
    assert any("each row counts as a patient" in finding.words for finding in mk.audit(tmp_path / "model").findings)


def test_a_budget_without_a_schema_is_refused_with_the_way_out(table: Path, tmp_path: Path) -> None:
    for run in (job.synthesize, models.fit_model):
        with pytest.raises(ParameterError, match=r"needs a schema: .*manikin inspect DATA -o schema\.toml.*--schema schema\.toml"):
            run(table, out=tmp_path / "run", options=PRIVATE)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]
    synthesize(table, out=tmp_path / "run", options=PRIVATE)
    assert read_ledger(tmp_path / "run" / "ledger.json").public["taken_as_public"]["schema_given"] is True


def test_a_delta_of_one_over_the_true_number_of_patients_is_accepted() -> None:
    """The number is bought with noise, and lies above the true one half of the time; one time in a hundred is refused."""
    data, refused = mk.read(patients(4000)), 0
    for _ in range(100):
        try:
            mechanisms.seal(data, Ledger(epsilon=1.0, delta=1 / 4000))
        except BudgetError:
            refused += 1
    assert refused <= 10  # more than that: once in ten million runs


def test_a_generator_is_handed_cells_that_are_each_read_by_themselves(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    first = Histogram.fit

    def fit(self: Histogram, data: mk.Dataset, *, seed: int, ledger: object) -> Histogram:
        seen[len(seen)] = {name: (column.kind, column.levels) for name, column in zip(data.columns.names, data.columns, strict=True)}
        return first(self, data, seed=seed, ledger=ledger)  # type: ignore[arg-type]

    monkeypatch.setattr(Histogram, "fit", fit)
    synthesize(table, out=tmp_path / "run", options=PRIVATE)
    fit_model(table, out=tmp_path / "model", options=PRIVATE)
    odd = pd.read_csv(table).astype({"age": object})
    odd.loc[3999, "age"] = "7e1"  # one patient more would have made a column of texts of it
    odd.to_csv(tmp_path / "odd.csv", index=False)
    fit_model(tmp_path / "odd.csv", out=tmp_path / "again", options=PRIVATE)
    assert seen[0] == seen[1] == seen[2]
    assert not any(levels for _, levels in seen[0].values())


def test_private_rows_are_compared_as_the_real_table_reads_them() -> None:
    from manikin.workflow.sources import compared

    real = mk.read(pd.DataFrame({"age": [*range(50), *range(50)], "sex": ["F", "M"] * 50}))
    made = mk.read(pd.DataFrame({"age": ["about 50", "60"] * 50, "sex": ["M", "F"] * 50}))
    rows, lost = compared(made, real.columns)
    assert lost == ["age"]
    assert rows.columns.names == ["sex"]
    levels = mk.read(pd.DataFrame({"age": ["50", "60"] * 50, "sex": ["M", "F"] * 50}))
    rows, lost = compared(levels, real.columns)
    assert lost == []
    assert rows.table.frame["age"].mean() == 55
