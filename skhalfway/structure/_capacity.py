"""capacity_study: robustness by width and depth, at a fixed number of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._checks import (
    check_choice,
    check_integer,
    check_jobs,
    check_positive,
    check_random_state,
)
from skhalfway._entries import takes_datasets
from skhalfway._intervals import POSITIVE, SHARE, ConfidenceInterval, t_interval
from skhalfway._randomness import draw_seed
from skhalfway._text import between, counted, short
from skhalfway.attacks import AdversarialGenerator
from skhalfway.engine._store import check_memory, store_of
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table
from skhalfway.structure._capacity_plan import Task, own_attack, plans_of, read_data
from skhalfway.structure._capacity_training import all_measured

if TYPE_CHECKING:
    import pandas as pd

FIGURES = (
    "robust accuracy",
    "accuracy",
    "stability",
    "lipschitz",
    "relative lipschitz",
    "training accuracy",
)
_SHARES = ("robust accuracy", "accuracy", "stability", "training accuracy")


@dataclass(frozen=True, eq=False, repr=False)
class CapacityStudy(Result):
    """Accuracy and robustness of networks of several depths and shapes.

    Made by :func:`capacity_study`; arrays are read-only. Each of the ``n_networks`` networks is trained
    ``n_repeats`` times.

    Parameters
    ----------
    depth : ndarray of shape (n_networks,)
        Number of dense layers before the last, or of convolutions in each of three stages.
    ratio : ndarray of shape (n_networks,)
        Width of the last stage over that of the first.
    widths : tuple of tuple of int
        Number of channels of each layer, for each network.
    budget : ndarray of shape (n_networks,)
        Requested number of parameters. Networks have this number within a tenth.
    values : dict of str to ndarray of shape (n_networks, n_repeats)
        Figures by name: ``"robust accuracy"``, ``"accuracy"``, ``"stability"``, ``"lipschitz"`` and
        ``"relative lipschitz"`` on the test samples, and ``"training accuracy"``.
    n_test : int
        Number of test samples.

    See Also
    --------
    CapacityStudyDisplay : Draws a figure by the shape of networks.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import CapacityStudy
    >>> values = {"robust accuracy": np.array([[0.5, 0.54], [0.6, 0.62]])}
    >>> depth, ratio, budget = np.array([2, 2]), np.array([1.0, 0.5]), np.array([1000, 1000])
    >>> CapacityStudy(depth, ratio, ((20, 20), (26, 13)), budget, values, n_test=200)
    CapacityStudy: 2 networks, 2 repeats on 200 test samples, means [95 %]
    parameters  depth  last / first  widths  robust accuracy
    1000        2      1             20, 20  .52 [.27 .76]
    1000        2      0.5           26, 13  .61 [.46 .74]
    """

    depth: NDArray[np.intp]
    ratio: NDArray[np.float64]
    widths: tuple[tuple[int, ...], ...]
    budget: NDArray[np.intp]
    values: Mapping[str, NDArray[np.float64]]
    n_test: int

    def __post_init__(self) -> None:
        n = len(self.widths)
        object.__setattr__(self, "widths", tuple(tuple(map(int, each)) for each in self.widths))
        for name, kind in (("depth", np.intp), ("ratio", float), ("budget", np.intp)):
            array = frozen(getattr(self, name), kind)
            if array.shape != (n,):
                raise ValueError(
                    f"{name} must have a value for each of {n} networks, got shape {array.shape}"
                )
            object.__setattr__(self, name, array)
        values = {name: frozen(value, float) for name, value in self.values.items()}
        shapes = {value.shape for value in values.values()}
        if len(shapes) != 1 or len(shape := shapes.pop()) != 2 or shape[0] != n:
            raise ValueError(f"values must be arrays of one shape ({n}, n_repeats), got {sorted(shapes)}")
        object.__setattr__(self, "values", values)

    @property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """Means over repeats, each of shape (n_networks,), by figure."""
        return {name: value.mean(axis=1) for name, value in self.values.items()}

    def confidence_interval(self, level: float = 0.95, *, of: str = "robust accuracy") -> ConfidenceInterval:
        """Confidence intervals of means over seeds; those of shares of test samples cover these too.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : str, default="robust accuracy"
            Name of the figure.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_networks,); nan with a single repeat.

        Raises
        ------
        ValueError
            If there is no such figure, or the level is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import CapacityStudy
        >>> values = {"robust accuracy": np.array([[0.5, 0.54]])}
        >>> study = CapacityStudy([2], [1.0], [(20, 20)], [1000], values, n_test=200)
        >>> study.confidence_interval().low.round(2)
        array([0.27])
        """
        check_choice("of", of, self.values)
        limits = SHARE if of in _SHARES else POSITIVE
        n_samples = self.n_test if of in _SHARES and of != "training accuracy" else None
        return t_interval(self.values[of], level, limits=limits, n_samples=n_samples)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Shapes and figures of the networks, one row each.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Columns budget, depth, ratio and widths; and for each figure its mean, and the ends of its
            interval in columns whose names end with "low" and "high".

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import CapacityStudy
        >>> values = {"robust accuracy": np.array([[0.5, 0.54]])}
        >>> study = CapacityStudy([2], [1.0], [(20, 20)], [1000], values, n_test=200)
        >>> study.to_frame()["robust accuracy"].tolist()
        [0.52]
        """
        import pandas as pd

        columns: dict[str, Any] = {"budget": self.budget, "depth": self.depth, "ratio": self.ratio}
        columns["widths"] = list(self.widths)
        for name, mean in self.means.items():
            interval = self.confidence_interval(level, of=name)
            columns |= {name: mean, f"{name} low": interval.low, f"{name} high": interval.high}
        return pd.DataFrame(columns)

    def _table(self) -> Table:
        n_repeats = next(iter(self.values.values())).shape[1]
        shown_figures = [name for name in FIGURES if name in self.values]
        columns = ["parameters", "depth", "last / first", "widths", *shown_figures]
        known = {name: self.confidence_interval(of=name) for name in self.values}
        rows: list[list[str | Cell]] = []
        for i, widths in enumerate(self.widths):
            named = widths if len(widths) < 4 else (widths[0], "...", widths[-1])
            row: list[str | Cell] = [str(self.budget[i]), str(self.depth[i]), f"{self.ratio[i]:g}"]
            row.append(", ".join(map(str, named)))
            for name in shown_figures:
                write = short if name in _SHARES else "{:.3g}".format
                ends = between(float(known[name].low[i]), float(known[name].high[i]), write)
                row.append(Cell(write(float(self.means[name][i])), ends))
            rows.append(row)
        title = f"CapacityStudy: {counted(len(self.widths), 'network')}, {counted(n_repeats, 'repeat')} on "
        title += counted(self.n_test, "test sample") + (", means [95 %]" if n_repeats > 1 else "")
        notes = ["One repeat has no interval; raise n_repeats."] if n_repeats == 1 else []
        return Table(title, columns, rows, notes=notes)


