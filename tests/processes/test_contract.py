"""Every process in the registry keeps the contract of jaxcrys.processes.contract."""

import functools
import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcrys.core.errors import InputError
from jaxcrys.core.rng import sample_keys
from jaxcrys.processes import (
    EXAMPLES,
    PROCESSES,
    discrete,
    from_settings,
    functions,
    settings,
    wrapped_normal,
)

KEY = jax.random.key(0)
SITES, PADDED = 5, 8


@pytest.fixture(params=EXAMPLES, name="process")
def every_process(request):
    return EXAMPLES[request.param]


def is_discrete(process):
    return functions(process) is discrete


def draw_clean(process, shape):
    rng = np.random.default_rng(0)
    if is_discrete(process):
        return np.asarray(rng.integers(process.num_classes, size=shape), np.int32)
    return np.asarray(rng.uniform(size=shape), np.float32)


def draw_prediction(process, shape):
    extra = (process.num_classes,) if is_discrete(process) else ()
    return np.asarray(np.random.default_rng(1).normal(size=(*shape, *extra)), np.float32)


def garbage(process, shape):
    values = [9999, -7, 2**30] if is_discrete(process) else [1e30, -3e38, 77.0]
    return np.resize(values, shape).astype(np.int32 if is_discrete(process) else np.float32)


traces = []
"""One entry for each time that the following function is traced."""


def everything(process, key, x0, prediction, t, s, mask, fill):
    """All that a process does with one sample; ``fill`` stands where the mask is False."""
    traces.append(process)
    module = functions(process)
    out = module.corrupt(process, key, x0, t, mask)
    xt, *target = (out,) if is_discrete(process) else out
    truth = [jnp.where(mask, v, fill) for v in ((x0, xt) if is_discrete(process) else target)]
    truth += [t] if is_discrete(process) else []
    value = lambda p: module.loss(process, p, *truth, mask)  # noqa: E731
    (total, count), slope = jax.value_and_grad(value, has_aux=True)(prediction)
    return {
        "xt": xt,
        "xs": module.step(process, key, xt, t, s, prediction, mask),
        "prior": module.prior(process, key, mask, x0),
        "total": total,
        "count": count,
        "slope": slope,
    }


STATES = ("xt", "xs", "prior")
compiled_everything = jax.jit(everything, static_argnums=0)


def run(process, key, x0, prediction, t, s, mask, fill):
    """The same compiled, with times that are arrays."""
    times = np.int32(t), np.int32(s)
    return jax.device_get(compiled_everything(process, key, x0, prediction, *times, mask, fill))


def event_shape(process, sites=SITES):
    return (sites,) if is_discrete(process) else (sites, 3)


def padded_mask(process):
    mask = np.arange(PADDED) < SITES
    shape = event_shape(process, PADDED)
    return mask if len(shape) == 1 else np.broadcast_to(mask[:, None], shape)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_shapes_and_types(process, shape):
    x0, mask = draw_clean(process, shape), np.ones(shape, bool)
    abstract = jax.eval_shape(
        functools.partial(everything, process),
        *(KEY, x0, draw_prediction(process, shape), jnp.int32(3), jnp.int32(1), mask, x0),
    )
    for name in STATES:
        assert (abstract[name].shape, abstract[name].dtype) == (shape, x0.dtype)
    for name in ("total", "count"):
        assert (abstract[name].shape, abstract[name].dtype) == ((), jnp.float32)


def test_same_names_and_arguments_everywhere():
    for module, kind in PROCESSES.values():
        start = {name: [argument for argument in inspect.signature(getattr(module, name)).parameters
                        if argument != "log_pi"]  # of the discrete process alone
                 for name in ("validate", "corrupt", "loss", "prior", "step")}  # fmt: skip
        assert start["validate"] == ["process"]
        assert start["corrupt"] == ["process", "key", "x0", "t", "mask"]
        assert start["prior"] == ["process", "key", "mask", "fixed"]
        assert start["step"][:5] == ["process", "key", "xt", "t", "s"]
        assert start["step"][-1] == start["loss"][-1] == "mask"
        assert kind.__dataclass_params__.frozen
    assert {type(process) for process in EXAMPLES.values()} == {k for _, k in PROCESSES.values()}


def test_compiles_once_for_all_times_and_keys(process):
    shape = event_shape(process)
    x0, mask = draw_clean(process, shape), np.ones(shape, bool)
    prediction = draw_prediction(process, shape)
    sizes = []
    for seed, (t, s) in enumerate([(1, 0), (7, 3), (process.steps, 0)]):
        result = run(process, jax.random.key(seed), x0, prediction, t, s, mask, x0)
        assert all(np.isfinite(value).all() for value in result.values())
        assert 0 <= int(result["count"]) <= x0.size
        sizes.append(len(traces))
    assert len(set(sizes)) == 1


def test_settings_survive_json(process):
    text = json.dumps(settings(process))
    again = from_settings(json.loads(text))
    assert again == process
    assert hash(again) == hash(process)


def test_unknown_settings_are_refused():
    with pytest.raises(InputError, match="known: gaussian, wrapped_normal, discrete"):
        from_settings({"process": "levy"})
    with pytest.raises(InputError, match="unknown settings"):
        from_settings({"process": "gaussian", "sigma": 1})
    with pytest.raises(InputError, match="num_classes"):
        from_settings({"process": "discrete", "kind": "marginal", "num_classes": 0})
    with pytest.raises(InputError, match="is none"):
        functions(3)


