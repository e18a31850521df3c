"""Room 4: the classifier is judged, by the same code in validation, test and evaluate.py."""

from audio_cls.evaluation.answer import (
    answer_from_files,
    describe_judged,
    open_output,
    write_answer,
)
from audio_cls.evaluation.baseline import find_majority, read_majority
from audio_cls.evaluation.calibration import (
    Decision,
    calibrate,
    fit_temperature,
    judge_test,
    report_calibration,
)
from audio_cls.evaluation.figures import draw_figures
from audio_cls.evaluation.matching import load_label_map, match_labels
from audio_cls.evaluation.model_run import (
    adopt_settings,
    choose_rows,
    follow_task,
    keep_lists,
    read_own_run,
)
from audio_cls.evaluation.report import make_judge, report_best, report_scores, write_report
from audio_cls.evaluation.scoring import make_scorer
from audio_cls.evaluation.sweep import report_runs

__all__ = [
    "Decision",
    "adopt_settings",
    "answer_from_files",
    "calibrate",
    "choose_rows",
    "describe_judged",
    "draw_figures",
    "find_majority",
    "fit_temperature",
    "follow_task",
    "judge_test",
    "keep_lists",
    "load_label_map",
    "make_judge",
    "make_scorer",
    "match_labels",
    "open_output",
    "read_majority",
    "read_own_run",
    "report_best",
    "report_calibration",
    "report_runs",
    "report_scores",
    "write_answer",
    "write_report",
]
