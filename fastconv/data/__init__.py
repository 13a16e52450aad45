"""Data: the bundled digits, a reader of IDX files (MNIST), and a stratified split."""

from fastconv.data.digits import digits
from fastconv.data.idx import mnist, read_idx
from fastconv.data.split import stratified_split

__all__ = ["digits", "mnist", "read_idx", "stratified_split"]
