"""What a template may contain: hard masks for each step of a choice, exact compositions, counts.

A template is a multiset of sites, each a Wyckoff position of one group with an element. Masks
(``legal``) are pure functions on arrays for use in jit; exact compositions (``reachability``,
``composition``) and counts (``counting``, ``enumeration``) are integer searches on the host, with
caches.
"""

from jaxcrys.symmetry.oracles.amounts import Amounts, can_finish, make_amounts
from jaxcrys.symmetry.oracles.composition import (
    Choices,
    CompositionState,
    choices,
    place,
    site_arrays,
    start,
)
from jaxcrys.symmetry.oracles.counting import count_templates
from jaxcrys.symmetry.oracles.enumeration import templates
from jaxcrys.symmetry.oracles.legal import (
    legal_elements,
    legal_positions,
    may_stop,
    missing_elements,
    most_further_sites,
)
from jaxcrys.symmetry.oracles.reachability import (
    check_reachable,
    reachable_groups,
    reachable_units,
)

__all__ = [
    "Amounts",
    "Choices",
    "CompositionState",
    "can_finish",
    "check_reachable",
    "choices",
    "count_templates",
    "legal_elements",
    "legal_positions",
    "make_amounts",
    "may_stop",
    "missing_elements",
    "most_further_sites",
    "place",
    "reachable_groups",
    "reachable_units",
    "site_arrays",
    "start",
    "templates",
]
