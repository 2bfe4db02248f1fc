"""Read a crystal from CIF text, with the results of pymatgen's reader at a tenth of its cost.

Ordinary texts (one structure, its operations listed, full occupancies) are read by gemmi under
pymatgen's rules: coordinates close to 1/3 and 2/3 are set to them, and images of a site closer
than 1e-4 are one atom. Everything else is handed to pymatgen itself, unless it would have to guess
(``cif_checks``).
"""

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.crystal.cif import ITEM_PREFIX
from jaxcrys.crystal.cif_checks import (
    COORDINATES,
    PARAMETERS,
    are_operations,
    check_block,
    check_repeats,
    check_size,
    form_a_group,
    listed_operations,
    names_a_group,
)
from jaxcrys.crystal.convert import raw_from_structure
from jaxcrys.crystal.raw import RawCell
from jaxcrys.crystal.rejection import Rejection
from jaxcrys.geometry.lattice import matrix_from_parameters
from jaxcrys.geometry.periodic import wrap

if TYPE_CHECKING:
    from gemmi.cif import Block

_UNUSUAL = ("_atom_site_attached_hydrogens", "_atom_site_moment", "_space_group_symop_magn")
_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:\d*[+-]?|[+-]\d)")
_LABEL = re.compile(r"([A-Z][a-z]?)\d*")
_OPERATION = re.compile(r"[xyzXYZ0-9+\-/, ]+")
_IDEAL = (1 / 3, 2 / 3)
_IDEAL_TOLERANCE = 1e-4
_SITE_TOLERANCE = 1e-4
_PAIRS_AT_ONCE = 2**20


def read_cif(text: str) -> RawCell:
    """The full unit cell that a CIF text describes.

    Labels stand in for missing type symbols, oxidation states are dropped, operations are applied.

    Args:
        text: the content of a CIF file.

    Raises:
        Rejection: ``unreadable``, ``several_structures``, ``no_atoms``, ``bad_lattice``,
            ``disordered`` or ``unknown_element``.

    Example:
        >>> from jaxcrys.crystal import example_crystal
        >>> from jaxcrys.crystal.cif import to_cif
        >>> read_cif(to_cif(example_crystal())).numbers.tolist()
        [11, 11, 11, 11, 17, 17, 17, 17]
    """
    try:
        blocks = _structure_blocks(text)
    except ValueError as error:
        raise Rejection("unreadable", f"is not a CIF ({error})") from error
    if not blocks:
        raise Rejection("no_atoms", "the CIF has no atom sites")
    if len(blocks) > 1:
        raise Rejection(
            "several_structures", f"the CIF holds {len(blocks)} structures", "give one at a time"
        )
    plain = _read_plain(blocks[0])
    return _read_with_pymatgen(blocks[0]) if plain is None else plain


def split_cif(text: str) -> list[str]:
    """One CIF text for each structure of a text that may hold several.

    Example:
        >>> len(split_cif("data_a _atom_site_fract_x 0 data_b _atom_site_fract_x 0 data_global"))
        2
    """
    from gemmi import cif

    try:
        blocks = _structure_blocks(text)
    except ValueError:
        return [text]
    if len(blocks) < 2:
        return [text]
    documents = [cif.Document() for _ in blocks]
    for document, block in zip(documents, blocks, strict=True):
        document.add_copied_block(block)
    return [document.as_string() for document in documents]


def read_items(text: str) -> dict[str, str]:
    """The numbers and texts that :func:`~jaxcrys.crystal.cif.to_cif` wrote beside a crystal.

    Example:
        >>> read_items("data_salt _jaxcrys_gap 5.0 _jaxcrys_note 'white, cubic' _other 1")
        {'gap': '5.0', 'note': 'white, cubic'}
    """
    from gemmi import cif

    try:
        blocks = list(cif.read_string(text, check_level=0)) if ITEM_PREFIX in text else []
    except ValueError:
        return {}
    found = {}
    for item in (item for block in blocks for item in block):
        pair: Any = item.pair
        if pair is not None and pair[0].startswith(ITEM_PREFIX):
            found[pair[0].removeprefix(ITEM_PREFIX)] = cif.as_string(pair[1])
    return found


def _structure_blocks(text: str) -> "list[Block]":
    """The data blocks that have atom sites; ``ValueError`` if the syntax is not that of CIF."""
    from gemmi import cif

    document = cif.read_string(text, check_level=0)  # several blocks may have the same name
    return [block for block in document if block.find_values(COORDINATES[0])]