@takes_datasets
@recorded
def capacity_study(
    X: Any,
    y: Any,
    *,
    X_test: Any,
    y_test: Any,
    n_parameters: Any = 10_000,
    depths: ArrayLike = (1, 2, 3),
    ratios: ArrayLike = (0.25, 1.0, 4.0),
    generator: AdversarialGenerator | None = None,
    n_steps: int = 5,
    n_epochs: int = 30,
    batch_size: int = 128,
    learning_rate: float = 0.003,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    memory: Any = None,
    verbose: int = 0,
) -> CapacityStudy:
    """Train networks of several depths and shapes, with the same number of parameters, and attack them.

    For adversarially trained wide residual networks, [1]_ found that

    - more parameters do not necessarily help robustness,
    - less capacity in the last stage can help it, and
    - one shape is best among networks with the same number of parameters.

    Later work disputes how far width helps [2]_. This function asks the same question for small plain
    networks and your data. Its results hold for these only.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, height, width)
        Training samples. For rows, networks have dense layers. For images, they have three stages of 3 x 3
        convolutions, followed by a mean over the image; the second and the third stage start with a stride
        of 2. Scale features to a common range first.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...)
        Test samples, which are attacked.
    y_test : array-like of shape (n_test,)
        Their labels.
    n_parameters : int or array-like of int, default=10_000
        Number of weights and biases of each network. With several numbers, all shapes are trained for each.
    depths : array-like of int, default=(1, 2, 3)
        Number of dense layers before the last, or of convolutions in each stage.
    ratios : array-like of float, default=(0.25, 1, 4)
        Width of the last stage over that of the first; widths in between change geometrically. A network with
        a single dense layer before the last has no ratio, so it is trained once.
    generator : AdversarialGenerator, default=None
        Attack on the test samples, unfitted and without an estimator. Adversarial training has the same
        budget, norm, constraints and bounds. None is the default of the class.
    n_steps : int, default=5
        Number of PGD steps on each training batch. 0 trains on clean samples.
    n_epochs : int, default=30
        Number of training epochs.
    batch_size : int, default=128
        Number of samples per step of Adam.
    learning_rate : float, default=0.003
        Learning rate of Adam. It is divided by 10 after three quarters and after nine tenths of the epochs.
    n_repeats : int, default=3
        Number of trainings of each network, with different initial weights and orders of samples.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds, which all networks share.
    n_jobs : int, default=None
        Number of trainings in parallel, in processes.
    memory : str, Path or joblib.Memory, default=None
        Folder in which the figures of each network are kept. A study that was interrupted or is enlarged
        continues from there, if ``random_state`` is the same int.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    study : CapacityStudy
        Accuracy, robust accuracy, stability and Lipschitz numbers of each network.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, no network has about ``n_parameters`` parameters, or training
        diverges.
    TypeError
        If ``generator`` is no AdversarialGenerator.

    Warns
    -----
    UserWarning
        If networks have learned nothing. Their stability is then meaningless.

    See Also
    --------
    lipschitz_number : The Lipschitz number of any network with a gradient.
    perturbation_stability : The stability of any classifier.

    Notes
    -----
    The networks, and the notion of a stage for dense layers, are ours; [1]_ has residual networks of three
    stages. Training networks of that size takes days on GPUs, so do not expect its figures here.

    References
    ----------
    .. [1] Huang, Wang, Erfani, Gu, Bailey & Ma, "Exploring architectural ingredients of
       adversarially robust deep neural networks", NeurIPS 2021, arXiv 2110.03825.
    .. [2] Zhu, Liu, Chrysos & Cevher, "Robustness in deep learning: the good (width), the bad
       (depth), and the ugly (initialization)", NeurIPS 2022, arXiv 2209.07263.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skhalfway import AdversarialGenerator
    >>> from skhalfway.structure import capacity_study
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> study = capacity_study(
    ...     X[:400], y[:400], X_test=X[400:600], y_test=y[400:600], n_parameters=3000, depths=[1, 2],
    ...     ratios=[0.5], generator=AdversarialGenerator(eps=0.1, clip_values=(0, 1)), n_steps=1,
    ...     n_epochs=5, n_repeats=1, random_state=0,
    ... )
    >>> study.widths
    ((40,), (34, 17))
    """
    data = read_data(X, y, X_test, y_test)
    plans = plans_of(data, n_parameters, depths, ratios)
    made = own_attack(generator, data)
    for name, value, least in (
        ("n_steps", n_steps, 0),
        ("n_epochs", n_epochs, 1),
        ("batch_size", batch_size, 1),
        ("n_repeats", n_repeats, 1),
    ):
        check_integer(name, value, least)
    check_positive("learning_rate", learning_rate)
    check_jobs(n_jobs, verbose)
    check_memory(memory)
    task = Task(*data, made, n_steps, n_epochs, batch_size, float(learning_rate))
    rng = check_random_state(random_state)
    seeds = [draw_seed(rng) for _ in range(n_repeats)]
    store = store_of(memory)
    found = all_measured(task, plans, seeds, store, n_jobs, verbose)
    values = {
        name: np.array([found[plan, seed][name] for plan in plans for seed in seeds]).reshape(len(plans), -1)
        for name in FIGURES
    }
    most = np.bincount(data[1]).max() / len(data[1])
    n_trained = len(plans) * n_repeats
    n_idle = int((values["training accuracy"] <= most).sum())
    if n_idle:
        warn(
            f"{n_idle} of {counted(n_trained, 'network')} learned nothing: training accuracy is no better "
            "than that of always predicting the most frequent class, so stability is meaningless; scale the "
            "features to a similar spread, raise n_epochs, lower the budget of the generator or change "
            "learning_rate",
            UserWarning,
        )
    shape = [np.array([getattr(plan, name) for plan in plans]) for name in ("depth", "ratio", "n_parameters")]
    widths = tuple(plan.widths() for plan in plans)
    return CapacityStudy(shape[0], shape[1], widths, shape[2], values, len(data[3]))
