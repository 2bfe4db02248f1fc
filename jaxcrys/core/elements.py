"""Chemical symbols, formulas and atomic masses, without any host-side library."""

import functools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from jaxcrys.core.errors import InputError

_TABLE = """
    X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge
    As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm
    Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U
    Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

SYMBOLS = tuple(_TABLE.split())
"""Symbol of each atomic number; entry 0 stands for no atom."""

_NUMBERS: dict[str, int] = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}


def atomic_number(symbol: str) -> int:
    """Atomic number of a chemical symbol.

    Raises:
        InputError: if there is no such element.

    Example:
        >>> atomic_number("Na")
        11
    """
    if symbol not in _NUMBERS:
        raise InputError("element", f"there is no element {symbol!r}", "write it as Na or Cl")
    return _NUMBERS[symbol]


def parse_formula(formula: str) -> dict[int, int]:
    """Atomic numbers and counts of a formula with whole numbers; brackets are allowed.

    Raises:
        InputError: if it cannot be read.

    Example:
        >>> parse_formula("Ca(OH)2")
        {20: 1, 8: 2, 1: 2}
    """
    stack: list[Counter[int]] = [Counter()]
    place = 0
    for found in re.finditer(r"([A-Z][a-z]?)(\d*)|(\()|(\))(\d*)", formula):
        if found.start() != place or (found[4] and len(stack) == 1):
            break
        place = found.end()
        if found[1]:
            if found[1] not in _NUMBERS:
                problem = f"there is no element {found[1]!r} in {formula!r}"
                raise InputError("formula", problem, "write it as BaTiO3 or Ca(OH)2")
            stack[-1][_NUMBERS[found[1]]] += int(found[2] or 1)
        elif found[3]:
            stack.append(Counter())
        else:
            for number, count in stack.pop().items():
                stack[-1][number] += count * int(found[5] or 1)
    if place != len(formula) or len(stack) != 1 or not all(stack[0].values()) or not formula:
        raise InputError("formula", f"cannot read {formula!r}", "write it as BaTiO3 or Ca(OH)2")
    return dict(stack[0])


def reduced_formula(counts: Mapping[int, int]) -> str:
    """Formula with counts divided by their greatest common divisor, metals first by number.

    Elements stand in order of electronegativity as far as the periodic table's columns tell: by
    group of the table, then by period, as in common inorganic formulas.

    Example:
        >>> reduced_formula({8: 6, 56: 2, 22: 2})
        'BaTiO3'
    """
    divisor = math.gcd(*counts.values())
    order = sorted(counts, key=lambda number: (_column(number), number))
    return "".join(
        SYMBOLS[n] + (str(counts[n] // divisor) if counts[n] > divisor else "") for n in order
    )


def anonymous_formula(amounts: Sequence[int]) -> str:
    """Reduced formula with letters for the elements, in the order given.

    Example:
        >>> anonymous_formula([2, 2, 6])
        'ABC3'
    """
    divisor = math.gcd(*amounts)
    counts = [amount // divisor for amount in amounts]
    return "".join(f"{chr(ord('A') + i)}{n if n > 1 else ''}" for i, n in enumerate(counts))


@functools.cache
def _column(number: int) -> int:
    """Column of the periodic table, 1 to 18; lanthanides and actinides count as column 3."""
    noble = np.array([0, 2, 10, 18, 36, 54, 86, 118])
    period = int(np.searchsorted(noble, number))
    place = number - noble[period - 1]
    length = noble[period] - noble[period - 1]
    if place <= 2:
        return 18 if number == 2 else int(place)
    if length == 32:
        return 3 if place <= 16 else int(place) - 14
    return int(place) + 18 - int(length)
