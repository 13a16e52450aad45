"""The batches of an epoch, whatever they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.training import loop
from fastconv.training.batch import Position
from fastconv.training.settings import Settings
from fastconv.training.sources import RowSource, as_table


@pytest.fixture
def net(linear):
    model = linear()
    loop.compile(model, "adam", "softmax_cross_entropy", ["accuracy"])
    return model


def seen(batches):
    return [
        (batch.epoch, batch.number, batch.inputs[0].tolist(), batch.targets[0].tolist())
        for batch in batches
    ]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("size", "least"), [(40, 1), (50, 1), (49, 5), (1000, 1)])
def test_an_epoch_begins_at_any_batch(net, blobs, shuffle, size, least):
    net.least = least
    table = as_table("fit", net, net.compiled, *blobs)
    source = RowSource(net, table, Settings(batch_size=size, shuffle=shuffle))
    count = source.plan()
    whole = seen(source.batches(Position(3, 0), 7))
    assert [number for _, number, _, _ in whole] == list(range(count))
    assert {epoch for epoch, _, _, _ in whole} == {3}
    for first in range(count + 1):
        assert seen(source.batches(Position(3, first), 7)) == whole[first:]
    rows = np.concatenate([x for _, _, x, _ in whole])
    assert sorted(rows.tolist()) == sorted(blobs[0].tolist())
    other = seen(source.batches(Position(3, 0), 8))
    assert (other == whole) != shuffle
