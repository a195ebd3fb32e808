"""A release: its notes, its sums, the files it is made of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tools import package

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = "# Changelog\n\n## [0.2.0] - 2027-01-01\n\n### Added\n\n- Two.\n\n## [0.1.0] - 2026-12-01\n\n- One.\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "changes").mkdir()
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    monkeypatch.setattr(package, "ROOT", tmp_path)
    monkeypatch.setattr(package, "DIST", tmp_path / "dist")
    return tmp_path


def test_notes_of_a_release_are_its_section(checkout: Path) -> None:
    """What stands under the version's heading, to the next one."""
    assert checkout
    assert package.release_notes("0.2.0") == "### Added\n\n- Two.\n"
    assert package.release_notes("0.1.0") == "- One.\n"


def test_a_release_without_notes_is_not_made(checkout: Path) -> None:
    """A version that the changelog lacks, or a change that is in no section, stops it with what to do."""
    with pytest.raises(package.NotReadyError, match=r"no section 0\.3\.0: run towncrier build"):
        package.release_notes("0.3.0")
    (checkout / "changes" / "late.fixed.md").write_text("Late.")
    with pytest.raises(package.NotReadyError, match=r"still has late\.fixed\.md"):
        package.release_notes("0.2.0")


def test_sums_are_those_that_sha256sum_checks(checkout: Path) -> None:
    """A line for each file that is published, and for no other."""
    (checkout / "dist").mkdir()
    for name in ("trunkline-1-py3-none-any.whl", "trunkline-1.tar.gz", "NOTES.md"):
        (checkout / "dist" / name).write_text(name)
    lines = [line.split("  ") for line in package.sums().splitlines()]
    assert [name for _, name in lines] == ["trunkline-1-py3-none-any.whl", "trunkline-1.tar.gz"]
    assert all(digest == hashlib.sha256(name.encode()).hexdigest() for digest, name in lines)


def test_every_fragment_gets_into_the_changelog() -> None:
    """Each file in changes/ is of a kind that there is, and stands whole in the draft."""
    fragments = [path for path in (ROOT / "changes").glob("*.md") if path.name != "README.md"]
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    draft = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for fragment in fragments:
        first, *rest = fragment.read_text(encoding="utf-8").splitlines()
        assert "\n".join([f"- {first}", *(f"  {line}" for line in rest)]) in draft, fragment.name


def test_texts_are_as_editorconfig_has_them() -> None:
    """Every text that git holds is UTF-8 without a tab's or a blank's remains, and ends with one newline."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wrong = []
    for name in filter(None, listed.split("\0")):
        if name.endswith(".svg"):  # as its tool writes it
            continue
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" in data:
            continue
        text = data.decode("utf-8")
        lines = text.split("\n")
        if text and (lines[-1] or lines[-2:-1] == [""] or "\r" in text or any(line != line.rstrip() for line in lines)):
            wrong.append(name)
    assert not wrong


def test_the_version_is_named_by_tag_archive_or_variable(tmp_path: Path) -> None:
    """A tag v1.2.3, an archive of it, and the variable of packagers give the release; other tags are none."""
    for name in ("pyproject.toml", "README.md", "LICENSE", ".git_archival.txt", ".gitattributes"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    def version(folder: Path, **variables: str) -> str:
        command = [str(Path(sys.executable).with_name("hatchling")), "version"]
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True).stdout

    def git(*arguments: str) -> None:
        by = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *by, *arguments], cwd=tmp_path, capture_output=True, check=True)

    def archived(name: str) -> Path:
        git("archive", "--format=zip", f"--output={name}.zip", "HEAD")
        shutil.unpack_archive(tmp_path / f"{name}.zip", tmp_path / "output" / name)
        return tmp_path / "output" / name

    (tmp_path / ".gitignore").write_text("/output/\n/*.zip\n")
    git("init")
    git("add", "--all")
    git("commit", "--message", "one")
    git("tag", "demo-2026")
    git("tag", "v2")
    assert version(tmp_path).startswith("0.1.0.dev1+g")
    assert version(archived("untagged")).strip() == "0.1.0.dev0"
    assert version(archived("named"), SETUPTOOLS_SCM_PRETEND_VERSION_FOR_TRUNKLINE="1.2.3").strip() == "1.2.3"
    git("tag", "v0.3.0")
    assert version(tmp_path).strip() == version(archived("tagged")).strip() == "0.3.0"
