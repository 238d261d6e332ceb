"""Publishing: what the workflows run, and where each version of the site ends up."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "_ext"))
import cdn  # noqa: E402
import offline  # noqa: E402
import site_files  # noqa: E402

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def git(*command: str, cwd: Path) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    result = subprocess.run(
        ["git", *identity, *command], cwd=cwd, capture_output=True, text=True, check=True
    )
    return result.stdout


@pytest.fixture
def publish(tmp_path):
    """publish(text, ref) publishes a site with that text; -> {path: text} of the whole branch.

    `publish.origin` is the repository that it goes to.
    """
    origin, repository, site = (tmp_path / name for name in ("origin", "repository", "site"))
    git("init", "--quiet", "--bare", str(origin), cwd=tmp_path)
    git("clone", "--quiet", str(origin), str(repository), cwd=tmp_path)
    git("commit", "--quiet", "--allow-empty", "--message", "first", cwd=repository)
    (site / "ko").mkdir(parents=True)

    def publish(text: str, ref: str, **environment: str) -> dict[str, str]:
        (site / "ko" / "page.html").write_text(text)
        command = [ROOT / ".ci" / "publish", site, ref]
        environment = {**os.environ, **environment}
        subprocess.run(command, cwd=repository, env=environment, check=True, capture_output=True)
        paths = git("ls-tree", "-r", "--name-only", "gh-pages", cwd=origin).split()
        assert git("rev-list", "--count", "gh-pages", cwd=origin).strip() == "1"
        return {path: git("show", f"gh-pages:{path}", cwd=origin) for path in paths}

    publish.origin = origin
    return publish


def test_each_version_keeps_its_place(publish):
    assert publish("one", "refs/heads/main") == {"ko/page.html": "one"}
    publish("one", "refs/tags/v1.0.0")
    assert publish("two", "refs/heads/main") == {"ko/page.html": "two", "v1/ko/page.html": "one"}
    publish("one, mended", "refs/tags/v1.0.1")
    assert publish("three", "refs/tags/v2.0.0") == {
        "ko/page.html": "two",
        "v1/ko/page.html": "one, mended",
        "v2/ko/page.html": "three",
    }


def test_search_engines_are_asked_for_the_newest_version(publish):
    page = '<!doctype html><meta charset="utf-8" /><title>two</title>'
    publish(page, "refs/heads/main")
    pages = publish(page, "refs/tags/v2.0.0")
    assert pages["ko/page.html"] == page
    kept = page.replace("<title>", '<meta name="robots" content="noindex"><title>')
    assert pages["v2/ko/page.html"] == kept
    assert publish(page, "refs/heads/main")["v2/ko/page.html"] == kept


def test_what_another_run_published_meanwhile_is_not_lost(publish, tmp_path):
    publish("one", "refs/heads/main")
    publish("two", "refs/heads/main")
    hook = tmp_path / "templates" / "hooks" / "post-commit"  # between the fetch and the push
    hook.parent.mkdir(parents=True)
    other = git("commit-tree", "-m", "other", "gh-pages^{tree}", cwd=publish.origin).strip()
    move = f"git --git-dir '{publish.origin}' update-ref refs/heads/gh-pages {other}"
    hook.write_text(f"#!/bin/sh\n{move}\n")
    hook.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError):
        publish("three", "refs/heads/main", GIT_TEMPLATE_DIR=str(hook.parents[1]))
    assert git("rev-parse", "gh-pages", cwd=publish.origin).strip() == other
    assert publish("three", "refs/heads/main") == {"ko/page.html": "three"}


def test_other_branches_are_not_published(publish):
    with pytest.raises(subprocess.CalledProcessError):
        publish("draft", "refs/heads/draft")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_actions_are_pinned_by_commit(path):
    uses = re.findall(r"uses: (\S+)(.*)", path.read_text("utf-8"))
    assert uses
    for action, comment in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} says no version"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_workflows_call_what_exists(path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}, "more only where a job needs it"
    for job in workflow["jobs"].values():
        for command in (step["run"] for step in job["steps"] if "run" in step):
            for words in re.findall(r"make ([\w =-]+)", command):
                assert {word for word in words.split() if "=" not in word} <= targets
            for script in re.findall(r"(\.ci/\w+)", command):
                assert (ROOT / script).exists()


@pytest.fixture
def built(tmp_path):
    for language in ("ko", "en"):
        (tmp_path / language / "chapters").mkdir(parents=True)
        (tmp_path / language / "chapters" / "01_a.html").touch()
    return tmp_path


def test_a_published_site_has_a_map(built):
    site_files.write(built, "https://example.com/book")
    found = re.findall("<loc>(.*?)</loc>", (built / "sitemap.xml").read_text("utf-8"))
    pages = [f"https://example.com/book/{code}/chapters/01_a.html" for code in ("ko", "en")]
    assert found == pages
    robots = (built / "robots.txt").read_text()
    assert "Sitemap: https://example.com/book/sitemap.xml" in robots and "Disallow" not in robots
    assert 'href="/book/ko/"' in (built / "404.html").read_text("utf-8")


def test_a_site_without_an_address_has_none(built):
    site_files.write(built, "")
    assert not (built / "sitemap.xml").exists()
    assert not (built / "robots.txt").exists()
    missing = (built / "404.html").read_text("utf-8")
    assert all(word in missing for word in ('href="/en/"', "없는 쪽입니다", "No such page"))


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_without_a_registry_npm_tells_why(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cdn, "PACKAGES", tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    cdn.package_folder.cache_clear()
    assert cdn.served_here() == []  # so the CDN itself is asked
    assert "mathjax@3.2.2: npm error FetchError: request to http://127.0.0.1:9" in (
        capsys.readouterr().err
    )
    with pytest.raises(SystemExit, match="Needed: npm and its registry"):
        list(offline.cdn_files())
    cdn.package_folder.cache_clear()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["execute.py", "chapters/nothing.ipynb"], "No such notebook"),
        (["notebook_text.py"], "Usage"),
        (["share_picture.py"], "Needed: one of chromium"),
    ],
)
def test_what_is_missing_is_named(command, says, tmp_path):
    script, *arguments = command
    run = [sys.executable, str(ROOT / "_ext" / script), *arguments]
    environment = {**os.environ, "PATH": str(tmp_path)}
    said = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.returncode == 1 and says in said.stderr and "Traceback" not in said.stderr
