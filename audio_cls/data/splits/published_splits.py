"""Published lists of splits that have a name: where they are, what is in them, how they count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

GTZAN_GENRES = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)
CLIPS_PER_GENRE = 100


@dataclass(frozen=True)
class KnownLists:
    """Lists at an address that cannot change, and their sha256 (see `SplitLists`)."""

    address: str
    sha256: str
    to_id: Callable[[str], str]  # from a line of a list to a clip's id


def name_gtzan_clip(line: str) -> str:
    """Turn the number of a GTZAN clip, counted from 1 genre by genre, into its file's name.

    >>> name_gtzan_clip("30"), name_gtzan_clip("1000")
    ('blues.00029', 'rock.00099')
    """
    genre, clip = divmod(int(line) - 1, CLIPS_PER_GENRE)
    return f"{GTZAN_GENRES[genre]}.{clip:05d}"


KNOWN_LISTS = {
    # 443, 197 and 290 clips: no artist in two parts, no repeated, distorted or wrongly labelled
    # clip. By the authors of https://arxiv.org/abs/1507.04761, at a fixed commit.
    "gtzan-fault-filtered": KnownLists(
        "https://raw.githubusercontent.com/coreyker/dnn-mgr"
        "/f245676f76255b88b576ffa9939eaee930f88d57/{split}_filtered.txt",
        "404c6ae0693d41d84d98e7251054eb0f2283b198f468a06361be8013d4718bed",
        name_gtzan_clip,
    ),
}
