"""What a living person's vitals and labs can be: wide ranges, each with its source. Knows no tables; names are matched conservatively.

A value outside is an error of unit or of typing far more often than a patient; inside says nothing about health.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from manikin.clinical.citation import Citation

APACHE = Citation(
    "Knaus et al.", "APACHE II: a severity of disease classification system", 1985, "doi:10.1097/00003246-198510000-00009"
)
OLDEST = Citation("Robine and Allard", "The oldest human", 1998, "doi:10.1126/science.279.5358.1831h")
COLDEST = Citation(
    "Gilbert et al.", "Resuscitation from accidental hypothermia of 13.7 °C", 2000, "doi:10.1016/S0140-6736(00)01021-7"
)
HOTTEST = Citation(
    "Slovis et al.",
    "Survival in a heat stroke victim with a core temperature in excess of 46.5 °C",
    1982,
    "doi:10.1016/S0196-0644(82)80099-1",
)
LIFTERS = Citation(
    "MacDougall et al.",
    "Arterial blood pressure response to heavy resistance exercise",
    1985,
    "doi:10.1152/jappl.1985.58.3.785",
)
RECORDS = Citation("Guinness World Records", "Tallest, shortest and heaviest person ever", 2023, "ISBN 978-1-913484-21-7")
DEFINITION = Citation("definition", "A share cannot leave 0 to 100 %", 0, "by definition")


@dataclass(frozen=True)
class PlausibleRange:
    """Where values of a quantity can lie.

    Attributes
    ----------
    quantity : in words.
    names : column names that mean it, letters and digits only, lower case.
    minimum, maximum : in `unit`. For APACHE II the ends are half its lowest and one and a half times its highest scoring bound.
    citation, citation_maximum : the source of both ends, or of the lower and of the upper one.
    """

    quantity: str
    names: frozenset[str]
    minimum: float
    maximum: float
    unit: str
    citation: Citation
    citation_maximum: Citation | None = None


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


RANGES: tuple[PlausibleRange, ...] = (
    PlausibleRange("age", _names("age ageyears ageyrs ageinyears patientage"), 0, 122.5, "a", OLDEST),
    PlausibleRange("heart rate", _names("heartrate hr pulse pulserate hrt thalach bpm"), 39 / 2, 180 * 1.5, "/min", APACHE),
    PlausibleRange("respiratory rate", _names("respiratoryrate resprate rr respirationrate"), 5 / 2, 50 * 1.5, "/min", APACHE),
    PlausibleRange(
        "mean arterial pressure", _names("meanbp map meanarterialpressure mbp"), 49 / 2, 160 * 1.5, "mm[Hg]", APACHE
    ),
    PlausibleRange("sodium", _names("sodium sod serumsodium"), 110 / 2, 180 * 1.5, "mmol/L", APACHE),
    PlausibleRange("potassium", _names("potassium serumpotassium"), 2.5 / 2, 7 * 1.5, "mmol/L", APACHE),
    PlausibleRange(
        "systolic pressure",
        _names("systolicbp sbp systolic systolicbloodpressure aphi trestbps sysbp"),
        20,
        480,
        "mm[Hg]",
        LIFTERS,
    ),
    PlausibleRange(
        "diastolic pressure", _names("diastolicbp dbp diastolic diastolicbloodpressure aplo diabp"), 1, 350, "mm[Hg]", LIFTERS
    ),
    PlausibleRange("oxygen saturation", _names("spo2 sao2 o2sat oxygensaturation"), 0, 100, "%", DEFINITION),
)
CELSIUS = PlausibleRange(
    "body temperature", _names("bodytemp bodytemperature temperature temp tempc"), 13.7, 46.5, "Cel", COLDEST, HOTTEST
)
FAHRENHEIT = PlausibleRange("body temperature", CELSIUS.names, 56.7, 115.7, "[degF]", COLDEST, HOTTEST)
HEIGHT_CM = PlausibleRange("height", _names("height heightcm bodyheight"), 54.6, 272, "cm", RECORDS)
WEIGHT_KG = PlausibleRange("weight", _names("weight weightkg bodyweight"), 0.2, 635, "kg", RECORDS)


def plausible_range(name: str, *, median: float) -> PlausibleRange | None:
    """The range for a column of this name, or None when the name does not plainly say what is measured.

    Parameters
    ----------
    median : of the column; it tells degrees Fahrenheit from Celsius, and rules out other units (age in days, height in inches).
    """
    text = re.sub(r"[^a-z0-9]", "", name.lower())
    if text in CELSIUS.names:
        return FAHRENHEIT if 80 < median < 115 else CELSIUS if 25 < median < 45 else None
    for found in (*RANGES, HEIGHT_CM, WEIGHT_KG):
        if text in found.names:
            is_other_unit = not found.minimum <= median <= found.maximum or (found is HEIGHT_CM and median < 100)
            return None if is_other_unit else found
    return None
