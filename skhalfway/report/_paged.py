"""Results that are also pages: HTML, Markdown and JSON."""

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
        """Content of the page."""
        raise NotImplementedError

    def _table(self) -> Table:
        """Table that represents the result in text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        lines = (
            wrap(line, WIDTH) if len(line) > WIDTH else [line] for line in self._table().text().splitlines()
        )
        return "\n".join(line for part in lines for line in part)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the page as one HTML document, which can be read without network and scripts.

        Paths in texts are shortened to file names.

        Parameters
        ----------
        path : str or Path, default=None
            File to write the page to. An existing file is replaced once the new one is complete.

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
        """Return the page as GitHub's Markdown; charts and pictures are described in words.

        Parameters
        ----------
        path : str or Path, default=None
            File to write the page to. An existing file is replaced once the new one is complete.

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
            File to write to, as ``save`` does.

        Returns
        -------
        text : str
            The text that ``save`` writes.

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
    """Return the text, after writing it to the file, if one is given."""
    if path is not None:
        with whole_file(path) as file:
            file.write(text)
    return text
