"""Room 5: the run becomes a Hub repository, and is ranked."""

from audio_cls.publishing.card import write_card
from audio_cls.publishing.hub import check_hub, push_run
from audio_cls.publishing.leaderboard import write_eval_results
from audio_cls.publishing.update import update_card

__all__ = ["check_hub", "push_run", "update_card", "write_card", "write_eval_results"]
