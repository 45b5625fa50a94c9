"""What a reader needs of a display: all that is written is in the picture, large enough, and apart."""

from __future__ import annotations

from itertools import combinations


def labels_of(display):
    axes = [display.ax_] if hasattr(display, "ax_") else display.axes_
    for ax in axes:
        yield from [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = axis.get_view_interval()
            # ticks outside are not drawn
            yield from [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        if ax.get_legend():
            yield from ax.get_legend().get_texts()
    for legend in display.figure_.legends:
        yield from legend.get_texts()


def overlaps(a, b):
    return a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1


def check_readable(display):
    """What is written is inside the picture, not too small, and off what else is written."""
    figure = display.figure_
    figure.draw_without_rendering()
    written = [text for text in labels_of(display) if text.get_text().strip() and text.get_visible()]
    boxes = [text.get_window_extent() for text in written]
    for text, box in zip(written, boxes, strict=True):
        assert text.get_fontsize() >= 5
        assert box.x0 >= -1 and box.y0 >= -1, text.get_text()
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1, text.get_text()
    for (i, a), (j, b) in combinations(enumerate(boxes), 2):
        # the box of slanted text is far larger than the text
        if not (written[i].get_rotation() % 90 or written[j].get_rotation() % 90):
            assert not overlaps(a, b), (written[i].get_text(), written[j].get_text())
