"""What a person must say about a release, and what a card must answer: purpose, need, recipients, groups, publication. Knows no policy.

The questions are those that Caldicott guardians and information-request officers ask.
"""

from __future__ import annotations

from collections.abc import Mapping

from manikin.data.errors import ParameterError

MAX_ANSWER = 2000
QUESTIONS: Mapping[str, str] = {
    "title": "What is the data set called?",
    "publisher": "Who releases it?",
    "contact": "Whom does one ask about it?",
    "licence": "Under which licence or terms?",
    "generator": "What made it, where Manikin did not?",
    "intended_use": "What is it meant for?",
    "purpose": "For which purpose was it made, and is synthetic data needed for it?",
    "minimum_necessary": "Is it the minimum necessary: could fewer columns or rows do?",
    "recipients": "Who may receive it?",
    "group_facts": "What does it disclose about groups of people, and who could misuse that?",
    "publication": "May it be published in answer to an information request?",
    "consent_basis": "On which consent or legal basis were the real data used?",
    "limits": "What else must a user know?",
    "code_books": "Which tables of nobody go along, and why does none of them name a person?",
}
ASKED_BY_GUARDIANS = ("purpose", "minimum_necessary", "recipients", "group_facts", "publication", "consent_basis")
STEPS = ("data_use_terms", "human_sample", "second_approver", "watermark", "officers_waiver")  # of the policies that come with Manikin


def check_answers(answers: Mapping[str, str], known: set[str], where: str) -> dict[str, str]:
    """The answers that say something, as plain texts.

    Raises
    ------
    ParameterError : an answer to a question that nobody asks, or one that is no text or too long.
    """
    kept = {}
    for name, text in answers.items():
        if name not in known:
            raise ParameterError(f"{where} answers {name!r}, which nobody asks. It may answer {', '.join(sorted(known))}.")
        if not isinstance(text, str) or len(text) > MAX_ANSWER:
            raise ParameterError(f"{where}: the answer to {name!r} must be a text of at most {MAX_ANSWER} characters.")
        if text.strip():
            kept[name] = " ".join(text.split())
    return kept
