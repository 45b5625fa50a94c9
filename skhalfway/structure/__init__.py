"""Structure of networks: topology, information, pathways, kernels, capacity, and robustness to flipped bits.

The documentation of each function names the paper, and says what is published and what is our own.
"""

from importlib import import_module
from typing import Any

# a module for each question, and one for the display of its answer; imported on first access (PEP 562), since
# most need torch
_MODULES = {
    "_capacity": ["capacity_study", "CapacityStudy", "CapacityStudyDisplay"],
    "_topology": ["network_topology", "NetworkTopology", "NetworkTopologyDisplay"],
    "_causal": ["causal_structure", "CausalStructure", "CausalStructureDisplay", "UndersampledWarning"],
    "_connectivity": ["connectivity", "connectivity_filter", "Connectivity", "ConnectivityDisplay"],
    "_disentangle": ["disentangle", "Disentanglement", "DisentanglementDisplay"],
    "_templates": ["kernel_templates", "KernelTemplates", "KernelTemplatesDisplay"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
# modules without a display
_HOME |= {"ParityCoded": "_parity", "robustness_radius": "_bits"}
_HOME |= dict.fromkeys(["fourier_stabilise", "FourierStabilisation"], "_fourier")
_HOME |= dict.fromkeys(["lipschitz_number", "perturbation_stability"], "_perturbed")
_HOME["CausalCallback"] = "_causal_callback"  # imports skorch
__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    if _HOME[name] not in _MODULES:
        return getattr(module, name)
    # the import registers the display, so that a result's plot() finds it
    display = import_module(f"{__name__}.{_HOME[name]}_display")
    return getattr(display if name.endswith("Display") else module, name)


def __dir__() -> list[str]:
    return __all__
