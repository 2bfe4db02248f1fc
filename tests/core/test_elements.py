"""Elements and formulas against pymatgen and ASE."""

import numpy as np
import pytest
from ase.data import chemical_symbols
from pymatgen.core import Composition, Element

from jaxcrys.core.elements import (
    SYMBOLS,
    _column,
    atomic_number,
    parse_formula,
    reduced_formula,
)
from jaxcrys.core.errors import InputError


def test_symbols():
    assert list(SYMBOLS[1:]) == chemical_symbols[1:119]
    assert all(atomic_number(symbol) == n for n, symbol in enumerate(SYMBOLS) if n)


def test_columns_of_the_periodic_table():
    assert [_column(n) for n in range(1, 119)] == [Element(s).group for s in SYMBOLS[1:]]


@pytest.mark.parametrize("formula", ["BaTiO3", "Ca(OH)2", "K2(Mg(SO4)2)3", "Fe", "C60", "H2O"])
def test_formulas_are_read_as_pymatgen_reads_them(formula):
    expected = {e.Z: int(n) for e, n in Composition(formula).items()}
    assert parse_formula(formula) == expected


@pytest.mark.parametrize("formula", ["", "ba", "Ba)", "(Ba", "Ba0", "Na-Cl", "2Na", "Qq", "Ba1.5"])
def test_what_is_not_a_formula(formula):
    with pytest.raises(InputError, match=r"^formula:"):
        parse_formula(formula)


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
def test_reduced_formula_has_the_reduced_composition():
    random = np.random.default_rng(0)
    for _ in range(100):
        numbers = random.choice(np.arange(1, 95), 3, replace=False).tolist()
        counts = dict(zip(numbers, (2 * random.integers(1, 9, 3)).tolist(), strict=True))
        expected = Composition({SYMBOLS[z]: n for z, n in counts.items()}).reduced_composition
        assert Composition(reduced_formula(counts)) == expected
