"""The page as its visitors use it, by gradio's client; no name of another machine is looked up."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import soundfile
from demo_server import LIMITS
from tone_classifier import RATE, ToneClassifier
from tones import make_tone

from audio_cls.demo.clip_result import NOTHING
from audio_cls.demo.server import prepare_gradio, serve_page
from audio_cls.errors import AudioClsError


@pytest.fixture(scope="module")
def client(address: str) -> Any:  # noqa: ANN401
    from gradio_client import Client

    return Client(address, verbose=False)


def classify(client: Any, path: Path) -> tuple[Any, ...]:  # noqa: ANN401
    """Upload a file and return message, scores, figure and timeline."""
    from gradio_client import handle_file

    result: tuple[Any, ...] = client.predict(handle_file(str(path)), api_name="/classify")
    return result


def test_an_upload_is_classified(client: Any, tmp_path: Path) -> None:  # noqa: ANN401
    soundfile.write(tmp_path / "a.flac", make_tone(3000, 2.5), RATE)
    message, scores, figure, timeline = classify(client, tmp_path / "a.flac")
    assert message == "2.50 s of audio, 3 windows." and scores["label"] == "high"
    assert figure["plot"].startswith("data:image/")
    assert [row[2] for row in timeline["value"]["data"]] == ["high"] * 3


@pytest.mark.parametrize("content", [b"", b"text\n" * 9])
def test_a_hostile_upload_gives_a_message(
    client: Any,  # noqa: ANN401
    tmp_path: Path,
    content: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        message, scores, _, _ = classify(client, tmp_path / "a.wav")
    assert "cannot be classified" in message and not scores
    assert "Traceback" not in caplog.text + "".join(capfd.readouterr())


def test_a_large_upload_is_refused_by_the_server(client: Any, tmp_path: Path) -> None:  # noqa: ANN401
    with (tmp_path / "a.wav").open("wb") as file:
        file.truncate(2 * 2**20)
    with pytest.raises(Exception, match=r"413|exceeds? "):
        classify(client, tmp_path / "a.wav")


def test_the_page_is_served_on_this_machine_and_looks_up_no_other_one(
    address: str,
    client: Any,  # noqa: ANN401
    names: list[Any],
) -> None:
    assert address.startswith("http://127.0.0.1:")
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert client.config["footer_links"] == []
    assert names == []
    parts = {part["props"].get("elem_id"): part["props"] for part in client.config["components"]}
    assert parts["message"]["value"] == NOTHING
    assert parts["clip"]["label"] == "Audio: at most 1 minute and 1 MB"


def test_a_port_that_is_taken_is_an_error_that_names_the_option(address: str) -> None:
    import gradio as gr

    port = int(address.rstrip("/").rpartition(":")[2])
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("another page")
    with pytest.raises(AudioClsError, match="Choose another port with --port"):
        serve_page(page, LIMITS, port=port, is_blocking=False)


def test_two_visitors_have_their_own_buffers(address: str) -> None:
    from gradio.state_holder import SessionState

    from audio_cls.demo.page import PageSettings, build_page

    page = build_page(ToneClassifier(), PageSettings("Tones", LIMITS))
    (state,) = (block for block in page.blocks.values() if type(block).__name__ == "State")
    buffers = [SessionState(page)[state._id] for _ in range(2)]
    buffers[0].append(RATE, make_tone(3000, 0.5))
    assert buffers[0].seconds == 0.5 and buffers[1].seconds == 0


def test_without_gradio_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AudioClsError, match=r'pip install "audio-cls\[demo\]"'):
        prepare_gradio()
