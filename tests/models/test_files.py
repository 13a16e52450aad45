"""Saving and loading, and files that are not what they claim to be."""

from __future__ import annotations

import inspect
import json
import os
import runpy
import stat
import struct
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import as_tuple, book, branches, random_like, small

import fastconv
from fastconv import registry
from fastconv.errors import ArgumentError, ArgumentTypeError, ConfigError, FormatError, ShapeError
from fastconv.models.saving import WeightFile, target_of, write_weights
from fastconv.testing import assert_bits_equal


@pytest.mark.parametrize("make", [book, small, branches])
def test_a_network_loaded_again_gives_the_same_bits(make, rng, tmp_path):
    net = make()
    x = random_like(net, rng)
    net.save(tmp_path / "net.safetensors")
    again = fastconv.load(tmp_path / "net.safetensors")
    assert again.to_config() == net.to_config()
    for one, other in zip(as_tuple(net(x)), as_tuple(again(x)), strict=True):
        assert_bits_equal(one, other)


def test_in_a_new_process_too(rng, tmp_path):
    net = small()
    x = random_like(net, rng)
    net.save(tmp_path / "net.safetensors")
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy, fastconv; folder = sys.argv[1]\n"
        "net = fastconv.load(folder + '/net.safetensors')\n"
        "numpy.save(folder + '/y.npy', net(numpy.load(folder + '/x.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert_bits_equal(np.load(tmp_path / "y.npy"), net(x))


