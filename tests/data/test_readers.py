"""Readers of .npz files, of CSV files of pixels, and of folders of images."""

from __future__ import annotations

import gzip
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastconv
from fastconv import data
from fastconv.data.image_folder import image_paths
from fastconv.errors import ArgumentError, FormatError, MissingExtraError, ShapeError

# .npz


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(6).reshape(2, 3), "y": np.array([0.5, 1]), "names": np.array(["a"])}
    for write in (np.savez, np.savez_compressed):
        write(path, **arrays)
        found = data.read_npz(path)
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


@pytest.mark.parametrize("kind", ["objects", "pickle", "npy", "text", "cut", "folder"])
def test_npz_never_unpickles_and_refuses_what_is_none(tmp_path, kind):
    path = tmp_path / "a.npz"
    if kind == "objects":
        np.savez(path, x=np.array([Evil()], dtype=object))
    elif kind == "pickle":
        import pickle

        path.write_bytes(pickle.dumps(Evil()))
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "text":
        path.write_text("x,y\n1,2\n")
    elif kind == "cut":
        np.savez(path, x=np.zeros(1000))
        path.write_bytes(path.read_bytes()[:-30])
    else:
        path.mkdir()
    with pytest.raises((FormatError, ArgumentError), match="read_npz: .*a.npz|path must be"):
        data.read_npz(path)


# CSV


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return rng.integers(0, 10, 7), rng.integers(0, 256, (7, 2, 3, 4))


def lines(labels, pixels, last=False):
    rows = [[*row.ravel(), label] if last else [label, *row.ravel()] for label, row in
            zip(labels, pixels, strict=True)]  # fmt: skip
    return [",".join(map(str, row)) for row in rows]


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("label", ["first", "last", None])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(tmp_path, table, header, label, end, packed, monkeypatch):
    monkeypatch.setattr(data.csv_pixels, "BLOCK", 100)  # so that there are several
    labels, pixels = table
    rows = lines(labels, pixels, label == "last")
    if label is None:
        rows = [",".join(map(str, row.ravel())) for row in pixels]
    if header:
        rows.insert(0, ",".join(f"p{i}" for i in range(rows[0].count(",") + 1)))
    text = (end.join(rows) + 2 * end).encode()
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    x, y = data.read_csv(path, (2, 3, 4), label=label)
    assert x.dtype == np.float32 and x.shape == (7, 2, 3, 4)
    np.testing.assert_array_equal(np.round(x.astype(np.float64) * 255), pixels)
    assert x.max() <= 1
    if label is None:
        assert y is None
    else:
        assert y.dtype == np.int64 and y.tolist() == labels.tolist()


def test_csv_of_other_greys(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,0,16\n2,8,4.0\n")
    x, y = data.read_csv(str(path), [2], largest=16)
    assert x.tolist() == [[0, 1], [0.5, 0.25]] and y.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3\n1,2\n", "a.csv, line 2, must have 3 values, the first of .* label, got 2"),
        (
            "label,a,b\n\n1,2,3\n1,2,3,4\n",
            "line 4, must have 3 values, the first of .* label, got 4",
        ),
        ("1,2,3\n1,x,3\n", "line 2, must hold numbers, got 'x'"),
        ("1,2,3\n1,,3\n", "line 2, must hold numbers, got ''"),
        ("1,2,3\n1.5,2,3\n", "line 2, must have a whole number as its first value.*got 1.5"),
        ("nan,2,3\n", "line 1, must have a whole number as its first value.*got nan"),
        ("1,2,3\n1,256,3\n", "line 2, must have pixels from 0 to 255, the largest, got 256"),
        ("1,2,-1\n", "line 1, must have pixels from 0 to 255, the largest, got -1"),
        ("1,2,nan\n", "line 1, must have pixels from 0 to 255, the largest, got nan"),
        ("", "must hold at least one image, got none"),
        ("label,a,b\n", "must hold at least one image, got none"),
    ],
)
def test_a_wrong_csv_names_the_line(tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FormatError, match=f"read_csv: .*{words}"):
            data.read_csv(path, (2,))


