"""Files of npm packages: taken from a folder, and refused unless their hash is the expected one."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from audio_cls.demo.static.npm_packages import PACKAGES, NpmPackage, write_npm_files
from audio_cls.errors import ModelError


@pytest.fixture
def package(tmp_path: Path) -> NpmPackage:
    """A package whose tarball is in the folder `npm`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("package/dist/a.js", "package/other.js"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"code"))
    digest = base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
    package = NpmPackage("@owner/name", "1.2.3", digest, {"package/dist/a.js": "a.js"})
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "owner-name-1.2.3.tgz").write_bytes(buffer.getvalue())
    return package


def test_the_named_files_are_written_and_no_other(package: NpmPackage, tmp_path: Path) -> None:
    write_npm_files(tmp_path / "lib", tmp_path / "npm", (package,))
    assert [path.name for path in (tmp_path / "lib").iterdir()] == ["a.js"]
    assert (tmp_path / "lib" / "a.js").read_bytes() == b"code"


def test_another_content_is_refused(package: NpmPackage, tmp_path: Path) -> None:
    other = dataclasses.replace(package, sha512="A" * 88)
    with pytest.raises(ModelError, match="SHA-512 differs"):
        write_npm_files(tmp_path / "lib", tmp_path / "npm", (other,))


def test_offline_the_error_names_what_to_download(
    package: NpmPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as caught:
        write_npm_files(tmp_path / "lib", tmp_path, (package,))
    assert "https://registry.npmjs.org/@owner/name/-/name-1.2.3.tgz" in str(caught.value)
    assert "--npm-packages" in str(caught.value)


def test_the_packages_are_pinned() -> None:
    assert PACKAGES[0].tarball == f"huggingface-transformers-{PACKAGES[0].version}.tgz"
    for package in PACKAGES:
        assert len(base64.b64decode(package.sha512)) == 64 and package.files
