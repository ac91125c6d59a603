"""Plots of scores by detail as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finer_tasks.detail.comparison import Category, DetailTable
from finer_tasks.plotting import pyplot, save_figure

_MOST = 40


def plot_details(found: Sequence[DetailTable], folder: Path) -> list[Path]:
    """Write the differences to the first detail by category, for each task; returns the files.

    Of more than 40 categories, those that change most are shown, after all documents.
    """
    plt = pyplot()

    written = []
    for one in found:
        first, *others = one.details
        shown = _shown(one.categories)
        figure, axis = plt.subplots(figsize=(7, 1.4 + 0.28 * len(shown) * max(1, len(others) / 2)), layout="constrained")
        axis.axvline(0, color="#999999", linewidth=1)
        for number, detail in enumerate(others):
            cells = [category.cells["em"][number + 1].difference for category in shown]
            places = [row + (number - (len(others) - 1) / 2) * 0.7 / len(others) for row in range(len(shown))]
            for place, cell in zip(places, cells, strict=True):
                if cell is not None:
                    axis.plot([cell.low, cell.high], [place, place], color=f"C{number}", linewidth=1.4)
            values = [cell.value for cell in cells if cell is not None]
            axis.plot(values, places, "o", color=f"C{number}", markersize=4, label=f"{detail} minus {first}")
        axis.set_yticks(range(len(shown)), [f"{category.name} ({category.documents})" for category in shown], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlabel("difference in exact match, 95 % interval over concepts")
        axis.set_title(one.task)
        axis.legend(fontsize=8)
        written += save_figure(figure, folder, f"detail-{one.task}")
    return written


def _shown(categories: Sequence[Category]) -> list[Category]:
    if len(categories) <= _MOST:
        return list(categories)
    whole, *rest = categories

    def change(category: Category) -> float:
        return max(abs(cell.difference.value) for cell in category.cells["em"] if cell.difference)

    chosen = {category.name for category in sorted(rest, key=change, reverse=True)[: _MOST - 1]}
    return [whole, *(category for category in rest if category.name in chosen)]
