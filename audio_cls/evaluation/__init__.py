"""Room 4: the classifier is judged, by the same code in validation, test and evaluate.py."""

from audio_cls.evaluation.report import make_judge, report_best, report_scores, write_report
from audio_cls.evaluation.scoring import make_scorer

__all__ = ["make_judge", "make_scorer", "report_best", "report_scores", "write_report"]
