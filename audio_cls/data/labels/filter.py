"""Which classes a classifier is to know: kept, dropped, or too rare and merged."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence

from audio_cls.config import DataConfig
from audio_cls.data.labels.label_text import normalize_names
from audio_cls.data.labels.parse import LabelColumn, Names
from audio_cls.errors import DatasetError, list_names, suggest_name

logger = logging.getLogger(__name__)


def filter_labels(cells: LabelColumn, cfg: DataConfig) -> LabelColumn:
    """Apply --keep-labels, --drop-labels, --min-clips-per-label and --merge-rare-into, in order.

    Clips are counted over all splits. A clip that loses its last name is left out.

    Raises:
        DatasetError: A label to keep or drop does not exist.
    """
    kept = list(cells.order)
    wanted, unwanted = normalize_names(cfg.keep_labels), normalize_names(cfg.drop_labels)
    if wanted:
        check_known(wanted, cells.order, "--keep-labels")
        kept = [name for name in kept if name in set(wanted)]
    if unwanted:
        check_known(unwanted, cells.order, "--drop-labels")
        kept = [name for name in kept if name not in set(unwanted)]
    renamed = {name: name for name in kept}
    if cfg.min_clips_per_label is not None:
        counts = count_clips(cells)
        rare = [name for name in kept if counts[name] < cfg.min_clips_per_label]
        kept, renamed = _set_rare_aside(kept, rare, cfg.merge_rare_into)
        if rare:
            fate = f"merged into '{cfg.merge_rare_into}'" if cfg.merge_rare_into else "left out"
            logger.info(
                "%d classes with too few clips are %s: %s.", len(rare), fate, list_names(rare)
            )
    if tuple(kept) == cells.order and len(renamed) == len(kept):
        return cells
    return _rename(cells, tuple(kept), renamed)


def count_clips(cells: LabelColumn) -> Counter[str]:
    """Count the clips of each class over all splits."""
    together = Counter(itertools.chain.from_iterable(cells.clips.values()))
    counts: Counter[str] = Counter()
    for names, count in together.items():
        counts.update(dict.fromkeys(names, count))
    return counts


def check_known(
    wanted: Sequence[str], known: Sequence[str], flag: str, what: str = "label"
) -> None:
    """Refuse a label, or what else a flag names, that the data set does not have.

    Raises:
        DatasetError: The text has the known names.
    """
    for name in wanted:
        if name not in known:
            raise DatasetError(
                f"{flag}: there is no {what} '{name}': the {what}s are {list_names(known)}."
                f"{suggest_name(name, known)}"
            )


def _set_rare_aside(
    kept: list[str], rare: list[str], other: str | None
) -> tuple[list[str], dict[str, str]]:
    """Return the classes that stay, and class -> class it counts as; `other` comes last if new."""
    stay = [name for name in kept if name not in set(rare) or name == other]
    renamed = {name: name for name in stay}
    if rare and other is not None:
        renamed |= {name: other for name in rare}
        stay += [other] if other not in stay else []
    return stay, renamed


def _rename(cells: LabelColumn, order: Names, renamed: dict[str, str]) -> LabelColumn:
    """Replace the names of every clip; a clip that loses all of them is counted."""
    faults = cells.faults.copy()
    clips: dict[str, list[Names]] = {}
    for split, rows in cells.clips.items():
        own = []
        for names in rows:
            new = tuple(dict.fromkeys(renamed[name] for name in names if name in renamed))
            if names and not new:
                faults["of a class left out"] += 1
            own.append(new)
        clips[split] = own
    return LabelColumn(order, clips, faults, cells.is_bare)
