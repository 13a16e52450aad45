"""What a prediction is made from: links, work, clusters and jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["LINKS", "Cluster", "Job", "Link", "Work"]


@dataclass(frozen=True)
class Link:
    """A way between two ranks, used in both directions at once.

    Attributes
    ----------
    latency : float
        Seconds between sending the last byte of a message and having it at the other end.
    overhead : float
        Seconds that every message keeps sender and receiver busy, whatever its size.
    bandwidth : float
        Bytes a second.

    Notes
    -----
    Culler and others, "LogP: towards a realistic model of parallel computation", 1993, with bytes
    as in Alexandrov and others, "LogGP", 1995.
    """

    latency: float
    overhead: float
    bandwidth: float

    def busy(self, nbytes: float) -> float:
        """Return how long a message keeps each of its ends from sending or receiving the next."""
        return self.overhead + nbytes / self.bandwidth

    def message(self, nbytes: float) -> float:
        """Return the seconds until a message is there."""
        return self.busy(nbytes) + self.latency

    def shared(self, ranks: int) -> Link:
        """Return what each of some ranks has, when all of them use the link at once."""
        return Link(self.latency, self.overhead, self.bandwidth / ranks)


#: Networks as they are sold.  Of the nominal bandwidth 0.94 is left by the headers of Ethernet, IP
#: and TCP in frames of 1,500 bytes.  Messages of the first two go through the sockets of the
#: operating system; of the last, through a card that programs reach directly.
LINKS = {
    "1 Gbit/s": Link(50e-6, 10e-6, 0.94 * 1e9 / 8),
    "10 Gbit/s": Link(30e-6, 10e-6, 0.94 * 10e9 / 8),
    "100 Gbit/s": Link(2e-6, 3e-6, 0.94 * 100e9 / 8),
}


@dataclass(frozen=True)
class Work:
    """What a network computes in a step, on one rank.

    Attributes
    ----------
    name : str
        Of the network.
    parameter_bytes : int
        Bytes of its gradients, which are what travels.
    row : float
        Seconds of the forward and backward pass of one row.
    piece : float
        Seconds that a piece takes besides its rows: the calls, and adding its gradients to others.
    step : float
        Seconds that a step takes besides its pieces: the optimizer, above all.
    """

    name: str
    parameter_bytes: int
    row: float
    piece: float
    step: float

    def on_cores(self, cores: int) -> Work:
        """Return the same work with rows spread over so many cores, and the rest as it is."""
        return replace(self, row=self.row / cores)


@dataclass(frozen=True)
class Cluster:
    """Ranks, and what is between them.

    Attributes
    ----------
    ranks : int
        How many processes take part.
    link : Link
        Between machines.
    adding : float
        Seconds to add one byte of gradients to another.
    ranks_per_machine : int
        How many ranks stand on one machine and share its link.
    inner : Link
        Between ranks of one machine; by default as between machines.
    """

    ranks: int
    link: Link
    adding: float = 0.0
    ranks_per_machine: int = 1
    inner: Link | None = None

    def __post_init__(self) -> None:
        if self.ranks < 1 or self.ranks % self.ranks_per_machine:
            raise ValueError(
                f"Cluster: ranks must be a multiple of ranks_per_machine "
                f"({self.ranks_per_machine}), got {self.ranks}"
            )

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.ranks // self.ranks_per_machine

    @property
    def within(self) -> Link:
        """The link between ranks of one machine."""
        return self.inner or self.link


@dataclass(frozen=True)
class Job:
    """How a batch is computed.

    Attributes
    ----------
    batch : int
        Rows of a step, over all ranks.
    shards : int
        Pieces that the batch is cut into.
    algorithm : str
        ``"ring"``, ``"tree"``, ``"hierarchical"`` or ``"fixed"``: how gradients are summed.
    buckets : int
        Equal parts in which gradients travel.
    overlap : bool
        Whether a bucket travels while the ones after it are still computed.
    """

    batch: int
    shards: int
    algorithm: str = "fixed"
    buckets: int = 1
    overlap: bool = False

    def pieces(self, ranks: int) -> int:
        """Return how many pieces the rank has that has most."""
        return -(-self.shards // ranks)

    def rows(self, ranks: int) -> float:
        """Return how many rows are in its pieces."""
        return self.pieces(ranks) * self.batch / self.shards
