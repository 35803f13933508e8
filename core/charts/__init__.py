"""Pure functions from a DataFrame to an Altair chart.

Column names are fixed and a person's text is only ever a value, never part of an expression. The
texts of axes and tooltips come in as arguments, in the reader's language.
"""

from core.charts.classes import BLUE, VERMILION, top_bars

__all__ = ["BLUE", "VERMILION", "top_bars"]
