"""Weights from PyTorch's files: exact, strict about names; nothing else in them does anything."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_writer as torch

import fastconv
from fastconv.errors import ConfigError, FormatError
from fastconv.models.saving import unpickling
from fastconv.models.saving.tensors import Unreadable
from fastconv.models.saving.torch_file import TorchFile
from fastconv.models.saving.unpickling import read_pickle
from fastconv.testing import assert_bits_equal

FOLDER = Path(__file__).parent / "torch_files"
WRITTEN = ["torch-2.13.pth", "torch-2.13-legacy.pth", "torch-2.13-protocol-4.pth"]
ONES = np.ones(4, "float32")


def expected() -> dict[str, np.ndarray]:
    """Return what the files that PyTorch 2.13 wrote hold, but for what is no number of ours."""
    six, base = np.arange(6, dtype="float32"), np.arange(24, dtype="float32")
    bits = np.array([0x3DCD, 0xFF62, 0x0001], "uint32")  # 0.1, -3e38 and 1e-40
    return {
        "model.plain.weight": six.reshape(2, 3) / 4,
        "model.turned.weight": six.reshape(2, 3).T,
        "model.view": np.array([[5, 6], [9, 10]], "float32"),
        "model.tied": base,
        "model.double": np.array([0.1, -1e300]),
        "model.half": np.array([0.1, -65504, 6e-8], "float16").astype("float32"),
        "model.bfloat16": (bits << 16).view("float32"),
        "model.none": np.zeros((0, 3), "float32"),
        "model.scalar": np.array(2.5, "float32"),
        "model.parameter": np.ones((2, 2), "float32"),
        "norm.weight": np.ones(2, "float32"),
        "norm.bias": np.zeros(2, "float32"),
        "norm.running_mean": np.zeros(2, "float32"),
        "norm.running_var": np.ones(2, "float32"),
        "list.0": np.full(2, 7, "float32"),
    }


@pytest.mark.parametrize("name", WRITTEN)
def test_what_pytorch_wrote_is_read_exactly(name):
    right = expected()
    with TorchFile("load_weights", FOLDER / name) as file:
        assert [n for n in file.entries if file.entries[n].readable] == list(right)
        others = {n: (e.dtype, e.shape) for n, e in file.entries.items() if not e.readable}
        assert others == {"model.long": ("I64", (3,)), "norm.num_batches_tracked": ("I64", ())}
        for key, array in right.items():
            assert file.entries[key].shape == array.shape
            found = file.read(key)
            assert_bits_equal(found, array.copy())
            assert found.flags.c_contiguous and found.flags.writeable


def dense(**settings):
    return fastconv.Sequential([("Dense", {"units": 2})], (3,), seed=0, **settings)


def test_prefixes_orders_of_axes_and_left_out_names(tmp_path):
    rng = np.random.default_rng(0)
    state = {
        "module.fc.weight": rng.random((3, 2), "float32"),
        "module.fc.bias": rng.random(2, "float32"),
        "optimizer.state.0": np.zeros(7, "float32"),
        "epoch": np.zeros((), "int64"),
    }
    path = tmp_path / "net.pt"
    path.write_bytes(torch.of_state(state))
    net = dense()
    names = {
        "module.fc.": "dense_1/",
        "module.fc.weight": ("dense_1/weight", (1, 0)),
        "optimizer.": None,
        "epoch": None,
    }
    assert net.load_weights(path, mapping=names) == ["dense_1/weight", "dense_1/bias"]
    assert_bits_equal(
        net["dense_1"].params["weight"], np.ascontiguousarray(state["module.fc.weight"].T)
    )
    assert_bits_equal(net["dense_1"].params["bias"], state["module.fc.bias"])
    # the longest beginning counts; a function may give the same things
    longer = {"module.": None, **names}
    before = net.weights()
    assert net.load_weights(path, mapping=longer) == list(before)
    again = dense()
    function = dict(
        zip(state, [("dense_1/weight", [1, 0]), "dense_1/bias", None, None], strict=True)
    )
    again.load_weights(path, mapping=function.__getitem__)
    for key, array in before.items():
        assert_bits_equal(again.weights()[key], array)


def test_what_is_left_out_need_not_be_there(tmp_path):
    net, path = dense(), tmp_path / "net.safetensors"
    net.save_weights(path)
    nothing = {"optimizer.": None, "model/": None, "epoch": None}
    assert dense().load_weights(path, mapping=nothing) == ["dense_1/weight", "dense_1/bias"]
    rule = "mapping must be of names in the file, or of their beginnings, got"
    for key, to in (("optimizer.", "x/"), ("epoch", "x/y"), (3, None), ("a/", ("x/y", (0,)))):
        with pytest.raises(ConfigError, match=f"{rule} {key!r}"):
            dense().load_weights(path, mapping={**nothing, key: to})


def test_what_is_missing_and_left_over_is_told_with_the_nearest_name(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(
        torch.of_state({"dense_1.weight": np.ones((2, 3), "float32"), "dense_1/bias": ONES})
    )
    net = dense()
    before = net.weights()
    with pytest.raises(ConfigError) as caught:
        net.load_weights(path, mapping={"stem.": "x/", "dense_2": "y"})
    assert caught.value.problems == [
        "load_weights: dense_1.weight: no layer has 'dense_1.weight'; "
        "did you mean 'dense_1/weight'?",
        "load_weights: mapping must be of names in the file, or of their beginnings, got 'stem.'",
        "load_weights: mapping must be of names in the file, or of their beginnings, got 'dense_2'",
        "load_weights: dense_1/weight is missing in the file; did you mean 'dense_1.weight'?",
        "load_weights: dense_1/bias must have shape (2,), got (4,)",
    ]
    with pytest.raises(ConfigError, match="must have 3 axes, which mapping puts in order, got"):
        net.load_weights(path, mapping={"dense_1.weight": ("dense_1/weight", (2, 0, 1))})
    for wrong in (("dense_1/weight", (0, 0)), ("dense_1/weight", "10"), ("w",), 3):
        with pytest.raises(TypeError, match="mapping must give 'layer/parameter', "):
            net.load_weights(path, mapping={"dense_1.weight": wrong})
    for key, array in net.weights().items():
        assert_bits_equal(array, before[key])


def test_the_same_mapping_serves_safetensors(tmp_path):
    from safetensors.numpy import save_file

    save_file({"fc.weight": np.ones((3, 2), "float16"), "fc.bias": np.ones(2)}, tmp_path / "w")
    net = dense()
    net.load_weights(
        tmp_path / "w", mapping={"fc.": "dense_1/", "fc.weight": ("dense_1/weight", (1, 0))}
    )
    assert (net["dense_1"].params["weight"] == 1).all()


def test_byte_order_of_the_file(tmp_path):
    state = {
        "dense_1/weight": np.arange(6, dtype="float32").reshape(2, 3),
        "dense_1/bias": ONES[:2],
    }
    big = {key: array.astype(array.dtype.newbyteorder(">")) for key, array in state.items()}
    path = tmp_path / "net.pth"
    path.write_bytes(torch.of_state(big, byteorder=b"big"))
    net = dense()
    net.load_weights(path)
    for key, array in state.items():
        assert_bits_equal(net.weights()[key], array)


def test_load_says_that_the_network_is_to_be_made_first():
    for name in WRITTEN:
        with pytest.raises(FormatError) as caught:
            fastconv.load(FOLDER / name)
        assert "got a file of PyTorch" in str(caught.value)
        assert "net.load_weights(path, mapping=...)" in caught.value.remedy


# Hostile files

OS = torch.label("os", "system")
COMMAND = b"(" + torch.text("touch hacked") + b"t"


def bomb(depth: int) -> bytes:
    """Return a pickle of 2**depth things, each a pair of the one before."""
    return b"".join([b"()q\x00", *(b"h\x00h\x00\x86q\x00" for _ in range(depth)), b"t"])


def itself() -> bytes:
    return b"}q\x00" + torch.text("a") + b"h\x00s"


def wide_in_itself() -> bytes:
    pairs = b"".join(b"M" + struct.pack("<H", i % 65536) + b"N" for i in range(1, 50_000))
    return b"}q\x00(" + b"K\x00h\x00" + pairs + b"u"


def one(where: bytes, *place) -> bytes:
    return torch.mapping({"w": torch.tensor(where, *place)})


FOUR = torch.storage("Float", "0", 4)
PICKLES = {
    "GLOBAL os.system": (OS + COMMAND + b"R", "'os.system'"),
    "GLOBAL alone": (OS, "'os.system'"),
    "STACK_GLOBAL": (torch.text("builtins") + torch.text("eval") + b"\x93", "'builtins.eval'"),
    "STACK_GLOBAL of no text": (b"NN\x93", "''"),
    "a name with a dot": (torch.label("torch", "os.system"), "'torch.os.system'"),
    "another function of torch": (torch.label("torch._utils", "_import_dotted_name"), "_import_"),
    "torch.load": (torch.label("torch", "load"), "'torch.load'"),
    "a module": (torch.label("torch.nn.modules.linear", "Linear"), "Linear"),
    "a codec": (torch.label("_codecs", "encode"), "'_codecs.encode'"),
    "INST": (b"(" + torch.text("id") + b"ios\nsystem\n", "instruction b'i'"),
    "OBJ": (b"(N" + b"o", "instruction b'o'"),
    "NEWOBJ": (b"N)\x81", r"instruction b'\x81'"),
    "NEWOBJ_EX": (b"N)}\x92", r"instruction b'\x92'"),
    "EXT1": (b"\x82\x01", r"instruction b'\x82'"),
    "PERSID": (b"Pstorage\n", "instruction b'P'"),
    "a string that is evaluated": (b"S'a'\n", "instruction b'S'"),
    "an integer in decimals": (b"I" + b"9" * 5000 + b"\n", "instruction b'I'"),
    "a buffer": (b"\x97", r"instruction b'\x97'"),
    "REDUCE of a text": (torch.text("os.system") + b")R", "a call of something other"),
    "REDUCE of None": (b"N)R", "a call of something other"),
    "REDUCE without arguments": (torch.label("collections", "OrderedDict") + b"NR", "a call of"),
    "REDUCE of a storage": (torch.label("torch", "FloatStorage") + b")R", "PyTorch does not write"),
    "an ordered dict of pairs": (
        torch.label("collections", "OrderedDict") + b"]\x85R",
        "PyTorch does not write",
    ),
    "BUILD of a tensor": (torch.tensor(FOUR, (4,), (1,)) + b"}b", "something other than a dict"),
    "BUILD of nothing": (b"}b", "something other than a dict"),
    "SETITEM of a list": (b"]NNs", "keys other than"),
    "SETITEMS of a tuple": (b")(" + torch.text("a") + b"Nu", "something other than a dict"),
    "APPEND to a dict": (b"}Na", "something other than a list"),
    "a key that is a tuple": (b"}(" + bomb(20) + b"Nu", "keys other than texts"),
    "a key without a value": (b"}(Nu", "a key without a value"),
    "an empty stack": (b"a", "an empty stack"),
    "no mark": (b"t", "a mark where there is none"),
    "no memo": (b"h\x07", "recalls what it never had"),
    "a memo of nothing": (b"q\x00", "remembers what is not there"),
    "a long memo index": (b"Nr\xff\xff\xff\xffj\xff\xff\xff\x7f", "recalls what it never had"),
    "a huge integer": (b"\x8a\xff" + b"\x7f" * 255, "an integer of 255 bytes"),
    "a text that is cut off": (b"X\xff\xff\xff\xffabc", "cut off"),
    "a text of 2**63 bytes": (b"\x8d" + b"\xff" * 8 + b"abc", "cut off"),
    "bytes that are no text": (b"X\x01\x00\x00\x00\xff", "not UTF-8"),
    "a name without an end": (b"c" + b"a" * 3000, "a name without an end"),
    "protocol 0": (b"\x80\x00N", "protocol 0"),
    "protocol 200": (b"\x80\xc8N", "protocol 200"),
    "a persistent id of a text": (torch.text("storage") + b"Q", "something other than a storage"),
    "a persistent id of a module": (
        torch.tuple_of(torch.text("module"), b"N", b"N", b"N", b"N") + b"Q",
        "something other than a storage",
    ),
    "a storage of another type": (
        torch.tuple_of(
            *(torch.text("storage"), torch.label("collections", "OrderedDict")),
            *(torch.text("0"), torch.text("cpu"), torch.integer(4)),
        )
        + b"Q",
        "not described as PyTorch does",
    ),
    "a storage of -1 numbers": (torch.storage("Float", "0", -1), "not described as PyTorch does"),
    "a storage of 2**70 numbers": (torch.storage("Float", "0", 2**70), "not described as"),
    "a view of another storage": (torch.storage("Float", "0", 4, b")"), "not described as"),
    "more than the storage has": (one(FOUR, (5,), (1,)), "larger than its storage"),
    "an offset behind the storage": (one(FOUR, (1,), (1,), 4), "larger than its storage"),
    "an offset before it": (one(FOUR, (1,), (1,), -1), "an impossible size"),
    "a stride behind it": (one(FOUR, (2, 2), (3, 1)), "larger than its storage"),
    "a stride before it": (one(FOUR, (2,), (-1,)), "an impossible size"),
    "a size below 0": (one(FOUR, (-1,), (1,)), "an impossible size"),
    "a size of 2**62": (one(FOUR, (2**62,), (0,)), "larger than its storage"),
    "sizes whose product wraps": (one(FOUR, (2**32, 2**32), (0, 0)), "larger than its storage"),
    "a size that is true": (
        torch.label("torch._utils", "_rebuild_tensor_v2")
        + torch.tuple_of(FOUR, torch.integer(0), b"\x88\x85", b"K\x01\x85")
        + b"R",
        "an impossible size",
    ),
    "too many axes": (one(FOUR, (1,) * 33, (1,) * 33), "not described as PyTorch does"),
    "other axes than strides": (one(FOUR, (2, 2), (1,)), "not described as PyTorch does"),
    "a tensor of no storage": (one(b"N", (1,), (1,)), "not described as PyTorch does"),
    "a tensor of a tensor": (one(torch.tensor(FOUR, (1,), (1,)), (1,), (1,)), "not described as"),
    "a dict in itself": (itself(), "in one another"),
    "a wide dict in itself": (wide_in_itself(), "in one another"),
    "2**60 pairs": (bomb(60), "in one another"),
    "many dicts": (b"](" + b"}" * 120_000 + b"e", "in one another"),
    "deep tuples": (b")" + b"\x85" * 120_000, "in one another"),
    "deep lists": (b"]" * 60_000 + b"a" * 59_999, "in one another"),
    "deep marks": (b"(" * 60_000 + b"N", "a stack that is not empty"),
    "a million instructions": (b"N" * 1_000_000, "more than 400000 instructions"),
    "two things": (b"NN", "a stack that is not empty"),
    "nothing": (b"", "an empty stack"),
    "no tensors": (torch.mapping({"w": b"N"}), "no tensors"),
    "two tensors of one name": (
        torch.mapping(
            {
                "a.b": torch.tensor(FOUR, (1,), (1,)),
                "a": torch.mapping({"b": torch.tensor(FOUR, (1,), (1,))}),
            }
        ),
        "two tensors of the name 'a.b'",
    ),
    "a storage that is not there": (
        one(torch.storage("Float", "../../etc/passwd", 4), (4,), (1,)),
        "without its numbers",
    ),
    "a storage of another size": (one(torch.storage("Float", "0", 5), (4,), (1,)), "another size"),
    "a storage of another dtype": (one(torch.storage("Half", "0", 4), (4,), (1,)), "another size"),
}


def refused(path: Path) -> str:
    """Return what `load_weights` says of a file; it changes nothing and takes little memory."""
    net = dense()
    before = net.weights()
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as caught:
            net.load_weights(path, strict=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200e6
    assert time.process_time() - begun < 60
    for key, array in net.weights().items():
        assert_bits_equal(array, before[key])
    message = str(caught.value)
    assert message.startswith(f"load_weights: {path}: ") and len(message) < 2000 + len(str(path))
    return message


@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickles_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, said = PICKLES[name]
    path = tmp_path / "net.pth"
    path.write_bytes(torch.archive(torch.pickle(value), {"0": ONES.tobytes()}))
    message = refused(path)
    assert said in message
    assert "torch.save(module.state_dict(), path)" in message
    assert os.listdir() == ["net.pth"]


@pytest.mark.parametrize("name", ["GLOBAL os.system", "2**60 pairs", "a size of 2**62", "nothing"])
def test_hostile_pickles_are_refused_in_the_old_format(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value, said = PICKLES[name]
    begin = (FOLDER / "torch-2.13-legacy.pth").read_bytes()
    at = 0
    for _ in range(3):
        at = read_pickle(begin, at)[1]
    path = tmp_path / "net.pth"
    path.write_bytes(begin[:at] + torch.pickle(value) + torch.pickle(b"]") + bytes(100))
    assert said in refused(path)
    assert os.listdir() == ["net.pth"]


def test_no_pickle_of_python_runs(tmp_path, monkeypatch):
    """What Python itself makes of an object that runs a command when it is unpickled."""
    monkeypatch.chdir(tmp_path)

    class Evil:
        def __reduce__(self):
            return os.system, ("touch hacked",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "net.pth").write_bytes(torch.archive(pickle.dumps({"w": Evil()}, protocol)))
        refused(tmp_path / "net.pth")
    assert os.listdir() == ["net.pth"]


def altered(content: bytes, change) -> bytes:
    """Return the archive with other headers: `change` gets each ZipInfo and the content."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            change(new, part, old.read(part))
    return out.getvalue()


