"""Why a crystal from outside cannot be used: a short stable code and a sentence."""

from jaxcrys.core.errors import InputError

REASONS = {
    "unreadable": "the text or record could not be parsed",
    "too_large": "the text is longer than any crystal needs",
    "several_structures": "a text holds more than one structure",
    "no_atoms": "there are no atoms",
    "not_finite": "a coordinate or lattice entry is NaN, infinite or beyond all bounds",
    "bad_lattice": "the lattice vectors span no volume, or are too short or too long",
    "unknown_element": "a species is not one of the elements 1 to 118",
    "disordered": "a site is partly occupied or shared by several elements",
    "incomplete": "not all atoms of the crystal are given",
    "too_many_atoms": "the cell holds more atoms than allowed",
    "too_many_sites": "the crystal has more occupied Wyckoff positions than allowed",
    "overlap": "two atoms are closer than allowed",
    "no_symmetry": "the symmetry engine gave up",
    "no_sites": "the standardised cell does not fit its space group",
    "unexpected": "an error inside this software",
    "worker_died": "reading it crashed the worker process or took far too long",
}
"""Every code with its meaning; files of rejected rows use these codes, so they never change."""


class Rejection(InputError):
    """A crystal that cannot be used.

    Args:
        code: one of :data:`REASONS`.
        problem: what was expected and what came instead.
        mend: what the user can do about it.

    Example:
        >>> rejection = Rejection("disordered", "site Fe1 has occupancy 0.5")
        >>> rejection.code, str(rejection)
        ('disordered', 'crystal: site Fe1 has occupancy 0.5')
    """

    def __init__(self, code: str, problem: str, mend: str = "") -> None:
        super().__init__("crystal", problem, mend)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Survive the trip back from a worker process."""
        return type(self), (self.code, self.problem, self.mend)