def _read_plain(block: "Block") -> RawCell | None:
    """The cell of an ordinary block; None if anything about it is unusual."""
    check_size(block)
    check_repeats(block)
    if any(block.find_mmcif_category(tag) for tag in _UNUSUAL):
        return None
    parameters = np.array([_value(block, f"_cell_{name}") for name in PARAMETERS])
    coordinates = [_values(block, tag) for tag in COORDINATES]
    occupancies = _occupancies(block)
    numbers, operations = _numbers(block), _operations(block)
    known = (
        numbers is not None
        and operations is not None
        and all(len(axis) == len(numbers) for axis in coordinates)
        and len(block.find_values("_atom_site_label")) in (0, len(numbers))
        and np.isfinite(parameters).all()
        and np.isfinite(coordinates).all()
        and all(occupancy == 1 for occupancy in occupancies)
    )
    if not known:
        return None
    with np.errstate(invalid="ignore"):
        lattice = np.asarray(matrix_from_parameters(parameters))
    possible = (parameters > 0).all() and (parameters[3:] < 180).all()
    if not (possible and np.isfinite(lattice).all()):
        raise Rejection("bad_lattice", f"no lattice has the parameters {parameters.tolist()}")
    frac, site = _images(_idealise(np.array(coordinates).T), *operations)
    return RawCell(lattice, frac, numbers[site])


def _values(block: "Block", tag: str) -> list[float]:
    from gemmi import cif

    return [cif.as_number(value) for value in block.find_values(tag)]


def _occupancies(block: "Block") -> list[float]:
    """Of the sites; those that are not given are 1, as the dictionary of CIF has it."""
    from gemmi import cif

    values = block.find_values("_atom_site_occupancy")
    return [1.0 if cif.is_null(value) else cif.as_number(value) for value in values]


def _value(block: "Block", tag: str) -> float:
    values = _values(block, tag)
    return values[0] if len(values) == 1 else np.nan


def _numbers(block: "Block") -> Int[np.ndarray, "n"] | None:
    """Atomic numbers of the sites, by type symbol or else by label."""
    import gemmi

    symbols, pattern = block.find_values("_atom_site_type_symbol"), _SYMBOL
    if not symbols:
        symbols, pattern = block.find_values("_atom_site_label"), _LABEL
    numbers = []
    for symbol in symbols:
        found = pattern.fullmatch(gemmi.cif.as_string(symbol))
        number = gemmi.Element(found[1]).atomic_number if found else 0
        if number == 0:
            return None
        numbers.append(number)
    return np.array(numbers, int)


def _operations(block: "Block") -> tuple[np.ndarray, np.ndarray] | None:
    """Rotations and translations of the listed operations."""
    import gemmi

    texts = listed_operations(block)
    try:
        operations = [gemmi.Op(text) for text in texts if _OPERATION.fullmatch(text)]
    except RuntimeError:
        return None
    if not texts or len(operations) < len(texts):
        return None
    rotations = np.array([operation.rot for operation in operations]) / gemmi.Op.DEN
    if not are_operations(rotations) or not form_a_group(tuple(texts)):
        return None
    return rotations, np.array([operation.tran for operation in operations]) / gemmi.Op.DEN


def _idealise(frac: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Set coordinates such as 0.33333 to the fraction that they stand for."""
    for ideal in _IDEAL:
        frac = np.where(np.abs(frac / ideal - 1) <= _IDEAL_TOLERANCE, ideal, frac)
    return frac


def _images(
    frac: Float[np.ndarray, "n 3"],
    rotations: Float[np.ndarray, "o 3 3"],
    translations: Float[np.ndarray, "o 3"],
) -> tuple[Float[np.ndarray, "m 3"], Int[np.ndarray, "m"]]:
    """The distinct images of each site under the operations, and the site of each."""
    images = np.asarray(wrap(np.einsum("oij,nj->noi", rotations, frac) + translations))
    # A few sites at a time: the differences of all would take more memory than there is.
    at_once = max(1, _PAIRS_AT_ONCE // len(rotations) ** 2)
    starts = range(0, max(1, len(images)), at_once)
    first = np.concatenate([_first_of_equal(images[i : i + at_once]) for i in starts])
    return images[first], np.nonzero(first)[0]


def _first_of_equal(images: Float[np.ndarray, "n o 3"]) -> Bool[np.ndarray, "n o"]:
    """Which images of each site do not lie where one before them lies."""
    difference = images[:, :, None] - images[:, None]
    difference -= np.round(difference)
    same = (np.abs(difference) < _SITE_TOLERANCE).all(-1)
    return same.argmax(-1) == np.arange(images.shape[1])


def _read_with_pymatgen(block: "Block") -> RawCell:
    from gemmi import cif
    from pymatgen.io.cif import CifParser

    check_block(block)
    document = cif.Document()
    document.add_copied_block(block)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen remarks on each correction that it makes
            parser = CifParser.from_str(document.as_string())
            structures = parser.parse_structures(primitive=False)
    except Exception as error:
        reason = str(error).strip().split("\n")[0]
        raise Rejection("unreadable", f"is not a CIF that pymatgen can read ({reason})") from error
    remarks: list[str] = getattr(parser, "warnings")  # noqa: B009
    if names_a_group(block) and any("Defaulting to P1" in remark for remark in remarks):
        raise Rejection("unreadable", "has a symmetry that pymatgen does not know")
    return raw_from_structure(structures[0])
