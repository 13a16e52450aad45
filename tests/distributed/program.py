"""What the tests run on several ranks: ``mpiexec -n 2 python -m mpi4py program.py WHAT FOLDER``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI
from six_networks import SIX, X, Y, bits, trained

import fastconv
from fastconv.training import Callback

COMM = MPI.COMM_WORLD
RANK = COMM.Get_rank()


class Fails(Callback):
    def on_batch_end(self, run, batch, figures):
        if run.rank == 1 and batch == 2:
            raise RuntimeError("the disk of rank 1 is gone")


class Threads(Callback):
    def on_epoch_end(self, run, epoch, figures):
        print(fastconv.get_num_threads(), flush=True)


def main(what: str, folder: Path) -> None:
    if what == "six":
        found = {name: bits(trained(name, COMM)) for name in SIX}
        (folder / f"{RANK}.json").write_text(json.dumps(found))
    elif what == "synchronised":
        net = trained("convolutional", COMM, batch_norm="synchronised")
        (folder / f"{RANK}.json").write_text(json.dumps(bits(net)))
    elif what == "fails":
        trained("mlp", COMM, callbacks=[Fails()])
    elif what == "threads":
        trained("mlp", COMM, epochs=1, callbacks=[Threads()])
    elif what == "caught":
        x = X.copy()
        x[50] = np.inf
        net = SIX["mlp"]()
        net.compile("sgd", "softmax_cross_entropy")
        try:
            net.fit(x, Y, comm=COMM, verbose=0, batch_size=93)
        except fastconv.errors.TrainingError as error:
            print(RANK, "caught", type(error).__name__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
