"""The skeletons that contributors copy keep the contracts of what is in the package."""

import dataclasses
import functools
import inspect
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.cli.main import main
from jaxcrys.core import plugins
from jaxcrys.core.errors import InputError
from jaxcrys.crystal.primitive import CellShape
from jaxcrys.crystal.storage import save_crystals
from jaxcrys.processes.registry import EXAMPLES, PROCESSES
from jaxcrys.recipes import get_recipe
from jaxcrys.symmetry import free_mask
from tests.crystals import random_crystals
from tests.devices import on_device
from tests.distributions import install
from tests.processes import test_contract as process_contract
from tests.recipes import test_contract as recipe_contract

SKELETONS = Path(__file__).parents[2] / "docs" / "skeletons"
SOURCES = {
    f"skeleton_{path.stem}": path.read_text(encoding="utf-8")
    for path in sorted(SKELETONS.glob("*.py"))
}


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The skeletons as the modules of a package that registers its recipe."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("site")
        points = {plugins.RECIPES: {"skeleton": "skeleton_recipe:RECIPE"}}
        install(folder, "skeletons", modules=SOURCES, points=points)
        patch.syspath_prepend(folder)
        yield
        plugins.load_plugin.cache_clear()


# The process.


def asked_of_a_process():
    """Those tests of the contract that are about one process."""
    for name, test in vars(process_contract).items():
        wanted = inspect.signature(test).parameters if name.startswith("test_") else {}
        if "process" in wanted:
            yield pytest.param(test, id=name.removeprefix("test_"))


@pytest.fixture
def process(monkeypatch):
    import skeleton_process

    one = skeleton_process.Exploding()
    monkeypatch.setitem(PROCESSES, "skeleton", (skeleton_process, skeleton_process.Exploding))
    monkeypatch.setitem(EXAMPLES, "skeleton", one)
    return one


@pytest.mark.parametrize("test", list(asked_of_a_process()))
def test_the_process_keeps_the_contract(test, process):
    others = {
        "shape": (2, 3),
        "compiled": lambda function: jax.jit(function, static_argnums=0),
    }
    wanted = inspect.signature(test).parameters
    test(process, **{name: value for name, value in others.items() if name in wanted})


def test_the_process_has_the_names_of_the_others(process):
    process_contract.test_same_names_and_arguments_everywhere()


def test_the_process_undoes_its_own_noise(process):
    """With the noise itself for a prediction, a step to time 0 ends at the data."""
    import skeleton_process as module

    x0, mask = jnp.linspace(-1, 1, 6), jnp.arange(6) < 4
    xt, noise = module.corrupt(process, jax.random.key(0), x0, 40, mask)
    back = module.step(process, jax.random.key(1), xt, 40, 0, noise, mask)
    np.testing.assert_allclose(back, x0, atol=1e-5)
    with pytest.raises(InputError, match="sigma_min"):
        module.validate(dataclasses.replace(process, sigma_min=-1.0))


# The network.


@pytest.fixture(scope="module")
def network():
    """The network on a few crystals, compiled, and what it reads."""
    import skeleton_network as module

    config = module.SiteMeanConfig(channels=8, time_channels=4)
    module.validate(config)
    params = module.init(jax.random.key(0), config)
    shape = CellShape(sites=3, atoms=1, images=1)
    run = jax.jit(functools.partial(module.run, config, params, shape=shape))
    return lambda crystals, time=300.0: jax.device_get(
        run(on_device(crystals), jnp.float32(crystals.lattice), jnp.full(len(crystals.group), time))
    )


CRYSTALS = random_crystals(12, sites=3, seed=2)


def test_the_network_says_nothing_where_nothing_is(network):
    said = network(CRYSTALS)
    assert not said.free[~free_mask(CRYSTALS.wyckoff)].any()
    assert not said.species[CRYSTALS.wyckoff == 0].any()
    assert said.free.any()


def test_padding_and_order_of_sites_do_not_matter_to_the_network(network):
    plain = network(CRYSTALS)
    wide = recipe_contract.padded(CRYSTALS, 2)
    order = np.array([4, 2, 0, 3, 1])
    names = ("wyckoff", "species", "free")
    turned = dataclasses.replace(wide, **{n: getattr(wide, n)[:, order] for n in names})
    said = network(turned)
    np.testing.assert_allclose(said.lattice, plain.lattice, atol=1e-5)
    back = np.argsort(order)[:3]
    for name in ("free", "species"):
        np.testing.assert_allclose(getattr(said, name)[:, back], getattr(plain, name), atol=1e-5)


def test_the_network_reads_time_and_whole_turns_alike(network):
    plain = network(CRYSTALS)
    turned = dataclasses.replace(CRYSTALS, free=CRYSTALS.free + free_mask(CRYSTALS.wyckoff))
    np.testing.assert_allclose(network(turned).lattice, plain.lattice, atol=1e-4)
    assert np.abs(network(CRYSTALS, time=700.0).lattice - plain.lattice).max() > 1e-3


# The recipe.

CASE = "skeleton", "given"


@pytest.fixture(scope="module")
def recipe():
    """Known to the contract tests as the others are."""
    with pytest.MonkeyPatch.context() as patch:
        small = {"network": recipe_contract.CSPNET, "steps": 3}
        patch.setitem(recipe_contract.SMALL, "skeleton", small)
        yield get_recipe("skeleton")


@pytest.mark.parametrize("test", ["survive_json", "are_valid", "build"])
def test_the_presets_of_the_recipe(recipe, test):
    getattr(recipe_contract, f"test_presets_{test}")("skeleton")


@pytest.mark.parametrize(
    "test",
    [
        "loss_is_finite_and_compiles_once",
        "padding_and_empty_crystals_count_nothing",
        "samples_are_valid_and_keep_what_is_given",
        "sample_depends_on_its_own_key_alone",
    ],
)
def test_the_recipe_keeps_the_contract(recipe, test):
    getattr(recipe_contract, f"test_{test}")(*CASE)


def test_the_recipe_agrees_on_one_device_and_eight(recipe):
    recipe_contract.test_one_device_and_eight_agree("skeleton")


def test_the_recipe_trains_and_draws_by_the_command_line(recipe, tmp_path):
    data, run, out = tmp_path / "data.npz", tmp_path / "run", tmp_path / "out"
    save_crystals(data, random_crystals(40, seed=1))
    size = {"network": {"layers": 1, "channels": 16, "frequencies": 4, "time_channels": 8}}
    commands = [
        ["train", data, "--out", run, "--recipe", "skeleton", "--preset", "tiny",
         "--settings", json.dumps(size | {"steps": 3}), "--steps", "30", "--batch-size", "8",
         "--max-shapes", "1", "--warmup-steps", "5", "--learning-rate", "0.01",
         "--log-every", "10", "--checkpoint-every", "30"],
        ["generate", "--run", run, "--num", "6", "--out", out, "--batch-size", "8",
         "--templates-from", data],
    ]  # fmt: skip
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in command])
        assert ended.value.code == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert len(list((out / "cif").glob("*.cif"))) == 6
