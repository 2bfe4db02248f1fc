"""What a wish allows a model of templates to draw, and whether that is possible at all."""

import bisect
from collections.abc import Callable

import numpy as np

from jaxcrys.core.elements import SYMBOLS
from jaxcrys.core.errors import InputError
from jaxcrys.core.typing import Bool, Float, Int
from jaxcrys.crystal.build import fit_lattice
from jaxcrys.geometry.lattice import matrix_from_parameters
from jaxcrys.processes.site_sequence import Limits
from jaxcrys.sampling.wish import (
    MOST_ATOMS,
    TemplateText,
    Wish,
    atoms_of,
    elements_of,
    lattice_of,
    parse_groups,
    parse_template,
    sites_of,
)
from jaxcrys.symmetry.oracles import Amounts, can_finish, make_amounts
from jaxcrys.symmetry.oracles.reachability import ranges
from jaxcrys.symmetry.tables import NUM_GROUPS

GROUPS = np.arange(NUM_GROUPS + 1)
"""Numbers of the space groups; 0 is none."""


def limits_of(wish: Wish, sites: int) -> Limits:
    """What a wish says of groups, elements and amounts; of the groups, those where it can be met.

    Args:
        wish: what is asked for, without an exact formula.
        sites: slots of the model.

    Raises:
        InputError: if there is no such group, with the nearest wish that can be met.

    Example:
        >>> limits = limits_of(Wish(groups="1,227", elements_required="Li-O", max_atoms=3), 9)
        >>> np.flatnonzero(np.isfinite(limits.groups)).tolist()  # 227 has no orbit of one atom
        [1]
    """
    allowed, required = elements_of(wish)
    template = None if wish.template is None else parse_template(wish.template)
    if template:
        for _, number in template.sites:
            if number and not (allowed | required)[number]:
                raise InputError("--template", f"{SYMBOLS[number]} is not in --chemical-system")
    amounts = amounts_of(wish, sites)
    wanted = weights_of(wish)
    possible = _possible(template, required, amounts, sites)
    if not (possible & np.isfinite(wanted)).any():
        raise _impossible(wish, template, required, possible, sites)
    return Limits(
        groups=np.where(possible, wanted, -np.inf).astype(np.float32),
        allowed=allowed,
        required=required,
        amounts=amounts,
    )


def amounts_of(wish: Wish, sites: int) -> Amounts | None:
    """Numbers of atoms and sites that a wish allows.

    Raises:
        InputError: if the model has not as many slots, or the template more or fewer sites.
    """
    atoms, number = atoms_of(wish), sites_of(wish)
    if atoms is None and number is None and wish.template is None:
        return None
    fewest, most = number or (1, sites)
    if fewest > sites:
        raise InputError("--sites", f"{fewest} are more than the {sites} that the model knows")
    if wish.template is not None:
        template = parse_template(wish.template)
        given = len(template.sites)
        fewest, most = max(fewest, given), min(most, sites if template.more else given)
        if fewest > most:
            raise InputError("--sites", f"is {wish.sites}, the --template has {given}")
    low, high = atoms or (1, MOST_ATOMS)
    return make_amounts(range(low, high + 1), sites=(fewest, min(most, sites)))


def weights_of(wish: Wish) -> Float[np.ndarray, "231"]:
    """Log-weights of the groups asked for, -inf for all others."""
    logs = np.where(GROUPS > 0, 0.0, -np.inf)
    if wish.groups is not None:
        logs[:] = -np.inf
        for group, weight in parse_groups(wish.groups).items():
            logs[group] = np.log(weight)
    if wish.template is not None:
        logs[parse_template(wish.template).group != GROUPS] = -np.inf
    lattice = lattice_of(wish)
    if lattice is not None:
        fits = [group > 0 and has_lattice(int(group), lattice) for group in GROUPS]
        if not (np.array(fits) & np.isfinite(logs)).any():
            raise InputError(
                "--lattice", "fits none of the groups asked for",
                f"it is one of groups {ranges(np.flatnonzero(fits).tolist())}",
            )  # fmt: skip
        logs[~np.array(fits)] = -np.inf
    return logs


