"""What a run measures and how."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from peers.timing import Pace

__all__ = ["LAYERS", "PEERS", "Settings", "installed"]

#: The modules that a peer needs, by its name on the command line.
MODULES = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "onnx"),
    "mnn": ("MNN", "onnx"),
    "ncnn": ("ncnn",),
}
PEERS = tuple(MODULES)
LAYERS = ("first", "others")


def installed(peer: str) -> bool:
    """Whether all that a peer needs is installed; not every peer has wheels for every Python."""
    return all(find_spec(module) for module in MODULES[peer])


@dataclass(frozen=True)
class Settings:
    """The choices of one run; see ``python -m peers --help``.

    Attributes
    ----------
    threads : int
        How many threads every library may use.
    peers : tuple of str
        Which of `PEERS` take part.
    left_out : tuple of str
        Those that were asked for and are not installed.
    layers : tuple of str
        Names of layer tables, or of single layers.
    algorithms, precisions : tuple of str
        Columns of fastconv in the forward table: each algorithm, and `auto` at each precision. The
        backward table has the precisions too.
    keep_output : bool
        Whether fastconv writes to kept memory, as ONNX Runtime and OpenVINO do.
    quick : bool
    against : str
        The whole name of a commit, whose fastconv is measured beside the present one, or "".
    """

    threads: int = 1
    peers: tuple[str, ...] = PEERS
    left_out: tuple[str, ...] = ()
    layers: tuple[str, ...] = LAYERS
    algorithms: tuple[str, ...] = ("direct", "auto")
    precisions: tuple[str, ...] = ("standard",)
    keep_output: bool = False
    quick: bool = False
    against: str = ""

    @property
    def direct_algorithms(self) -> tuple[str, ...]:
        """Those of `algorithms` that do all multiplications; `auto` chooses."""
        choosing = () if "strict" in self.precisions else ("auto",)
        return tuple(one for one in self.algorithms if one not in ("winograd", *choosing))

    @property
    def pace(self) -> Pace:
        """The pace of the races of this run."""
        if self.threads > 1:  # the pauses make a round longer
            return Pace(5, 0.005, 0.02) if self.quick else Pace(10, 0.02, 0.02)
        return Pace(5, 0.005) if self.quick else Pace(13, 0.02)
