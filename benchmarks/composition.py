"""How exact and how fast the composition oracle is, on real formulas.

    python benchmarks/composition.py [CSV] [--decodings 10000] [--cases 64] [--atoms 20]
        [--products 3e5]

CSV has a column ``pretty_formula``. Four reports:

(a) random decodings: a random formula, a random one of the groups that can hold it in a primitive
    cell of at most ``--atoms`` atoms, a random one of the choices at each step, and where it may
    stop it stops half of the time. Times are of ``choices`` and ``place`` together; decodings that
    run a second time at once show warm caches. Empty caches hold the groups' tables only.
(b) reachability, choices, counts and lists on random small cases of 19 groups, ``--cases`` of each,
    against the loops of ``tests/templates.py`` (so it needs an editable installation).
(c) the time of ``reachable_groups`` for each formula, in the order of the file.
(d) the same cases as (b), and all groups for some formulas, given to pyxtal. It loops over the
    product of the numbers of orbits on each position, cuts it off beyond about ten million (and
    then leaves templates out), and takes half a minute before that: ``--products`` skips these.
"""

import argparse
import csv
import functools
import gzip
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from jaxcrys.core.elements import parse_formula
from jaxcrys.symmetry.oracles import composition, counting, menu
from jaxcrys.symmetry.oracles.composition import choices, place, site_arrays, start
from jaxcrys.symmetry.oracles.counting import count_templates
from jaxcrys.symmetry.oracles.enumeration import templates
from jaxcrys.symmetry.oracles.reachability import reachable_groups, reachable_units
from jaxcrys.symmetry.wyckoff import multiplicity_modulo_centring
from tests.templates import GROUPS, Case, random_case

FILE = Path(__file__).parents[1] / "../shared/data/mp_20_biternary/test.csv.gz"
STOP = 0.5


def read_formulas(path: Path) -> list[dict[int, int]]:
    """The distinct formulas of the file, in its order."""
    if not path.is_file():
        sys.exit(f"{path} is not there: give the path of a CSV with a column pretty_formula")
    csv.field_size_limit(2**30)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        if "pretty_formula" not in (rows.fieldnames or ()):
            sys.exit(f"{path} has no column pretty_formula")
        formulas = dict.fromkeys(row["pretty_formula"] for row in rows)
    return [parse_formula(formula) for formula in formulas]