def test_csv_refuses(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"1,2,3\n" * 1000)[:-9])
    with pytest.raises(FormatError, match="gzip"):
        data.read_csv(path, (2,))
    with pytest.raises(ArgumentError, match="label must be 'first', 'last' or None, got 'frist'"):
        data.read_csv(path, (2,), label="frist")
    with pytest.raises(ArgumentError, match="largest must be above 0"):
        data.read_csv(path, (2,), largest=0)
    with pytest.raises(ArgumentError, match="must be that of an image"):
        data.read_csv(path, (10**9, 10**9))


# Folders of images


Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    pixels = {}
    for name in ("dog/b.png", "cat/2.png", "dog/a.PNG", "cat/more/1.bmp", "dog/c.ppm"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels[name] = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels[name]).save(path)
    (tmp_path / "dog/notes.txt").write_text("no image")
    (tmp_path / "dog/.hidden.png").write_text("no image")
    (tmp_path / ".cache").mkdir()
    return tmp_path, pixels


def test_a_folder_of_images(folder):
    path, pixels = folder
    x, y, names = data.image_folder(path)
    assert names == ["cat", "dog"] and y.tolist() == [0, 0, 1, 1, 1] and y.dtype == np.int64
    order = ["cat/2.png", "cat/more/1.bmp", "dog/a.PNG", "dog/b.png", "dog/c.ppm"]
    assert [str(p.relative_to(path)) for p in x.paths] == order and len(x) == 5
    for row, name in enumerate(order):
        assert x[row].dtype == np.float32 and x[row].flags.c_contiguous
        expected = pixels[name].transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(x[row], expected)
    np.testing.assert_array_equal(x[-1], x[4])
    with pytest.raises(ArgumentError, match="row must be at most 4, got 5"):
        x[5]


def test_grey_and_scaled_images(folder):
    path, pixels = folder
    x, _, _ = data.image_folder(path, grey=True, size=(3, 4))
    assert x[0].shape == (1, 3, 4)
    image = (
        Image.fromarray(pixels["cat/2.png"]).convert("L").resize((4, 3), Image.Resampling.BILINEAR)
    )
    np.testing.assert_array_equal(x[0][0], np.asarray(image, np.float32) / np.float32(255))


def test_networks_learn_from_a_folder(folder):
    x, y, _ = data.image_folder(folder[0])
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (3, 5, 6), seed=0)
    net.compile("sgd", "softmax_cross_entropy", "accuracy")
    net.fit(x, y, epochs=2, batch_size=2, verbose=0, transform=data.flip())
    whole = np.stack([x[row] for row in range(5)])
    np.testing.assert_array_equal(net.predict(x, 2), net.predict(whole, 2))
    assert net.evaluate(x, y, batch_size=2) == net.evaluate(whole, y, batch_size=2)


def test_a_wrong_image_is_named(folder):
    path, _ = folder
    Image.new("RGB", (7, 5)).save(path / "dog/b.png")
    (path / "dog/c.ppm").write_bytes(b"P6 5 5 255\n")
    x, y, _ = data.image_folder(path)
    text = (
        r"Images: .*b.png must have the size of the first image, 5 by 6 pixels, got \(5, 7\); size="
    )
    with pytest.raises(ShapeError, match=text):
        x[3]
    with pytest.raises(FormatError, match="Images: .*c.ppm must be an image that Pillow reads; "):
        x[4]
    x.paths[0].unlink()
    with pytest.raises(FileNotFoundError):
        x[0]
    net = fastconv.Sequential(["Flatten", ("Dense", {"units": 2})], (3, 5, 6), seed=0)
    net.compile("sgd", "softmax_cross_entropy")
    Image.new("RGB", (6, 5)).save(x.paths[0])
    with pytest.raises(ShapeError, match="b.png must have the size") as caught:
        net.fit(x, y, batch_size=1, shuffle=False, verbose=0)
    assert caught.value.__notes__ == ["fit: this was batch 4 of epoch 1"]
    assert net.compiled.step == 3


def test_folders_that_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ArgumentError, match="folder must have a folder for each class"):
        data.image_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(ArgumentError, match="images in the folder of every class, got none"):
        data.image_folder(tmp_path)
    with pytest.raises(ArgumentError, match="image_folder: folder must be a folder, got"):
        data.image_folder(tmp_path / "none")
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r'Pillow must be .*"fastconv\[images\]"'):
        data.image_folder(tmp_path)


@pytest.fixture
def picture():
    """A function that writes a grey picture of 2x2 pixels."""
    image = pytest.importorskip("PIL.Image")

    def write(path, value=100):
        path.parent.mkdir(parents=True, exist_ok=True)
        image.new("L", (2, 2), value).save(path)

    return write


