"""Upload of a Space folder, by the real client against a Hub on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import HubServer

from audio_cls.errors import HubError
from audio_cls.publishing.hub.push_space import push_space

pytestmark = pytest.mark.usefixtures("logged_in")
FRONT = "---\ntitle: Page\nsdk: {sdk}\n---\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Space folder with a file that is not to be uploaded."""
    root = tmp_path / "space"
    (root / "audio_cls" / "__pycache__").mkdir(parents=True)
    (root / "README.md").write_text(FRONT.format(sdk="gradio"))
    (root / "app.py").write_text("print('page')\n")
    (root / "audio_cls" / "__pycache__" / "a.pyc").write_bytes(b"\0")
    return root


def test_a_space_is_created_once_and_has_the_files(hub: HubServer, folder: Path) -> None:
    url = push_space(folder, "page", sdk="gradio")
    assert url == f"{hub.url}/spaces/tester/page"
    held = hub.files("spaces", "tester/page")
    assert set(held) == {".gitattributes", "README.md", "app.py"}
    (folder / "app.py").write_text("print('other page')\n")
    assert push_space(folder, "tester/page", sdk="gradio") == url
    assert hub.files("spaces", "tester/page")["app.py"] == b"print('other page')\n"
    assert hub.count("POST", "/api/repos/create") == 1


def test_a_refusal_for_payment_names_three_ways_and_keeps_the_folder(
    hub: HubServer, folder: Path
) -> None:
    hub.has_paid = False
    with pytest.raises(HubError) as caught:
        push_space(folder, "tester/page", sdk="gradio")
    text = str(caught.value)
    assert f"The folder '{folder}' is complete" in text
    assert "1. subscribe to PRO" in text
    assert "2. --space-hardware zero-a10g" in text
    assert "3. a static page, which is free: --static DIR --push-space tester/page" in text
    assert (folder / "app.py").is_file() and not hub.repos
    push_space(folder, "tester/page", sdk="gradio", hardware="zero-a10g")
    assert "app.py" in hub.files("spaces", "tester/page")


def test_a_static_space_is_free_and_an_existing_one_is_not_created_again(
    hub: HubServer, folder: Path
) -> None:
    hub.has_paid = False
    (folder / "README.md").write_text(FRONT.format(sdk="static"))
    push_space(folder, "tester/page", sdk="static", private=True)
    assert hub.repos["spaces", "tester/page"].private
    push_space(folder, "tester/page", sdk="gradio")
    assert hub.count("POST", "/api/repos/create") == 1


def test_a_name_that_is_not_valid_and_a_missing_right_are_explained(
    hub: HubServer, folder: Path
) -> None:
    with pytest.raises(HubError, match="--push-space a/b/c is not valid"):
        push_space(folder, "a/b/c", sdk="gradio")
    assert hub.count() == 0
    with pytest.raises(HubError, match=r"no write access to 'other/page'.* is complete"):
        push_space(folder, "other/page", sdk="gradio")
