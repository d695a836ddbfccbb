"""The pieces that a report is made of: plain values that a template can draw and a test can read. They know no HTML and no metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Tone(StrEnum):
    """How a text, a banner or an answer is meant; the page never tells it by colour alone."""

    PLAIN = "plain"
    LEAD = "lead"
    NOTE = "note"
    WARNING = "warning"


class Level(StrEnum):
    """How far a question is answered to the good. The order is from best to worst, UNKNOWN last."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    UNKNOWN = "unknown"


class Passed(StrEnum):
    """How a check ended; FLAG is one that is not judged and stands out, OPEN one that the policy only shows, or does not have."""

    PASS = "pass"
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    FLAG = "flag"
    OPEN = "open"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section; the section's own title is level 2, so that these are 3 or 4."""

    text: str
    level: int = 3


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Banner:
    """A statement that must not be overlooked."""

    title: str
    text: str
    tone: Tone = Tone.WARNING


@dataclass(frozen=True)
class Bullets:
    """A list of short plain texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Terms with their values or meanings, in order."""

    items: tuple[tuple[str, str], ...]
    is_glossary: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts; `numeric` are the positions of columns that are set flush right. `units` says what a row is."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    numeric: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes
    ----------
    svg : the drawing as an `<svg>` element made by `figures`, which escapes every text in it.
    caption : how to read it.
    alt : what it shows, for those who do not see it; with the figures that matter.
    is_wide : whether it takes the whole line rather than a place in a grid.
    """

    svg: str
    caption: str
    alt: str
    title: str = ""
    is_wide: bool = False


@dataclass(frozen=True)
class Grid:
    """Figures side by side, as many as the page is wide; one below the other on a phone. `legend` names the two colours."""

    figures: tuple[Figure, ...]
    has_legend: bool = True
    legend: tuple[str, str] = ("real rows", "synthetic rows")


@dataclass(frozen=True)
class Dials:
    """Measured figures side by side."""

    dials: tuple[Dial, ...]


@dataclass(frozen=True)
class Verdicts:
    """The plain answers side by side."""

    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Dial:
    """One measured figure on its scale, never without what it is to be compared with.

    Attributes
    ----------
    value, interval, reference, n, direction : texts ready to read; "not given" where there is none, the reason is in `note`.
    at, span, reference_at : the same as positions on the scale in percent of its length, None where there is none.
    low, high : the texts at the scale's ends.
    meaning : one sentence: what the figure says.
    note : a stated decision of the metric, for example why there is no figure.
    """

    name: str
    title: str
    value: str
    interval: str
    reference: str
    n: str
    direction: str
    arrow: str
    low: str
    high: str
    at: float | None = None
    span: tuple[float, float] | None = None
    reference_at: float | None = None
    meaning: str = ""
    note: str = ""


@dataclass(frozen=True)
class Gauge:
    """The one figure that decides an answer, on an arc of three equal parts: poor on the left, good on the right.

    Attributes
    ----------
    title, value, interval, reference : texts ready to read, the last two empty where there is none.
    at, span, reference_at : places on the arc in percent of its length, 0 the poor and 100 the good end; span is the 95 % interval.
    limits : the texts at the arc's two limits, from the left.
    """

    title: str
    value: str
    interval: str
    reference: str
    at: float
    span: tuple[float, float]
    reference_at: float | None
    limits: tuple[str, str]


@dataclass(frozen=True)
class Verdict:
    """A plain answer to a plain question: a word, the sentences that it rests on, and what was not looked at.

    `gauge` shows the finding that decides, None where there is none; `more` is a folded list of further sentences.
    """

    question: str
    answer: str
    level: Level
    reasons: tuple[str, ...]
    not_assessed: tuple[str, ...] = ()
    gauge: Gauge | None = None
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Light:
    """One check of one policy: its verdict, the word for it, and the limit, empty where there is none."""

    verdict: Passed
    word: str
    limit: str = ""


@dataclass(frozen=True)
class Lights:
    """Checks against policies: one row per check, one column per policy, each cell a light that words and a sign tell too.

    Attributes
    ----------
    policies : (name, light) of each column. rows : (check, measured, lights), one light per policy.
    """

    policies: tuple[tuple[str, Light], ...]
    rows: tuple[tuple[str, str, tuple[Light, ...]], ...]
    caption: str


@dataclass(frozen=True)
class Fold:
    """Blocks that are closed at first and opened by the reader; print shows them."""

    summary: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Slider:
    """Tables of which one is seen at a time, chosen on a row of stops; print leaves it out, so figures must say the same.

    Attributes
    ----------
    anchor : a name that no other slider of the page has, of letters, digits and "-".
    stops : the stops' texts, at most 11; the middle one is chosen at first. frames : one table per stop.
    """

    anchor: str
    title: str
    stops: tuple[str, ...]
    frames: tuple[Table, ...]


@dataclass(frozen=True)
class Frame:
    """One small drawing of a filmstrip, with the text below it; a marked one stands out, in words too.

    `png` is a picture in base64 in place of a drawing.
    """

    svg: str
    text: str
    is_marked: bool = False
    png: str = ""


@dataclass(frozen=True)
class Filmstrip:
    """One thing at several moments, in order: side by side, on a phone in rows of four. `alt` says what the drawings show, in figures."""

    title: str
    frames: tuple[Frame, ...]
    alt: str


@dataclass(frozen=True)
class Beside:
    """Blocks that stand side by side where the page is wide enough."""

    blocks: tuple[Block, ...]


Block = (
    Heading
    | Text
    | Banner
    | Bullets
    | Facts
    | Table
    | Figure
    | Grid
    | Dial
    | Dials
    | Verdict
    | Verdicts
    | Lights
    | Fold
    | Beside
    | Slider
    | Filmstrip
)


@dataclass(frozen=True)
class Chapter:
    """One section of the page: its anchor, its title and its blocks."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


def walk(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """All blocks in reading order, those inside folds and grids too.

    >>> [type(b).__name__ for b in walk((Text("a"), Fold("more", (Text("b"),))))]
    ['Text', 'Fold', 'Text']
    """
    found: list[Block] = []
    for block in blocks:
        found.append(block)
        if isinstance(block, Fold | Beside):
            found.extend(walk(block.blocks))
        elif isinstance(block, Grid):
            found.extend(block.figures)
        elif isinstance(block, Slider):
            found.extend(block.frames)
        elif isinstance(block, Dials):
            found.extend(block.dials)
        elif isinstance(block, Verdicts):
            found.extend(block.verdicts)
    return tuple(found)
