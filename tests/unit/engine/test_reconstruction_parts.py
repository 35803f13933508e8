"""Folding, walking, statistics, solvers and allocation, each against a slow and obvious computation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from core.engine.reconstruction import allocation, kernels
from core.engine.reconstruction.fold import fold
from core.engine.reconstruction.graph import Graph, copy_of
from core.engine.reconstruction.images import Images, Mosaics, Views, views
from core.engine.reconstruction.sensitivity import (
    Curve,
    divergence,
    fingerprint,
    read_profile,
    scan,
    write_profile,
)
from core.engine.reconstruction.sequential import Walk, WalkOptions
from core.engine.reconstruction.solvers import (
    Problem,
    SparseSolver,
    admm_mask,
    keep_largest,
    masked_least_squares,
    match_variance,
    whiten,
)
from core.engine.reconstruction.statistics import Accumulator
from core.engine.reconstruction.streams import Streams
from core.errors import InputError

L = tf_keras.layers


def conv_net(seed: int = 0) -> tf_keras.Model:
    """A small net with every kind of layer that matters, and batch norms that do something."""
    tf_keras.utils.set_random_seed(seed)
    inputs = tf_keras.Input((8, 8, 1))
    x = L.Conv2D(12, 3, padding="same", use_bias=False, name="stem")(inputs)
    x = L.ReLU(6.0)(L.BatchNormalization(name="stem_bn")(x))
    y = L.Conv2D(24, 1, use_bias=False, name="expand")(x)
    y = L.ReLU(6.0)(L.BatchNormalization(name="expand_bn")(y))
    y = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(y)
    y = L.ReLU(6.0)(L.BatchNormalization(name="depthwise_bn")(y))
    y = L.Conv2D(12, 1, use_bias=False, name="project")(y)
    y = L.BatchNormalization(name="project_bn")(y)
    x = L.Add(name="add")([x, y])
    x = L.Conv2D(16, 3, strides=2, padding="same", groups=2, activation="relu", name="grouped")(x)
    x = L.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(inputs, L.Dense(10, activation="softmax", name="dense")(x))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            n = layer.gamma.shape[0]
            layer.set_weights([rng.uniform(0.5, 2, n), rng.normal(size=n), rng.normal(size=n) * 0.3,
                               rng.uniform(0.3, 1, n)])
    return model


def images(n: int = 48, seed: int = 1) -> np.ndarray:
    """Smooth random images, float32 [n, 8, 8, 1]."""
    noise = np.random.default_rng(seed).normal(size=(n, 10, 10, 1))
    return (noise[:, 1:-1, 1:-1] + noise[:, 2:, 1:-1] + noise[:, 1:-1, 2:]).astype(np.float32)


def batches(data: np.ndarray, size: int = 16):
    return (data[i: i + size] for i in range(0, len(data), size))


def test_fold_computes_the_same_function_and_keeps_names():
    model = conv_net()
    folded = fold(model)
    assert set(folded.absorbed) == {"stem", "expand", "depthwise", "project"}
    assert not any(isinstance(layer, L.BatchNormalization) for layer in folded.model.layers)
    assert {"stem", "expand", "depthwise", "project", "add", "grouped", "dense"} <= {
        layer.name for layer in folded.model.layers}
    np.testing.assert_allclose(folded.model(images()), model(images()), atol=1e-5)


def test_fold_leaves_what_cannot_be_folded():
    inputs = tf_keras.Input((4, 4, 2))
    a = L.Conv2D(3, 1, activation="relu", name="activated")(inputs)
    a = L.BatchNormalization(name="after_activation")(a)
    b = L.Conv2D(3, 1, name="read_twice")(a)
    c = L.BatchNormalization(name="shares")(b)
    model = tf_keras.Model(inputs, L.Add()([b, c]))
    model.get_layer("shares").moving_mean.assign([1.0, 2.0, 3.0])
    folded = fold(model)
    assert not folded.absorbed
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(folded.model(x), model(x), atol=1e-6)


def test_fold_flattens_nested_models():
    inner = conv_net()
    inputs = tf_keras.Input((8, 8, 1))
    model = tf_keras.Model(inputs, L.Dense(3, name="dense")(inner(L.Rescaling(0.5)(inputs))))
    folded = fold(model).model
    assert not any(isinstance(layer, tf_keras.Model) for layer in folded.layers)
    assert len(kernels.prunable_layers(folded)) == 6
    np.testing.assert_allclose(folded(images()), model(images()), atol=1e-5)


def test_a_model_without_a_recorded_graph_is_refused():
    class Own(tf_keras.Model):
        def call(self, x):
            return x

    with pytest.raises(InputError, match="functional"):
        fold(Own())


def test_a_shared_layer_is_left_alone():
    inputs = tf_keras.Input((4,))
    shared = L.Dense(4, name="shared")
    model = tf_keras.Model(inputs, L.Dense(2, name="alone")(shared(shared(inputs))))
    assert kernels.prunable_layers(model) == ["alone"]


@pytest.mark.parametrize("layer", [
    L.Conv2D(6, 1), L.Conv2D(6, 3, padding="same"), L.Conv2D(6, (3, 2), strides=2, padding="same"),
    L.Conv2D(6, 5, strides=2, padding="valid"), L.Conv2D(6, 3, dilation_rate=2, padding="same"),
    L.Conv2D(6, 3, groups=2, padding="same"), L.DepthwiseConv2D(3, padding="same", strides=2),
    L.DepthwiseConv2D(3, depth_multiplier=2), L.Dense(5),
], ids=lambda layer: f"{type(layer).__name__}")
def test_patches_times_matrix_is_the_layer(layer):
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 4)).astype(np.float32)
    wanted = layer(x).numpy()
    height, width = kernels.output_positions(layer, x.shape)
    flat = np.tile(np.arange(height * width), (2, 1))
    seen = kernels.patches(x, layer, flat // width, flat % width)
    kernel = kernels.kernel_of(layer).numpy()
    made = seen @ kernels.to_matrix(kernel, layer)
    np.testing.assert_allclose(made.transpose(1, 0, 2).reshape(wanted.shape), wanted, atol=1e-4)
    np.testing.assert_array_equal(kernels.from_matrix(kernels.to_matrix(kernel, layer), layer), kernel)


def test_a_graph_runs_in_pieces_as_in_one():
    model = conv_net()
    graph = Graph(model)
    x = images(4)
    end = len(graph.operations)
    for middle in range(end + 1):
        values = graph.run({graph.inputs[0]: x}, 0, middle)
        assert set(values) == set(graph.alive(middle))
        result = graph.run(values, middle, end)[graph.outputs[0]]
        np.testing.assert_allclose(result, model(x), atol=1e-5)


def test_streams_give_every_place_what_a_plain_run_gives_and_clean_up(tmp_path):
    model = conv_net()
    graph, data = Graph(model), images(40)
    with Streams([graph], batches(data), tmp_path, reach=1) as streams:
        for operation in graph.operations:
            name = operation.inputs[0]
            got = np.concatenate([np.asarray(v[name]) for (v,) in streams.at(operation.index)])
            wanted = graph.run({graph.inputs[0]: data}, 0, operation.index)[name]
            np.testing.assert_allclose(got, wanted, atol=0.02)
        assert any(tmp_path.iterdir())
    assert not any(tmp_path.iterdir())


def test_streams_need_images(tmp_path):
    with pytest.raises(InputError, match="calibration images"):
        Streams([Graph(conv_net())], iter(()), tmp_path)
    assert not any(tmp_path.iterdir())


def test_moments_are_those_of_all_rows_at_once():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2, 300, 5)) * 0.01 + 6).astype(np.float32)  # far from zero, as after saturation
    w = rng.normal(size=(2, 5, 3)).astype(np.float32)
    t = x @ w + 1
    sums = Accumulator(2, 5, 3)
    for i in range(0, 300, 70):
        sums.add(x[:, i: i + 70], t[:, i: i + 70], t[:, i: i + 70])
    moments = sums.moments()
    centred = x.astype(np.float64) - x.mean(1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(moments.hessian, centred.transpose(0, 2, 1) @ centred, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(moments.mean_input, x.mean(1), rtol=1e-5)
    assert moments.error(w) < 1e-4
    np.testing.assert_allclose(moments.bias(w), 1, atol=1e-2)
    np.testing.assert_allclose(moments.output_variance(w), moments.spread, rtol=1e-2)


def random_problem(seed: int = 0, inputs: int = 24, outputs: int = 6, rows: int = 400) -> Problem:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(1, rows, inputs)) @ rng.normal(size=(inputs, inputs))).astype(np.float32)
    w = rng.normal(size=(1, inputs, outputs)).astype(np.float32)
    sums = Accumulator(1, inputs, outputs)
    sums.add(x, x @ w, x @ w)
    return Problem(w, sums.moments())


@pytest.mark.parametrize("exact", [True, False])
def test_masked_least_squares_is_the_oracle_of_each_column(exact, monkeypatch):
    problem = random_problem()
    white = whiten(problem, 0.01)
    mask = np.random.default_rng(1).random(problem.kernel.shape) < 0.5
    if not exact:
        monkeypatch.setattr("core.engine.reconstruction.solvers._EXACT_UP_TO", 0)
    found = masked_least_squares(white, mask, rounds=200)
    assert not found[~mask].any()
    for column in range(mask.shape[2]):
        chosen = mask[0, :, column]
        h = white.hessian[0][np.ix_(chosen, chosen)].astype(np.float64)
        wanted = np.linalg.solve(h, white.cross[0, chosen, column])
        np.testing.assert_allclose(found[0, chosen, column], wanted, rtol=2e-2, atol=2e-3)


def test_the_mask_search_beats_magnitude_and_keeps_the_count():
    for seed in range(3):
        problem = random_problem(seed)
        white, kept = whiten(problem, 0.001), problem.kernel.size // 3
        searched = admm_mask(white, kept)
        by_size = keep_largest(np.abs(problem.kernel), kept)
        assert searched.sum() == by_size.sum() == kept
        error = [problem.moments.error(masked_least_squares(white, m) / white.scale[:, :, None])
                 for m in (searched, by_size)]
        assert error[0] < 0.8 * error[1]


def test_what_is_not_allowed_stays_zero():
    problem = random_problem()
    allowed = np.random.default_rng(3).random(problem.kernel.shape) < 0.7
    solution = SparseSolver(problem.kernel.size // 2)(Problem(problem.kernel, problem.moments, allowed))
    assert not solution.kernel[~allowed].any()
    assert solution.mask.sum() == problem.kernel.size // 2
    few = SparseSolver(problem.kernel.size)(Problem(problem.kernel, problem.moments, allowed))
    assert (few.mask == allowed).all()


def test_a_dead_input_does_no_harm():
    problem = random_problem()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 100, 24)).astype(np.float32)
    x[:, :, 3] = 5
    sums = Accumulator(1, 24, 6)
    sums.add(x, x @ problem.kernel, x @ problem.kernel)
    solution = SparseSolver(72)(Problem(problem.kernel, sums.moments()))
    assert np.isfinite(solution.kernel).all()
    assert np.isfinite(solution.bias).all()


def test_variance_match_restores_the_variance():
    problem = random_problem()
    shrunk = match_variance(problem.kernel * 0.6, problem.moments)
    np.testing.assert_allclose(problem.moments.output_variance(shrunk), problem.moments.spread, rtol=1e-3)


def test_the_walk_sees_inputs_of_the_compressed_and_targets_of_the_original(tmp_path):
    reference = fold(conv_net()).model
    work = copy_of(reference)
    data = images(32)
    seen = {}
    with Walk(work, reference, batches(data), kernels.prunable_layers(work), tmp_path,
              WalkOptions(rows=10**6)) as walk:
        for view in walk:
            seen[view.name] = view.problem
            view.replace(view.problem.kernel * 0.8, None)
    assert list(seen) == ["stem", "expand", "project", "grouped", "dense"]
    before = tf_keras.Model(work.input, work.get_layer("dense").input)
    np.testing.assert_allclose(seen["dense"].moments.mean_input[0], before(data).numpy().mean(0), atol=1e-2)
    target = reference(data) @ np.eye(10)
    soft = tf.nn.softmax(seen["dense"].moments.mean_target[0]).numpy()
    assert abs(soft - target.numpy().mean(0)).max() < 0.1
    # The projection is asked for the original's sum, so its target makes up for the other branch.
    skip = tf_keras.Model(work.input, work.get_layer("add").input[0])(data).numpy()
    total = tf_keras.Model(reference.input, reference.get_layer("add").output)(data).numpy()
    np.testing.assert_allclose(seen["project"].moments.mean_target[0], (total - skip).mean((0, 1, 2)), atol=2e-2)


def test_the_scan_ranks_layers_and_leaves_the_model(tmp_path):
    model = fold(conv_net()).model
    before = [w.copy() for w in model.get_weights()]
    curves = scan(model, batches(images()), kernels.prunable_layers(model), tmp_path, held_out=1,
                  levels=(0.3, 0.9))
    assert [c.layer for c in curves] == kernels.prunable_layers(model)
    assert all(c.divergence[0] < c.divergence[1] for c in curves)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    key = fingerprint(model, "data", {})
    assert read_profile(tmp_path, key) is None
    write_profile(tmp_path, key, curves)
    assert read_profile(tmp_path, key) == curves
    assert fingerprint(model, "other data", {}) != key
    model.get_layer("dense").bias.assign_add(np.ones(10, np.float32))
    assert fingerprint(model, "data", {}) != key


def test_a_single_batch_is_parted_to_learn_from_and_to_judge_by(tmp_path):
    model = fold(conv_net()).model
    curves = scan(model, [images()[:8]], kernels.prunable_layers(model), tmp_path, held_out=0, levels=(0.3, 0.9))
    assert all(np.isfinite(c.divergence).all() for c in curves)
    write_profile(tmp_path, "spoiled", [replace(curves[0], divergence=(float("nan"), 1.0))])
    assert read_profile(tmp_path, "spoiled") is None


def test_divergence_of_probabilities_of_switches_and_of_numbers():
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    assert divergence([p], [p]) == pytest.approx(0, abs=1e-9)
    wanted = 0.5 * (0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)) + 0.5 * 0
    assert divergence([p], [np.array([[0.9, 0.1], [0.9, 0.1]])]) == pytest.approx(wanted)
    assert divergence([np.array([[0.5]])], [np.array([[0.9]])]) == pytest.approx(
        0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))
    assert divergence([np.array([[1.0], [-3.0]])], [np.array([[2.0], [-3.0]])]) == pytest.approx(0.5 / 4)


CURVES = [
    Curve("hard", 1000, (0.3, 0.5, 0.7, 0.85), (0.1, 0.4, 2.0, 5.0)),
    Curve("easy", 3000, (0.3, 0.5, 0.7, 0.85), (0.001, 0.004, 0.02, 0.05)),
    Curve("tiny", 7, (0.3, 0.5, 0.7, 0.85), (0.001, 0.0005, 0.02, 0.05)),
]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.777, 0.95, 0.99])
def test_allocation_meets_the_target_exactly(share):
    total = round(share * 4007)
    counts = allocation.by_sensitivity(CURVES, total)
    assert sum(counts.values()) == total
    assert all(0 <= counts[c.layer] <= c.weights for c in CURVES)
    if 0 < share < 0.95:
        assert counts["hard"] / 1000 < counts["easy"] / 3000


def test_allocation_is_near_the_best_of_a_grid():
    total = 2000
    def cost(hard: int) -> float:
        return float(allocation.divergence_at(CURVES[0], np.array(hard / 1000))
                     + allocation.divergence_at(CURVES[1], np.array((total - hard) / 3000)))

    counts = allocation.by_sensitivity(CURVES[:2], total)
    best = min(range(0, 1001, 10), key=cost)
    assert cost(counts["hard"]) <= 1.1 * cost(best) + 1e-4


def test_raised_cost_spares_a_layer():
    plain = allocation.by_sensitivity(CURVES, 2000)
    spared = allocation.by_sensitivity(CURVES, 2000, {"easy": 100.0})
    assert spared["easy"] < plain["easy"]
    assert sum(spared.values()) == 2000


def test_counts_are_rounded_to_the_exact_total():
    sizes = {"a": 10, "b": 33, "c": 1001}
    for total in (0, 1, 522, 1043, 1044):
        counts = allocation.exact_counts({"a": 0.5, "b": 0.5, "c": 0.5}, sizes, total)
        assert sum(counts.values()) == total
        assert all(0 <= counts[n] <= sizes[n] for n in sizes)


def test_mosaics_are_many_the_same_every_time_and_in_range():
    few = images(20)
    made = Mosaics(few, np.arange(20), 60, seed=3)
    one, two = (np.concatenate(list(made.batches())) for _ in range(2))
    assert one.shape == (len(made), 8, 8, 1) == (60, 8, 8, 1)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.concatenate(list(made.batches(every=2))), np.concatenate([one[:25], one[50:]]))
    assert one.min() >= few.min()
    assert one.max() <= few.max()
    assert len(np.unique(one.reshape(60, -1), axis=0)) == 60
    assert not np.array_equal(one, np.concatenate(list(Mosaics(few, np.arange(20), 60, seed=4).batches())))
    assert made.digest() != Images(few, np.arange(20)).digest()


def test_views_follow_the_images_and_are_other_pictures_of_the_same():
    few = np.random.default_rng(0).random((12, 64, 80, 3)).astype(np.float32)
    made = Views(few, np.arange(2, 12), 27, seed=3)
    one, two = (np.concatenate(list(made.batches())) for _ in range(2))
    assert one.shape == (len(made), 64, 80, 3) == (27, 64, 80, 3)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[:10], few[2:])
    assert one.min() >= 0
    assert one.max() <= 1
    assert len(np.unique(one.reshape(27, -1), axis=0)) == 27
    assert not np.array_equal(one, np.concatenate(list(Views(few, np.arange(2, 12), 27, seed=4).batches())))


def test_a_view_is_a_part_of_the_image_and_half_of_them_are_mirrored():
    rows, columns = np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 64), indexing="ij")
    ramp = np.repeat(np.stack([rows, columns], -1)[None].astype(np.float32), 60, 0)
    seen = views(ramp, np.random.default_rng(1))
    high = seen[:, -1, 0, 0] - seen[:, 0, 0, 0]
    wide = seen[:, 0, -1, 1] - seen[:, 0, 0, 1]
    assert (high * np.abs(wide)).min() > 0.39
    assert (high * np.abs(wide)).max() <= 1.0001
    assert 15 < (wide < 0).sum() < 45


def test_small_images_have_no_views():
    made = Views(images(20), np.arange(20), 60, seed=3)
    assert len(made) == 20
    assert sum(len(batch) for batch in made.batches()) == 20
