"""Exceptions for users: each text names what was given, what is allowed and what to do.

Every message follows one template: what was given, what is allowed, what to do. The command line
shows the text of an `AudioClsError` on one line, without a traceback, and ends with exit code 2;
any other exception keeps its traceback.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

MAX_LISTED = 10  # names shown in a message before "and N more"
TOKEN_MARK = "<token>"  # nosec B105 # written in place of one

_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}\b")
_LOGIN = re.compile(r"(?<=://)[^\s/?#'\"<>]+@")  # user:password@ of an address
# A parameter of an address that signs it or lets its holder in; its value.
_PARAMETER = re.compile(
    r"([?&;#](?=[^\s'\"<>=&;#?]*"
    r"(?:sig|token|credential|passw|secret|key|auth|policy|access))[^\s'\"<>=&;#?]*=)[^\s'\"<>&#]+",
    re.IGNORECASE,
)


class AudioClsError(ValueError):
    """Base of all errors that a user can fix."""


class SettingError(AudioClsError):
    """A setting is unknown, out of range or contradicts another one."""


class DatasetError(AudioClsError):
    """A data set, a split, a column or a label cannot be used as asked."""


class AudioError(AudioClsError):
    """One clip cannot be turned into a wave; `reason` is a short fixed phrase for bad_audio.csv."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the short `reason` apart from the `detail` that the decoder gave."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class ModelError(AudioClsError):
    """A checkpoint cannot be loaded or cannot do what was asked of it."""


class RunFolderError(AudioClsError):
    """The output folder cannot be used: taken, not writable, or written by other settings."""


class TrainingError(AudioClsError):
    """Training cannot continue with these settings: numbers not finite, or no memory left."""


class TransformError(AudioClsError):
    """A transform of --augment failed, or returned samples that cannot be used."""

    def __init__(self, text: str) -> None:
        """Keep the message alone: a data loader puts the traceback of its process before it."""
        super().__init__(text.rpartition(f"{type(self).__name__}: ")[2].strip())


class Paused(Exception):
    """A signal stopped the run after its state was saved; the text has the command to resume."""


class HubError(AudioClsError):
    """The Hub refused, or could not be reached."""


def quote_comma(name: object) -> str:
    """Return a name for a list with commas: in quotation marks if it has a comma itself.

    >>> quote_comma("dog"), quote_comma("drums, percussion")
    ('dog', "'drums, percussion'")
    """
    return f"'{name}'" if "," in str(name) else str(name)


def list_names(names: Iterable[object]) -> str:
    """Join names for a message, the first ten of them.

    >>> list_names(["a", "b, c"])
    "a, 'b, c'"
    """
    shown = [quote_comma(name) for name in names]
    rest = len(shown) - MAX_LISTED
    return ", ".join(shown[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def count_of(number: float, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural unless it is 1; verbs may follow the nouns.

    >>> count_of(1, "pair"), count_of(1200, "class"), count_of(1, "clip is", "clips are")
    ('1 pair', '1,200 classes', '1 clip is')
    """
    plural = plural or (f"{noun}es" if noun.endswith("s") else f"{noun}s")
    digits = f"{number:g}" if isinstance(number, float) else f"{number:,}"
    return f"{digits} {noun if number == 1 else plural}"


def describe_error(error: BaseException) -> str:
    r"""Return the cause of an error in one line; of the operating system's without number and path.

    >>> describe_error(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'No such file or directory'
    >>> describe_error(ValueError("two\nlines"))
    'two lines'
    """
    inner = getattr(error, "reason", None)  # of urllib's URLError
    cause = inner if isinstance(inner, OSError) else error
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())


def suggest_name(given: str, names: Iterable[str]) -> str:
    """Return " Did you mean X?" for the nearest of `names`, or an empty string.

    >>> suggest_name("learning_rat", ["learning_rate", "epochs"])
    ' Did you mean learning_rate?'
    """
    nearest = difflib.get_close_matches(given, list(names), n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def redact_tokens(text: str, secrets: tuple[str, ...] = ()) -> str:
    """Replace Hub tokens, logins and signatures in addresses, and every one of `secrets`.

    >>> redact_tokens("login hf_" + "a" * 34)
    'login <token>'
    >>> redact_tokens("https://ann:pw@host/a.csv?X-Amz-Signature=1f&part=2 and s3://b/c?part=2")
    'https://<token>@host/a.csv?X-Amz-Signature=<token>&part=2 and s3://b/c?part=2'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, TOKEN_MARK)
    if "://" in text:
        text = _LOGIN.sub(f"{TOKEN_MARK}@", _PARAMETER.sub(rf"\1{TOKEN_MARK}", text))
    return _TOKEN.sub(TOKEN_MARK, text)


def hide_home(text: str) -> str:
    """Write the home folder at the start of a path as ~, which does not name its owner."""
    home = os.path.expanduser("~").rstrip("/\\")
    if not home:
        return text
    return re.sub(rf"(?<![\w./\\-]){re.escape(home)}(?![\w.-])", "~", text)