def test_what_is_masked_out_comes_back_and_changes_nothing(process):
    shape, t = event_shape(process, PADDED), process.steps // 2
    mask, prediction = padded_mask(process), draw_prediction(process, shape)
    clean, dirt = draw_clean(process, shape), garbage(process, shape)
    rows = mask[..., None] if is_discrete(process) else mask
    dirty_prediction = np.where(rows, prediction, np.float32(np.nan))
    dirty = np.where(mask, clean, dirt)

    left = run(process, KEY, clean, prediction, t, t // 2, mask, clean)
    right = run(process, KEY, dirty, dirty_prediction, t, t // 2, mask, dirt)
    for name in STATES:
        np.testing.assert_array_equal(left[name][mask], right[name][mask])
        np.testing.assert_array_equal(left[name][~mask], clean[~mask])
        np.testing.assert_array_equal(right[name][~mask], dirt[~mask])
    for name in ("total", "count", "slope"):
        np.testing.assert_array_equal(left[name], right[name])
    assert np.isfinite(left["slope"]).all()
    assert (left["slope"][~mask] == 0).all()


def test_noise_does_not_depend_on_the_padding(process):
    t, results = process.steps // 2, []
    for sites, mask in ((PADDED, padded_mask(process)), (SITES, None)):
        x0 = draw_clean(process, event_shape(process, PADDED))[:sites]
        prediction = draw_prediction(process, event_shape(process, PADDED))[:sites]
        mask = np.ones(x0.shape, bool) if mask is None else mask
        results.append(run(process, KEY, x0, prediction, t, t // 2, mask, x0))
    for name in STATES:
        np.testing.assert_array_equal(*(result[name][:SITES] for result in results))
    for name in ("total", "count"):
        np.testing.assert_allclose(*(result[name] for result in results), rtol=1e-6)


def test_time_zero_is_clean_data(process):
    shape = event_shape(process)
    x0 = draw_clean(process, shape)
    arguments = (x0, draw_prediction(process, shape), 0, 0, np.ones(shape, bool), x0)
    np.testing.assert_array_equal(run(process, KEY, *arguments)["xt"], x0)


def statistics(process, x):
    """Numbers whose means tell distributions of the process's kind apart."""
    x = np.asarray(x)
    if is_discrete(process):
        return np.eye(process.num_classes + 1)[x]
    if functions(process) is wrapped_normal:
        return np.stack([f(2 * np.pi * m * x) for m in (1, 2) for f in (np.cos, np.sin)], -1)
    return np.stack([x, x**2, np.abs(x), x**4], -1)


def test_last_time_is_the_prior(process, compiled):
    x0 = np.full((4000,), draw_clean(process, ()))
    mask = np.ones(x0.shape, bool)
    module = functions(process)
    out = compiled(module.corrupt)(process, jax.random.key(1), x0, process.steps, mask)
    xt = out if is_discrete(process) else out[0]
    drawn = compiled(module.prior)(process, jax.random.key(2), mask, x0)
    left, right = statistics(process, xt), statistics(process, drawn)
    error = np.sqrt((left.var(0) + right.var(0)) / len(x0))
    assert (np.abs(left.mean(0) - right.mean(0)) <= 4.5 * error).all()


@pytest.mark.parametrize("name", ["gaussian", "wrapped normal", "marginal, hybrid"])
def test_samples_under_vmap_are_those_alone(name):
    process = EXAMPLES[name]
    shape = event_shape(process)
    keys, times = sample_keys(0, np.arange(3)), np.array([1, 5, 9])
    x0, prediction = draw_clean(process, (3, *shape)), draw_prediction(process, (3, *shape))
    mask = np.ones(shape, bool)

    def one(key, x0, prediction, t):
        return everything(process, key, x0, prediction, t, t // 2, mask, x0)

    together = jax.device_get(jax.jit(jax.vmap(one))(keys, x0, prediction, times))
    for i in range(3):
        alone = run(process, keys[i], x0[i], prediction[i], times[i], times[i] // 2, mask, x0[i])
        for field, value in alone.items():
            np.testing.assert_allclose(together[field][i], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "values", "culprit"),
    [
        ("gaussian", {"steps": 0}, "steps"),
        ("gaussian", {"clip": -1.0}, "clip"),
        ("wrapped_normal", {"steps": 0}, "steps"),
        ("wrapped_normal", {"sigma_min": 0.0}, "sigma_min"),
        ("wrapped_normal", {"sigma_max": 5.0}, "sigma_max"),
        ("discrete", {"kind": "absorbed", "num_classes": 3}, "kind"),
        ("discrete", {"kind": "absorbing", "num_classes": 3, "schedule": "square"}, "schedule"),
        ("discrete", {"kind": "absorbing", "num_classes": 1, "marginal": (1.0,)}, "marginal"),
        ("discrete", {"kind": "marginal", "num_classes": 3, "marginal": (0.5, 0.5)}, "marginal"),
        ("discrete", {"kind": "marginal", "num_classes": 2, "marginal": (1.5, -0.5)}, "marginal"),
    ],
)
def test_unusable_settings_are_refused(name, values, culprit):
    with pytest.raises(InputError, match=culprit):
        from_settings({"process": name, **values})
    module, kind = PROCESSES[name]
    x0 = np.zeros(1, np.int32 if module is discrete else np.float32)
    with pytest.raises(InputError, match=culprit):
        module.corrupt(kind(**values), KEY, x0, 1, np.ones(1, bool))
