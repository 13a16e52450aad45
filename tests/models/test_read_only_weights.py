"""Networks whose weights may only be read: pickles that are mapped from files, or shared."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from networks import small

import fastconv
from fastconv.testing import assert_bits_equal

OPTIMIZERS = [name for name in fastconv.registry.optimizers.names() if "." not in name]


def shared(thing):
    """Return a pickled twin whose arrays lie in memory that cannot be written to."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    assert buffers
    return pickle.loads(content, buffers=[bytes(buffer.raw()) for buffer in buffers])


def weights(net):
    return [p.value for layer in net.layers for p in layer.parameters.values()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_the_bits_of_a_network_in_memory_of_its_own(name, rng):
    x, y = rng.standard_normal((8, 2, 8, 8)), np.arange(8) % 3
    net = small()
    net.compile(name, "softmax_cross_entropy")
    net.fit(x, y, epochs=1, verbose=0)
    twin = shared(net)
    before = [array.tobytes() for array in weights(twin)]
    arrays = weights(twin)
    assert not any(array.flags.writeable for array in arrays)
    for each in (net, twin):
        each.fit(x, y, epochs=2, verbose=0)
    for key, value in net.weights().items():
        assert_bits_equal(twin.weights()[key], value)
    assert [array.tobytes() for array in arrays] == before  # what is shared stays as it was


def test_weights_are_set_and_loaded(tmp_path):
    other = small(seed=1)
    other.save(tmp_path / "net.safetensors")
    for change in (
        lambda net: net.set_weights(other.weights()),
        lambda net: net.load_weights(tmp_path / "net.safetensors"),
        lambda net: [net[layer.name].set_params(**layer.params) for layer in other.layers],
    ):
        net = shared(small())
        change(net)
        for key, value in other.weights().items():
            assert_bits_equal(net.weights()[key], value)


def test_what_is_only_read_is_not_copied():
    net = shared(small())
    before = [id(array) for array in weights(net)]
    net.predict(np.zeros((2, 2, 8, 8)))
    assert [id(array) for array in weights(net)] == before
