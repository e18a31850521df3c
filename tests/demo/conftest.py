"""A running demo page of a classifier without a network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile
from demo_server import LIMITS, LOCAL
from tone_classifier import RATE, ToneClassifier
from tones import make_tone

from audio_cls.demo.server import prepare_gradio, serve_page


@pytest.fixture(scope="module")
def names() -> Iterator[list[Any]]:
    """The names of other machines that this process looked up."""
    asked: list[Any] = []
    look_up = socket.getaddrinfo

    def record(host: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
        if host not in LOCAL and host != b"127.0.0.1":
            asked.append(host)
            raise socket.gaierror(f"{host} is blocked in this test")
        return look_up(host, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", record)
        yield asked


@pytest.fixture(scope="module")
def address(names: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running page of a classifier with windows of one second, and one example."""
    prepare_gradio()
    from audio_cls.demo.page import PageSettings, build_page

    example = tmp_path_factory.mktemp("examples") / "1-high.wav"
    soundfile.write(example, make_tone(3000, 0.5), RATE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        page = build_page(ToneClassifier(), PageSettings("Tones", LIMITS, [example]))
        yield serve_page(page, LIMITS, is_blocking=False)
        page.close(verbose=False)
