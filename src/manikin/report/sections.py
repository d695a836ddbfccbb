"""The registry of sections: each a pure function from results to blocks. A new section is one function and one line here."""

from __future__ import annotations

from dataclasses import dataclass

from manikin.data.registry import Entry, Registry
from manikin.evaluation.base import Results
from manikin.report.blocks import Chapter
from manikin.report.nouns import named_after, noun_of

_HERE = "manikin.report"


@dataclass(frozen=True)
class SectionEntry(Entry):
    """A section's line: its title on the page. Its name is its anchor."""

    title: str = ""


SECTIONS: Registry[SectionEntry] = Registry(
    "report section",
    {
        "summary": SectionEntry(
            f"{_HERE}.summary:summary", "what was made from what, and three plain answers", title="In short"
        ),
        "histories": SectionEntry(
            f"{_HERE}.records:histories", "linked patients: timelines, codes, steps, values", title="Histories of patients"
        ),
        "images": SectionEntry(
            f"{_HERE}.images:images", "images: real beside synthetic, detail, nearest training images", title="Images"
        ),
        "likeness": SectionEntry(
            f"{_HERE}.resemblance:likeness", "figures, worst columns and pairs", title="Likeness, worst first"
        ),
        "giveaway": SectionEntry(
            f"{_HERE}.giveaway:giveaway", "the columns and pairs that tell synthetic rows, and how", title="What gives it away"
        ),
        "columns": SectionEntry(f"{_HERE}.resemblance:overlays", "each column, real and synthetic", title="Every column"),
        "missing": SectionEntry(f"{_HERE}.resemblance:missing", "missing cells", title="Missing cells"),
        "relations": SectionEntry(f"{_HERE}.resemblance:relations", "association heat maps", title="Relations between columns"),
        "maps": SectionEntry(f"{_HERE}.resemblance:maps", "PCA and t-SNE", title="All rows on a map"),
        "utility": SectionEntry(f"{_HERE}.consequences:utility", "learning from synthetic rows", title="Usefulness"),
        "inference": SectionEntry(f"{_HERE}.effects:inference", "coefficients of a regression", title="Effect sizes"),
        "survival": SectionEntry(f"{_HERE}.event_times:time_to_event", "survival curves, hazard ratios", title="Time to event"),
        "fairness": SectionEntry(f"{_HERE}.fairness:fairness", "what each group loses", title="Fairness"),
        "representation": SectionEntry(
            f"{_HERE}.representation:representation", "each group's share and likeness", title="Who is represented"
        ),
        "privacy": SectionEntry(f"{_HERE}.consequences:privacy", "variety, copies", title="Variety and copies"),
        "budget": SectionEntry(
            f"{_HERE}.privacy_budget:budget", "what is guaranteed, what it was spent on", title="Privacy budget"
        ),
        "attacks": SectionEntry(f"{_HERE}.attacks:attacks", "who attacked, and what was found", title="Attacks"),
        "validity": SectionEntry(f"{_HERE}.consequences:validity", "rules and rare values", title="Rules and rare values"),
        "making": SectionEntry(f"{_HERE}.making:making", "data, generator, training, cost", title="How it was made"),
        "checklists": SectionEntry(f"{_HERE}.checklists:checklists", "items of reporting checklists", title="Reporting checklists"),
        "glossary": SectionEntry(f"{_HERE}.making:glossary", "terms and conventions", title="Words and conventions"),
    },
    group="manikin.sections",
)


def chapters(results: Results) -> tuple[Chapter, ...]:
    """All sections that have something to say of these results, in the registry's order.

    >>> [chapter.anchor for chapter in chapters(Results(metrics=()))]
    ['summary', 'making', 'glossary']
    """
    made = (Chapter(name, SECTIONS[name].title, SECTIONS.load(name)(results)) for name in SECTIONS)
    noun = noun_of(results)
    return tuple(named_after(chapter, noun) for chapter in made if chapter.blocks)
