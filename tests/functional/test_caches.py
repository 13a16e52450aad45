"""The sizes of caches decide how work is cut, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import fastconv
from fastconv import kernels
from fastconv.functional import conv2d_costs

# x, weight, options: narrow maps, strides, weights that no L2 holds, a long kernel, rows in which
# blocks of channels go in parts, also where whole rows of taps lie in the padding
LAYERS = [
    ((2, 96, 7, 7), (40, 96, 3, 3), {"padding": 1}),
    ((1, 300, 14, 14), (64, 300, 3, 3), {"padding": 1}),
    ((1, 70, 15, 15), (33, 70, 3, 3), {"stride": 2, "padding": 1}),
    ((1, 260, 9, 9), (48, 260, 1, 1), {"stride": 2}),
    ((1, 600, 7, 7), (100, 600, 1, 1), {}),
    ((1, 9, 12, 12), (20, 9, 7, 7), {"padding": 3}),
    ((2, 130, 20, 29), (40, 130, 3, 3), {"padding": 1}),
    ((1, 120, 12, 30), (24, 120, 3, 3), {"padding": (5, 1)}),
    ((1, 40, 32, 32), (32, 40, 3, 3), {"padding": 1}),
]


@pytest.fixture
def module():
    """The kernels for float32, whose caches are theirs again afterwards."""
    found = kernels.module(np.dtype(np.float32))
    before = found.caches()
    yield found
    found.set_caches(*before)


@pytest.mark.parametrize("caches", [(8 << 10, 128 << 10), (48 << 10, 2 << 20), (1 << 20, 64 << 20)])
@pytest.mark.parametrize(("x", "weight", "options"), LAYERS)
def test_no_bit_and_no_byte_depends_on_them(module, x, weight, options, caches):
    random = np.random.default_rng(3)
    image, weights = (random.standard_normal(s, dtype=np.float32) for s in (x, weight))

    def found():
        costs = conv2d_costs(x, weight, **options)
        y = fastconv.conv2d(image, weights, algorithm="direct", **options)
        gradients = fastconv.conv2d_backward(y, image, weights, algorithm="direct", **options)
        return [y, *gradients], {name: cost.workspace for name, cost in costs.items()}

    expected, expected_bytes = found()
    module.set_caches(*caches)
    arrays, nbytes = found()
    assert nbytes == expected_bytes
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sizes_of_no_cache_are_not_taken(module):
    own = module.caches()
    module.set_caches(1, 1)
    assert module.caches() == (32 << 10, 512 << 10)
    module.set_caches(*own)
    assert kernels.cache_bytes() == own
    assert own[0] >= 4 << 10
    assert own[1] >= 64 << 10
