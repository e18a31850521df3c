"""Room 5: the run becomes a Hub repository, and is ranked."""

from audio_cls.publishing.card import write_card
from audio_cls.publishing.check import check_publication
from audio_cls.publishing.courier import follow_training
from audio_cls.publishing.hub import add_languages, add_license, publish_later, push_run
from audio_cls.publishing.leaderboard import write_eval_results
from audio_cls.publishing.listing import format_standing, save_page
from audio_cls.publishing.rehearsal import publish_run
from audio_cls.publishing.samples import save_samples
from audio_cls.publishing.standing import find_standing
from audio_cls.publishing.update import update_card

__all__ = [
    "add_languages",
    "add_license",
    "check_publication",
    "find_standing",
    "follow_training",
    "format_standing",
    "publish_later",
    "publish_run",
    "push_run",
    "save_page",
    "save_samples",
    "update_card",
    "write_card",
    "write_eval_results",
]
