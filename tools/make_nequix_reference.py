"""Make tests/potentials/nequix_reference.json: what the ``nequix`` package says of real crystals.

    pip install -e . equinox matscipy h5py && pip install --no-deps nequix==0.4.5
    python tools/make_nequix_reference.py ../shared/models/nequix-mp-1.nqx ../shared/data

The package evaluates the conventional cell without any symmetry; forces are kept on one atom of
each site, in the order of the sites. It compiles for each crystal: half an hour in all.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from nequix.calculator import NequixCalculator

from jaxcrys.core.files import sha256, write_text
from jaxcrys.crystal.cif_reader import read_cif
from jaxcrys.crystal.convert import from_arrays, to_atoms
from jaxcrys.symmetry.wyckoff import multiplicity

TABLES = {"mp_20_biternary/val": 30, "mix_52/val": 20}
DIGITS = 6


def main(weights: str, data: str) -> None:
    """Write the table."""
    calculator = NequixCalculator(model_path=weights, use_kernel=False)
    crystals = []
    for name, count in TABLES.items():
        with gzip.open(Path(data) / f"{name}.csv.gz", "rt", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        for row in rows[:: len(rows) // count][:count]:
            crystal = from_arrays(*read_cif(row["cif"]))
            atoms = to_atoms(crystal)
            atoms.calc = calculator
            first = np.cumsum(np.r_[0, multiplicity(crystal.wyckoff)[:-1]])
            crystals.append({
                "table": name,
                "id": row["material_id"],
                "energy": round(float(atoms.get_potential_energy()), DIGITS),
                "forces": np.round(atoms.get_forces()[first], DIGITS).tolist(),
                "stress": np.round(atoms.get_stress(voigt=False), DIGITS + 2).tolist(),
            })  # fmt: skip
            print(len(crystals), row["material_id"], flush=True)
    lines = ",\n".join(json.dumps(entry) for entry in crystals)
    target = Path(__file__).parents[1] / "tests/potentials/nequix_reference.json"
    write_text(target, f'{{"weights": "{sha256(weights)}", "crystals": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
