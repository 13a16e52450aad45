"""Files as they are written: their bytes, what is in them, and what a writer that ends leaves."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from networks import random_like, small

import fastconv
from fastconv.errors import ArgumentTypeError, FormatError
from fastconv.models import saving
from fastconv.testing import assert_bits_equal


def write(path, arrays, metadata=None) -> None:
    saving.write_weights(saving.target_of("save", path), arrays, metadata)


def test_the_bytes_are_those_of_safetensors(tmp_path, rng):
    from safetensors.numpy import save

    names = "float64 float32 float16 int64 int32 int8 uint8 uint16 bool".split()
    arrays = {
        f"layer ä{i}/weight": rng.integers(0, 2, (i, 3)).astype(dtype)
        for i, dtype in enumerate(names)
    }
    arrays |= {"scalar": np.ones(()), "turned": np.arange(6.0).reshape(2, 3).T, "b": np.ones(1)}
    for metadata in (None, {"fastconv": '{"a": "é\\n"}'}):
        write(tmp_path / "w.safetensors", arrays, metadata)
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        contiguous["scalar"] = arrays["scalar"]
        assert (tmp_path / "w.safetensors").read_bytes() == save(contiguous, metadata)


# Frozen flags


def frozen(net) -> list[str]:
    return sorted(set(net.weights()) - set(net.trainable_parameters()))


def test_what_is_frozen_stays_so_in_files_pickles_and_copies(tmp_path):
    net = small()
    net.freeze("conv*")
    net.freeze("*/bias")
    path = tmp_path / "net.safetensors"
    net.save(path)
    again = {
        "file": fastconv.load(path),
        "pickle": pickle.loads(pickle.dumps(net)),
        "copy": copy.deepcopy(net),
    }
    for name, other in again.items():
        assert frozen(other) == frozen(net) != frozen(small()), name
        before = other.weights()
        other.compile("sgd", "softmax_cross_entropy")
        other.train_on_batch(np.ones((2, 2, 8, 8)), [0, 1])
        changed = [k for k, v in other.weights().items() if not np.array_equal(v, before[k])]
        assert "dense_1/weight" in changed and not {"conv2d_1/weight", "dense_1/bias"} & {*changed}
    again["file"].unfreeze()
    assert frozen(again["file"]) == frozen(small())
    again["file"].save(path)
    assert frozen(fastconv.load(path)) == frozen(small())


def test_weights_leave_flags_alone(tmp_path):
    net, other = small(), small()
    net.freeze("conv*")
    other.freeze("dense*")
    net.save(tmp_path / "net.safetensors")
    other.load_weights(tmp_path / "net.safetensors")
    assert frozen(other) == sorted({*frozen(small()), "dense_1/weight", "dense_1/bias"})


def test_a_file_without_frozen_weights_is_as_it_was(tmp_path):
    from safetensors import safe_open

    net = small()
    net.save(tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", "np") as file:
        assert list(file.metadata()) == ["fastconv"]


@pytest.mark.parametrize(
    "text", ["{", "{}", "3", '["dense_1"]', '["batch_norm_1/running_mean"]', "[3]", '[["a"]]']
)
def test_flags_of_others_are_refused(text, tmp_path):
    net = small()
    config = json.dumps(net.to_config())
    write(tmp_path / "n.safetensors", net.weights(), {"fastconv": config, "fastconv.frozen": text})
    with pytest.raises(FormatError, match=r"load: .*n\.safetensors: fastconv\.frozen"):
        fastconv.load(tmp_path / "n.safetensors")


def test_load_with_a_seed_trains_the_same(tmp_path, rng):
    net = small()
    path, x = tmp_path / "net.safetensors", random_like(net, rng, 6)
    net.save(path)

    def trained(seed):
        other = fastconv.load(path, seed=seed)
        other.compile("sgd", "softmax_cross_entropy")
        for _ in range(3):
            other.train_on_batch(x, np.arange(6) % 3)
        return other

    one, same, different = (trained(seed) for seed in (5, 5, 6))
    assert one.seed == 5
    for key, value in one.weights().items():
        assert_bits_equal(value, same.weights()[key])
    weights = [net["dense_1"].params["weight"] for net in (one, different)]
    assert not np.array_equal(*weights)
    for wrong, text in ((-1, "seed must be at least 0"), ("a", "seed must be an integer")):
        with pytest.raises(ValueError if wrong == -1 else TypeError, match=f"load: {text}"):
            fastconv.load(path, seed=wrong)


# Narrow numbers


def widened(bits: np.ndarray, dtype: str) -> np.ndarray:
    """Every number of two bytes as float32, by arithmetic on its sign, exponent and fraction."""
    exponents, fractions = (5, 10) if dtype == "F16" else (8, 7)
    sign = np.where(bits >> 15, -1.0, 1.0)
    exponent = (bits >> fractions).astype(int) & (2**exponents - 1)
    fraction = (bits & (2**fractions - 1)).astype(float) / 2**fractions
    bias = 2 ** (exponents - 1) - 1
    found = sign * (fraction + (exponent > 0)) * 2.0 ** (np.maximum(exponent, 1) - bias)
    special = exponent == 2**exponents - 1
    found[special] = np.where(fraction[special] == 0, sign[special] * np.inf, np.nan)
    return found


@pytest.mark.parametrize("target", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_every_narrow_number_is_widened_exactly(dtype, target, tmp_path):
    bits = np.arange(2**16, dtype="<u2")
    layers = [("Dense", {"units": 2**8, "bias": False})]
    net = fastconv.Sequential(layers, (2**8,), target, seed=0)
    header = {
        "__metadata__": {"fastconv": json.dumps(net.to_config())},
        "dense_1/weight": {"dtype": dtype, "shape": [2**8, 2**8], "data_offsets": [0, 2**17]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bits.tobytes())
    net.load_weights(path)
    right = widened(bits, dtype).reshape(2**8, 2**8)
    for other in (net, fastconv.load(path)):
        value = other["dense_1"].params["weight"]
        assert value.dtype == target
        np.testing.assert_array_equal(value, right.astype(target))
        np.testing.assert_array_equal(np.signbit(value[right == 0]), np.signbit(right[right == 0]))
    again = fastconv.load(path, for_inference=True)
    assert again(np.zeros((1, 2**8), target)).shape == (1, 2**8)


# All or nothing


def test_a_weight_that_cannot_be_taken_leaves_all_as_they_were(tmp_path):
    layers = [("Dense", {"units": 2, "name": name}) for name in "ab"]
    net = fastconv.Sequential(layers, (2,), seed=0)
    before = net.weights()
    arrays = {key: value.astype("float64") + 1 for key, value in before.items()}
    arrays["b/bias"][1] = 1e300
    write(tmp_path / "w.safetensors", arrays)
    with pytest.raises(ArgumentTypeError, match="load_weights: b/bias must fit float32, got val"):
        net.load_weights(tmp_path / "w.safetensors")
    with pytest.raises(ArgumentTypeError, match="set_weights: b/bias must fit float32"):
        net.set_weights(arrays)
    with pytest.raises(ArgumentTypeError, match="set_weights: b/weight must be an array of real"):
        net.set_weights({**before, "a/bias": [5, 5], "b/weight": [[1, 2], [3]]})
    for key, value in net.weights().items():
        assert_bits_equal(value, before[key])


def test_a_file_that_is_cut_off_while_it_is_read_changes_nothing(tmp_path, monkeypatch):
    layers = [("Dense", {"units": 300}), ("Dense", {"units": 300})]
    net, other = (fastconv.Sequential(layers, (300,), seed=seed) for seed in (1, 2))
    path = tmp_path / "net.safetensors"
    other.save(path)
    before, size = net.weights(), path.stat().st_size
    from fastconv.models.saving import files

    original = files.WeightFile.read

    def read(self, name):
        os.truncate(path, size - 40)
        return original(self, name)

    monkeypatch.setattr(files.WeightFile, "read", read)
    with pytest.raises(FormatError, match="is cut off, the file changed while it was read"):
        net.load_weights(path)
    for key, value in net.weights().items():
        assert_bits_equal(value, before[key])


# Writers that end in the middle

KILLED = """
import os, sys, numpy as np
from fastconv.models import saving
target = saving.target_of("save", sys.argv[1])
fsync = os.fsync
def stop(number):
    print("written", flush=True)
    import time
    time.sleep(600)
