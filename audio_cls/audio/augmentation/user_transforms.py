"""A user's own transforms (`--augment MODULE:FACTORY`), imported by name, their output checked.

The factory gets the sampling rate in Hz and returns a `Transform`. Its module is in the current
folder or installed; importing it runs the user's code.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable

import numpy as np

from audio_cls.audio.augmentation.transforms import Transform
from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz
from audio_cls.errors import SettingError, TransformError, list_names, suggest_name

TRIAL_RATE: Hertz = 16_000  # of the second of noise that each transform gets before a run


class UserTransform:
    """A transform of --augment. Pickled by its name: a loader process calls the factory itself."""

    def __init__(self, name: str, sampling_rate: Hertz) -> None:
        """Import the module and call the factory.

        Args:
            name: MODULE:FACTORY.
            sampling_rate: Of the waves, in Hz.

        Raises:
            SettingError: There is no such module or factory, or it returns no transform.
        """
        self.name, self.sampling_rate = name, sampling_rate
        factory = load_factory(name)
        try:
            self.transform: Transform = factory(sampling_rate)
        except Exception as error:
            raise SettingError(
                f"--augment {name} could not be made for {sampling_rate} Hz"
                f" ({type(error).__name__}: {error}). Correct the factory, or leave it out."
            ) from error
        if not callable(self.transform):
            raise SettingError(
                f"--augment {name} returned {_describe(self.transform)}, which is not a"
                " transform. Return a function of a wave and a random generator."
            )

    def __call__(self, wave: Wave, rng: np.random.Generator) -> Wave:
        """Return the transformed wave (T,).

        Raises:
            TransformError: The transform fails, or does not return finite float32 samples (T,).
        """
        shape = wave.shape
        try:
            output = self.transform(wave, rng)
        except Exception as error:
            place = "".join(f", {f.filename}:{f.lineno}" for f in _list_frames(error)[1:2])
            raise TransformError(
                f"--augment {self.name} failed ({type(error).__name__}: {error}{place}). Correct"
                " it, or leave it out."
            ) from error
        is_array = isinstance(output, np.ndarray)
        if not (is_array and output.shape == shape and output.dtype == np.float32):
            raise TransformError(
                f"--augment {self.name} returned {_describe(output)} for a float32 wave of shape"
                f" {shape}. Return float32 samples of the same shape."
            )
        if not np.isfinite(output).all():
            raise TransformError(
                f"--augment {self.name} returned NaN or infinite samples. Return finite samples,"
                " also for a silent wave."
            )
        return output.copy()  # the transform may write its next output to the same memory

    def __reduce__(self) -> tuple[type[UserTransform], tuple[str, Hertz]]:
        """Send another process the name and the rate."""
        return UserTransform, (self.name, self.sampling_rate)


def load_factory(name: str) -> Callable[[Hertz], Transform]:
    """Import a factory of transforms. The current folder is searched after installed modules.

    Args:
        name: MODULE:FACTORY.

    Raises:
        SettingError: There is no such module or function, or the module needs a missing one.

    >>> load_factory("operator:neg")(16_000)
    -16000
    """
    module_name, _, factory_name = name.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        reason = f"it imports '{error.name}', which is not installed. Install it"
        if f"{module_name}.".startswith(f"{error.name}."):
            reason = (
                f"there is no module '{module_name}', neither in the current folder ({folder}) nor"
                " installed. Start in the folder that has it, or correct the name"
            )
        raise SettingError(f"--augment {name} cannot be imported: {reason}.") from error
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        names = [key for key, value in vars(module).items() if callable(value)]
        raise SettingError(
            f"--augment {name}: {getattr(module, '__file__', module_name)} has no function"
            f" '{factory_name}'; it has {list_names(names) or 'none'}."
            f"{suggest_name(factory_name, names)}"
        )
    return factory  # type: ignore[no-any-return]


def check_user_transforms(names: tuple[str, ...]) -> None:
    """Import the transforms of --augment and try them on a second of noise, before a run.

    Raises:
        SettingError: See `UserTransform`.
        TransformError: See `UserTransform`, or the output is not a function of wave and generator.
    """
    noise = np.random.default_rng(0).normal(0, 0.1, TRIAL_RATE).astype(np.float32)
    for name in names:
        transform = UserTransform(name, TRIAL_RATE)
        first, second = (transform(noise.copy(), np.random.default_rng(0)) for _ in range(2))
        if not np.array_equal(first, second):
            raise TransformError(
                f"--augment {name} returned two results for the same wave and random generator:"
                " a run could not be repeated or resumed. Draw all random numbers from the"
                " generator, and keep no state between calls."
            )


def _list_frames(error: Exception) -> traceback.StackSummary:
    """Return where an error was raised, the call of the transform first."""
    return traceback.extract_tb(error.__traceback__)


def _describe(value: object) -> str:
    """Name a value by its type, an array also by its shape.

    >>> _describe(np.zeros((2, 3))), _describe(None)
    ('float64 (2, 3)', 'NoneType')
    """
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return type(value).__name__
