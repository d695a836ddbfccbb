"""The tables of the OMOP Common Data Model 5.4: columns, types, what is required, keys, forms and times. Knows no data.

Public knowledge, written down from the specification (https://ohdsi.github.io/CommonDataModel/cdm54.html). A column's type follows its
name (`_id` whole number, `_date` date, `_datetime` date with time, all else text) unless it is said; `!` marks a required column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from manikin.data.schema import Form
from manikin.io.column_names import word_set

CITATION = "https://ohdsi.github.io/CommonDataModel/cdm54.html"
PERSON_KEY = "person_id"


class CdmType(StrEnum):
    """What the CDM says that a column holds."""

    INTEGER = "integer"
    NUMERIC = "numeric"
    DATE = "date"
    DATETIME = "datetime"
    TEXT = "text"


@dataclass(frozen=True)
class CdmColumn:
    """A column of the CDM."""

    name: str
    type: CdmType
    is_required: bool = False

    @property
    def is_concept(self) -> bool:
        """Whether it holds ids of the vocabulary."""
        return self.name.endswith("_concept_id")


@dataclass(frozen=True)
class CdmTable:
    """A table of the CDM.

    Attributes
    ----------
    form : how its rows lie in a patient's time.
    primary_key : its key; None where the CDM names none.
    patient_key : the column that names the person; None for tables of nobody.
    start, end : stems of the columns of time: `condition_start` means condition_start_datetime or, without it, condition_start_date.
    subject : the column of concepts that says what a row is about; numbers of the row are measured by it.
    """

    name: str
    columns: tuple[CdmColumn, ...]
    form: Form
    primary_key: str | None = None
    patient_key: str | None = None
    start: str | None = None
    end: str | None = None
    subject: str | None = None

    def __iter__(self) -> Iterator[CdmColumn]:
        return iter(self.columns)

    def get(self, name: str) -> CdmColumn | None:
        """The column of this name, None where the CDM has none."""
        return next((column for column in self.columns if column.name == name), None)


_WORDS = {"int": CdmType.INTEGER, "num": CdmType.NUMERIC, "date": CdmType.DATE, "time": CdmType.DATETIME, "text": CdmType.TEXT}


def _column(word: str) -> CdmColumn:
    name, _, kind = word.partition(":")
    is_required, name = name.endswith("!"), name.rstrip("!")
    if kind:
        found = _WORDS[kind]
    elif name.endswith("_id"):
        found = CdmType.INTEGER
    elif name.endswith("_date"):
        found = CdmType.DATE
    else:
        found = CdmType.DATETIME if name.endswith("_datetime") else CdmType.TEXT
    return CdmColumn(name, found, is_required)


def _table(
    name: str,
    columns: str,
    form: Form = Form.EVENTS,
    *,
    key: bool = True,
    patient: str | None = PERSON_KEY,
    start: str | None = None,
    end: str | None = None,
    subject: str | None = None,
) -> CdmTable:
    primary_key = f"{name}_id" if key else None
    return CdmTable(name, tuple(map(_column, columns.split())), form, primary_key, patient, start, end, subject)


_PLACE = "provider_id visit_occurrence_id visit_detail_id"

TABLES: tuple[CdmTable, ...] = (
    _table(
        "person",
        "person_id! gender_concept_id! year_of_birth!:int month_of_birth:int day_of_birth:int birth_datetime race_concept_id! "
        "ethnicity_concept_id! location_id provider_id care_site_id person_source_value gender_source_value gender_source_concept_id "
        "race_source_value race_source_concept_id ethnicity_source_value ethnicity_source_concept_id",
        Form.STATIC,
    ),
    _table(
        "observation_period",
        "observation_period_id! person_id! observation_period_start_date! observation_period_end_date! period_type_concept_id!",
        Form.INTERVALS,
        start="observation_period_start",
        end="observation_period_end",
    ),
    _table(
        "visit_occurrence",
        "visit_occurrence_id! person_id! visit_concept_id! visit_start_date! visit_start_datetime visit_end_date! visit_end_datetime "
        "visit_type_concept_id! provider_id care_site_id visit_source_value visit_source_concept_id admitted_from_concept_id "
        "admitted_from_source_value discharged_to_concept_id discharged_to_source_value preceding_visit_occurrence_id",
        Form.INTERVALS,
        start="visit_start",
        end="visit_end",
        subject="visit_concept_id",
    ),
    _table(
        "visit_detail",
        "visit_detail_id! person_id! visit_detail_concept_id! visit_detail_start_date! visit_detail_start_datetime "
        "visit_detail_end_date! visit_detail_end_datetime visit_detail_type_concept_id! provider_id care_site_id "
        "visit_detail_source_value visit_detail_source_concept_id admitted_from_concept_id admitted_from_source_value "
        "discharged_to_source_value discharged_to_concept_id preceding_visit_detail_id parent_visit_detail_id visit_occurrence_id!",
        Form.INTERVALS,
        start="visit_detail_start",
        end="visit_detail_end",
        subject="visit_detail_concept_id",
    ),
    _table(
        "condition_occurrence",
        "condition_occurrence_id! person_id! condition_concept_id! condition_start_date! condition_start_datetime "
        "condition_end_date condition_end_datetime condition_type_concept_id! condition_status_concept_id stop_reason "
        f"{_PLACE} condition_source_value condition_source_concept_id condition_status_source_value",
        Form.INTERVALS,
        start="condition_start",
        end="condition_end",
        subject="condition_concept_id",
    ),
    _table(
        "drug_exposure",
        "drug_exposure_id! person_id! drug_concept_id! drug_exposure_start_date! drug_exposure_start_datetime drug_exposure_end_date! "
        "drug_exposure_end_datetime verbatim_end_date drug_type_concept_id! stop_reason refills:int quantity:num days_supply:int "
        f"sig route_concept_id lot_number {_PLACE} drug_source_value drug_source_concept_id route_source_value dose_unit_source_value",
        Form.INTERVALS,
        start="drug_exposure_start",
        end="drug_exposure_end",
        subject="drug_concept_id",
    ),
    _table(
        "procedure_occurrence",
        "procedure_occurrence_id! person_id! procedure_concept_id! procedure_date! procedure_datetime procedure_end_date "
        f"procedure_end_datetime procedure_type_concept_id! modifier_concept_id quantity:int {_PLACE} procedure_source_value "
        "procedure_source_concept_id modifier_source_value",
        start="procedure",
        end="procedure_end",
        subject="procedure_concept_id",
    ),
    _table(
        "device_exposure",
        "device_exposure_id! person_id! device_concept_id! device_exposure_start_date! device_exposure_start_datetime "
        "device_exposure_end_date device_exposure_end_datetime device_type_concept_id! unique_device_id:text production_id:text "
        f"quantity:int {_PLACE} device_source_value device_source_concept_id unit_concept_id unit_source_value unit_source_concept_id",
        Form.INTERVALS,
        start="device_exposure_start",
        end="device_exposure_end",
        subject="device_concept_id",
    ),
    _table(
        "measurement",
        "measurement_id! person_id! measurement_concept_id! measurement_date! measurement_datetime measurement_time:text "
        "measurement_type_concept_id! operator_concept_id value_as_number:num value_as_concept_id unit_concept_id range_low:num "
        f"range_high:num {_PLACE} measurement_source_value measurement_source_concept_id unit_source_value unit_source_concept_id "
        "value_source_value measurement_event_id meas_event_field_concept_id",
        start="measurement",
        subject="measurement_concept_id",
    ),
    _table(
        "observation",
        "observation_id! person_id! observation_concept_id! observation_date! observation_datetime observation_type_concept_id! "
        f"value_as_number:num value_as_string value_as_concept_id qualifier_concept_id unit_concept_id {_PLACE} "
        "observation_source_value observation_source_concept_id unit_source_value qualifier_source_value value_source_value "
        "observation_event_id obs_event_field_concept_id",
        start="observation",
        subject="observation_concept_id",
    ),
    _table(
        "death",
        "person_id! death_date! death_datetime death_type_concept_id cause_concept_id cause_source_value cause_source_concept_id",
        Form.STATIC,
        key=False,
        start="death",
    ),
    _table(
        "specimen",
        "specimen_id! person_id! specimen_concept_id! specimen_type_concept_id! specimen_date! specimen_datetime quantity:num "
        "unit_concept_id anatomic_site_concept_id disease_status_concept_id specimen_source_id:text specimen_source_value "
        "unit_source_value anatomic_site_source_value disease_status_source_value",
        start="specimen",
        subject="specimen_concept_id",
    ),
    _table(
        "payer_plan_period",
        "payer_plan_period_id! person_id! payer_plan_period_start_date! payer_plan_period_end_date! payer_concept_id "
        "payer_source_value payer_source_concept_id plan_concept_id plan_source_value plan_source_concept_id sponsor_concept_id "
        "sponsor_source_value sponsor_source_concept_id family_source_value stop_reason_concept_id stop_reason_source_value "
        "stop_reason_source_concept_id",
        Form.INTERVALS,
        start="payer_plan_period_start",
        end="payer_plan_period_end",
    ),
    _table(
        "drug_era",
        "drug_era_id! person_id! drug_concept_id! drug_era_start_date! drug_era_end_date! drug_exposure_count:int gap_days:int",
        Form.INTERVALS,
        start="drug_era_start",
        end="drug_era_end",
        subject="drug_concept_id",
    ),
    _table(
        "dose_era",
        "dose_era_id! person_id! drug_concept_id! unit_concept_id! dose_value!:num dose_era_start_date! dose_era_end_date!",
        Form.INTERVALS,
        start="dose_era_start",
        end="dose_era_end",
        subject="drug_concept_id",
    ),
    _table(
        "condition_era",
        "condition_era_id! person_id! condition_concept_id! condition_era_start_date! condition_era_end_date! "
        "condition_occurrence_count:int",
        Form.INTERVALS,
        start="condition_era_start",
        end="condition_era_end",
        subject="condition_concept_id",
    ),
    _table(
        "episode",
        "episode_id! person_id! episode_concept_id! episode_start_date! episode_start_datetime episode_end_date episode_end_datetime "
        "episode_parent_id episode_number:int episode_object_concept_id! episode_type_concept_id! episode_source_value "
        "episode_source_concept_id",
        Form.INTERVALS,
        start="episode_start",
        end="episode_end",
        subject="episode_concept_id",
    ),
    _table(
        "cohort",
        "cohort_definition_id! subject_id! cohort_start_date! cohort_end_date!",
        Form.INTERVALS,
        key=False,
        patient="subject_id",
        start="cohort_start",
        end="cohort_end",
    ),
    _table(
        "location",
        "location_id! address_1 address_2 city state zip county location_source_value country_concept_id country_source_value "
        "latitude:num longitude:num",
        Form.REFERENCE,
        patient=None,
    ),
    _table(
        "care_site",
        "care_site_id! care_site_name place_of_service_concept_id location_id care_site_source_value place_of_service_source_value",
        Form.REFERENCE,
        patient=None,
    ),
    _table(
        "provider",
        "provider_id! provider_name npi dea specialty_concept_id care_site_id year_of_birth:int gender_concept_id "
        "provider_source_value specialty_source_value specialty_source_concept_id gender_source_value gender_source_concept_id",
        Form.REFERENCE,
        patient=None,
    ),
    _table(
        "cohort_definition",
        "cohort_definition_id! cohort_definition_name! cohort_definition_description definition_type_concept_id! "
        "cohort_definition_syntax subject_concept_id! cohort_initiation_date",
        Form.REFERENCE,
        patient=None,
    ),
    _table(
        "cdm_source",
        "cdm_source_name! cdm_source_abbreviation! cdm_holder! source_description source_documentation_reference cdm_etl_reference "
        "source_release_date! cdm_release_date! cdm_version cdm_version_concept_id! vocabulary_version!",
        Form.REFERENCE,
        key=False,
        patient=None,
    ),
    _table(
        "metadata",
        "metadata_id! metadata_concept_id! metadata_type_concept_id! name! value_as_string value_as_concept_id value_as_number:num "
        "metadata_date metadata_datetime",
        Form.REFERENCE,
        patient=None,
    ),
)

BY_NAME = {table.name: table for table in TABLES}

VOCABULARY = word_set(
    "concept vocabulary domain concept_class concept_relationship relationship concept_synonym concept_ancestor source_to_concept_map "
    "drug_strength"
)
LEFT_OUT = {
    **dict.fromkeys(VOCABULARY, "the vocabulary, which is licensed and names nobody"),
    "note": "free text",
    "note_nlp": "made from free text",
    "cost": "names rows of other tables by a number whose table is not a key",
    "fact_relationship": "names rows of other tables by a number whose table is not a key",
    "episode_event": "names rows of other tables by a number whose table is not a key",
}  # tables that are not read, and why

UNTRACED = ("measurement_event_id", "observation_event_id")  # names a row of a table that another column's concept says
SAYS_WHO = {
    "location": ("address_1", "address_2", "city", "zip", "county", "location_source_value", "latitude", "longitude"),
    "provider": ("provider_name", "npi", "dea", "provider_source_value"),
}  # columns of reference tables that tell homes and names; these tables are given back as they are, so the columns are not read
IDENTIFIES = ("person_source_value", "specimen_source_id", "unique_device_id", "production_id", "lot_number")

HINTS = {
    "condition_source_value": "icd9 icd10 diagnosis",
    "cause_source_value": "icd9 icd10 diagnosis",
    "drug_source_value": "atc",
    "measurement_source_value": "loinc",
}  # what the source's codes may be of, where they read like it

_ODD_KEYS = {
    "subject_id": "person",
    "preceding_visit_occurrence_id": "visit_occurrence",
    "preceding_visit_detail_id": "visit_detail",
    "parent_visit_detail_id": "visit_detail",
    "episode_parent_id": "episode",
}


def referred(table: CdmTable, column: str) -> str | None:
    """The table whose key a column holds; None where it is no reference."""
    if column in _ODD_KEYS:
        return _ODD_KEYS[column]
    other = BY_NAME.get(column.removesuffix("_id")) if column.endswith("_id") else None
    return other.name if other is not None and other is not table and other.primary_key == column else None
