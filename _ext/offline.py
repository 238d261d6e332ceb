"""The built site with everything that it loads from elsewhere, as one zip: _build/offline.zip.

From any static server it works without a network, in-page Python included. Opened straight from
disk, where a browser loads no modules and starts no workers, the exercises say what they need.

python _ext/offline.py      after `make book`
"""

from __future__ import annotations

import json
import os
import re
import shutil
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

from build import BUILD, HTML
from cdn import CDN, PINNED, PYODIDE, local_file, package_folder
from security import POLICY

SITE = BUILD / "offline" / "batch-normalization"
ZIP = BUILD / "offline.zip"
# What the pages use of each package.
NPM_FILES = {
    "mathjax@3.2.2": ("es5/tex-mml-chtml.js", "es5/output/chtml/fonts/woff-v2/*", "LICENSE"),
    "@pyscript/core@0.6.60": ("dist/*.js", "LICENSE"),
}
PYODIDE_FILES = (
    *("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"),
    "pyodide-lock.json",
)
ONLY_ONLINE = ("404.html", "robots.txt", "sitemap.xml", ".nojekyll")
OURS = {".html", ".mjs", ".js", ".css"}

MODULE_TAG = re.compile(r'<script type="module" src="([^"]+)"[^>]*></script>\n?')
HASHED = re.compile(r' (?:integrity|crossorigin)="[^"]*"')
FOLDER_LINK = re.compile(r'href="((?:[\w.-]+/)+)"')
MODULE_NAME = re.compile(r"\b([\w-]+)\.mjs\b")

IMPORT = re.compile(r'^import (?:(\{[^}]*\}) from )?"\./([\w-]+)\.mjs";$', re.M)
EXPORT = re.compile(r"^export ((?:async )?(?:const|let|class|function)) (\w+)", re.M)

README = """\
배치 정규화를 재다 · Batch Normalization, Measured

index.html을 열면 네트워크 없이 읽을 수 있습니다. 연습을 풀려면 이 폴더에서
Open index.html to read without a network. To solve the exercises, run in this folder

    python3 -m http.server 8000

을 실행하고 http://localhost:8000/ 을 여세요.
and open http://localhost:8000/
"""


def cdn_files() -> Iterator[tuple[str, bytes]]:
    """Each file's path at the CDN, and what is in it."""
    for package, patterns in NPM_FILES.items():
        folder = package_folder(package)
        if folder is None:
            raise SystemExit("Needed: npm and its registry, for what pages load from the CDN")
        for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
            yield f"npm/{package}/{path.relative_to(folder).as_posix()}", path.read_bytes()
    folder = next(folder for folder in PINNED if folder.startswith("pyodide/"))
    for name in PYODIDE_FILES:
        yield folder + name, pyodide_file(folder + name)
    numpy = json.loads(pyodide_file(f"{folder}pyodide-lock.json"))["packages"]["numpy"]
    yield folder + numpy["file_name"], pyodide_file(folder + numpy["file_name"])


def pyodide_file(path: str) -> bytes:
    if PYODIDE.is_dir():
        return local_file(path).read_bytes()
    try:
        with urllib.request.urlopen(CDN + path, timeout=60) as answer:
            return answer.read()
    except OSError as error:
        raise SystemExit(f"Needed: ../shared/pyodide, or {CDN}{path}: {error}") from None


def copy_site() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(HTML, SITE, ignore=shutil.ignore_patterns(*ONLY_ONLINE))
    (SITE / "README.txt").write_text(README, "utf-8")
    for path, content in cdn_files():
        file = SITE / "cdn" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def rewrite() -> None:
    """Point every address of the CDN at the copy, and say which modules a page has."""
    for file in sorted(SITE.rglob("*")):
        if file.suffix in OURS and SITE / "cdn" not in file.parents:
            text = file.read_text("utf-8")
            here = os.path.relpath(SITE / "cdn", file.parent).replace(os.sep, "/")
            if CDN in text or file.suffix in {".html", ".mjs"}:
                text = text.replace(CDN, f"{here if here.startswith('.') else './' + here}/")
                file.write_text(page(text) if file.suffix == ".html" else text, "utf-8")
    for language in ("ko", "en"):
        (SITE / language / "_static" / "from-disk.js").write_text(from_disk(language), "utf-8")
    name_modules_as_scripts()


def page(text: str) -> str:
    text = FOLDER_LINK.sub(r'href="\1index.html"', HASHED.sub("", POLICY.sub("", text)))
    modules = MODULE_TAG.findall(text)
    if not modules:
        return text
    source = f"{modules[0].rsplit('/', 1)[0]}/from-disk.js"
    tag = f'<script defer src="{source}" data-modules="{" ".join(modules)}"></script>\n'
    return MODULE_TAG.sub("", text).replace("</head>", f"{tag}</head>")


def from_disk(language: str) -> str:
    """A plain script that loads a page's modules, or stands in for them where none may load."""
    static = SITE / language / "_static"
    template = (Path(__file__).parent / "templates" / "from-disk.js").read_text("utf-8")
    plain = [path for path in sorted(static.glob("*.mjs")) if not path.name.startswith("exercise")]
    return template.replace("/* modules */", "\n".join(bundle(plain)))


def bundle(paths: list[Path], done: list[str] | None = None) -> Iterator[str]:
    """Modules as functions that return what they export, each after those that it imports."""
    done = [] if done is None else done
    for path in paths:
        if path.stem in done:
            continue
        done.append(path.stem)
        text = path.read_text("utf-8")
        yield from bundle([path.with_name(f"{name}.mjs") for _, name in IMPORT.findall(text)], done)
        names = ", ".join(name for _, name in EXPORT.findall(text))
        text = IMPORT.sub(lambda m: f"const {m[1]} = {variable(m[2])};" if m[1] else "", text)
        text = EXPORT.sub(r"\1 \2", text)
        yield f"const {variable(path.stem)} = (() => {{\n{text}\nreturn {{ {names} }};\n}})();"


def variable(module: str) -> str:
    return "module_" + module.replace("-", "_")


def name_modules_as_scripts() -> None:
    """Not every server knows that .mjs is JavaScript, and a browser refuses what is not."""
    for file in SITE.rglob("*"):
        if file.suffix in {".html", ".mjs"} and not file.is_relative_to(SITE / "cdn"):
            text = file.read_text("utf-8")
            file.write_text(MODULE_NAME.sub(r"\1.mjs.js", text), "utf-8")
    for file in list(SITE.rglob("*.mjs")):
        file.rename(file.with_name(f"{file.name}.js"))


def write_zip() -> None:
    with zipfile.ZipFile(ZIP, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(SITE.rglob("*")):
            if file.is_file():
                # Without the time of writing, the same site gives the same bytes.
                name = file.relative_to(SITE.parent).as_posix()
                info = zipfile.ZipInfo(name)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(info, file.read_bytes())


def main() -> None:
    if not (HTML / "index.html").exists():
        raise SystemExit("The book is not built: run `make book SERVE=0`")
    copy_site()
    rewrite()
    write_zip()
    print(f"{os.path.relpath(ZIP)}: {ZIP.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
