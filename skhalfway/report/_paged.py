"""What a result does that is also a page: HTML, Markdown, JSON."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from skhalfway.results._writing import json_of, whole_file

if TYPE_CHECKING:
    from skhalfway.report._blocks import Page
    from skhalfway.results._table import Table

WIDTH = 120  # characters of a line of sentences


class Paged:
    """A result with a page of its own."""

    def _page(self) -> Page:
        """What the page says."""
        raise NotImplementedError

    def _table(self) -> Table:
        """What is shown where there is no page."""
        raise NotImplementedError

    def __repr__(self) -> str:
        lines = (
            wrap(line, WIDTH) if len(line) > WIDTH else [line] for line in self._table().text().splitlines()
        )
        return "\n".join(line for part in lines for line in part)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the page as one HTML document, which needs no network, and no script to be read.

        Names of folders are left out of texts that hold paths.

        Parameters
        ----------
        path : str or Path, default=None
            A file to write it to; what is there stays whole until the new one is complete.

        Returns
        -------
        html : str
            The document.

        Raises
        ------
        ValueError
            If the file cannot be written.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import audit
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
        >>> report = audit(models, X, y, surrogates=None, eps=[0.5], n_samples=60, parts=())
        >>> html = report.to_html()
        >>> html[:15], "<h1>Audit of lr</h1>" in html
        ('<!DOCTYPE html>', True)
        """
        from skhalfway.report._html import html_of

        return _written(html_of(self._page()), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the page as Markdown, as GitHub reads it; charts and pictures are told in words.

        Parameters
        ----------
        path : str or Path, default=None
            A file to write it to; what is there stays whole until the new one is complete.

        Returns
        -------
        markdown : str
            The page.

        Raises
        ------
        ValueError
            If the file cannot be written.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import audit
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
        >>> report = audit(models, X, y, surrogates=None, eps=[0.5], n_samples=60, parts=())
        >>> print(report.to_markdown()[:28])
        # Audit of lr
        <BLANKLINE>
        **Exposed**
        """
        from skhalfway.report._markdown import markdown_of

        return _written(markdown_of(self._page()), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return all figures as JSON, in the format that :func:`skhalfway.load_result` reads.

        Parameters
        ----------
        path : str or Path, default=None
            A file to write it to, as ``save`` does.

        Returns
        -------
        text : str
            What ``save`` writes.

        Raises
        ------
        ValueError
            If the file cannot be written.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import audit
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
        >>> report = audit(models, X, y, surrogates=None, eps=[0.5], n_samples=60, parts=())
        >>> report.to_json()[:38]
        '{"format":"skhalfway result","version"'
        """
        return _written(json_of(self), path)


def _written(text: str, path: str | Path | None) -> str:
    """The text, which is in the file too, if there is one."""
    if path is not None:
        with whole_file(path) as file:
            file.write(text)
    return text
