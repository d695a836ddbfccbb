"""Formulas: what is read, and that nothing in them is ever evaluated."""

from __future__ import annotations

import pytest

from evaluation.simulated import SCHEMA
from manikin.data.errors import ParameterError
from manikin.evaluation.inference.formula import parse, read_analyses, read_analysis


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("died ~ age + sex", "died ~ age + sex"),
        ("died~1+age", "died ~ age"),
        ("died ~ age*sex", "died ~ age + sex + age:sex"),
        ("died ~ age:sex + age", "died ~ age:sex + age"),
        ("log(pressure) ~ sqrt(age) + log(age + 1.5)", "log(pressure) ~ sqrt(age) + log(age + 1.5)"),
        ("Surv(time, death) ~ a.b + `odd name-1` + a.b", "Surv(time, death) ~ a.b + odd name-1"),
        ("y ~ a*b*c", "y ~ a + b + c + a:b + a:c + b:c + a:b:c"),
        ("y ~ log + Surv", "y ~ log + Surv"),
        ("größe ~ alter", "größe ~ alter"),
    ],
)
def test_the_grammar(text, written):
    assert parse(text).text == written


@pytest.mark.parametrize(
    "text",
    [
        "died ~ __import__('os').system('touch hacked')",
        "died ~ age + exec(`open('hacked','w')`)",
        "died ~ {age}",
        "died ~ I(age ** 2)",
        "died ~ np.exp(age)",
        "died ~ age.__class__()",
        "died ~ [x for x in age]",
        "died ~ lambda: 0",
        "died ~ age - 1",
        "died ~ age if sex else 0",
        "died ~ 'age'",
        "died ~ age; import os",
        "died ~ age\n@os",
        "died ~ eval(age)",
        "died ~ log(log(age))",
        "died ~ log(age * 2)",
        "died ~ age ~ sex",
        "died ~ poly(age, 2)",
        "died ~ 0 + age",
        "died ~",
        "~ age",
        "died",
        "",
        "died ~ 1",
        "died ~ age +",
        "died ~ age*sex:ward",
        "died ~ age*age",
        "died ~ died",
        "Surv(age) ~ sex",
        "Surv(age, age) ~ sex",
        "Surv(time, died) ~ time",
        "died ~ a*b*c*d",
        "died ~ 1.5.2",
        "died ~ 2age",
        "y ~ " + " + ".join(f"x{i}" for i in range(100)),
        "y ~ " + "x" * 5000,
        12,
    ],
)
def test_everything_else_is_refused_in_a_sentence(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=r"cannot be used: .+\. Write it like|must be a text"):
        parse(text)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("died ~ height", "no column 'height'"),
        ("died ~ log(sex)", "needs a number"),
        ("log(died) ~ age", "needs a number"),
        ("Surv(sex, died) ~ age", "is no number"),
    ],
)
def test_columns_are_looked_up(text, reason):
    with pytest.raises(ParameterError, match=reason):
        read_analysis(text, SCHEMA)


def test_the_same_analysis_twice_counts_once():
    assert len(read_analyses(["died ~ age + sex", "died~age+sex", "died ~ age"], SCHEMA)) == 2