os.fsync = stop
saving.write_weights(target, {"w": np.ones(100_000)})
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_what_killed_writers_leave_is_cleared_away_and_what_living_ones_have_is_not(
    tmp_path, environment
):
    path = tmp_path / "net.safetensors"
    small().save(path)
    before = path.read_bytes()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, env=environment
        )
        for _ in range(3)
    ]
    try:
        for writer in writers:
            assert writer.stdout.readline() == b"written\n"
        assert len(os.listdir(tmp_path)) == 4 and path.read_bytes() == before
        for writer in writers[:2]:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        (tmp_path / ".fastconv-mine").write_text("not of a writer")
        small(seed=5).save(path)
        left = sorted(os.listdir(tmp_path))
        assert len(left) == 3 and ".fastconv-mine" in left, "that of the living writer is there"
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    small(seed=6).save(path)
    assert sorted(os.listdir(tmp_path)) == [".fastconv-mine", "net.safetensors"]


def test_writers_of_one_file_at_once(tmp_path, environment):
    """Each replaces the file as a whole, and none clears away what another writes."""
    code = (
        "import sys, numpy as np\nfrom fastconv.models import saving\n"
        "for n in range(40):\n"
        "    target = saving.target_of('save', sys.argv[1])\n"
        "    saving.write_weights(target, {'w': np.full(5000, float(sys.argv[2]))})\n"
    )
    path = tmp_path / "w.safetensors"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(n)], env=environment)
        for n in range(3)
    ]
    from safetensors.numpy import load_file

    while any(writer.poll() is None for writer in writers):
        if path.exists():
            array = load_file(path)["w"]
            assert (array == array[0]).all()
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_the_file_and_its_folder_are_on_the_disk_before_save_returns(tmp_path, monkeypatch):
    calls = []

    def noted(name, function):
        def call(*args, **kwargs):
            if name == "fsync":
                mode = os.fstat(args[0]).st_mode
                calls.append("sync of the folder" if mode & 0o040000 else "sync of the file")
            else:
                calls.append(name)
            return function(*args, **kwargs)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    small().save(tmp_path / "net.safetensors")
    folder = [] if os.name == "nt" else ["sync of the folder"]
    assert calls == ["sync of the file", "replace", *folder]
