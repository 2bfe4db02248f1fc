"""Weights by name: fetched once from a server, and refused where they are not what they must be."""

import hashlib

import ase
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from jaxcrys.core.errors import InputError
from jaxcrys.crystal import build_crystal
from jaxcrys.crystal.convert import to_atoms
from jaxcrys.potentials import library
from jaxcrys.potentials.library import Weights, corrections_for, load_potential
from jaxcrys.relaxation.relax import relax
from jaxcrys.relaxation.walk import WalkSettings
from tests.serving import Served, serving
from tests.weights import small_file


def test_weights_are_fetched_once_and_checked(tmp_path, monkeypatch):
    data = small_file()
    digest = hashlib.sha256(data).hexdigest()
    served = Served(data)
    with serving({"small.nqx": served}) as address:
        named = {"small": Weights(f"{address}small.nqx", digest, "MP2020")}
        monkeypatch.setattr(library, "WEIGHTS", named)
        found = load_potential("small", cache=tmp_path / "cache")
        assert (found.name, found.digest, corrections_for(found)) == ("small", digest, "MP2020")
        assert load_potential("small", cache=tmp_path / "cache").digest == digest
        assert served.asked == [None]
        served.statuses = [404]
        with pytest.raises(InputError, match="cannot be fetched"):
            load_potential("small", cache=tmp_path / "elsewhere")
        served.data = data[:-3] + b"bad"
        with pytest.raises(InputError, match="cannot be fetched"):
            load_potential("small", cache=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere" / "small.nqx").exists()


def test_weights_are_kept_among_the_caches_of_the_user(tmp_path, monkeypatch):
    data = small_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with serving({"small.nqx": Served(data)}) as address:
        weights = Weights(f"{address}small.nqx", hashlib.sha256(data).hexdigest(), "none")
        monkeypatch.setattr(library, "WEIGHTS", {"small": weights})
        load_potential("small")
    assert [path.name for path in tmp_path.rglob("*.nqx")] == ["small.nqx"]


def test_other_weights_have_no_corrections(tmp_path):
    (tmp_path / "own.nqx").write_bytes(small_file())
    assert corrections_for(load_potential(str(tmp_path / "own.nqx"))) == "none"
    with pytest.raises(InputError, match="no name of nequix-mp-1"):
        load_potential("unheard-of")


def test_calculators_of_ase_have_names_too():
    potential = load_potential("ase:ase.calculators.emt:EMT")
    assert potential.digest == f"ase {ase.__version__}"
    assert corrections_for(potential) == "none"
    begun = build_crystal(225, [(29, "a")], (3.7, 3.7, 3.7, 90, 90, 90))
    (one,) = relax(potential, [begun], WalkSettings(force=1e-3, stress=1e-4))
    copper = bulk("Cu", a=3.7, cubic=True)
    copper.calc = EMT()
    FIRE(FrechetCellFilter(copper), logfile=None).run(fmax=1e-3)
    assert one.outcome == "converged"
    assert one.energy == pytest.approx(copper.get_potential_energy() / 4, abs=1e-5)
    assert to_atoms(one.crystal).cell[0, 0] == pytest.approx(copper.cell[0, 0], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ase:no_such_module:Calculator", "ModuleNotFoundError"),
        ("ase:ase.calculators.emt:NoSuch", "AttributeError"),
        ("ase:ase.calculators.emt", "cannot be made"),
        ("ase:ase.calculators.test:gradient_test", "cannot be made"),
        ("ase:ase.calculators.qmmm:RescaledCalculator", "cannot be made"),
        ("ase:ase.calculators.tip3p:TIP3P", "no energy, forces and stress"),
    ],
)
def test_what_is_no_calculator_is_refused(name, why):
    with pytest.raises(InputError, match=why):
        load_potential(name)
