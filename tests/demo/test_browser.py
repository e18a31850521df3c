"""The page in headless Chromium: upload, hostile uploads, microphone, and no outside request."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tones import make_tone

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
SECONDS = 60_000  # of a wait, in milliseconds
MICROPHONE_RATE = 48_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium that reaches this machine only, with a tone of 3 kHz as its microphone."""
    sound = tmp_path_factory.mktemp("microphone") / "tone.wav"
    soundfile.write(sound, make_tone(3000, 10.0, MICROPHONE_RATE), MICROPHONE_RATE)
    words = [
        "--no-sandbox",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={sound}",
    ]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=words)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:  # noqa: ANN401
    """The page in a visit of its own; its requests go to the server only."""
    context = browser.new_context()
    page, requests = context.new_page(), []
    page.set_default_timeout(SECONDS)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector("#message")
    yield page
    context.close()
    local = (address, "data:", f"blob:{address}")
    assert requests and [url for url in requests if not url.startswith(local)] == []


def wait_for(page: Any, selector: str, text: str) -> str:  # noqa: ANN401
    """Wait until an element has a text, and return all of it."""
    playwright.expect(page.locator(selector)).to_contain_text(text, timeout=SECONDS)
    return str(page.inner_text(selector))


def test_a_long_clip_and_then_hostile_files(page: Any, tmp_path: Path) -> None:  # noqa: ANN401
    soundfile.write(tmp_path / "long.flac", make_tone(3000, 5.5), 16_000)
    (tmp_path / "text.wav").write_text("no audio\n" * 9)
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "one.wav", np.zeros(1), 16_000)
    soundfile.write(tmp_path / "hours.flac", np.zeros(8000 * 7200, np.int16), 8000)
    for name, text in {
        "long.flac": "5.50 s of audio, 6 windows.",
        "text.wav": "cannot be classified: unreadable",
        "empty.wav": "cannot be classified: empty",
        "one.wav": "only 0.000 s long",
        "hours.flac": "too long: 7200.0 s",
    }.items():
        page.set_input_files("#clip input[type=file]", tmp_path / name)
        wait_for(page, "#message", text)
        if name == "long.flac":
            wait_for(page, "#scores", "high")
            wait_for(page, "#timeline", "5.50")
        assert page.locator(".toast-body").count() == 0
        page.locator("#clip button[aria-label=Clear]").click()
        wait_for(page, "#message", "Upload an audio file")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(200_000_000)
    page.set_input_files("#clip input[type=file]", tmp_path / "large.wav")
    wait_for(page, ".toast-body", "exceed the maximum allowed size of 1")


def test_a_recording_is_classified_at_its_level(page: Any) -> None:  # noqa: ANN401
    page.click("#clip button[aria-label='Record audio']")
    page.click("#clip button:has-text('Record')")
    page.wait_for_timeout(2500)
    page.click("#clip button:has-text('Stop')")
    wait_for(page, "#message", "of audio")
    wait_for(page, "#scores", "high")


def test_the_live_microphone_of_one_visitor_is_not_that_of_another(
    page: Any,  # noqa: ANN401
    browser: Any,  # noqa: ANN401
    address: str,
) -> None:
    other = browser.new_context().new_page()
    other.goto(address)
    for visitor in (page, other):
        visitor.click("button[role=tab]:has-text('Live microphone')")
    page.click("#live button:has-text('Record')")
    wait_for(page, "#live-message", "classified: the last 1.0 s")
    wait_for(page, "#live-scores", "high")
    assert "Press Record" in other.inner_text("#live-message")
    page.click("#live button:has-text('Stop')")
    other.context.close()
