"""Data for trying the package: images as float32 in [0, 1], in two parts, and a made table of loans."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml, get_data_home, load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import resample

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice, check_integer, check_random_state, check_share, check_size
from skhalfway._randomness import draw_seed
from skhalfway._text import shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_images", "make_loans"]

LABELS = [str(label) for label in range(10)]

Split = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class _OpenML:
    """A data set of OpenML, with columns of pixels from 0 to 255 and a last column of labels."""

    data_id: int
    shape: tuple[int, int, int]
    # one of n_parts images is for testing
    n_parts: int
    # whether the test images are the last ones
    ordered: bool


OPENML = {
    "mnist": _OpenML(554, (1, 28, 28), 7, ordered=True),
    "fashion_mnist": _OpenML(40996, (1, 28, 28), 7, ordered=True),
    "cifar10": _OpenML(40927, (3, 32, 32), 6, ordered=False),
}
NAMES = ["digits", *OPENML]


def load_images(
    name: str,
    *,
    data_home: str | PathLike[str] | None = None,
    train_size: float | None = None,
    test_size: float | None = None,
    random_state: Any = None,
) -> Split:
    """Load images of ten classes, split into training and test images.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "cifar10"}
        - ``"digits"``: 1,797 images of 1 x 8 x 8, which come with scikit-learn. The split is random and
          stratified.
        - ``"mnist"``: 70,000 images of 1 x 28 x 28 [1]_.
        - ``"fashion_mnist"``: 70,000 images of 1 x 28 x 28 [2]_.
        - ``"cifar10"``: 60,000 images of 3 x 32 x 32 [3]_. The split is random and stratified; see Notes.

        All but the digits are downloaded from OpenML on the first call, and read from ``data_home`` later.
    data_home : str or path-like, default=None
        Folder of scikit-learn's data sets. None is the default of :func:`sklearn.datasets.get_data_home`.
    train_size, test_size : int or float, default=None
        Number of images, or a fraction in (0, 1).

        For the digits, fractions are of all images, as in :func:`sklearn.model_selection.train_test_split`.
        If one of the two is None, it is the rest. If both are None, ``test_size`` is 0.3.

        For the others, fractions are of the training images and of the test images, rounded. The subset is
        random and stratified. None is all images.
    random_state : int, RandomState instance or None, default=None
        Seed of splits and subsets. Pass an int for the same images across calls. The test images are then the
        same for every ``train_size``, except for the digits.

    Returns
    -------
    X_train, X_test : float32 ndarray of shape (n_samples, channels, height, width)
        Pixels in [0, 1].
    y_train, y_test : int64 ndarray of shape (n_samples,)
        Labels from 0 to 9.

    Raises
    ------
    ValueError
        If a parameter is invalid; if more images are requested than there are; if the data have another
        number of pixels, another range or other labels than expected.
    OSError
        If the data set is not in ``data_home`` and cannot be downloaded.

    Notes
    -----
    The order of the images on OpenML, as far as it is known, and our assumptions:

    - MNIST (``mnist_784``, version 1, id 554): its description says that the first 60,000 images are the
      training set. The last seventh is used for testing.
    - Fashion-MNIST (version 1, id 40996): assumed to be in the order of MNIST, which it was made to replace
      with the same split [2]_.
    - CIFAR-10 (``CIFAR_10``, version 1, id 40927): it is not known to us whether its test images are the last
      ones. Therefore one image in six is drawn for testing, and the split is not that of [3]_. The columns
      are assumed to be those of the original files: red, then green, then blue values, row by row.

    Reading takes time and memory at every call. Files of random pixels with the same size took 12 s and
    0.6 GiB (MNIST, Fashion-MNIST), and 42 s and 2 GiB (CIFAR-10), on one core.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning
       applied to document recognition", Proceedings of the IEEE, 1998.
    .. [2] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset
       for benchmarking machine learning algorithms", arXiv:1708.07747, 2017.
    .. [3] A. Krizhevsky, "Learning multiple layers of features from tiny images",
       technical report, University of Toronto, 2009.

    Examples
    --------
    >>> from skhalfway.datasets import load_images
    >>> X_train, X_test, y_train, y_test = load_images("digits", random_state=0)
    >>> X_train.shape, X_test.shape
    ((1257, 1, 8, 8), (540, 1, 8, 8))
    >>> X_train.dtype, float(X_train.min()), float(X_train.max())
    (dtype('float32'), 0.0, 1.0)
    """
    check_choice("name", name, NAMES)
    if data_home is not None and not isinstance(data_home, (str, PathLike)):
        raise TypeError(f"data_home must be a folder or None, got {shown(data_home)}")
    for which, size in (("train_size", train_size), ("test_size", test_size)):
        if size is not None:
            check_size(which, size)
    rng = check_random_state(random_state)
    if name == "digits":
        images, labels = load_digits(return_X_y=True)
        X = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
        y = labels.astype(np.int64)
        if train_size is None and test_size is None:
            test_size = 0.3
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, train_size=train_size, test_size=test_size, random_state=rng, stratify=y
        )
        return X_train, X_test, y_train, y_test
    source = OPENML[name]
    X, y = _read(name, source, data_home)
    # always three draws, so that one size has no effect on the draws of the other
    of_split, of_train, of_test = (draw_seed(rng) for _ in range(3))
    rows = np.arange(len(y))
    n_test = len(y) // source.n_parts
    if source.ordered:
        train, test = np.split(rows, [len(rows) - n_test])
    else:
        train, test = train_test_split(rows, test_size=n_test, random_state=of_split, stratify=y)
    train = _subset("train_size", train_size, train, y, of_train)
    test = _subset("test_size", test_size, test, y, of_test)
    return _images(X, train, source.shape), _images(X, test, source.shape), y[train], y[test]


def make_loans(
    n_samples: int = 1000, *, default_rate: float = 0.25, random_state: Any = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Make applications for loans: a table with numbers, whole numbers, texts and missing values.

    All values are drawn at random, and no real person is in the table. Whether a loan is paid back depends
    on the amount divided by the income, on late payments, on savings, on the months in the present job, on
    being self-employed, and on chance. It does not depend on age, cards, purpose or region.

    Parameters
    ----------
    n_samples : int, default=1000
        How many applications, at least 2.
    default_rate : float, default=0.25
        Share of the loans that are not paid back, > 0 and < 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the table. Pass an int for the same table across calls.

    Returns
    -------
    X : DataFrame of shape (n_samples, 10)
        "age", "income", "amount", "savings", "months_employed", "late_payments" and "cards" are numbers,
        "employment", "purpose" and "region" are texts. Months are missing for people without a job, and
        savings are missing for one person in ten. The index has the names of the applications.
    y : Series of shape (n_samples,)
        "paid" or "not paid".

    Raises
    ------
    ValueError
        If a parameter is invalid, or all loans would be of one class.

    Examples
    --------
    >>> from skhalfway.datasets import make_loans
    >>> X, y = make_loans(random_state=0)
    >>> X[["income", "amount", "employment", "purpose"]].head(2)
             income   amount     employment    purpose
    A00000  28259.0  22050.0       employed        car
    A00001  30021.0  15959.0  self-employed  education
    >>> y.value_counts().to_dict()
    {'paid': 750, 'not paid': 250}
    """
    import pandas as pd

    check_integer("n_samples", n_samples, 2)
    check_share("default_rate", default_rate)
    rng = check_random_state(random_state)
    n = int(n_samples)
    n_defaults = round(default_rate * n)
    if not 0 < n_defaults < n:
        raise ValueError(
            f"default_rate={shown(default_rate)} of {n} loans leaves one class; take more samples, or a rate "
            "further from 0 and 1"
        )
    employment = rng.choice(["employed", "self-employed", "retired", "none"], n, p=[0.6, 0.15, 0.15, 0.1])
    jobless = employment == "none"
    income = np.exp(rng.normal(10.3, 0.5, n)) * np.where(jobless, 0.4, 1.0)
    amount = np.exp(rng.normal(9.2, 0.8, n))
    savings = np.exp(rng.normal(8.3, 0.8, n))
    months = rng.exponential(60, n).round()
    late = rng.poisson(0.4 + 0.8 * jobless)
    burden = 1.6 * np.log(amount / income) + 0.9 * late - 0.65 * np.log(savings)
    burden -= 0.006 * np.where(jobless, 0, months)
    burden += 0.4 * (employment == "self-employed") + rng.logistic(0, 0.6, n)
    names = pd.Index([f"A{k:05d}" for k in range(n)])
    X = pd.DataFrame(
        {
            "age": rng.randint(18, 80, n),
            "income": income.round(),
            "amount": amount.round(),
            "savings": np.where(rng.rand(n) < 0.1, np.nan, savings.round()),
            "months_employed": np.where(jobless, np.nan, months),
            "late_payments": late,
            "cards": rng.randint(0, 6, n),
            "employment": employment,
            "purpose": rng.choice(["car", "home", "education", "other"], n),
            "region": rng.choice(["north", "south", "east", "west"], n),
        },
        index=names,
    )
    # ranks of the burdens
    paid = np.where(burden.argsort().argsort() < n - n_defaults, "paid", "not paid")
    return X, pd.Series(paid, index=names, name="loan")