def units_within(counts: dict[int, int], atoms: int) -> range:
    """Formula units with which the primitive cell has at most so many atoms."""
    return range(1, atoms // sum(counts.values()) + 1)


def forget() -> None:
    """Empty the caches that depend on formulas."""
    for module in (menu, composition, counting):
        for function in vars(module).values():
            # Those without a limit are tables of groups.
            if hasattr(function, "cache_info") and function.cache_info().maxsize is not None:
                function.cache_clear()


def show_times(name: str, seconds: Iterable[float]) -> None:
    micro = 1e6 * np.array(list(seconds))
    if len(micro):
        print(f"  {name:42} mean {micro.mean():9.1f}  median {np.median(micro):9.1f}"
              f"  p99 {np.percentile(micro, 99):9.1f} µs  ({len(micro):,})")  # fmt: skip


def decode(counts: dict, group: int, units: range, rng: np.random.Generator) -> tuple:
    """Sites of one random decoding (None in a dead end), and the time of each decision."""
    seconds = []
    state = start(counts, group, units, primitive=True)
    while True:
        begin = time.perf_counter()
        found = choices(state)
        seconds.append(time.perf_counter() - begin)
        options = np.argwhere(found.mask)
        if found.may_stop and (not len(options) or rng.random() < STOP):
            return state.sites, seconds
        if not len(options):
            return None, seconds
        position, element = options[rng.integers(len(options))].tolist()
        begin = time.perf_counter()
        state = place(state, position, element)
        seconds[-1] += time.perf_counter() - begin


def has_formula(group: int, sites: tuple, counts: dict[int, int], units: range) -> bool:
    """Whether the atoms of the sites are a whole number of formula units, one of those asked."""
    wyckoff, species = site_arrays(group, sites)
    atoms = Counter()
    for number, size in zip(species, multiplicity_modulo_centring(wyckoff), strict=True):
        atoms[int(number)] += int(size)
    return any(atoms == {e: z * n for e, n in counts.items()} for z in units)


def report_decodings(formulas: list[dict], number: int, atoms: int) -> None:
    rng = np.random.default_rng(0)
    fitting = [counts for counts in formulas if units_within(counts, atoms)]
    right, dead, steps, cold, tasks = 0, 0, [], [], []
    for _ in range(number):
        counts = fitting[rng.integers(len(fitting))]
        units = units_within(counts, atoms)
        groups = list(reachable_groups(counts, units, primitive=True))
        tasks.append((counts, groups[rng.integers(len(groups))], units))
    for counts, group, units in tasks[:: max(1, number // 500)]:
        forget()
        begin = time.perf_counter()
        choices(start(counts, group, units, primitive=True))
        cold.append(time.perf_counter() - begin)
    forget()
    first, again = [], []
    for i, (counts, group, units) in enumerate(tasks):
        sites, seconds = decode(counts, group, units, np.random.default_rng(i))
        first.extend(seconds)
        again.extend(decode(counts, group, units, np.random.default_rng(i))[1])
        dead += sites is None
        right += sites is not None and has_formula(group, sites, counts, units)
        steps.append(len(sites or ()))
    print(f"\n(a) {number:,} random decodings over {len(fitting):,} formulas, "
          f"primitive cells of at most {atoms} atoms")  # fmt: skip
    print(f"  with the formula {right / number:.2%}, dead ends {dead}, "
          f"sites mean {np.mean(steps):.2f}, most {max(steps)}")  # fmt: skip
    show_times("start and first decision, empty caches", cold)
    show_times("decision, caches filling", first)
    show_times("decision, same decoding once more", again)


def mistakes(case: Case, rng: np.random.Generator) -> Counter:
    """Which answers differ from those of the loops."""
    found = Counter()
    expected = tuple(unit for unit in case.units if case.by_unit[unit])
    found["reachability"] += reachable_units(*case.arguments, **case.limits) != expected
    found["counts"] += count_templates(*case.arguments, **case.limits) != len(case.templates)
    listed = list(templates(*case.arguments, **case.limits))
    found["lists"] += listed != sorted(case.templates)
    if expected:
        found["choices"] += not choices_agree(case, rng)
    return found


def choices_agree(case: Case, rng: np.random.Generator) -> bool:
    """At each step of a random decoding."""
    state = start(*case.arguments, **case.limits)
    every = [Counter(sites) for sites in case.templates]
    while True:
        chosen = Counter(state.sites)
        after = [sites - chosen for sites in every if chosen <= sites]
        expected = {site for sites in after for site in sites}
        options = np.argwhere(choices(state).mask).tolist()
        if {(p, state.elements[e]) for p, e in options} != expected:
            return False
        if choices(state).may_stop != (chosen in every):
            return False
        if not options:
            return True
        state = place(state, *options[rng.integers(len(options))])


@functools.cache
def small_cases(number: int) -> list[Case]:
    return [
        random_case(group, rng)
        for group in GROUPS
        for rng in [np.random.default_rng((7, group))]
        for _ in range(number)
    ]


def report_brute_force(number: int) -> None:
    rng = np.random.default_rng(2)
    cases = small_cases(number)
    total = sum((mistakes(case, rng) for case in cases), Counter())
    reachable = sum(bool(case.templates) for case in cases)
    print(f"\n(b) {len(cases):,} random cases in {len(GROUPS)} groups, {reachable:,} reachable, "
          f"{sum(len(case.templates) for case in cases):,} templates")  # fmt: skip
    print(f"  answers that differ from the loops: {dict(total) or 'none'}")


def report_groups(formulas: list[dict], atoms: int) -> None:
    forget()
    seconds, numbers = [], []
    for counts in formulas:
        units = units_within(counts, atoms)
        if units:
            begin = time.perf_counter()
            numbers.append(len(reachable_groups(counts, units, primitive=True)))
            seconds.append(time.perf_counter() - begin)
    print(f"\n(c) all groups of {len(numbers):,} formulas, mean {np.mean(numbers):.1f} reachable")
    show_times("reachable_groups, caches filling", seconds)


def timed(function: Callable, *arguments, **limits) -> tuple[float, object]:
    begin = time.perf_counter()
    result = function(*arguments, **limits)
    return time.perf_counter() - begin, result


def pyxtal_templates(group: object, atoms: list[int], numbers: list[int]) -> set:
    """The combinations of pyxtal as sorted tuples of sites; it numbers the general position 0."""
    # Its answer has two or three parts, as its way out was.
    answer = group.list_wyckoff_combinations(atoms)
    if len(answer) < 3:
        return set()
    last = len(group) - 1
    return {
        tuple(sorted((last - i, number) for number, ids in zip(numbers, sites, strict=True)
                     for i in ids))
        for sites in answer[2]
    }  # fmt: skip


def products(group: object, atoms: list[int]) -> float:
    """How many numbers of orbits pyxtal tries for an element, at most."""
    most = max(atoms)
    sizes = [(p.multiplicity, p.get_dof()) for p in group if p.multiplicity <= most]
    return float(np.prod([most // size + 1 if dof else 2 for size, dof in sizes], dtype=float))


def report_pyxtal_lists(number: int, largest: float) -> None:
    """Lists of the templates of one Z, without a limit on sites."""
    from pyxtal.symmetry import Group

    ours, theirs, differ, skipped = [], [], [], 0
    for case in small_cases(number):
        unit = case.units[-1]
        atoms, numbers = case.atoms(unit), sorted(case.counts)
        group = Group(case.group)
        if products(group, atoms) > largest:
            skipped += 1
            continue
        limits = {"primitive": case.primitive}
        took, listed = timed(lambda *a, **k: set(templates(*a, **k)),
                             case.counts, case.group, unit, **limits)  # fmt: skip
        ours.append(took)
        took, found = timed(pyxtal_templates, group, atoms, numbers)
        theirs.append(took)
        if found != listed:
            differ.append((case.group, atoms, len(listed), len(found), len(found - listed),
                           products(group, atoms)))  # fmt: skip
    print(f"\n(d) pyxtal, list_wyckoff_combinations: {len(ours) - len(differ):,} of {len(ours):,} "
          f"lists agree; {skipped} not tried, with more than {largest:.0e} products")  # fmt: skip
    for group, atoms, here, there, extra, tried in differ[:12]:
        print(f"  group {group}, atoms {atoms}: {here} here, {there} there, {extra} of them only"
              f" there; {tried:.0e} products")  # fmt: skip
    show_times("templates", ours)
    show_times("list_wyckoff_combinations", theirs)


def report_pyxtal_groups(formulas: list[dict], number: int = 20) -> None:
    """Whether a group can hold a formula, for all groups and one to four formula units."""
    from pyxtal.symmetry import Group

    rng = np.random.default_rng(3)
    groups = [Group(group) for group in range(1, 231)]
    ours, theirs, differ = [], [], Counter()
    for i in rng.choice(len(formulas), number, replace=False):
        counts = dict(sorted(formulas[i].items()))
        unit = int(rng.integers(1, 5))
        took, here = timed(reachable_groups, counts, unit)
        ours.append(took)
        atoms = [n * unit for n in counts.values()]
        took, there = timed(lambda a: [g.number for g in groups if g.check_compatible(a)[0]], atoms)
        theirs.append(took)
        for group in set(here) ^ set(there):
            differ["only here" if group in here else "only there"] += 1
    print(f"  check_compatible: {230 * number:,} answers, differing {dict(differ) or 'none'}")
    show_times("reachable_groups, 230 groups", ours)
    show_times("check_compatible, 230 groups", theirs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="?", type=Path, default=FILE)
    parser.add_argument("--decodings", type=int, default=10_000)
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--atoms", type=int, default=20)
    parser.add_argument("--products", type=float, default=3e5, help="most pyxtal loops over")
    arguments = parser.parse_args()
    formulas = read_formulas(arguments.csv)
    print(f"{arguments.csv}: {len(formulas):,} distinct formulas")
    report_decodings(formulas, arguments.decodings, arguments.atoms)
    report_brute_force(arguments.cases)
    report_groups(formulas, arguments.atoms)
    report_pyxtal_lists(arguments.cases, arguments.products)
    report_pyxtal_groups(formulas)


if __name__ == "__main__":
    main()