def test_other_tools_read_the_file(tmp_path):
    from safetensors import safe_open

    net = small()
    net.save(tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", "np") as file:
        assert json.loads(file.metadata()["fastconv"]) == net.to_config()
        for key, value in net.weights().items():
            assert_bits_equal(file.get_tensor(key), value)


def test_a_file_is_replaced_in_one_go_and_readable_by_others(tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_text("old")
    small().save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_what_is_no_file_is_not_replaced(tmp_path):
    net = small()
    (tmp_path / "net.safetensors").mkdir()
    with pytest.raises(ArgumentError, match=r"save: path .*'.*net.safetensors', which is a dir"):
        net.save(tmp_path / "net.safetensors")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ArgumentError, match="save_weights: path .*, which is a pipe"):
            net.save_weights(tmp_path / "pipe")
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(FileNotFoundError, match=r"nowhere/net\.safetensors'$"):
        net.save(tmp_path / "nowhere/net.safetensors")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"net.safetensors", "pipe"}


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_links_stay_links_and_modes_stay_as_they_were(tmp_path):
    (tmp_path / "far").mkdir()
    real, link = tmp_path / "far/net.safetensors", tmp_path / "link.safetensors"
    link.symlink_to(real)
    small(seed=1).save(link)  # a link that leads nowhere yet
    real.chmod(0o600)
    net = small(seed=2)
    net.save(link)
    assert link.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o600
    for key, value in fastconv.load(real).weights().items():
        assert_bits_equal(value, net.weights()[key])
    assert [entry.name for entry in (tmp_path / "far").iterdir()] == ["net.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "net.safetensors"
    small().save(path)
    before = path.read_bytes()
    program = (
        "import resource, signal, sys, fastconv\n"
        "net = fastconv.Sequential([('Dense', {'units': 300})], input_shape=(300,))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try: net.save(sys.argv[1])\n"
        "except OSError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert str(path) in done.stdout and ".fastconv" not in done.stdout, done
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("operation", ["load", "save"])
def test_what_is_no_path_is_refused(operation):
    use = fastconv.load if operation == "load" else small().save
    for path in (0, None, True, b"net.safetensors"):
        with pytest.raises(ArgumentTypeError, match=f"{operation}: path must be the path of a fil"):
            use(path)
    for path in ("a\0b", "\ud800", Path("a\0b")):
        with pytest.raises(ArgumentError, match=f"{operation}: path must be made of characters"):
            use(path)


def test_a_network_without_layers_can_be_loaded_again(tmp_path):
    x = fastconv.Input((2, 3, 3))
    net = fastconv.Model(x, x)
    net.save(tmp_path / "net.safetensors")
    again = fastconv.load(tmp_path / "net.safetensors")
    assert again.to_config() == net.to_config()
    values = np.ones((2, 2, 3, 3), np.float32)
    assert_bits_equal(again(values), values)
    assert "peak 0 B, beside" in str(again.plan())


@pytest.mark.parametrize("setting", [[1], 3, "conv", None])
def test_what_is_no_mapping_is_refused(setting, tmp_path):
    net = small()
    net.save_weights(tmp_path / "w.safetensors")
    with pytest.raises(ArgumentTypeError, match="set_weights: arrays must be a mapping"):
        net.set_weights(setting)
    if setting is not None:
        with pytest.raises(ArgumentTypeError, match="load_weights: mapping must be a mapping or"):
            net.load_weights(tmp_path / "w.safetensors", mapping=setting)
    with pytest.raises(ArgumentTypeError, match="load_weights: mapping must give .* for '"):
        net.load_weights(tmp_path / "w.safetensors", mapping=lambda name: [name])
    with pytest.raises(ArgumentTypeError, match="load_weights: strict must be True or False"):
        net.load_weights(tmp_path / "w.safetensors", strict=setting)


def test_weights_alone(tmp_path):
    net, other = small(seed=1), small(seed=2)
    net.save_weights(tmp_path / "w.safetensors")
    assert other.load_weights(tmp_path / "w.safetensors") == list(net.weights())
    for key, value in net.weights().items():
        assert_bits_equal(other.weights()[key], value)
    with pytest.raises(FormatError, match="must hold a network, got weights alone"):
        fastconv.load(tmp_path / "w.safetensors")


def changed(net: Any, before: dict[str, np.ndarray]) -> list[str]:
    return [key for key, value in net.weights().items() if not np.array_equal(value, before[key])]


def test_load_weights_of_some_layers(tmp_path):
    small(seed=1).save(tmp_path / "w.safetensors")
    net = small(seed=2)
    before = net.weights()
    net.load_weights(tmp_path / "w.safetensors", only="conv*")
    assert changed(net, before) == ["conv2d_1/weight", "conv2d_2/weight"]
    net.load_weights(tmp_path / "w.safetensors", only="dense_1/weight")
    assert changed(net, before)[2:] == ["dense_1/weight"]
    with pytest.raises(ValueError, match="pattern must match a layer, got 'konv"):
        net.load_weights(tmp_path / "w.safetensors", only="konv*")


def test_load_weights_of_another_library(tmp_path):
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (1, 2, 2), seed=0)
    arrays = {
        "fc.weight": np.arange(8, dtype="float64").reshape(2, 4),
        "fc.bias": np.ones(2, "float16"),
        "steps": np.zeros((), "int64"),
    }
    write_weights(target_of("save", tmp_path / "w.safetensors"), arrays)
    names = {"fc.weight": "dense_1/weight", "fc.bias": "dense_1/bias"}
    with pytest.raises(ConfigError, match="steps: no layer has 'steps'"):
        net.load_weights(tmp_path / "w.safetensors", mapping=names)
    loaded = net.load_weights(tmp_path / "w.safetensors", mapping=names.get)
    assert loaded == ["dense_1/weight", "dense_1/bias"]
    assert_bits_equal(net["dense_1"].params["weight"], arrays["fc.weight"].astype("float32"))
    assert_bits_equal(net["dense_1"].params["bias"], np.ones(2, "float32"))


def test_load_weights_names_all_problems_and_loads_nothing(tmp_path):
    arrays = {"dense_1/weight": np.zeros((4, 2), "float32"), "dens_1/bias": np.zeros(2, "float32")}
    write_weights(target_of("save", tmp_path / "w.safetensors"), arrays)
    net = fastconv.Sequential([("Dense", {"units": 2})], (4,), seed=0)
    before = net.weights()
    with pytest.raises(ConfigError) as caught:
        net.load_weights(tmp_path / "w.safetensors")
    assert caught.value.problems == [
        "load_weights: dens_1/bias: no layer has 'dens_1/bias'; did you mean 'dense_1/bias'?",
        "load_weights: dense_1/bias is missing in the file; did you mean 'dens_1/bias'?",
        "load_weights: dense_1/weight must have shape (2, 4), got (4, 2)",
    ]
    with pytest.raises(ConfigError, match="shape"):
        net.load_weights(tmp_path / "w.safetensors", strict=False)
    assert not changed(net, before)
    bias = {"dense_1/bias": np.ones(2, "float32")}
    write_weights(target_of("save", tmp_path / "w.safetensors"), bias)
    assert net.load_weights(tmp_path / "w.safetensors", strict=False) == ["dense_1/bias"]


def test_set_weights_gives_all_or_nothing():
    net = small()
    before = net.weights()
    with pytest.raises(ConfigError, match="got 'dense_1/wieght'; did you mean"):
        net.set_weights({"dense_1/bias": np.ones(3), "dense_1/wieght": 3})
    with pytest.raises(ShapeError, match="must have shape"):
        net.set_weights({"dense_1/bias": np.ones(3), "dense_1/weight": np.ones(3)})
    assert not changed(net, before)
    net.set_weights({"dense_1/bias": np.ones(3), "batch_norm_1/running_mean": np.ones(4)})
    assert changed(net, before) == ["batch_norm_1/running_mean", "dense_1/bias"]


def test_loading_takes_the_size_of_the_file_and_of_what_is_packed_from_it(tmp_path):
    path = tmp_path / "net.safetensors"
    net = fastconv.Sequential([("Dense", {"units": 2048, "initializer": "ones"})], (8192,))
    net.save(path)
    del net
    tracemalloc.start()
    try:
        again = fastconv.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 2**20
    finally:
        tracemalloc.stop()
    assert again["dense_1"].params["weight"].min() == 1


# Damaged and hostile files


def file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


TWO = b"\0" * 8
HOSTILE = [
    ("empty", b"", "at least 8 bytes"),
    ("seven bytes", b"\0" * 7, "at least 8 bytes, got 7"),
    ("no header", file(b""), "Expecting value"),
    ("a header larger than the file", file({}, length=2**63), "must fit the file"),
    ("a pickle", b"\x80\x04\x95" + b"x" * 100, "must be a safetensors file, got a pickle"),
    ("a list", file([]), "header: must be an object"),
    ("doubled names", file(b'{"a": 1, "a": 2}'), "keys must be unique"),
    ("NaN", file(b'{"a": NaN}'), "no JSON number"),
    ("nested", file(b"[" * 100_000), "nested"),
    ("many values", file(b"[" + b"[]," * 10**6 + b"1]"), "values"),
    ("metadata that is no text", file({"__metadata__": {"a": 1}}), "__metadata__"),
    ("an entry that is none", file({"a": 3}), "must have dtype, shape"),
    ("an entry with more", file({"a": {**entry(), "more": 1}}, TWO), "must have dtype, shape"),
    ("an unknown dtype", file({"a": entry(dtype="F33")}, TWO), "dtype: must be one of"),
    ("a dtype that is no text", file({"a": entry(dtype=[])}, TWO), "dtype: must be one of"),
    ("a negative shape", file({"a": entry([-2])}, TWO), "shape: must be a list of sizes"),
    ("a shape of floats", file({"a": entry([2.0])}, TWO), "shape: must be a list of sizes"),
    ("a shape of bools", file({"a": entry([True])}, TWO), "shape: must be a list of sizes"),
    ("a huge shape", file({"a": entry([2**62, 2**62])}, TWO), "must fill its bytes"),
    ("a product that wraps to 8 bytes", file({"a": entry([2**32, 2**32, 2])}, TWO), "must fill"),
    ("a long shape", file({"a": entry([1] * 33, [0, 4])}, b"\0" * 4), "list of sizes"),
    ("a length that does not fit", file({"a": entry([3])}, TWO), "must fill its bytes, got 8"),
    ("one offset", file({"a": entry(offsets=[0])}, TWO), "begin and end"),
    ("an end before the begin", file({"a": entry(offsets=[8, 0])}, TWO), "must fill its bytes"),
    ("a gap", file({"a": entry(offsets=[4, 12])}, b"\0" * 12), "must begin at 0"),
    (
        "an overlap",
        file({"a": entry(), "b": entry(offsets=[4, 12])}, b"\0" * 12),
        "must begin at 8, where 'a' ends",
    ),
    ("a range beyond the file", file({"a": entry([4], [0, 16])}, TWO), "must fill the 8 bytes"),
    ("bytes that are nobody's", file({"a": entry()}, TWO + b"\0"), "must fill the 9 bytes"),
    ("metadata that is no JSON", file({"__metadata__": {"fastconv": "{"}}), "configuration"),
    (
        "a network that imports",
        file({"__metadata__": {"fastconv": '{"input_shape": [1], "layers": ["os.system"]}'}}),
        "registered name, got 'os.system'",
    ),
    (
        "a network larger than its file",
        file(
            {
                "__metadata__": {
                    "fastconv": '{"input_shape": [9999999], "layers": [["Dense", '
                    '{"units": 99999999}]]}'
                }
            }
        ),
        "dense_1/weight is missing",
    ),
    (
        "another network's arrays",
        file(
            {
                "__metadata__": {"fastconv": '{"input_shape": [2], "layers": ["ReLU"]}'},
                "a": entry(),
            },
            TWO,
        ),
        "a belongs to no layer",
    ),
    (
        "another dtype",
        file(
            {
                "__metadata__": {
                    "fastconv": '{"input_shape": [1], "layers": [["Dense", {"units": 1, '
                    '"bias": false}]]}'
                },
                "dense_1/weight": entry([1, 1], dtype="F64"),
            },
            TWO,
        ),
        r"dense_1/weight must be \(1, 1\) float32, got \(1, 1\) F64",
    ),
]


@pytest.mark.parametrize(
    ("content", "text"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_hostile_files(content, text, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        begun = time.perf_counter()
        with pytest.raises(FormatError, match=text):
            fastconv.load(path)
        assert time.perf_counter() - begun < 1
        assert tracemalloc.get_traced_memory()[1] < len(content) + 64 * 2**20
    finally:
        tracemalloc.stop()


def test_the_largest_header_of_many_values_keeps_the_limits(tmp_path):
    path = tmp_path / "net.safetensors"
    items = ",".join(f'"{i:020d}": [[[[{i}.5]]]]' for i in range(40_000))
    path.write_bytes(file(("{" + items + "}").encode()))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="must have dtype"):
            fastconv.load(path)
        assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_cut_off_at_any_byte(tmp_path):
    net = fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0)
    net.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "part"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError):
            fastconv.load(path)
        with pytest.raises(FormatError):
            net.load_weights(path)


def test_a_file_with_any_byte_changed_is_read_or_refused(rng, tmp_path):
    net = fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0)
    net.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    path = tmp_path / "changed"
    for at in rng.integers(0, len(whole), 300):
        path.write_bytes(whole[:at] + bytes([rng.integers(256)]) + whole[at + 1 :])
        try:
            fastconv.load(path)
        except FormatError:
            continue