def _read(
    name: str, source: _OpenML, data_home: str | PathLike[str] | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels from 0 to 255, one image in each row, and labels, checked."""
    n_pixels = int(np.prod(source.shape))
    folder = Path(get_data_home(data_home)) / "openml"
    # float32 needs half the memory of pandas' default. Missing and large values stay visible in it, where
    # integers would wrap around. Labels are read as text: pandas 3.1 turns the categories that scikit-learn
    # asks for into numbers, and scikit-learn 1.9 then deletes the file as broken.
    types: dict[int, Any] = dict.fromkeys(range(n_pixels), np.float32) | {n_pixels: str}
    try:
        pixels, target = fetch_openml(
            data_id=source.data_id,
            data_home=data_home,
            as_frame=False,
            return_X_y=True,
            # the other parser needs 3.5 times the time and 1.7 times the memory
            parser="pandas",
            read_csv_kwargs={"dtype": types},
        )
    except OSError as error:
        raise OSError(
            f"{name} could neither be read from {folder} nor downloaded from OpenML: {error}. Call "
            f"load_images({name!r}) once with a network connection, or copy the folder 'openml' into "
            "data_home from a machine where that was done"
        ) from error

    def unexpected(found: str, expected: str) -> ValueError:
        return ValueError(
            f"{name} holds {found}, expected {expected}; delete {folder} and call load_images({name!r}) "
            "with a network connection to download it again"
        )

    if pixels.shape[1] != n_pixels:
        raise unexpected(f"{pixels.shape[1]} pixels per image", f"{n_pixels}")
    low, high = pixels.min(), pixels.max()
    # this form of the condition also rejects nan
    if not (low >= 0 and high <= 255):
        raise unexpected(f"pixels from {low} to {high}", "0 to 255")
    labels = np.char.strip(target.astype(str), "'\"")
    strange = np.setdiff1d(labels, LABELS)
    if len(strange):
        raise unexpected(f"the labels {shown(strange[:5])}", "0 to 9")
    return pixels, labels.astype(np.int64)


def _subset(
    name: str, size: float | None, rows: NDArray[np.intp], y: NDArray[np.int64], seed: int
) -> NDArray[np.intp]:
    """A stratified random subset of the rows; all rows, in their order, if ``size`` is None."""
    if size is None:
        return rows
    n_samples = int(size) if isinstance(size, Integral) else round(size * len(rows))
    if not 1 <= n_samples <= len(rows):
        raise ValueError(f"{name}={shown(size)} requests {n_samples} images, but there are {len(rows)}")
    return resample(rows, replace=False, n_samples=n_samples, random_state=seed, stratify=y[rows])


def _images(
    X: NDArray[np.float32], rows: NDArray[np.intp], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """These rows of pixels from 0 to 255 as images in [0, 1]."""
    images = np.empty((len(rows), X.shape[1]), dtype=np.float32)
    # pandas returns columns, and images are rows; blocks avoid a copy of the whole
    for block in blocks(len(rows), X.shape[1]):
        np.divide(X[rows[block]], 255, out=images[block])
    return images.reshape(-1, *shape)
