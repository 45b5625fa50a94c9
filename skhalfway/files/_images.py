"""Images from a folder with one folder for each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import counted, shown
from skhalfway.files._paths import library, said

_MODES = {"L": "grey", "RGB": "RGB"}  # Pillow's names for 8 bits of grey, and three times 8 bits of colour


def read_images(folder: Path) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Images of shape (n, channels, height, width) in [0, 1], and labels: the names of their folders.

    ValueError unless there are at least two folders with images of one size and colour, and nothing else.
    """
    files = _files_by_class(folder)
    image_module = library("PIL.Image", folder, "Pillow")
    images: list[NDArray[np.uint8]] = []
    first, first_is = "", (0, 0, "")
    for file in (file for group in files.values() for file in group):
        name = f"{file.parent.name}/{file.name}"
        try:
            with image_module.open(file) as image:
                this_is = (image.width, image.height, str(image.mode))
                n_frames = getattr(image, "n_frames", 1)
                pixels = np.asarray(image) if image.mode in _MODES else None
        except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
            raise ValueError(f"{name} cannot be read as an image: {said(error, file)}") from error
        if pixels is None or n_frames != 1:
            kind = f"of Pillow's mode {this_is[2]}" if pixels is None else f"of {n_frames} frames"
            raise ValueError(f"{name} is an image {kind}; save it as one image of 8-bit grey or of RGB")
        if not first:
            first, first_is = name, this_is
        if this_is != first_is:
            raise ValueError(
                f"images must have the same size and colour, but {first} has {_told(first_is)} and {name} "
                f"has {_told(this_is)}; resize or convert them like the model's training images"
            )
        images.append(pixels)
    X = np.stack(images)
    X = X[:, None] if X.ndim == 3 else X.transpose(0, 3, 1, 2)
    labels = np.repeat(_labels(list(files)), [len(group) for group in files.values()])
    return np.ascontiguousarray(X, dtype=np.float32) / np.float32(255), labels


def _files_by_class(folder: Path) -> dict[str, list[Path]]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if loose := [entry.name for entry in entries if not entry.is_dir()]:
        raise ValueError(
            f"{folder.name} must hold one folder for each class and nothing else; {shown(loose[0])} is a file"
        )
    if len(entries) < 2:
        raise ValueError(
            f"{folder.name} must hold one folder for each of at least two classes, got "
            f"{counted(len(entries), 'folder')}"
        )
    files = {}
    for entry in entries:
        inside = sorted(file for file in entry.iterdir() if not file.name.startswith("."))
        if not inside or any(file.is_dir() for file in inside):
            what = "folders in it" if inside else "no images"
            raise ValueError(f"folder {shown(entry.name)} of {folder.name} has {what}; it must hold images")
        files[entry.name] = inside
    return files


def _labels(names: list[str]) -> NDArray[Any]:
    whole = all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names)
    return np.array([int(name) for name in names] if whole else names)


def _told(image: tuple[int, int, str]) -> str:
    width, height, mode = image
    return f"{width} x {height} pixels, {_MODES[mode]}"
