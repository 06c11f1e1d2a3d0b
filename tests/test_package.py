"""What people install: the wheel and the source distribution, built and tried."""

import ast
import email
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from trove_classifiers import classifiers

import nst_jax

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nst_jax"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Modules that are called otherwise than what is installed for them.
CALLED = {"PIL": "pillow", "absl": "absl-py", "skimage": "scikit-image"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution that it was made from."""
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        folder,
        ROOT,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def metadata(built):
    """What the wheel says of itself."""
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(wheel.read(name))


def test_the_wheel_holds_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = (path for path in PACKAGE.rglob("*") if path.is_file())
    own = {path.relative_to(ROOT).as_posix() for path in files}
    # Tools leave their caches beside the code.
    own = {name for name in own if not re.search(r"/(__pycache__|\.)", name)}
    shown = {f"nst_jax/benchmark/pictures/{name}.jpg" for name in ("content", "style")}
    assert names == own | shown
    assert "nst_jax/py.typed" in names


def test_the_source_distribution_holds_the_checkout(built):
    """All that is needed to build, test and document: all but what CI runs."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs the checkout")
    command = ["git", "-C", ROOT, "ls-files"]
    tracked = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    kept = {name for name in tracked.splitlines() if (ROOT / name).exists()}
    with tarfile.open(built[1]) as source:
        names = {member.name.partition("/")[2] for member in source.getmembers()}
    missing = kept - names
    assert all(name.startswith(".ci/") for name in missing), missing
    assert not {name for name in names if name.endswith((".pyc", ".safetensors"))}


def test_metadata_is_complete(metadata):
    readme = (ROOT / "README.md").read_text("utf-8")
    assert metadata["Name"] == "nst-jax"
    assert metadata["Version"] == nst_jax.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload(decode=True).decode().strip() == readme.strip()
    assert metadata["Summary"]
    assert set(metadata.get_all("Classifier")) <= classifiers
    assert set(metadata.get_all("Provides-Extra")) == {
        *PROJECT["optional-dependencies"]
    }


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {nst_jax.__version__}\n" in citation
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(rf"^## (Unreleased|{re.escape(nst_jax.__version__)}\b)", log, re.M)


def test_every_extra_that_a_text_names_is_there():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *PACKAGE.rglob("*.py")]
    texts = [path.read_text("utf-8") for path in pages]
    named = {name for text in texts for name in re.findall(r"[\"'.]\.\[(\w+)\]", text)}
    assert named
    assert named <= set(PROJECT["optional-dependencies"])


def test_every_import_is_declared():
    """What a module loads at once is there for everybody, the rest with an extra.

    A folder may have an extra of its own name, as the page in the browser has.
    """
    extras = PROJECT["optional-dependencies"]
    needed = {_project(each) for each in PROJECT["dependencies"]}
    optional = {_project(each) for name in extras for each in extras[name]}
    for path in PACKAGE.rglob("*.py"):
        tree, folder = ast.parse(path.read_text("utf-8")), path.parent.name
        own = {_project(each) for each in extras.get(folder, ())}
        assert _unknown(tree.body, needed | own) == set(), path
        assert _unknown(ast.walk(tree), needed | optional) == set(), path


def _project(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def _unknown(nodes, projects):
    """The modules that are imported, and that none of the projects brings."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    foreign = names - set(sys.stdlib_module_names) - {"nst_jax"}
    return {n for n in foreign if CALLED.get(n, n).replace("_", "-") not in projects}


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel alone in a folder; what it needs comes from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", folder, built[0]], check=True)
    return folder


def test_the_installed_program_runs(installed, tmp_path):
    """The console script, far from the checkout, with everything that it reads."""
    (found,) = importlib.metadata.distributions(path=[str(installed)], name="nst-jax")
    scripts = found.entry_points.select(group="console_scripts")
    assert {each.name: each.value for each in scripts} == PROJECT["scripts"]
    places = (str(installed / name) for name in ("bin", "Scripts"))  # Windows' own
    program = shutil.which("nst-jax", path=os.pathsep.join(places))
    pictures = installed / "nst_jax" / "benchmark" / "pictures"
    command = [
        *(program, "--preset=optimizer-study", "--weights=random", "--device=cpu"),
        *("--size=32", "--steps=1", "--output=out.png"),
        *(f"--{name}={pictures / name}.jpg" for name in ("content", "style")),
    ]
    own = {"PYTHONPATH": str(installed), "PYTHONWARNINGS": ""}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | own
    )
    assert done.returncode == 0, done.stderr
    assert "random" in done.stdout
    assert (tmp_path / "out.png").stat().st_size > 500
