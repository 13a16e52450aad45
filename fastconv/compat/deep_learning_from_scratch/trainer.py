"""The book's Trainer."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_choice, as_int, as_mapping
from fastconv.compat.deep_learning_from_scratch import optimizers
from fastconv.compat.deep_learning_from_scratch.arrays import rows_of
from fastconv.errors import ArgumentError

__all__ = ["Trainer"]

Array = np.ndarray[Any, Any]

OPTIMIZERS: dict[str, Any] = {
    name.lower(): getattr(optimizers, name) for name in optimizers.__all__
}


class Trainer:
    """Trains a network on mini-batches that are drawn at random, with replacement between them.

    Parameters
    ----------
    network
        What has ``params``, ``gradient(x, t)``, ``loss(x, t)`` and ``accuracy(x, t)``.
    x_train, t_train, x_test, t_test : ndarray
    epochs, mini_batch_size : int
    optimizer : str
        The name of one of the six, in any letters.
    optimizer_param : dict
        Its settings; ``{"lr": 0.01}`` unless given.
    evaluate_sample_num_per_epoch : int, optional
        How many rows of both sets the accuracy of an epoch is taken of; all unless given.
    verbose : bool
        Whether to print every loss and accuracy.

    Attributes
    ----------
    train_loss_list : list of float
        After each step, of its batch.
    train_acc_list, test_acc_list : list of float
        At the first step of each epoch.
    """

    def __init__(
        self,
        network: Any,
        x_train: Array,
        t_train: Array,
        x_test: Array,
        t_test: Array,
        epochs: int = 20,
        mini_batch_size: int = 100,
        optimizer: str = "SGD",
        optimizer_param: Any = None,
        evaluate_sample_num_per_epoch: int | None = None,
        verbose: bool = True,
    ):
        operation = "Trainer"
        self.network, self.verbose = network, as_bool(operation, "verbose", verbose)
        names = ("x_train", "t_train")
        self.x_train, self.t_train = rows_of(operation, x_train, t_train, names)
        self.x_test, self.t_test = rows_of(operation, x_test, t_test, ("x_test", "t_test"))
        self.epochs = as_int(operation, "epochs", epochs, 0)
        self.batch_size = as_int(operation, "mini_batch_size", mini_batch_size, 1)
        self.evaluate_sample_num_per_epoch = evaluate_sample_num_per_epoch
        if evaluate_sample_num_per_epoch is not None:
            as_int(operation, "evaluate_sample_num_per_epoch", evaluate_sample_num_per_epoch, 1)
        word = optimizer.lower() if isinstance(optimizer, str) else optimizer
        as_choice(operation, "optimizer", word, tuple(OPTIMIZERS))
        settings = {"lr": 0.01} if optimizer_param is None else optimizer_param
        as_mapping(operation, "optimizer_param", settings, "settings to numbers")
        known = inspect.signature(OPTIMIZERS[word]).parameters
        if unknown := [key for key in settings if key not in known]:
            rule = f"must hold settings of {word}: {', '.join(known)}"
            raise ArgumentError(operation, "optimizer_param", rule, unknown)
        self.optimizer = OPTIMIZERS[word](**settings)
        self.train_size = len(x_train)
        self.iter_per_epoch = max(self.train_size / self.batch_size, 1)
        self.max_iter = int(self.epochs * self.iter_per_epoch)
        self.current_iter = self.current_epoch = 0
        self.train_loss_list: list[float] = []
        self.train_acc_list: list[float] = []
        self.test_acc_list: list[float] = []

    def train_step(self) -> None:
        """Take one step, and remember the loss of its batch."""
        rows = np.random.choice(self.train_size, self.batch_size)
        x, t = self.x_train[rows], self.t_train[rows]
        self.optimizer.update(self.network.params, self.network.gradient(x, t))
        loss = self.network.loss(x, t)
        self.train_loss_list.append(loss)
        if self.verbose:
            print(f"train loss:{loss}")
        if self.current_iter % int(self.iter_per_epoch) == 0:
            self.current_epoch += 1
            self._evaluate()
        self.current_iter += 1

    def _evaluate(self) -> None:
        """Remember the accuracies of both sets."""
        rows = slice(self.evaluate_sample_num_per_epoch)
        train = self.network.accuracy(self.x_train[rows], self.t_train[rows])
        test = self.network.accuracy(self.x_test[rows], self.t_test[rows])
        self.train_acc_list.append(train)
        self.test_acc_list.append(test)
        if self.verbose:
            print(f"=== epoch:{self.current_epoch}, train acc:{train}, test acc:{test} ===")

    def train(self) -> None:
        """Take all steps, and print the accuracy on the whole test set."""
        for _ in range(self.max_iter):
            self.train_step()
        accuracy = self.network.accuracy(self.x_test, self.t_test)
        if self.verbose:
            print("=============== Final Test Accuracy ===============")
            print(f"test acc:{accuracy}")
