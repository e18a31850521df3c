"""Space folder of the demo page: app.py, requirements.txt, README.md, this package, the model.

::

    FOLDER/
      app.py             runs the page, in a Space and by `python app.py`
      README.md          front matter for the Hub
      requirements.txt   what this package needs, without gradio, which the Hub installs
      audio_cls/         this package
      model/             the model; not there if MODEL is a Hub id, which app.py then names
      examples/          example clips, where the licence allows it
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import shutil
from pathlib import Path

import audio_cls
from audio_cls.demo.examples import uses_builtin_data, write_examples
from audio_cls.demo.options import DemoOptions
from audio_cls.demo.space.front_matter import (
    SpaceTexts,
    is_space_folder,
    read_license,
    render_readme,
)
from audio_cls.demo.space.model_files import copy_model
from audio_cls.errors import RunFolderError
from audio_cls.inference.classifier import Classifier
from audio_cls.models.inference_settings import find_file
from audio_cls.storage.short_names import read_base_name

PACKAGE, PROJECT = Path(audio_cls.__file__).parent, "audio-cls"
CLIPS = PACKAGE / "demo_data" / "tiny_speech" / "data"  # not copied
REQUIREMENTS = (
    *("accelerate>=1.10", "click>=8.4", "datasets>=5.1,<6", "evaluate>=0.4.6"),
    *("huggingface_hub>=2.2,<3", "jinja2>=3.1", "matplotlib>=3.9", "numpy>=2.0", "pyarrow>=21"),
    *("pyyaml>=6.0", "scikit-learn>=1.5", "scipy>=1.11", "soundfile>=0.13", "soxr>=0.5"),
    *("threadpoolctl>=3.1", "torch>=2.6", "tqdm>=4.66", "transformers>=5.18,<6", "xxhash>=3"),
)  # install_requires of setup.cfg
# ZeroGPU has some versions of torch; a CPU does not need the 2 GB of CUDA libraries.
ZERO_GPU = "torch>=2.8,<2.12"
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu"
APP = '''\
"""Demo page of an audio classifier; `python app.py` runs it on this machine."""

from pathlib import Path

try:
    import spaces  # a ZeroGPU Space must have a function for the GPU; this page uses the CPU

    spaces.GPU(lambda: None)
except ImportError:
    pass

from audio_cls.demo.options import DemoOptions
from audio_cls.demo.start import start_space

FOLDER = Path(__file__).parent
OPTIONS = DemoOptions(
{options}
)

if __name__ == "__main__":
    start_space(FOLDER, {model}, {revision}, OPTIONS)
'''
ATTRIBUTION = (
    "The example clips are telephone prompts of Asterisk: copyright 2012 Carlo Flora (it) and 2010"
    " Maxim Topal (ru), both CC BY 3.0, and 2006 Michel Gutierrez (fr), BSD-style licence. Changes:"
    " silence trimmed, peak set to 0.7, resampled. See audio_cls/NOTICE."
)


def write_space(
    folder: Path, model: str, revision: str | None, options: DemoOptions, *, is_zero_gpu: bool
) -> None:
    """Write the folder.

    Args:
        folder: Must not exist, be empty, or be an earlier Space folder with `options.overwrite`.
        model: A run folder, whose model is copied, or a Hub id, which is named with its commit.
        revision: Of the model on the Hub.
        options: Of the page.
        is_zero_gpu: The Space will run on ZeroGPU hardware.

    Raises:
        ModelError: The model cannot be loaded.
        RunFolderError: The folder is taken.
    """
    empty_folder(folder, overwrite=options.overwrite)
    classifier = Classifier.from_pretrained(
        model, revision, trust_remote_code=options.trust_remote_code
    )
    find = functools.partial(find_file, model, revision)
    name, is_local = options.title or read_base_name(model), Path(model).is_dir()
    examples = write_examples(model, revision, folder / "examples", classifier.sampling_rate)
    is_builtin = bool(examples) and uses_builtin_data(model, revision)
    texts = SpaceTexts(
        name,
        read_base_name(model) if is_local else model,
        classifier.labels,
        read_license(find("README.md")),
    )
    if is_local:
        copy_model(Path(model), folder / "model")
    _copy_package(folder / "audio_cls")
    commit = None if is_local else classifier.audio_model.revision or revision
    app = render_app(dataclasses.replace(options, title=name), model=model, revision=commit)
    (folder / "app.py").write_text(app, "utf-8")
    (folder / "requirements.txt").write_text(render_requirements(is_zero_gpu=is_zero_gpu), "utf-8")
    readme = render_readme(texts, is_static=False, notes=[ATTRIBUTION] if is_builtin else [])
    (folder / "README.md").write_text(readme, "utf-8")


def empty_folder(folder: Path, *, overwrite: bool) -> None:
    """Make an empty folder.

    Raises:
        RunFolderError: It has files, and they are not an earlier Space folder to overwrite.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        if not (folder.is_dir() and is_space_folder(folder)):
            raise RunFolderError(
                f"'{folder}' exists and is not a Space folder. Give a folder that does not exist."
            )
        if not overwrite:
            raise RunFolderError(
                f"'{folder}' has a Space folder already. Replace it with --overwrite, or give"
                " another folder."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def render_app(options: DemoOptions, *, model: str, revision: str | None) -> str:
    """Return app.py; it names the folder `model`, or a Hub id with its commit."""
    shown = {
        "title": options.title,
        "max_seconds": options.max_seconds,
        "max_megabytes": options.max_megabytes,
        "calibrate": options.calibrate,
        "trust_remote_code": options.trust_remote_code,
    }
    return APP.format(
        options="\n".join(f"    {name}={value!r}," for name, value in shown.items()),
        model='str(FOLDER / "model")' if Path(model).is_dir() else repr(model),
        revision=repr(revision),
    )


def render_requirements(*, is_zero_gpu: bool) -> str:
    """Return requirements.txt."""
    lines = list(REQUIREMENTS)
    if is_zero_gpu:
        lines = [ZERO_GPU if line.startswith("torch>") else line for line in lines]
    else:
        lines = [CPU_INDEX, *lines]
    return "\n".join(lines) + "\n"


def _copy_package(target: Path) -> None:
    """Copy this package without clips, with its licence."""

    def ignore(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "__pycache__" or Path(folder, name) == CLIPS]

    shutil.copytree(PACKAGE, target, ignore=ignore)
    try:
        installed = [Path(str(one.locate())) for one in importlib.metadata.files(PROJECT) or []]
    except importlib.metadata.PackageNotFoundError:  # a clone that is not installed
        installed = []
    for path in (*installed, *PACKAGE.parent.glob("*")):
        if path.name in ("LICENSE", "NOTICE") and path.is_file():
            shutil.copyfile(path, target / path.name)