def compressed(new, part, content):
    part.compress_type = zipfile.ZIP_DEFLATED
    new.writestr(part, content)


def deflated_numbers(new, part, content):
    if "/data/" in part.filename:
        part.compress_type, content = zipfile.ZIP_DEFLATED, bytes(10**8)
    new.writestr(part, content)


def nested(new, part, content):
    new.writestr(f"deeper/{part.filename}", content)


def archives() -> dict[str, tuple[bytes, str]]:
    good = torch.of_state({"dense_1/weight": np.ones((2, 3), "float32"), "dense_1/bias": ONES[:2]})
    end = good.rindex(b"PK\x05\x06")
    directory = int.from_bytes(good[end + 16 : end + 20], "little")
    first = good.index(b"PK\x01\x02", directory)
    flags, sizes = bytearray(good), bytearray(good)
    flags[first + 8] |= 1
    last = good.rindex(b"PK\x01\x02")
    sizes[last + 20 : last + 28] = struct.pack("<II", 10**9, 10**9)
    away = bytearray(good)
    away[last + 42 : last + 46] = struct.pack("<I", 5)
    with pytest.warns(UserWarning, match="Duplicate"):
        content = io.BytesIO(good)
        with zipfile.ZipFile(content, "a") as file:
            file.writestr("net/data/0", bytes(24))
    twice = content.getvalue()
    many = torch.archive(torch.pickle(b"N"), {}, **{"x/data.pkl": b"N."})
    huge = torch.archive(bytes(unpickling.MAX_BYTES + 1))
    return {
        "compressed": (altered(good, compressed), "compressed or encrypted"),
        "a deflate bomb": (altered(good, deflated_numbers), "compressed or encrypted"),
        "in a folder": (altered(good, nested), "no data.pkl in its one folder"),
        "encrypted": (bytes(flags), "compressed or encrypted"),
        "a part of 10**9 bytes": (bytes(sizes), ""),
        "a part elsewhere": (bytes(away), ""),
        "two parts of one name": (twice, "two parts of one name"),
        "two pickles": (many, "no data.pkl in its one folder"),
        "a huge pickle": (huge, f"of {unpickling.MAX_BYTES + 1} bytes"),
        "something behind the pickle": (
            torch.archive(torch.pickle(b"N") + b"N."),
            "something behind its pickle",
        ),
        "without its directory": (good[:end], "must be a whole archive"),
        "cut off": (good[: len(good) // 2], "must be a whole archive"),
        "the head alone": (good[:60], "must be a whole archive"),
    }


def test_tricks_of_archives_are_refused(tmp_path):
    for name, (content, said) in archives().items():
        path = tmp_path / "net.pth"
        path.write_bytes(content)
        assert said in refused(path), name


def test_changed_numbers_are_found_by_the_checksum(tmp_path):
    path, tried = tmp_path / "net.pth", 0
    for name in WRITTEN:
        content = (FOLDER / name).read_bytes()
        if not content.startswith(b"PK"):
            continue  # the format of before 1.6 has no checksum
        with zipfile.ZipFile(FOLDER / name) as archive:
            parts = [part for part in archive.infolist() if "/data/" in part.filename]
        for part in (part for part in parts if part.file_size and part.CRC):
            head = content[part.header_offset : part.header_offset + 30]
            skipped = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
            at = part.header_offset + 30 + skipped + part.file_size - 1
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert "whose checksum is not that of its bytes" in refused(path)
            tried += 1
    assert tried


@pytest.mark.parametrize("name", WRITTEN)
def test_files_that_are_cut_off_or_changed_anywhere(name, tmp_path):
    """Whatever byte is missing or another: an error of ours, or other numbers; nothing else."""
    content = (FOLDER / name).read_bytes()
    path = tmp_path / "net.pth"
    rng = np.random.default_rng(0)
    outcomes = set()
    for number in range(400):
        if number % 2:
            changed = content[: rng.integers(0, len(content))]
        else:
            at = int(rng.integers(0, len(content)))
            changed = content[:at] + bytes([content[at] ^ 1 << rng.integers(8)]) + content[at + 1 :]
        path.write_bytes(changed)
        try:
            with TorchFile("load_weights", path) as file:
                for key, entry in file.entries.items():
                    if entry.readable:
                        assert file.read(key).shape == entry.shape
            outcomes.add("read")
        except FormatError as error:
            assert str(path) in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_random_instructions_do_nothing():
    """Programs of the known instructions, in any order."""
    codes = [*unpickling._INSTRUCTIONS, b"."]
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(5_000):
        parts = [
            codes[i] + rng.bytes(int(rng.integers(0, 3))) for i in rng.integers(0, len(codes), 12)
        ]
        try:
            read_pickle(b"".join(parts))
            seen.add("read")
        except Unreadable as error:
            seen.add(str(error))
    assert "read" in seen and len(seen) > 10


def test_parts_that_would_lie_before_the_file_are_damage(tmp_path):
    """The system refuses such places with an error of its own, which does not name the file."""
    content = bytearray((FOLDER / "torch-2.13.pth").read_bytes())
    for place in range(len(content) - 60, len(content)):
        changed = content.copy()
        changed[place] ^= 0x41
        (path := tmp_path / "changed.pth").write_bytes(changed)
        try:
            TorchFile("load_weights", path).__exit__()
        except FormatError as error:
            assert str(path) in str(error)
