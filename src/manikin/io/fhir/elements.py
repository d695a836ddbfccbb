"""Which elements of which FHIR R4 resources become which columns, and what R4 asks of them. A table of facts; reads and writes nothing.

Source: HL7 FHIR Release 4 (v4.0.1), https://hl7.org/fhir/R4/, the pages of the six resources named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from manikin.data.schema import Form, Kind, Role


class Type(StrEnum):
    """How an element is written in JSON, and so how it becomes a cell."""

    ID = "id"
    CODE = "code"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "dateTime"
    NUMBER = "decimal"
    TEXT = "string"
    CODING = "Coding"
    CONCEPT = "CodeableConcept"
    REFERENCE = "Reference"

    @property
    def kind(self) -> Kind:
        """The kind of a column of this type."""
        return _KINDS.get(self, Kind.CATEGORICAL)


_KINDS = {
    Type.ID: Kind.IDENTIFIER,
    Type.REFERENCE: Kind.IDENTIFIER,
    Type.BOOLEAN: Kind.BOOLEAN,
    Type.DATE: Kind.DATE,
    Type.TIME: Kind.DATETIME,
    Type.NUMBER: Kind.CONTINUOUS,
    Type.CODING: Kind.CODE,
    Type.CONCEPT: Kind.CODE,
}


@dataclass(frozen=True)
class Element:
    """One column of a resource's table.

    Attributes
    ----------
    path : keys from the resource inwards; "key[]" is the first item of a list, and "key=url" the item with this url of a list.
    others : further places of the same fact (of a choice such as onset[x]), tried in order when reading; `path` is written.
    refers : for references, the table.
    required : R4 asks for it. without : what is written where it is missing although required.
    values : the codes of a required binding; empty where R4 leaves the list open.
    """

    column: str
    type: Type
    path: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    roles: tuple[Role, ...] = ()
    refers: str = ""
    required: bool = False
    without: str = ""
    values: tuple[str, ...] = ()
    by: str | None = None


@dataclass(frozen=True)
class Resource:
    """A resource type, or the repeated part of one, as a table."""

    name: str
    form: Form
    elements: tuple[Element, ...]
    starts: tuple[str, ...] = ()  # columns that say when a row happens or begins, the first that there is
    end: str | None = None
    part_of: str = ""  # the resource type whose repeated element it is
    part: str = ""  # the name of that element

    def element(self, column: str) -> Element:
        """The element of a column."""
        return next(element for element in self.elements if element.column == column)


NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
UNKNOWN = f"{NULL_FLAVOR}|UNK"  # stands where R4 asks for a code and there is none; read as missing
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_TEST_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
HTEST = {"system": _TEST_REASON, "code": "HTEST", "display": "test health data"}

_ID = Element("id", Type.ID, ("id",))
_PATIENT = Element(
    "patient", Type.REFERENCE, ("subject",), (("patient",),), roles=(Role.PATIENT_KEY,), refers="Patient", required=True
)
_ENCOUNTER = Element("encounter", Type.REFERENCE, ("encounter",), (("context",),), refers="Encounter")
_REASON = Element("reason", Type.CONCEPT, ("reasonCode[]",))


def _status(*values: str) -> Element:
    return Element("status", Type.CODE, ("status",), required=True, without="unknown", values=values)


def _extension(column: str, name: str, inner: str) -> Element:
    return Element(column, Type.CODING, ("extension=" + US_CORE + name, "extension=" + inner, "valueCoding"))


RESOURCES: tuple[Resource, ...] = (
    Resource(
        "Patient",
        Form.STATIC,
        (
            Element("id", Type.ID, ("id",), roles=(Role.PATIENT_KEY,)),
            Element("gender", Type.CODE, ("gender",), values=("male", "female", "other", "unknown")),
            Element("birth_date", Type.DATE, ("birthDate",), roles=(Role.BIRTH, Role.QUASI_IDENTIFIER)),
            Element("deceased", Type.BOOLEAN, ("deceasedBoolean",)),
            Element("deceased_at", Type.TIME, ("deceasedDateTime",), roles=(Role.DEATH,)),
            Element("marital_status", Type.CONCEPT, ("maritalStatus",)),
            Element("language", Type.CONCEPT, ("communication[]", "language")),
            _extension("race", "us-core-race", "ombCategory"),
            _extension("ethnicity", "us-core-ethnicity", "ombCategory"),
            Element("birth_sex", Type.CODE, ("extension=" + US_CORE + "us-core-birthsex", "valueCode")),
            Element("state", Type.TEXT, ("address[]", "state"), roles=(Role.QUASI_IDENTIFIER,)),
            Element("country", Type.TEXT, ("address[]", "country")),
        ),
    ),
    Resource(
        "Encounter",
        Form.INTERVALS,
        (
            _ID,
            _PATIENT,
            Element("part_of", Type.REFERENCE, ("partOf",), refers="Encounter"),
            _status(
                "planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"
            ),
            Element("class", Type.CODING, ("class",), required=True, without=UNKNOWN),
            Element("type", Type.CONCEPT, ("type[]",)),
            Element("priority", Type.CONCEPT, ("priority",)),
            Element("start", Type.TIME, ("period", "start")),
            Element("end", Type.TIME, ("period", "end")),
            _REASON,
            Element("admit_source", Type.CONCEPT, ("hospitalization", "admitSource")),
            Element("discharge", Type.CONCEPT, ("hospitalization", "dischargeDisposition")),
        ),
        starts=("start",),
        end="end",
    ),
    Resource(
        "Condition",
        Form.INTERVALS,
        (
            _ID,
            _PATIENT,
            _ENCOUNTER,
            Element("clinical_status", Type.CONCEPT, ("clinicalStatus",)),
            Element("verification_status", Type.CONCEPT, ("verificationStatus",)),
            Element("category", Type.CONCEPT, ("category[]",)),
            Element("severity", Type.CONCEPT, ("severity",)),
            Element("code", Type.CONCEPT, ("code",)),
            Element("onset", Type.TIME, ("onsetDateTime",), (("onsetPeriod", "start"),)),
            Element("abatement", Type.TIME, ("abatementDateTime",), (("abatementPeriod", "start"),)),
            Element("recorded", Type.TIME, ("recordedDate",)),
        ),
        starts=("onset", "recorded"),
        end="abatement",
    ),
    Resource(
        "Observation",
        Form.EVENTS,
        (
            _ID,
            _PATIENT,
            _ENCOUNTER,
            _status(
                "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"
            ),
            Element("category", Type.CONCEPT, ("category[]",)),
            Element("code", Type.CONCEPT, ("code",), required=True, without=UNKNOWN),
            Element("effective", Type.TIME, ("effectiveDateTime",), (("effectiveInstant",), ("effectivePeriod", "start"))),
            Element("value", Type.NUMBER, ("valueQuantity", "value"), (("valueInteger",),), by="code"),
            Element("unit", Type.CODE, ("valueQuantity", "unit"), (("valueQuantity", "code"),)),
            Element("value_code", Type.CONCEPT, ("valueCodeableConcept",)),
            Element("value_boolean", Type.BOOLEAN, ("valueBoolean",)),
            Element("absent_reason", Type.CONCEPT, ("dataAbsentReason",)),
            Element("interpretation", Type.CONCEPT, ("interpretation[]",)),
        ),
        starts=("effective",),
    ),
    Resource(
        "Observation.component",
        Form.EVENTS,
        (
            Element("observation", Type.REFERENCE, (), refers="Observation", required=True),
            Element("code", Type.CONCEPT, ("code",), required=True, without=UNKNOWN),
            Element("value", Type.NUMBER, ("valueQuantity", "value"), (("valueInteger",),), by="code"),
            Element("unit", Type.CODE, ("valueQuantity", "unit"), (("valueQuantity", "code"),)),
            Element("value_code", Type.CONCEPT, ("valueCodeableConcept",)),
            Element("absent_reason", Type.CONCEPT, ("dataAbsentReason",)),
        ),
        part_of="Observation",
        part="component",
    ),
    Resource(
        "MedicationRequest",
        Form.EVENTS,
        (
            _ID,
            _PATIENT,
            _ENCOUNTER,
            _status("active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "unknown"),
            Element(
                "intent",
                Type.CODE,
                ("intent",),
                required=True,
                without="order",
                values=(
                    "proposal", "plan", "order", "original-order", "reflex-order", "filler-order", "instance-order", "option"
                ),
            ),
            Element(
                "medication",
                Type.CONCEPT,
                ("medicationCodeableConcept",),
                (("medicationReference",),),
                required=True,
                without=UNKNOWN,
            ),
            Element("authored", Type.TIME, ("authoredOn",)),
            Element("route", Type.CONCEPT, ("dosageInstruction[]", "route")),
            Element("as_needed", Type.BOOLEAN, ("dosageInstruction[]", "asNeededBoolean")),
            Element("dose", Type.NUMBER, ("dosageInstruction[]", "doseAndRate[]", "doseQuantity", "value"), by="medication"),
            Element("dose_unit", Type.CODE, ("dosageInstruction[]", "doseAndRate[]", "doseQuantity", "unit")),
            Element("frequency", Type.NUMBER, ("dosageInstruction[]", "timing", "repeat", "frequency")),
            Element("period", Type.NUMBER, ("dosageInstruction[]", "timing", "repeat", "period")),
            Element(
                "period_unit",
                Type.CODE,
                ("dosageInstruction[]", "timing", "repeat", "periodUnit"),
                values=("s", "min", "h", "d", "wk", "mo", "a"),
            ),
            _REASON,
        ),
        starts=("authored",),
    ),
    Resource(
        "Procedure",
        Form.INTERVALS,
        (
            _ID,
            _PATIENT,
            _ENCOUNTER,
            _status(
                "preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"
            ),
            Element("category", Type.CONCEPT, ("category",)),
            Element("code", Type.CONCEPT, ("code",)),
            Element("start", Type.TIME, ("performedPeriod", "start"), (("performedDateTime",),)),
            Element("end", Type.TIME, ("performedPeriod", "end")),
            _REASON,
            Element("outcome", Type.CONCEPT, ("outcome",)),
        ),
        starts=("start",),
        end="end",
    ),
)

BY_NAME = {resource.name: resource for resource in RESOURCES}
PARTS = {resource.part_of: resource for resource in RESOURCES if resource.part_of}
CODING = "Coding"  # the reference table of what codes mean
