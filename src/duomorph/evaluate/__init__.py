"""The yardsticks: how good the curves are on takes that no training saw, beside faces that cost nothing.

One promise: every error stands next to that of three trivial faces: all zero, the training mean, the median.

    report = evaluate(load(), "grid_s1", fps=30)
    report.mae, report.baselines["median"], report.r["jawOpen"]

`metrics` are pure functions of arrays, `report` applies them, `page` draws; docs/evaluation.md says what each means.
"""

from duomorph.evaluate.metrics import best_lag, correlation
from duomorph.evaluate.overview import measure, summary, table
from duomorph.evaluate.report import Played, Report, evaluate, predictions, score

__all__ = [
    "Played", "Report", "best_lag", "correlation", "evaluate", "measure", "predictions", "score", "summary", "table",
]  # fmt: skip
