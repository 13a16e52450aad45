"""Data: the bundled digits, readers of files, a stratified split, and transforms of batches."""

from fastconv.data.csv_pixels import read_csv
from fastconv.data.digits import digits
from fastconv.data.idx import mnist, read_idx
from fastconv.data.image_folder import Images, image_folder
from fastconv.data.npz import read_npz
from fastconv.data.split import stratified_split
from fastconv.data.transforms import Transform, compose, crop, flip, noise, normalise, shift

__all__ = [
    "Images",
    "Transform",
    "compose",
    "crop",
    "digits",
    "flip",
    "image_folder",
    "mnist",
    "noise",
    "normalise",
    "read_csv",
    "read_idx",
    "read_npz",
    "shift",
    "stratified_split",
]
