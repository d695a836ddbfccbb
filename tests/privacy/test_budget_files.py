"""Several releases of the same patients share one budget: what one spent the next lacks, whatever happens to the processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from manikin.data.errors import BudgetError, ParameterError
from manikin.privacy.events import Gaussian
from manikin.privacy.ledger import Ledger, make_book, open_book, read_book


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "budget.json"
    make_book(path, epsilon=1.0, delta=1e-6, data="the register of 2024")
    return path


def spend(ledger: Ledger, share: float = 0.3) -> None:
    ledger.spend(Gaussian((share * ledger.precision) ** -0.5), purpose="counts")


def test_releases_share_the_budget(book: Path) -> None:
    def release(share: float) -> None:
        ledger = Ledger(epsilon=1.0, delta=1e-6)
        with open_book(book, ledger):
            spend(ledger, share)

    for _ in range(3):
        release(0.3)
    with pytest.raises(BudgetError, match=r"budget\.json allows epsilon 1 in all"):
        release(0.3)
    assert read_book(book).cost().epsilon <= 1.0
    assert len(read_book(book).releases) == 3


def test_a_refused_spend_is_in_neither_book(book: Path) -> None:
    first, second = (Ledger(epsilon=5.0, delta=1e-6) for _ in range(2))
    with open_book(book, first):
        first.spend(Gaussian(5.0), purpose="counts")
    with open_book(book, second), pytest.raises(BudgetError):
        second.spend(Gaussian(3.0), purpose="counts")
    assert not second.spends
    assert list(read_book(book).releases) == [first.release]


def test_a_release_name_used_again_forgets_nothing(book: Path) -> None:
    """A second run under the first one's name must not take its place in the book."""
    for attempt in range(2):
        ledger = Ledger(epsilon=1.0, delta=1e-6, release="mine")
        with open_book(book, ledger):
            if attempt == 0:
                spend(ledger, 0.5)
                continue
            with pytest.raises(BudgetError, match="other spends of a release 'mine'"):
                spend(ledger, 0.4)
    assert len(read_book(book).events()) == 1


def test_a_resumed_release_goes_on_in_the_book(book: Path) -> None:
    ledger = Ledger(epsilon=1.0, delta=1e-6, release="mine")
    with open_book(book, ledger):
        spend(ledger)
    with open_book(book, ledger):
        spend(ledger)
    assert read_book(book).events() == ledger.events


def test_a_link_is_the_same_book(book: Path) -> None:
    link = book.with_name("link.json")
    link.symlink_to(book)
    ledger, other = Ledger(epsilon=1.0, delta=1e-6), Ledger(epsilon=1.0, delta=1e-6)
    with open_book(link, ledger):
        spend(ledger)
        with pytest.raises(BudgetError, match="Another run"), open_book(book, other):
            pass
    assert link.is_symlink()
    assert read_book(book).events() == ledger.events


def test_one_run_at_a_time(book: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from manikin.privacy.ledger import Ledger, open_book\n"
        "with open_book(Path(sys.argv[1]), Ledger(epsilon=1.0, delta=1e-6)): pass"
    )
    with open_book(book, Ledger(epsilon=1.0, delta=1e-6)):
        beside = subprocess.run([sys.executable, "-c", code, str(book)], capture_output=True, text=True, check=False)
    assert beside.returncode == 1
    assert "Another run spends from budget.json" in beside.stderr
    assert subprocess.run([sys.executable, "-c", code, str(book)], check=False).returncode == 0


def test_a_killed_run_has_spent(book: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from manikin.privacy.events import Gaussian; from manikin.privacy.ledger import Ledger, open_book\n"
        "ledger = Ledger(epsilon=1.0, delta=1e-6)\n"
        "with open_book(Path(sys.argv[1]), ledger):\n"
        "    ledger.spend(Gaussian(9.0), purpose='counts'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(book)], check=False).returncode == -9
    assert read_book(book).events() == [Gaussian(9.0)]
    with open_book(book, Ledger(epsilon=1.0, delta=1e-6)):
        pass


def test_a_book_is_not_begun_anew(book: Path) -> None:
    with pytest.raises(ParameterError, match="exists already"):
        make_book(book, epsilon=9.0, delta=1e-6)


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "manikin-ledger"},
        {"budget": None},
        {"budget": {"epsilon": float("inf"), "delta": 1e-6}},
        {"releases": []},
        {"releases": {"a": {}}},
        {"releases": {"a": {"spends": [{"event": {"kind": "refund"}}]}}},
        {"releases": {"a": {"spends": [{"event": {"kind": "gaussian", "noise_multiplier": -1}}]}}},
    ],
)
def test_a_damaged_book_is_refused(book: Path, damage: dict[str, object]) -> None:
    book.write_text(json.dumps({**json.loads(book.read_text()), **damage}))
    with pytest.raises(ParameterError):
        read_book(book)
    with pytest.raises(ParameterError), open_book(book, Ledger(epsilon=1.0, delta=1e-6)):
        pass
