"""What the figures of linked patients mean in plain words. Knows the names of the metrics and nothing of how they are taken."""

from __future__ import annotations

from collections.abc import Mapping

from manikin.report.plain import Plain

RECORDS: Mapping[str, Plain] = {
    "key_integrity": Plain(
        "The share of keys that are as they should be: every reference leads to a row, no key occurs twice, none is a real patient's.",
        low_text="0: none is",
        high_text="1: all are",
    ),
    "chronology": Plain(
        "The share of rows at a time that cannot be: before birth, after death, outside the stay they belong to, ended before they began.",
        high=None,
        low_text="none",
        style="percent",
    ),
    "record_lengths": Plain(
        "How closely the patients' numbers of rows and visits, and the days that their records span, are spread as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "record_gaps": Plain(
        "How closely the times from one event to the next are spread as in the real data.",
        low_text="nothing in common",
        high_text="the same",
    ),
    "code_prevalence": Plain(
        "How closely each diagnosis, test, drug or other code is as frequent among visits as in the real data. At 0 the frequencies "
        "tell no more than one average would.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
    "code_pairs": Plain(
        "How closely two codes occur in the same visit as often as in the real data, over all pairs of the frequent codes.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
    "code_sequences": Plain(
        "How closely one code is followed by another at the next visit as often as in the real data.",
        low=0.0,
        low_text="0: as good as an average",
        high_text="1: the same",
    ),
}