def linked(link, target):
    try:
        link.symlink_to(target, target_is_directory=True)
    except OSError:
        pytest.skip("this system lets nobody make links")


def test_links_are_followed_and_never_lost(tmp_path, picture):
    picture(tmp_path / "elsewhere" / "a.png", 1)
    picture(tmp_path / "pets" / "cat" / "b.png", 2)
    linked(tmp_path / "pets" / "dog", tmp_path / "elsewhere")
    linked(tmp_path / "pets" / "cat" / "all", tmp_path / "pets")
    x, y, names = data.image_folder(tmp_path / "pets")
    assert names == ["cat", "dog"] and y.tolist() == [0, 1]
    assert [path.name for path in x.paths] == ["b.png", "a.png"]
    assert [path.name for path in image_paths(tmp_path / "pets")] == ["b.png", "a.png"]
    linked(tmp_path / "pets" / "up", tmp_path / "pets")
    with pytest.raises(
        ArgumentError, match="images in the folder of every class, got none in .*up"
    ):
        data.image_folder(tmp_path / "pets")
    (tmp_path / "pets" / "up").unlink()
    linked(tmp_path / "pets" / "bird", tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="bird"):
        data.image_folder(tmp_path / "pets")
    (tmp_path / "pets" / "bird").unlink()
    linked(tmp_path / "pets" / "cat" / "c.png", tmp_path / "gone.png")
    with pytest.raises(FileNotFoundError, match=r"c\.png"):
        data.image_folder(tmp_path / "pets")


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path, picture, monkeypatch):
    picture(tmp_path / "pets" / "cat" / "kittens" / "a.png")

    def refuse(folder, own=Path.iterdir):
        if folder.name == "kittens":
            raise PermissionError(13, "Permission denied", str(folder))
        return own(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)  # root may read everything
    with pytest.raises(PermissionError, match="kittens"):
        data.image_folder(tmp_path / "pets")


def test_images_can_be_walked_through(tmp_path, picture):
    for row in range(3):
        picture(tmp_path / f"{row}.png", 50 * row)
    x = data.Images([tmp_path / f"{row}.png" for row in range(3)], grey=True)
    assert [round(255 * float(one[0, 0, 0])) for one in x] == [0, 50, 100]
    assert [len(one) for one in (list(x), list(data.Images([])))] == [3, 0]


@pytest.mark.parametrize("grey", [False, True])
def test_pictures_of_16_bits_keep_their_greys(tmp_path, grey):
    image = pytest.importorskip("PIL.Image")
    values = np.array([[0, 257], [32768, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        image.fromarray(values).save(tmp_path / name)
        x = data.Images([tmp_path / name], grey=grey)[0]
        assert x.shape == (1 if grey else 3, 2, 2)
        np.testing.assert_allclose(x, np.broadcast_to(values / 65535, x.shape), atol=0.5 / 255)


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_pictures_of_an_unknown_range_are_refused(tmp_path, dtype):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.ones((2, 2), dtype)).save(tmp_path / "a.tif")
    with pytest.raises(FormatError, match=r"a\.tif must have 8 or 16 bits in a channel, got 32, "):
        data.Images([tmp_path / "a.tif"])[0]


def test_too_little_memory_is_no_fault_of_the_picture(tmp_path, picture, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    picture(tmp_path / "a.png")

    def resize(*_):
        raise MemoryError

    monkeypatch.setattr(image.Image, "resize", resize)
    with pytest.raises(MemoryError):
        data.Images([tmp_path / "a.png"], size=60_000)[0]


@pytest.mark.parametrize(
    "text", ["\ufeff7,0,255\n", "label,0,1\n7,0,255\n", "\ufefflabel,1,2\n7,0,255\n"]
)
def test_lines_as_spreadsheets_write_them(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    x, y = data.read_csv(path, (1, 1, 2))
    assert y.tolist() == [7] and x.ravel().tolist() == [0, 1]


def test_a_first_line_with_a_typing_error_is_not_taken_for_names(tmp_path):
    for text, wrong in (("7x,0,255\n", "7x"), ("7,1_0,255\n", "1_0")):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(FormatError, match=f"line 1, must hold numbers, got '{wrong}'"):
            data.read_csv(tmp_path / "a.csv", (1, 1, 2))
