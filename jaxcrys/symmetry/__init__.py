"""Space groups and Wyckoff positions as exact integer tables and pure functions on arrays.

Standard setting of the International Tables: unique axis b, hexagonal axes, origin choice 2.
"""

from jaxcrys.symmetry.centring import centring_count, centring_translations
from jaxcrys.symmetry.groups import (
    crystal_family,
    lattice_fixed,
    lattice_mask,
    operations,
    spaced_symbol,
    symbol,
)
from jaxcrys.symmetry.orbits import Orbits, expand_orbits, representative
from jaxcrys.symmetry.tables import (
    NUM_GROUPS,
    NUM_POSITIONS,
    TRANSLATION_UNIT,
    Tables,
    load_tables,
)
from jaxcrys.symmetry.tangent import orbit_mean, pull_back
from jaxcrys.symmetry.wyckoff import (
    degrees_of_freedom,
    free_mask,
    general_position,
    group_of,
    multiplicity,
    multiplicity_modulo_centring,
    position_id,
    position_label,
    positions_of,
)

__all__ = [
    "NUM_GROUPS",
    "NUM_POSITIONS",
    "TRANSLATION_UNIT",
    "Orbits",
    "Tables",
    "centring_count",
    "centring_translations",
    "crystal_family",
    "degrees_of_freedom",
    "expand_orbits",
    "free_mask",
    "general_position",
    "group_of",
    "lattice_fixed",
    "lattice_mask",
    "load_tables",
    "multiplicity",
    "multiplicity_modulo_centring",
    "operations",
    "orbit_mean",
    "position_id",
    "position_label",
    "positions_of",
    "pull_back",
    "representative",
    "spaced_symbol",
    "symbol",
]
