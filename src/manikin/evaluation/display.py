"""How results show themselves, in a notebook and on a terminal: figures beside their references, never a row of data."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from manikin.evaluation.base import Direction, MetricResult, Section

if TYPE_CHECKING:
    from manikin.evaluation.base import Results

BETTER = {Direction.HIGHER: "higher", Direction.LOWER: "lower", Direction.REFERENCE: "near the reference"}


def results_html(results: Results) -> str:
    """A table of all metrics, grouped by the question they answer, with interval, reference and what was not computed."""
    head = "".join(f"<th>{title}</th>" for title in ("", "figure", "95 % interval", "fresh real rows", "better", "n"))
    body = []
    for section in Section:
        metrics = [metric for metric in results.figures if metric.section is section]
        if metrics:
            body.append(f'<tr><th colspan="6" style="text-align:left">{escape(section.capitalize())}</th></tr>')
            body += [_row(metric) for metric in metrics]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def results_text(results: Results) -> str:
    """The same as plain lines."""
    width = max((len(metric.name) for metric in results.figures), default=0)
    lines = [f"Results({len(results.metrics)} metrics, {len(results.attacks)} attacks)"]
    for metric in results.figures:
        if metric.value is None:
            lines.append(f"  {metric.name:{width}}  {metric.note}")
        else:
            lines.append(
                f"  {metric.name:{width}}  {_figure(metric.value):>8}  {_span(metric):17}  reference {_figure(metric.reference)}"
            )
    return "\n".join(lines)


def _row(metric: MetricResult) -> str:
    if metric.value is None:
        return f'<tr><td>{escape(metric.title)}</td><td colspan="5">{escape(metric.note)}</td></tr>'
    cells = (
        _figure(metric.value),
        _span(metric),
        _figure(metric.reference),
        BETTER[metric.direction],
        f"{metric.n} {metric.unit}",
    )
    title = f' title="{escape(metric.note, quote=True)}"' if metric.note else ""
    return f"<tr{title}><td>{escape(metric.title)}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if value == round(value) and abs(value) > 1 else f"{value:.3f}"


def _span(metric: MetricResult) -> str:
    return "" if metric.interval is None else f"{_figure(metric.interval[0])} – {_figure(metric.interval[1])}"
