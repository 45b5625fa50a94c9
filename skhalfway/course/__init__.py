"""The course, deep learning's mysteries in twelve lessons, as notebooks."""

from skhalfway.course._writing import write_course

__all__ = ["write_course"]