def test_a_sparse_file_of_a_terabyte_takes_no_memory(tmp_path):
    path = tmp_path / "sparse"
    path.write_bytes(file({"a": entry([2**38], [0, 2**40])}))
    try:
        os.truncate(path, path.stat().st_size + 2**40)
    except OSError:
        pytest.skip("this file system has no sparse files of that size")
    with WeightFile("load", path) as weights:
        assert weights.entries["a"].shape == (2**38,)
    net = fastconv.Sequential([("Dense", {"units": 2})], (3,))
    with pytest.raises(ConfigError, match="a: no layer has 'a'"):
        net.load_weights(path)


GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("*.safetensors"))
GOLDEN_LAYERS = sorted((Path(__file__).parent.parent / "golden").glob("layer_*.npz"))


def test_there_are_golden_files_of_every_layer():
    texts = [path.with_suffix(".json").read_text() for path in GOLDEN]
    for path in GOLDEN_LAYERS:
        with np.load(path) as arrays:
            texts.append(arrays["config"].item())
    names = {
        node["layer"] for text in texts for node in json.loads(text)["nodes"] if "layer" in node
    }
    ours = {registry.layers.canonical(name) for name in fastconv.list_layers() if "." not in name}
    assert ours <= names, "python tests/golden/make.py makes what is missing"