def has_lattice(group: int, parameters: tuple[float, ...]) -> bool:
    """Whether a group can have a conventional cell with these parameters.

    Example:
        >>> has_lattice(194, (4, 4, 6, 90, 90, 120)), has_lattice(225, (4, 4, 6, 90, 90, 120))
        (True, False)
    """
    try:
        fit_lattice(np.asarray(matrix_from_parameters(np.array(parameters))), group)
    except InputError:
        return False
    return True


def _possible(
    template: TemplateText | None,
    required: Bool[np.ndarray, "119"],
    amounts: Amounts | None,
    sites: int,
) -> Bool[np.ndarray, "231"]:
    """In which groups, by the sites given and the amounts, the wish can be met."""
    wyckoff, missing = _beginning(template, required, sites)
    room = sites - len(template.sites if template else ())
    fewest = max(missing, 0 if template else 1)
    if amounts is None:
        possible = np.full(len(GROUPS), fewest <= room)
    else:
        batch = np.broadcast_to(wyckoff, (NUM_GROUPS, sites))
        bounds = np.full(NUM_GROUPS, fewest), np.full(NUM_GROUPS, room)
        possible = np.concatenate([[False], can_finish(amounts, GROUPS[1:], batch, *bounds)])
    if template:
        possible = possible & (template.group == GROUPS)
    return possible & (GROUPS > 0)


def _beginning(
    template: TemplateText | None, required: Bool[np.ndarray, "119"], sites: int
) -> tuple[Int[np.ndarray, " s"], int]:
    """Sites at the start, and how many required elements need further ones."""
    wyckoff, given = np.zeros(sites, np.int32), template.sites if template else ()
    if len(given) > sites:
        raise InputError("--template", f"has {len(given)} sites, the model knows {sites}")
    wyckoff[: len(given)] = [position for position, _ in given]
    present = {number for _, number in given}
    missing = sum(int(number) not in present for number in np.flatnonzero(required))
    return wyckoff, max(missing - sum(not number for _, number in given), 0)


def _impossible(
    wish: Wish,
    template: TemplateText | None,
    required: Bool[np.ndarray, "119"],
    possible: Bool[np.ndarray, "231"],
    sites: int,
) -> InputError:
    """The complaint about a wish that cannot be met, with the nearest ones that can."""
    atoms, number = atoms_of(wish), sites_of(wish)
    elements = int(required.sum())
    asked = [
        f"{elements} required elements" if elements else "",
        f"{_written(atoms)} atoms in the primitive cell" if atoms else "",
        f"{_written(number)} sites" if number else "",
        f"groups {wish.groups}" if wish.groups else "",
        f"the template {wish.template!r}" if wish.template else "",
    ]
    mends = []
    if possible.any():
        mends.append(f"groups that can: {ranges(np.flatnonzero(possible).tolist())}")
    wanted = np.isfinite(weights_of(wish))
    if atoms:

        def feasible(low: int, high: int) -> bool:
            tables = make_amounts(range(low, high + 1), sites=number or (1, sites))
            return bool((_possible(template, required, tables, sites) & wanted).any())

        nearest = _nearest(feasible, *atoms)
        if nearest is not None:
            mends.append(f"the nearest number of atoms is {nearest}")
    where = "--atoms" if wish.atoms else "--max-atoms" if wish.max_atoms else "--sites"
    where = where if atoms or number else "--elements-required"
    return InputError(
        where,
        f"no template has {', '.join(filter(None, asked))}",
        "; ".join(mends) or "ask for more sites or fewer elements",
    )


def _nearest(feasible: Callable[[int, int], bool], low: int, high: int) -> int | None:
    """The number nearest to a range that makes it feasible; wider ranges are no less feasible."""
    up = MOST_ATOMS - high
    more = bisect.bisect_left(range(up), True, lo=1, key=lambda step: feasible(low, high + step))
    less = bisect.bisect_left(range(low), True, lo=1, key=lambda step: feasible(low - step, high))
    found = [(step, number) for step, number, end in
             ((more, high + more, up), (less, low - less, low)) if step < end]  # fmt: skip
    return min(found)[1] if found else None


def _written(numbers: tuple[int, int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]} to {numbers[1]}"
