"""What tests run on several ranks: ``mpiexec -n 2 python -m mpi4py on_ranks.py WHAT FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from six_networks import SIX, X, Y, bits, trained

import fastconv
from fastconv.training import Callback


class Fails(Callback):
    def on_batch_end(self, run, batch, figures):
        if run.rank == 1 and batch == 2:
            raise RuntimeError("the disk of rank 1 is gone")


class Threads(Callback):
    def on_epoch_end(self, run, epoch, figures):
        print(fastconv.get_num_threads(), flush=True)


def main(what: str, folder: Path) -> None:
    from mpi4py import MPI  # here, since the file is also looked through for doctests

    comm = MPI.COMM_WORLD
    rank = comm.Get_rank()
    if what == "six":
        found = {name: bits(trained(name, comm)) for name in SIX}
        (folder / f"{rank}.json").write_text(json.dumps(found))
    elif what == "synchronised":
        net = trained("convolutional", comm, batch_norm="synchronised")
        (folder / f"{rank}.json").write_text(json.dumps(bits(net)))
    elif what == "fails":
        trained("mlp", comm, callbacks=[Fails()])
    elif what == "threads":
        trained("mlp", comm, epochs=1, callbacks=[Threads()])
    elif what == "caught":
        x = X.copy()
        x[50] = np.inf
        net = SIX["mlp"]()
        net.compile("sgd", "softmax_cross_entropy")
        try:
            net.fit(x, Y, comm=comm, verbose=0, batch_size=93)
        except fastconv.errors.TrainingError as error:
            # in one piece, or lines of several ranks may be mixed
            sys.stdout.write(f"{rank} caught {type(error).__name__}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
