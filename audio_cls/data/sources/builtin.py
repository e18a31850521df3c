"""BuiltinSource: the data sets that ship with the package, such as `builtin:tiny_speech`."""

from __future__ import annotations

from audio_cls.config import DataConfig
from audio_cls.data.sources.local_folder import LocalFolderSource
from audio_cls.data.sources.source import LoadedTables
from audio_cls.demo_data import BUILTIN, locate_builtin


class BuiltinSource:
    """A folder of the package, named by `builtin:NAME`."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id begins with `builtin:`."""
        return dataset.startswith(BUILTIN)

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open the folder.

        Raises:
            AudioClsError: The package has no data set of this name.
        """
        return LocalFolderSource().load(str(locate_builtin(dataset)), cfg)
