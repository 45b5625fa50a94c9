"""Draw the house: the floors of the package, from the ground up, with the question that each answers.

    python doc/draw_house.py

writes doc/_static/house.svg. `tests/test_package.py` knows the floors and compares.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

FLOORS = [  # from the ground up: packages side by side, the question
    (["results", "displays"], "What do all results and plots have in common?"),
    (["models"], "What does a classifier give? Predictions, logits, gradients"),
    (["engine"], "How is work spread over cores, kept and resumed?"),
    (["boundaries", "manifold"], "Where are decision boundaries, where is the data?"),
    (["halfway", "training"], "Where on a path between samples do predictions change?"),
    (["attacks"], "How are adversarial examples made?"),
    (["transfer", "perturbation"], "Which models do they fool? What do they teach?"),
    (["codes", "structure", "inspection"], "What do layers, connections and training tell?"),
    (["files", "report", "datasets"], "How are models read from files, and audited?"),
    (["course"], "Which lessons are there, and how are they exported?"),
    (["cli"], "Which commands does a terminal have?"),
]
WIDTH, HEIGHT, GAP, LABELS = 780, 44, 8, 330


def drawing() -> str:
    """The picture, as SVG."""
    height = len(FLOORS) * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="sans-serif">',
        "<title>The packages of skhalfway as floors of a house</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for level, (packages, question) in enumerate(FLOORS):
        y = height - (level + 1) * (HEIGHT + GAP)
        room = (LABELS - GAP) / len(packages)
        for number, package in enumerate(packages):
            x = GAP + number * room
            parts.append(
                f'<rect x="{x:.0f}" y="{y}" width="{room - GAP:.0f}" height="{HEIGHT}" rx="4" '
                'fill="#e8eef7" stroke="#3b5b8c"/>'
                f'<text x="{x + (room - GAP) / 2:.0f}" y="{y + HEIGHT / 2 + 5:.0f}" text-anchor="middle" '
                f'font-size="15" fill="#1b2a41">{escape(package)}</text>'
            )
        parts.append(
            f'<text x="{LABELS + 2 * GAP}" y="{y + HEIGHT / 2 + 5:.0f}" font-size="15" '
            f'fill="#1b2a41">{escape(question)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "_static" / "house.svg").write_text(drawing(), encoding="utf-8")