def assert_computes(net, arrays):
    """Assert that a network gives the golden outputs for the golden inputs."""
    expected = [arrays[f"y{i}"] for i in range(len(net._graph.outputs))]
    xs = tuple(arrays[name] for name in net._graph.input_ids)
    for y, old in zip(as_tuple(net(*xs)), expected, strict=True):
        np.testing.assert_allclose(y, old, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_load_for_ever(path):
    """What old files say and compute never changes; these are only ever added to."""
    net = fastconv.load(path)
    config = json.loads(path.with_suffix(".json").read_text())
    assert as_written_then(net, config) == config
    assert as_written_then(fastconv.from_config(config), config) == config
    with np.load(path.with_suffix(".npz")) as arrays:
        assert_computes(net, arrays)


def as_written_then(net, config):
    """Return the configuration of a network without the settings that came later.

    Such a setting has its default in every network that was written before it was there.
    """
    found = net.to_config()
    for node, old in zip(found["nodes"], config["nodes"], strict=True):
        if "layer" not in node:
            continue
        kind = fastconv.registry.layers.get(node["layer"])
        for key in set(node["config"]) - set(old["config"]):
            assert node["config"].pop(key) == inspect.signature(kind).parameters[key].default
    return found


def assert_golden_layer(path):
    with np.load(path) as arrays:
        config = json.loads(arrays["config"].item())
        net = fastconv.from_config(config)
        assert net.to_config() == config
        weights = {key.partition(":")[2]: arrays[key] for key in arrays if ":" in key}
        assert weights.keys() == net.weights().keys()
        net.set_weights(weights)
        assert_computes(net, arrays)


def test_golden_layers_compute_the_same_for_ever():
    for path in GOLDEN_LAYERS:
        assert_golden_layer(path)


def test_a_new_layer_gets_a_golden_file(tmp_path):
    make = runpy.run_path(str(Path(__file__).parent.parent / "golden/make.py"))["write_layer"]
    make.__globals__["HERE"] = tmp_path
    make("fastconv.Concatenate.v1")
    make("fastconv.Dense.v1")
    made = sorted(tmp_path.glob("layer_*.npz"))
    assert [path.name for path in made] == ["layer_Concatenate_v1.npz", "layer_Dense_v1.npz"]
    for path in made:
        assert_golden_layer(path)
    with np.load(made[1]) as arrays:
        wrong = {**arrays, "y0": arrays["y0"] + np.float32(0.1)}
    np.savez(made[1], **wrong)
    with pytest.raises(AssertionError):
        assert_golden_layer(made[1])


def test_the_golden_file_of_a_frozen_network():
    net = fastconv.load(Path(__file__).parent.parent / "golden/frozen_v1.safetensors")
    assert list(net.trainable_parameters()) == ["batch_norm_1/weight", "dense_1/weight"]


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parent.parent / "golden").glob("by_hand*.json")),
    ids=lambda path: path.stem,
)
def test_golden_files_written_by_hand(path):
    net = fastconv.from_config(path.read_bytes())
    assert net.to_config() == json.loads(path.with_name(f"full_{path.name}").read_text())


def test_a_json_file_is_recognised(tmp_path):
    path = tmp_path / "net.json"
    for text in ("{}", json.dumps(small().to_config())):
        path.write_text(text)
        with pytest.raises(FormatError, match="got JSON text in .*fastconv.from_config"):
            fastconv.load(path)
