"""Start of the demo page: a server of this machine that makes no request to another one."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from typing import TYPE_CHECKING

from audio_cls.demo.clip_result import MEGABYTE, Limits
from audio_cls.errors import AudioClsError

if TYPE_CHECKING:
    import gradio as gr

LOCAL = "127.0.0.1"
WAIT_SECONDS = 0.2  # between two checks of whether the server runs
logger = logging.getLogger(__name__)

# The page of gradio asks for any microphone: gain control and noise suppression are then on.
HEAD = """
<script>
if (navigator.mediaDevices) {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const off = {autoGainControl: false, echoCancellation: false, noiseSuppression: false};
  navigator.mediaDevices.getUserMedia = (wanted) => ask(
    wanted && wanted.audio
      ? {...wanted, audio: {...(wanted.audio === true ? {} : wanted.audio), ...off}}
      : wanted
  );
}
</script>
"""


def prepare_gradio() -> None:
    """Turn off gradio's requests to other machines; to be called before gradio is imported.

    Raises:
        AudioClsError: gradio is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise AudioClsError('The demo page needs gradio: pip install "audio-cls[demo]"')
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def serve_page(
    page: gr.Blocks, limits: Limits, *, port: int | None = None, is_blocking: bool = True
) -> str:
    """Start the page on this machine alone, or where GRADIO_SERVER_NAME asks for (in a Space).

    Args:
        page: The page.
        limits: Larger uploads are refused.
        port: None: the first free one from 7860.
        is_blocking: Return only when the server is stopped.

    Returns:
        The address.

    Raises:
        AudioClsError: The port is not free.
    """
    try:
        _, address, _ = page.launch(
            server_name=os.environ.get("GRADIO_SERVER_NAME", LOCAL),
            server_port=port,
            share=False,
            quiet=True,  # gradio's own line recommends share=True
            prevent_thread_lock=True,
            footer_links=[],
            show_error=True,
            max_file_size=round(limits.max_megabytes * MEGABYTE),
            ssr_mode=False,
            head=HEAD,
        )
    except OSError as error:
        raise AudioClsError(
            f"The page cannot be started ({error}). Choose another port with --port."
        ) from error
    logger.info("The page is at %s (Ctrl-C ends it).", address)
    try:
        while is_blocking and page.is_running:
            time.sleep(WAIT_SECONDS)
    finally:
        if is_blocking:
            page.close(verbose=False)  # deletes the uploaded files
    return str(address)
