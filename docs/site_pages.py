"""Hook of mkdocs: the pages of the site are the Markdown files of the repository, where they are.

A page has its path below the root of the repository, so that the links between README.md, docs/ and
examples/ are the same on the site and in the repository. Other files that a page links to, such as
scripts and figures, are copied. A notebook is also a page with its cells, at its path and `.md`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README*.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "examples/**/*.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the theme, the pages, and the files that the pages link to."""
    own = [file for file in files if not str(file.abs_src_path).startswith(config.docs_dir)]
    pages = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    linked = {path for page in pages for path in _list_linked(page) if path.suffix != ".md"}
    linked |= set(ROOT.glob("examples/*.ipynb"))
    for path in [*pages, *sorted(linked)]:
        name = path.relative_to(ROOT).as_posix()
        own.append(File.generated(config, name, abs_src_path=str(path)))
    for path in sorted(ROOT.glob("examples/*.ipynb")):
        name = f"{path.relative_to(ROOT).as_posix()}.md"
        own.append(File.generated(config, name, content=_write_cells(path)))
    return Files(own)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to a notebook lead to its page; the page itself links to the file."""
    if page.file.src_uri.endswith(".ipynb.md"):
        return markdown
    return re.sub(r"(\]\([^)\s]+\.ipynb)\)", r"\1.md)", markdown)


def _write_cells(path: Path) -> str:
    """Return the cells of a notebook as Markdown, with a link to the file below its title."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    parts = ["".join(cell["source"]) for cell in cells]
    for place, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            parts[place] = f"```python\n{parts[place]}\n```"
    title, rest = parts[0].split("\n", 1)
    return "\n\n".join([title, f"[Download the notebook]({path.name})", rest, *parts[1:]])


def _list_linked(page: Path) -> set[Path]:
    """Return the files of the repository that a page links to."""
    targets = re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text("utf-8"))
    paths = {(page.parent / target).resolve() for target in targets if "://" not in target}
    return {path for path in paths if path.is_file()}
