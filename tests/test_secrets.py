"""Secrets: no token, password, signed address or home folder is shown, logged or published.

500 texts are made of a sentence, an address with a login or a signature, and a token, with a fixed
seed.
"""

from __future__ import annotations

import logging
import random
import string
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from audio_cls.cli.console import one_line_errors
from audio_cls.config import RunConfig
from audio_cls.distributed.accelerator import start_trackers
from audio_cls.errors import AudioClsError, Paused, hide_home, redact_tokens
from audio_cls.publishing.redaction.settings import publish_settings
from audio_cls.publishing.redaction.text import redact_text

PARAMETERS = (
    "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId", "Signature",
    "X-Goog-Signature", "GoogleAccessId", "Key-Pair-Id", "Policy", "sig", "token", "access_token",
    "api_key", "apikey", "password", "auth",
)  # fmt: skip
HARMLESS = ("part=2", "download=true", "v=1.0", "X-Amz-Date=20260101T000000Z", "se=2026-01-01")
SCHEMES = ("https", "http", "s3", "ftp", "hf")
AROUND = ("{}", "'{}' cannot be fetched.", "read ({}), then stop", '"{}"', "a {}; b", "x={}")


def _word(rng: random.Random, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=rng.randint(12, 40)))


def _make_text(rng: random.Random) -> tuple[str, list[str]]:
    """Return a sentence with an address, and the secrets in it."""
    login, secrets = "", []
    if rng.random() < 0.5:
        password = _word(rng, string.ascii_letters + "%:@/+&=")
        secrets.append(quote(password, safe=rng.choice(["", ":@"])))
        login = f"{rng.choice(['', _word(rng), 'ann'])}:{secrets[-1]}@"
    parameters = rng.sample(HARMLESS, rng.randint(0, 3))
    if rng.random() < 0.7 or not login:
        secrets.append(_word(rng, string.ascii_letters + string.digits + "%-_./+="))
        parameters.append(f"{rng.choice(PARAMETERS)}={secrets[-1]}")
    rng.shuffle(parameters)
    address = f"{rng.choice(SCHEMES)}://{login}host.org:8080/a/b.csv?{'&'.join(parameters)}"
    address += rng.choice(["", "#top"])
    text = rng.choice(AROUND).format(address)
    if rng.random() < 0.5:
        secrets.append(f"hf_{_word(rng, string.ascii_letters)}xxxxxxxx")
        text = f"{text} with {secrets[-1]}"
    return text, secrets


TEXTS = [_make_text(random.Random(seed)) for seed in range(500)]


def test_no_secret_is_left_in_a_text() -> None:
    for text, secrets in TEXTS:
        for shown in (redact_tokens(text), redact_text(text)):
            assert not [secret for secret in secrets if secret in shown], (text, shown)
        assert "host.org:8080/a/b.csv" in redact_tokens(text)


def test_only_the_secret_parameters_of_an_address_are_hidden() -> None:
    shown = redact_tokens("read https://a.org/b.csv?part=2&sig=a%2Fb==&v=1;token=x#key=y&z=3, then")
    assert shown == (
        "read https://a.org/b.csv?part=2&sig=<token>&v=1;token=<token>#key=<token>&z=3, then"
    )
    assert redact_tokens(shown) == shown
    long = "https://a.org/?" + "sig" * 10**5 + "&" * 10**5
    started = time.monotonic()
    assert redact_tokens(long) == long
    assert time.monotonic() - started < 5


def test_no_secret_is_in_an_error_or_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("audio_cls")
    before = list(logger.handlers)
    logger.handlers.clear()
    try:
        for text, secrets in TEXTS[:200]:
            for kind in (AudioClsError, Paused):
                with pytest.raises(SystemExit), one_line_errors():
                    logger.warning("Warning: %s", text)
                    raise kind(text)
            captured = capsys.readouterr()
            shown = "".join((captured.err + captured.out).split())  # lines may be broken in it
            assert shown.count("host.org") == 4
            assert not [secret for secret in secrets if secret in shown], (text, shown)
    finally:
        logger.handlers[:] = before


class _Recorder:
    """Accelerator that keeps what it gives to the trackers."""

    def __init__(self) -> None:
        self.project_configuration = self
        self.config: dict[str, Any] = {}
        self.logging_dir = ""

    def set_directories(self, folder: str) -> None:
        """Take the folder."""

    def init_trackers(self, name: str, config: dict[str, Any]) -> None:
        """Keep the settings."""
        self.config = config


def test_no_secret_reaches_a_tracker_or_a_published_setting(tmp_path: Path) -> None:
    home = Path.home() / "clips"
    for text, secrets in TEXTS[:100]:
        cfg = RunConfig.from_flat(
            {
                "dataset": text, "noise_dir": str(home),
                "noise_snr_db": (10, 30), "limitations": text,
                "silence_from": text, "report_to": ("tensorboard",),
            }
        )  # fmt: skip
        recorder = _Recorder()
        start_trackers(recorder, tmp_path, cfg)  # type: ignore[arg-type]
        public = publish_settings(cfg.to_nested(), (), with_groups=True)
        for shown in (str(recorder.config), str(public)):
            assert not [secret for secret in secrets if secret in shown], (text, shown)
            assert str(Path.home()) not in shown
        assert recorder.config["augment.noise_dir"] == "~/clips"


def test_the_home_folder_is_hidden_where_a_path_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("USERPROFILE", "/home/ann")
    text = "'/home/ann/clips', /home/ann and /home/anna/x, /data/home/ann/y"
    assert hide_home(text) == "'~/clips', ~ and /home/anna/x, /data/home/ann/y"
