"""What an audit notices in the data itself: leaks, budgets that do not fit, samples seen before."""

from __future__ import annotations

from dataclasses import dataclass

from skhalfway.results._reading import part_of_results
from skhalfway.results._record import Record

# Share of the standard deviation below which the largest budget hardly moves a column. A budget in the units
# of the data is one number for all columns, and need not fit each. Budgets that are meant are rarely below a
# tenth of a standard deviation, so that a twentieth deserves a word. Budgets that are themselves given in
# standard deviations or ranges say how small they are.
BARELY, BARELY_OF_INPUT = 0.01, 0.05
# reasons why no attack here changes what a column tells
HELD = {
    "category": "holds categories, which attacks do not change",
    "immutable": "is fixed by the constraints",
    "constant": "does not vary in the reference, so that its budget is 0",
    "codes": "holds numbers that the model treats as categories, and attacks do not try other categories",
    "barely": "varies so widely that the largest budget is a very small share of its standard deviation",
    "step": "changes in steps, and the largest budget is smaller than the step that is needed",
    "missing": "tells by whether its value is missing, which attacks do not change",
    "gap": "has gaps between its values that are wider than the largest budget",
    "apart": "differs between the classes by more than the largest budget",
}


@part_of_results
@dataclass(frozen=True, eq=False)
class TellingColumn(Record):
    """A column, or several together, that tell the label although no attack of the audit changes them.

    A model that relies on such a column looks robust only because attacks leave the column as it is.

    Parameters
    ----------
    names : tuple of str
        The column; more than one if they tell together and none of them alone.
    tells : {"label", "answers", "decides", "crosses"}
        Whether a simple rule on these columns tells the true labels, or the answers of the deployed model; or
        "decides" where no simple rule does, but most answers depend on all such columns together; or
        "crosses" for a column of numbers with gaps wider than the largest budget, if many answers differ
        between both sides of a gap.
    accuracy : float
        Accuracy of that rule, cross-validated, averaged over the classes. For "decides", the share of answers
        that change when the values of these columns are exchanged between samples; for "crosses", the share
        that differ between both sides of the gaps next to the value of the sample.
    deployed : float
        Accuracy of the deployed model on the samples, averaged over the classes. For "decides", the share of
        answers that change when the values of all columns that attacks change are exchanged; for "crosses",
        the share that change when this column alone changes by the largest budget or half of it.
    chance : float
        Accuracy of guessing, averaged over the classes. For "decides" and "crosses", the share of pairs
        of samples with different answers.
    held : {"category", "immutable", "constant", "codes", "barely", "step", "missing", "apart", "gap"}
        Reason why no attack changes what the column tells; of several columns, that of the first one.

    Examples
    --------
    >>> from skhalfway.report import TellingColumn
    >>> status = TellingColumn(("status",), "label", 0.99, 0.98, 0.5, "category")
    >>> status.declared
    False
    """

    names: tuple[str, ...]
    tells: str
    accuracy: float
    deployed: float
    chance: float
    held: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))

    @property
    def declared(self) -> bool:
        """Whether constraints of the user say that attackers cannot change it."""
        return self.held == "immutable"


@part_of_results
@dataclass(frozen=True, eq=False)
class InspectedData(Record):
    """What an audit notices in the data before any attack.

    Parameters
    ----------
    telling : tuple of TellingColumn, default=()
        Columns that tell the label although no attack changes them.
    barely_moved : tuple of str, default=()
        Columns that the deployed model uses, and for which the largest budget is less than 1 % of the
        standard deviation; with budgets in the units of the data, less than 5 %, except for images.
    spanned : tuple of str, default=()
        Columns for which the largest budget is at least as large as the range of all values.
    spanned_from : float or None, default=None
        Smallest budget that is as large as the range of one of them.
    n_numeric : int, default=0
        Number of columns of numbers that attacks may change and that have more than two values; for images
        1, since all pixels together count as one column.
    seen : int, default=0
        Number of attacked samples that are in the reference too, beyond those that are there by chance.
    integer : tuple of str, default=()
        Columns of whole numbers that attacks may change, without those in ``identifiers``.
    one_hot : tuple of tuples of str, default=()
        Groups of columns in which each row has one 1, and 0 elsewhere.
    categories : tuple of str, default=()
        Columns of categories.
    unconstrained : bool, default=False
        Whether the data is a table, and no constraints were given.
    reference_spread : tuple of (str, float), default=()
        Columns in which the reference varies at least 1.5 times less or more than the samples, beyond chance:
        the spread of the reference, as a multiple of that of the samples.
    identifiers : tuple of str, default=()
        Columns of whole numbers that all differ, as numbers of customers do, and that attacks may change.
    codes : tuple of str, default=()
        Columns of numbers that the deployed model treats as categories, though attacks make other numbers.
    deviations : tuple of float, default=()
        With budgets in the units of the data: the largest budget in standard deviations of the columns of a
        table that attacks may change, the smallest such number and the largest.

    Examples
    --------
    >>> from skhalfway.report import InspectedData
    >>> InspectedData(integer=("visits",), n_numeric=3).integer
    ('visits',)
    """

    telling: tuple[TellingColumn, ...] = ()
    barely_moved: tuple[str, ...] = ()
    spanned: tuple[str, ...] = ()
    spanned_from: float | None = None
    n_numeric: int = 0
    seen: int = 0
    integer: tuple[str, ...] = ()
    one_hot: tuple[tuple[str, ...], ...] = ()
    categories: tuple[str, ...] = ()
    unconstrained: bool = False
    reference_spread: tuple[tuple[str, float], ...] = ()
    identifiers: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    deviations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        names = ("telling", "barely_moved", "spanned", "integer", "categories", "identifiers", "codes")
        for name in (*names, "deviations"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("one_hot", "reference_spread"):
            object.__setattr__(self, name, tuple(map(tuple, getattr(self, name))))


def barely_below(unit: str) -> float:
    """Share of the standard deviation below which a budget in a unit hardly moves a column of a table."""
    return BARELY_OF_INPUT if unit == "input" else BARELY
