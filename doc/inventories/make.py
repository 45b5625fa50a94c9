"""Write the inventories of other projects that the build links to, so that it needs no network.

Each holds only the names that this documentation refers to, with addresses by the scheme of the project's own
site. Run it after a new reference, ``python doc/inventories/make.py``; the build names what is missing.
"""

from __future__ import annotations

import zlib
from pathlib import Path

# project: the address of each kind of object, below the site's, and the objects
INVENTORIES = {
    "sklearn": (
        "modules/generated/{name}.html#{name}",
        {
            "sklearn.datasets.get_data_home": "function",
            "sklearn.frozen.FrozenEstimator": "class",
            "sklearn.metrics.log_loss": "function",
            "sklearn.model_selection.GridSearchCV": "class",
            "sklearn.model_selection.train_test_split": "function",
            "sklearn.pipeline.Pipeline": "class",
        },
    ),
    "torch": (
        "generated/{name}.html#{name}",
        {"torch.nn.Module": "class"},
    ),
}


def inventory(project: str, address: str, objects: dict[str, str]) -> bytes:
    """A file of version 2, as Sphinx writes them."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = [f"{name} py:{kind} 1 {address.format(name=name)} -\n" for name, kind in sorted(objects.items())]
    return head.encode() + zlib.compress("".join(lines).encode(), 9)


if __name__ == "__main__":
    for project, (address, objects) in INVENTORIES.items():
        path = Path(__file__).with_name(f"{project}.inv")
        path.write_bytes(inventory(project, address, objects))
