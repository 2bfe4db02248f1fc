"""Space groups and Wyckoff positions as exact integer tables and pure functions on arrays.

Standard setting of the International Tables: unique axis b, hexagonal axes, origin choice 2. Each
module is one concept; what a template may contain is in ``symmetry.oracles``.
"""

from jaxcrys.symmetry import oracles
from jaxcrys.symmetry.asymmetric_unit import (
    asymmetric_unit,
    canonical_free,
    canonical_representative,
    count_self_maps,
    in_asymmetric_unit,
    self_maps,
)
from jaxcrys.symmetry.axis_changes import move_positions, origin_shifts
from jaxcrys.symmetry.centring import centring_count, centring_translations
from jaxcrys.symmetry.group_bits import (
    GROUP_ELEMENTS,
    LATTICE_TYPES,
    group_bits,
    group_from_bits,
    lattice_type,
)
from jaxcrys.symmetry.groups import (
    constrain_lattice,
    crystal_family,
    crystal_system,
    lattice_fixed,
    lattice_mask,
    operations,
    spaced_symbol,
    symbol,
)
from jaxcrys.symmetry.locate import Located, locate
from jaxcrys.symmetry.metric import family_metric, tangent_gram
from jaxcrys.symmetry.nearest_position import nearest_free, nearest_position
from jaxcrys.symmetry.normalisers import (
    description_row,
    enantiomorph,
    load_normalisers,
    num_descriptions,
    polar_axes,
    position_permutations,
    redescribe_sites,
    shift_origin,
)
from jaxcrys.symmetry.orbits import Orbits, expand_orbits, representative
from jaxcrys.symmetry.site_symmetry import (
    SITE_SYMMETRIES,
    position_from_site_symmetry,
    site_symmetry_id,
    site_symmetry_index,
    site_symmetry_symbol,
)
from jaxcrys.symmetry.stabiliser import (
    Stabiliser,
    stabiliser,
    stabiliser_order,
    stabiliser_rotations,
)
from jaxcrys.symmetry.subgroups import (
    Split,
    Subgroup,
    compose,
    is_subgroup,
    maximal_subgroups,
    maximal_supergroups,
    splitting,
    subgroup_path,
)
from jaxcrys.symmetry.symmetry_bits import (
    SITE_ELEMENTS,
    SYMMETRY_AXES,
    positions_with_bits,
    site_symmetry_bits,
    site_symmetry_from_bits,
)
from jaxcrys.symmetry.tables import (
    NUM_GROUPS,
    NUM_POSITIONS,
    TRANSLATION_UNIT,
    Tables,
    load_tables,
)
from jaxcrys.symmetry.tangent import orbit_mean, pull_back
from jaxcrys.symmetry.triplets import coordinate_texts, operation_texts
from jaxcrys.symmetry.wyckoff import (
    MAX_POSITIONS,
    degrees_of_freedom,
    free_mask,
    general_position,
    group_of,
    local_index,
    multiplicity,
    multiplicity_modulo_centring,
    position_at,
    position_id,
    position_label,
    position_slots,
    positions_of,
)

__all__ = [
    "GROUP_ELEMENTS",
    "LATTICE_TYPES",
    "MAX_POSITIONS",
    "NUM_GROUPS",
    "NUM_POSITIONS",
    "SITE_ELEMENTS",
    "SITE_SYMMETRIES",
    "SYMMETRY_AXES",
    "TRANSLATION_UNIT",
    "Located",
    "Orbits",
    "Split",
    "Stabiliser",
    "Subgroup",
    "Tables",
    "asymmetric_unit",
    "canonical_free",
    "canonical_representative",
    "centring_count",
    "centring_translations",
    "compose",
    "constrain_lattice",
    "coordinate_texts",
    "count_self_maps",
    "crystal_family",
    "crystal_system",
    "degrees_of_freedom",
    "description_row",
    "enantiomorph",
    "expand_orbits",
    "family_metric",
    "free_mask",
    "general_position",
    "group_bits",
    "group_from_bits",
    "group_of",
    "in_asymmetric_unit",
    "is_subgroup",
    "lattice_fixed",
    "lattice_mask",
    "lattice_type",
    "load_normalisers",
    "load_tables",
    "local_index",
    "locate",
    "maximal_subgroups",
    "maximal_supergroups",
    "move_positions",
    "multiplicity",
    "multiplicity_modulo_centring",
    "nearest_free",
    "nearest_position",
    "num_descriptions",
    "operation_texts",
    "operations",
    "oracles",
    "orbit_mean",
    "origin_shifts",
    "polar_axes",
    "position_at",
    "position_from_site_symmetry",
    "position_id",
    "position_label",
    "position_permutations",
    "position_slots",
    "positions_of",
    "positions_with_bits",
    "pull_back",
    "redescribe_sites",
    "representative",
    "self_maps",
    "shift_origin",
    "site_symmetry_bits",
    "site_symmetry_from_bits",
    "site_symmetry_id",
    "site_symmetry_index",
    "site_symmetry_symbol",
    "spaced_symbol",
    "splitting",
    "stabiliser",
    "stabiliser_order",
    "stabiliser_rotations",
    "subgroup_path",
    "symbol",
    "tangent_gram",
]
