"""Results as evaluation writes them, made up: no data and no metric is needed to test a report."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from manikin.data.seeds import generator
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Rate, Results, Section, ThreatModel

HIGHER, LOWER = Direction.HIGHER, Direction.LOWER


def metric(name: str, section: Section, direction: Direction, value: float | None, **more: Any) -> MetricResult:
    return MetricResult(name, more.pop("title", name.replace("_", " ").capitalize()), section, direction, value, **more)


def column_names(n: int) -> list[str]:
    return [f"column_{i:02d}" for i in range(n)]


def made_metrics(names: list[str]) -> tuple[MetricResult, ...]:
    rng = generator(1, "report", "metrics")
    scores = rng.uniform(0.8, 0.99, len(names)).round(4)
    shapes = [
        {"column": name, "kind": "continuous", "measure": "1-KS", "score": float(score), "reference": 0.985}
        for name, score in zip(names, scores, strict=True)
    ]
    pairs = [
        {"columns": [a, b], "score": 0.8 + 0.01 * i, "reference": 0.95, "association_train": 0.5, "association_synthetic": 0.3}
        for i, (a, b) in enumerate(pairwise(names))
    ]
    rates = [
        {
            "column": name,
            "train": 0.12,
            "holdout": 0.11,
            "synthetic": 0.12 + 0.1 / (i + 1),
            "gap": 0.1 / (i + 1),
            "reference_gap": 0.01,
        }
        for i, name in enumerate(names[:4])
    ]
    learned = {
        name: {
            "tstr": real - 0.03,
            "tstr_interval": [real - 0.09, real + 0.03],
            "trtr": real,
            "trtr_interval": [real - 0.05, real + 0.05],
            "gap": -0.03,
            "gap_interval": [-0.07, 0.01],
            "excess": 0.88,
            "excess_interval": [0.7, 1.04],
        }
        for name, real in (("booster", 0.74), ("linear", 0.71))
    }
    judged = [
        {
            "column": name,
            "separation": 2.0 / (i + 1),
            "separation_interval": [1.5 / (i + 1), 2.5 / (i + 1)],
            "alone": 0.8 if i == 0 else 0.51,
            "alone_interval": [0.75, 0.85] if i == 0 else [0.46, 0.56],
            "alone_reference": 0.5,
            "drop": 0.1 / (i + 1),
            "drop_interval": [0.0, 0.2],
            "stands_out": i < 3,
            "spacing": None,
        }
        for i, name in enumerate(names)
    ]
    judged[0]["spacing"] = {
        "step": 0.1,
        "on_step": {"train": 1.0, "holdout": 1.0, "synthetic": 0.1},
        "known": {"holdout": 0.9, "synthetic": 0.8},
        "commonest": {"train": 0.1, "holdout": 0.1, "synthetic": 0.0},
    }
    link = {"columns": names[:2][::-1], "together": 0.7, "link": 0.2, "link_interval": [0.1, 0.3], "stands_out": True}
    gives = {"columns": judged, "pairs": [link], "log_odds_gap": 4.0, "worst_column": names[0]}
    group = {
        "group": "sex F",
        "columns": ["sex"],
        "n_train": 40,
        "train": 0.4,
        "holdout": 0.41,
        "synthetic": 0.2,
        "ratio_synthetic": 0.5,
        "ratio_synthetic_interval": [0.4, 0.62],
        "ratio_holdout": 1.02,
        "ratio_holdout_interval": [0.9, 1.1],
        "is_short": True,
        "shapes": 0.8,
        "shapes_reference": 0.95,
    }
    fair = {
        **group,
        "group": "sex M",
        "train": 0.6,
        "synthetic": 0.8,
        "ratio_synthetic": 1.3,
        "is_short": False,
        "shapes": None,
    }
    shown = {"groups": [group, fair], "by": ["sex"], "worst_group": "sex F", "n_short": 1}
    told = {"target": names[-1], "measure": "AUROC", "headline": "booster", "learners": learned}
    term = {
        "term": "age",
        "real": 0.2,
        "real_interval": [0.1, 0.3],
        "synthetic": 0.15,
        "synthetic_interval": [-0.05, 0.35],
        "overlap": 0.7,
        "same_conclusion": False,
    }
    apart = {**term, "term": "ward[B]", "real": 90.0, "real_interval": [-900.0, 900.0], "same_conclusion": True}
    regression = {"formula": "died ~ age + ward", "model": "logistic", "outcome": "died = 1", "n_rows": {"train": 550}}
    failed = {"formula": "died ~ x", "model": "cox", "outcome": "died", "why": "it did not converge", "coefficients": []}
    fitted = {"analyses": [{**regression, "coefficients": [term, apart]}, failed], "same_sign": 0.9, "same_sign_reference": 0.95}
    hazard = {"column": "age", "term": "per standard deviation", "train": 0.2, "synthetic": 0.1, "difference": -0.1}
    gap = {"group": "sex F", "n": 80, "added": 0.03, "added_interval": [0.02, 0.04], "tstr": {"auroc": 0.7}, "trtr": {"auroc": 0.74}}
    spread = {"auroc": {"tstr": 0.1, "trtr": 0.08, "added": 0.02, "added_interval": [-0.01, 0.05]}}
    unfair = {"worst_group": "sex F", "measure": "auroc", "groups": [gap, {**gap, "group": "sex M", "added": -0.01}], "gaps": spread}
    rule = {"rule": "column_00 <= column_01", "kind": "order", "confirmed": True, "train": 0, "holdout": 0, "synthetic": 0}
    fidelity, privacy = Section.FIDELITY, Section.PRIVACY
    return (
        metric(
            "column_shapes",
            fidelity,
            HIGHER,
            0.951,
            interval=(0.941, 0.96),
            n=550,
            reference=0.968,
            details={"columns": shapes},
        ),
        metric("pair_trends", fidelity, HIGHER, 0.9, interval=(0.88, 0.91), n=550, reference=0.93, details={"pairs": pairs}),
        metric("dependence", fidelity, HIGHER, 0.91, interval=(0.85, 0.97), n=550, reference=1.0),
        metric("missingness", fidelity, HIGHER, 0.93, interval=(0.9, 0.95), n=550, reference=0.96, details={"columns": rates}),
        metric("c2st", fidelity, LOWER, 0.58, interval=(0.54, 0.62), n=1100, reference=0.51, reference_interval=(0.46, 0.55)),
        metric("giveaway", fidelity, LOWER, 0.8, interval=(0.75, 0.85), n=1100, reference=0.52, details=gives),
        metric("tstr", Section.UTILITY, HIGHER, 0.71, interval=(0.65, 0.77), n=137, reference=0.74, details=told),
        metric("inference", Section.UTILITY, HIGHER, 0.76, interval=(0.6, 0.9), n=550, reference=0.8, details=fitted),
        metric("time_to_event", fidelity, LOWER, 0.03, interval=(0.01, 0.06), n=550, reference=0.02, details={"hazard_ratios": [hazard]}),
        metric("subgroup_gap", Section.FAIRNESS, LOWER, 0.03, interval=(0.02, 0.04), n=137, reference=0.01, details=unfair),
        metric("coverage", Section.DIVERSITY, HIGHER, 0.92, interval=(0.9, 0.94), n=550, reference=0.95),
        metric("representation", Section.DIVERSITY, HIGHER, 0.5, interval=(0.4, 0.62), n=550, reference=1.0, details=shown),
        metric("copies", privacy, LOWER, 0.0, interval=(0.0, 0.004), n=950, reference=0.0),
        metric("rule_violations", Section.VALIDITY, LOWER, 0.0, interval=(0.0, 0.006), n=550, details={"rules": [rule]}),
        metric("rare_values", privacy, LOWER, 0.0, n=33, unit="levels", reference=0.0, details={"threshold": 11}),
    )


def attack(name: str, value: float | None, **more: Any) -> AttackResult:
    who = ThreatModel("holds the release", "wants to know more", "succeeds when she is right", "membership")
    filled = {"unit": "targets", "threat_model": who, "n": 1000, "n_requested": 1000, "power": 0.03} | more
    return AttackResult(name, name.replace("_", " ").capitalize(), Section.PRIVACY, LOWER, value, **filled)


def made_attacks() -> tuple[AttackResult, ...]:
    """All six kinds, none of which finds anything; membership with its parts, a worst group and both controls."""
    part = {"tpr": 0.012, "tpr_interval": [0.004, 0.03], "fpr_control": 0.01, "auc": 0.51, "auc_interval": [0.47, 0.55]}
    planted = {"tpr": 0.93, "tpr_interval": [0.85, 0.98], "n": 50}
    controls = {"planted": planted, "independent": {"tpr": 0.011, "tpr_interval": [0.002, 0.03], "n": 400}}
    group = {"group": "sex F", "n": 200, "value": 0.02, "interval": [0.0, 0.06]}
    membership = attack(
        "membership",
        0.012,
        interval=(0.004, 0.03),
        n=550,
        n_requested=600,
        reference=0.01,
        reference_interval=(0.002, 0.03),
        attack=Rate(0.012, (0.004, 0.03), 7, 550),
        control=Rate(0.01, (0.002, 0.03), 4, 400),
        baseline=Rate(0.01, (0.01, 0.01), 0, 0),
        worst_group="sex F",
        groups=(group,),
        details={"attacks": {"nearest": part}, "strongest": "nearest", "controls": controls},
    )
    rates = {"attack": Rate(0.11, (0.09, 0.13), 110, 1000), "control": Rate(0.10, (0.08, 0.12), 100, 1000)}
    others = ("attribute_inference", "singling_out", "linkability", "reconstruction", "identity_disclosure")
    return (membership, *(attack(name, 0.011, interval=(-0.02, 0.04), reference=0.0, **rates) for name in others))


def made_views(names: list[str]) -> dict[str, Any]:
    rng = generator(2, "report", "views")
    n = len(names)
    columns: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        if i % 3 == 2:
            shares = rng.dirichlet(np.ones(12), size=2).round(6)
            shape = {"levels": [f"level {k}" for k in range(12)]}
            columns.append({"column": name, **shape, "train": shares[0].tolist(), "synthetic": shares[1].tolist()})
        else:
            shares = rng.dirichlet(np.full(20, 8.0), size=2).round(6)
            columns.append(
                {"column": name, "edges": list(range(21)), "train": shares[0].tolist(), "synthetic": shares[1].tolist()}
            )
    matrices = []
    for _ in range(2):
        matrix = rng.uniform(0, 1, (n, n)).round(4)
        matrices.append(np.where(np.eye(n, dtype=bool), 1.0, (matrix + matrix.T) / 2).tolist())
    clouds = {key: rng.normal(size=(1500, 2)).round(3).tolist() for key in ("a", "b", "c", "d")}
    half = {"survival": [1.0, 0.8, 0.5], "low": [1.0, 0.7, 0.4], "high": [1.0, 0.9, 0.6]}
    curve = {"group": "everybody", "n": {"train": 550, "synthetic": 550}, "times": [0, 10, 20], "train": half, "synthetic": half}
    return {
        "survival": {"time": "months", "event": "died", "curves": [curve, {"group": "sex F", "times": []}]},
        "columns": columns,
        "associations": {"columns": names, "train": matrices[0], "synthetic": matrices[1]},
        "pca": {"train": clouds["a"], "synthetic": clouds["b"], "explained": [0.31, 0.17]},
        "tsne": {"train": clouds["c"], "synthetic": clouds["d"]},
    }


def made_run(names: list[str]) -> dict[str, Any]:
    return {
        "title": "trial.csv",
        "rows": {"train": 550, "holdout": 136, "synthetic": 550},
        "columns": len(names),
        "left_out": [{"column": "surname", "reason": "a direct identifier, by name"}],
        "notices": ["17 empty cells of “estrec” are kept as missing."],
        "synthesizer": "autoregressive",
        "asked": "auto",
        "reasons": ["It had the lowest held-out loss."],
        "auto": [{"synthesizer": "forest", "score": 0.61}],
        "hyperparameters": {"width": 256, "learning_rate": 0.002},
        "training": {
            "steps": 400,
            "stopped_because": "no better on held-out rows",
            "curve": [[0, None, 3.1], [200, 2.0, 2.2], [400, 1.8, None]],
            "warnings": [],
        },
        "seed": 0,
        "versions": {"manikin": "0.1.0", "torch": "2.13.0"},
        "privacy_budget": {
            "epsilon": 1.0,
            "delta": 1e-5,
            "n_patients": 3200,
            "rows_per_patient": 1,
            "neighbours": "add or remove one patient",
            "spent": {"epsilon": 0.99, "epsilon_rdp": 1.07},
            "purposes": [{"purpose": "levels", "by": "codec", "n_events": 3, "n_columns": 3, "share": 1.0}],
            "odds": 2.718,
            "posterior": 0.731,
        },
        "cpu_seconds": {"fit": 12.25, "sample": 0.5, "evaluate": 21.0},
        "energy_watt_hours": 0.4,
        "energy_assumption": "20 W for each busy core.",
        "files": ["results.json", "synthetic.csv"],
    }


def made_results(n_columns: int = 6) -> Results:
    names = column_names(n_columns)
    return Results(made_metrics(names), made_views(names), made_run(names), made_attacks())
