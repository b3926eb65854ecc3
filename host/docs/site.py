# SPDX-License-Identifier: Apache-2.0
"""What mkdocs does beside its own: the checkout's other pages and its sources become pages of the site as well.

So every link works as it does in the checkout. mkdocs.yml names this file.
"""

import ast
from functools import partial
from os.path import relpath
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tritforge.host.docs import links

ROOT = Path(__file__).parents[2]
FOLDERS = ("golden", "hw", "rtl_gen", "sim", "perf", "host", "tests", "findings", "docs")
SOURCES = "source/"


def address(path: str) -> str:
    """Where a file or folder of the checkout is on the site, as a file below docs/."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path / "README.md").is_file():
        path = f"{path}/README.md".removeprefix("./")
    if path.endswith(".md"):
        return path.replace("README.md", "index.md")
    if (ROOT / path).is_dir():
        return f"{SOURCES}{path}/index.md"
    return f"{SOURCES}{path}.md" if path.endswith(".py") else SOURCES + path


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/."""
    sources = {one for folder in FOLDERS for one in (ROOT / folder, *(ROOT / folder).rglob("*"))}
    for one in sorted({*links.pages(ROOT), *sources}):
        path = one.relative_to(ROOT).as_posix()
        if path.startswith("docs/") or "__pycache__" in path:
            continue
        if path.endswith(".py") or one.is_dir():
            files.append(File.generated(config, address(path), content=_source(one)))
        else:
            files.append(File.generated(config, address(path), abs_src_path=str(one)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site has them; what is named as code and exists becomes one."""
    here = page.file.src_uri
    if here.startswith(SOURCES):
        return markdown
    paths = (one.relative_to(ROOT).as_posix() for one in links.pages(ROOT))
    path = next(path for path in paths if address(path) == here)
    return links.turned(markdown, partial(_link, path, here), partial(_name, here))


def _link(path: str, here: str, target: str) -> str:
    found, fragment = links.resolved(path, target)
    return _from(here, address(found)) + (f"#{fragment}" if fragment else "")


def _name(here: str, code: str) -> str | None:
    return _from(here, address(code.rstrip("/"))) if links.named(code) == [code] and (ROOT / code).exists() else None


def _from(here: str, there: str) -> str:
    return relpath(there, str(Path(here).parent))


def _source(path: Path) -> str:
    """The page of a source file, or of a folder."""
    title = path.relative_to(ROOT).as_posix()
    if path.is_file():
        return f"# {title}\n\n~~~~~~python\n{path.read_text()}~~~~~~\n"
    lines = [f"# {title}/", "", _idea(path / "__init__.py"), ""]
    for one in sorted(path.iterdir(), key=lambda one: (one.is_file(), one.name)):
        if one.name not in ("__init__.py", "__pycache__"):
            name = f"{one.name}/" if one.is_dir() else one.name
            target = _from(address(title), address(f"{title}/{one.name}"))
            lines.append(f"* [{name}]({target}) {_idea(one / '__init__.py' if one.is_dir() else one)}")
    return "\n".join(lines) + "\n"


def _idea(path: Path) -> str:
    """The first paragraph of a module's docstring."""
    if path.suffix != ".py" or not path.is_file():
        return ""
    text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    return text.split("\n\n")[0].replace("\n", " ").removesuffix("::")
