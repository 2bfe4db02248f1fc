"""What an unusual CIF must not leave to guesses, before pymatgen reads it.

pymatgen reads on where something is wrong: it leaves out a site whose element it does not know,
takes ``.`` for the coordinate 0, and P1 where the operations make no sense. Here such texts are
rejected, as what was read would not be what the file says.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.typing import Float
from jaxcrys.core.untrusted import bound
from jaxcrys.crystal.rejection import Rejection

if TYPE_CHECKING:
    from gemmi.cif import Block

OPERATIONS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
PARAMETERS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")

MOST_OPERATIONS = 192
"""Of a CIF: what a conventional cell has at most."""

FINEST = 10**6
"""Common denominator of the translations of all operations of a CIF."""

MOST_SITES = 20_000
"""Of a CIF; their images are counted later, and bounded by the caller."""

_GROUP_SYMBOLS = ("_symmetry_space_group_name_H-M", "_space_group_name_H-M_alt")
_GROUP_HALL_SYMBOLS = ("_symmetry_space_group_name_Hall", "_space_group_name_Hall")
_GROUP_NUMBERS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_READ = ("_cell_", "_atom_site_", "_symmetry_", "_space_group_")
_ELEMENTS = {*SYMBOLS[1:], "D"}  # T is tritium, or any tetrahedral site
_WATER = re.compile(r"Wat|wat|OH|NO3|O-H")
"""Symbols that stand for several atoms."""

_CHARGE = re.compile(r"\d*[+-]?\d*")
_TERM = r"(?:[xyzXYZ]|\d+/0*[1-9]\d*|\d*\.\d+|\d+\.?)"
_COMPONENT = re.compile(rf"[+-]?{_TERM}(?:[+-]{_TERM})*")


def check_block(block: "Block") -> None:
    """Reject a block of which something would have to be guessed.

    Raises:
        Rejection: ``unreadable``, ``not_finite``, ``unknown_element`` or ``incomplete``.
    """
    for name in PARAMETERS:
        _check_numbers(f"_cell_{name}", block.find_values(f"_cell_{name}"))
    for tag in COORDINATES:
        _check_numbers(tag, block.find_values(tag))
    _check_occupancies(block)
    _check_elements(block, len(block.find_values(COORDINATES[0])))
    check_operations(listed_operations(block))
    _check_group(block)


def check_repeats(block: "Block") -> None:
    """Reject a block that gives the same item twice: libraries differ in which of them they take.

    Raises:
        Rejection: ``unreadable``.
    """
    items = ((item.pair, item.loop) for item in block)
    tags = [tag.lower() for pair, loop in items for tag in _tags(pair, loop)]
    twice = [tag for tag, count in Counter(tags).items() if count > 1 and tag.startswith(_READ)]
    if twice:
        raise Rejection("unreadable", f"gives {twice[0]} twice")


def _tags(pair: Any, loop: Any) -> Sequence[str]:
    if pair is not None:
        return pair[:1]
    return () if loop is None else loop.tags


def check_size(block: "Block") -> None:
    """Reject a block with more sites than anything can be done with.

    Raises:
        Rejection: ``too_many_atoms``.
    """
    sites = len(block.find_values(COORDINATES[0]))
    if sites > bound(MOST_SITES):
        raise Rejection("too_many_atoms", f"{sites} sites, more than {bound(MOST_SITES)}")


def listed_operations(block: "Block") -> list[str]:
    """The operations that a block lists, under one name or the other.

    Raises:
        Rejection: ``unreadable``, if it lists different ones under both.
    """
    from gemmi import cif

    lists = [[cif.as_string(text) for text in block.find_values(tag)] for tag in OPERATIONS]
    found = [each for each in lists if each]
    if len(found) > 1 and len({frozenset(map(_compact, each)) for each in found}) > 1:
        raise Rejection("unreadable", "lists different operations under two names")
    if found and len(found[0]) > bound(MOST_OPERATIONS):
        number = len(found[0])
        raise Rejection("unreadable", f"lists {number} operations; no group has more than 192")
    return found[0] if found else []


def check_operations(texts: Sequence[str]) -> None:
    """Reject what are no operations of a lattice.

    Raises:
        Rejection: ``unreadable``.

    Example:
        >>> check_operations(["x,y,z", "-Y, x-y, z+1/3", "y-x,-x,z+2/3"])
        >>> check_operations(["x,x,z"])
        Traceback (most recent call last):
        jaxcrys.crystal.rejection.Rejection: crystal: 'x,x,z' is no operation of a crystal
    """
    for text in texts:
        parts = _compact(text).split(",")
        known = len(parts) == 3 and all(map(_COMPONENT.fullmatch, parts))
        if not known or not are_operations(np.array([_row(part) for part in parts])):
            raise Rejection("unreadable", f"{text!r} is no operation of a crystal")
    if not form_a_group(tuple(texts)):
        raise Rejection("unreadable", "lists operations that are no group: some are missing")


@functools.lru_cache(maxsize=1024)
def form_a_group(texts: tuple[str, ...]) -> bool:
    """Whether each product of some operations is one of them, up to lattice translations.

    Args:
        texts: of operations, as :func:`check_operations` accepts them.

    Example:
        >>> form_a_group(("x,y,z", "-x,-y,-z")), form_a_group(("x,y,z", "-y,x,z"))
        (True, False)
    """
    components = [_compact(text).split(",") for text in texts]
    shifts = [[_shift(part) for part in parts] for parts in components]
    unit = math.lcm(*(shift.denominator for each in shifts for shift in each))
    if unit > FINEST:
        return False
    rotations = np.array([[_row(part) for part in parts] for parts in components], int)
    translations = np.array([[int(shift * unit) for shift in each] for each in shifts], int)
    rotations, translations = rotations.reshape(-1, 3, 3), translations.reshape(-1, 3)
    products = np.einsum("aij,bjk->abik", rotations, rotations)
    moved = np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]
    listed = _bytes(rotations, translations % unit)
    return _bytes(products, moved % unit) <= listed


def _shift(component: str) -> Fraction:
    """What a component adds; decimals stand for the fractions that they are near to."""
    found = Fraction(0)
    for sign, term in re.findall(rf"([+-]?)({_TERM})", component):
        if term not in "xyz":
            value = Fraction(term) if "." not in term else Fraction(term).limit_denominator(24)
            found += -value if sign == "-" else value
    return found


def _bytes(rotations: np.ndarray, translations: np.ndarray) -> set[bytes]:
    rows = np.concatenate([rotations.reshape(-1, 9), translations.reshape(-1, 3)], -1)
    return set(map(bytes, rows))


def are_operations(rotations: Float[np.ndarray, "*o 3 3"]) -> bool:
    """Whether matrices keep the volume, as those of a lattice do.

    Example:
        >>> are_operations(np.eye(3)), are_operations(np.diag([1, 2, 1]))
        (True, False)
    """
    return bool((np.abs(np.abs(np.linalg.det(rotations)) - 1) < 1e-6).all())


def _compact(text: str) -> str:
    return "".join(text.lower().split())


def _row(component: str) -> list[int]:
    """Coefficients of x, y and z."""
    return [component.count(axis) - 2 * component.count(f"-{axis}") for axis in "xyz"]


def names_a_group(block: "Block") -> bool:
    """Whether a block says anything about its symmetry."""
    from gemmi import cif

    tags = (*_GROUP_SYMBOLS, *_GROUP_HALL_SYMBOLS, *_GROUP_NUMBERS, *OPERATIONS)
    values = (value for tag in tags for value in _all(block, tag))
    return any(not cif.is_null(value) for value in values)


def _check_group(block: "Block") -> None:
    """Reject a block whose symbol and number name different groups, or none where one is needed."""
    import gemmi

    values = [value for tag in _GROUP_SYMBOLS for value in _all(block, tag)]
    symbols = [gemmi.cif.as_string(value) for value in values if not gemmi.cif.is_null(value)]
    groups = [gemmi.find_spacegroup_by_name(symbol) for symbol in symbols]
    if None in groups and not listed_operations(block):
        raise Rejection("unreadable", f"has no operations, and {symbols} names no known group")
    numbers = {group.number for group in groups if group is not None}
    numbers |= {
        int(number)
        for tag in _GROUP_NUMBERS
        for value in _all(block, tag)
        if np.isfinite(number := gemmi.cif.as_number(value))
    }
    if len(numbers) > 1:
        raise Rejection("unreadable", f"names different groups: {sorted(numbers)}")


def _all(block: "Block", tag: str) -> list[str]:
    return list(block.find_values(tag))


def _check_numbers(tag: str, values: Iterable[str]) -> None:
    from gemmi import cif

    for value in values:
        if value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise Rejection("not_finite", f"{tag} is {value}")
        if not np.isfinite(cif.as_number(value)):
            raise Rejection("unreadable", f"{tag} has {value}, which is no number")


def _check_occupancies(block: "Block") -> None:
    """Each must be a positive number, or unknown, which pymatgen takes for 1.

    ``.``, which is 1 as well, it takes for 0; a site that is never occupied it leaves out, others
    do not.
    """
    from gemmi import cif

    for value in block.find_values("_atom_site_occupancy"):
        if value != "?" and not cif.as_number(value) > 0:
            raise Rejection("unreadable", f"_atom_site_occupancy has {value}")


def _check_elements(block: "Block", sites: int) -> None:
    """A type symbol must be an element with a charge; a label must begin with an element."""
    from gemmi import cif

    labels, types = _all(block, "_atom_site_label"), _all(block, "_atom_site_type_symbol")
    for found in filter(None, (labels, types)):
        if len(found) != sites:
            raise Rejection("unreadable", f"has {len(found)} symbols for {sites} sites")
    symbols, typed = types or labels, bool(types)
    if not symbols:
        raise Rejection("unreadable", "has sites without symbols")
    for symbol in map(cif.as_string, symbols):
        if _WATER.match(symbol):
            raise Rejection("incomplete", f"{symbol!r} stands for several atoms")
        element = next((symbol[:n] for n in (2, 1) if symbol[:n].title() in _ELEMENTS), None)
        if element is None or (typed and not _CHARGE.fullmatch(symbol[len(element) :])):
            raise Rejection("unknown_element", f"{symbol!r} is not an element")
