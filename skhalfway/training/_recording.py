"""Recording: base of callbacks that record a net before training, every few epochs, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from skorch.callbacks import Callback

from skhalfway._checks import check_integer, check_random_state
from skhalfway._randomness import draw_seed, undisturbed

if TYPE_CHECKING:
    from typing_extensions import Self


class Recording(Callback):
    """Records a net without affecting its training; subclasses determine what is recorded.

    Subclasses have the parameters ``every`` and ``random_state``, beside their own. Each record uses the same
    seed, ``seed_``. Records are kept in ``records_``, by epoch.
    """

    _kept: ClassVar[str]  # name of the attribute with the results, once training has ended
    every: int
    random_state: Any

    def initialize(self) -> Self:
        """Delete all records.

        Returns
        -------
        self : object
            This object, in its initial state.
        """
        self.records_: dict[int, Any] = {}
        if hasattr(self, self._kept):
            delattr(self, self._kept)
        return self

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Before the first epoch, record the net as it is.

        Parameters
        ----------
        net : NeuralNetClassifier
            The net in training.
        dataset_train : Dataset
            Training data.
        **kwargs : dict
            Ignored.

        Raises
        ------
        ValueError
            If a parameter, or the data to be recorded on, is invalid.
        TypeError
            If the training data is needed, and has no labels or no samples in one array.
        """
        if self.records_:
            return
        check_integer("every", self.every)
        self._begin(dataset_train)
        with undisturbed():
            self.seed_ = draw_seed(check_random_state(self.random_state))
        self._look(net, len(net.history) - 1)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the net, if a record is due.

        Parameters
        ----------
        net : NeuralNetClassifier
            The net in training.
        **kwargs : dict
            Ignored.
        """
        if (len(net.history) - min(self.records_)) % self.every == 0:
            self._look(net, len(net.history))

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Record the final net, and keep all records.

        Parameters
        ----------
        net : NeuralNetClassifier
            The trained net.
        **kwargs : dict
            Ignored.
        """
        if not self.records_:  # training had no epoch
            return
        if max(self.records_) < len(net.history):
            self._look(net, len(net.history))
        setattr(self, self._kept, self._result())

    def _look(self, net: Any, epoch: int) -> None:
        with undisturbed():
            self.records_[epoch] = self._record(net)

    def _begin(self, dataset_train: Any) -> None:
        """Check parameters before the first record."""

    def _record(self, net: Any) -> Any:
        """Make a record of the current net."""
        raise NotImplementedError

    def _result(self) -> Any:
        """Make the result from all records."""
        raise NotImplementedError
