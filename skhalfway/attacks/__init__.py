"""How adversarial inputs are made."""

from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._generator import AdversarialGenerator

__all__ = ["AdversarialGenerator", "Constraints"]
