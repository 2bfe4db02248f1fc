"""Crystals to look at, and folders of them."""

import csv

from jaxcrys.crystal import build_crystal, stack_crystals
from jaxcrys.crystal.storage import save_crystals

HOSTILE = '<script>document.title="taken"</script><img src=x onerror=alert(1)>&amp;"\'\u2028'


def cube(a):
    return (a, a, a, 90, 90, 90)


def prototypes():
    """Of all six families, with free and fixed coordinates."""
    return {
        "rocksalt": build_crystal(225, [(11, "a"), (17, "b")], cube(5.64)),
        "rutile": build_crystal(
            136, [(22, "a"), (8, "f", (0.305,))], (4.594, 4.594, 2.959, 90, 90, 90)
        ),
        "wurtzite": build_crystal(
            186, [(30, "b", (0.0,)), (16, "b", (0.375,))], (3.82, 3.82, 6.26, 90, 90, 120)
        ),
        "corundum": build_crystal(
            167, [(13, "c", (0.352,)), (8, "e", (0.306,))], (4.76, 4.76, 12.99, 90, 90, 120)
        ),
        "perovskite": build_crystal(
            62,
            [(20, "c", (0.036, 0.993)), (22, "b"), (8, "c", (0.484, 0.071)),
             (8, "d", (0.289, 0.037, 0.707))],
            (5.44, 7.64, 5.38, 90, 90, 90),
        ),
        "baddeleyite": build_crystal(
            14,
            [(40, "e", (0.276, 0.040, 0.208)), (8, "e", (0.070, 0.332, 0.345)),
             (8, "e", (0.450, 0.757, 0.479))],
            (5.15, 5.21, 5.32, 90, 99.2, 90),
        ),
        "triclinic": build_crystal(
            2, [(29, "a"), (8, "i", (0.21, 0.34, 0.63))], (4.1, 4.9, 5.7, 82, 95, 103)
        ),
        "diamond": build_crystal(227, [(6, "a")], cube(3.567)),
    }  # fmt: skip


def write_set(folder, crystals, rows=None):
    """A folder as 'generate' and 'relax' write it, as far as it is looked at."""
    folder.mkdir(parents=True)
    save_crystals(folder / "crystals.npz", stack_crystals(crystals))
    if rows is not None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (folder / "table.csv").open("w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, names)
            writer.writeheader()
            writer.writerows(rows)
    return folder
