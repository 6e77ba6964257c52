"""The wheel: what is in it, and what it does away from the repository and its pipeline."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY
from tests.console import CLASSES, save_cam_network, save_segmenter
from tests.tiny_data import write_folder, write_image
from weaktr import __version__
from weaktr.cli.extras import EXTRAS, missing_extra
from weaktr.data.masks import read_mask
from weaktr.errors import UserError
from weaktr.experiments.recipes import (
    compose_params,
    flatten,
    list_recipes,
    packaged_recipes,
    recipe_values,
)

BESIDE = ("benchmarks", "oracles", "scripts", "stages", "tests")
"""Top-level packages that stay in the repository."""
DISTRIBUTIONS = packages_distributions()
ABSENT = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {EXTRAS["pipeline"] + EXTRAS["onnx"]}:
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

found = [one for one in sys.meta_path if "__editable__" not in getattr(one, "__module__", "")]
sys.meta_path[:] = map(Without, found)
"""
"""A `sitecustomize` with which the extras and the editable install are not there."""


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, as a build writes beside what it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, copy)
    for name in ("recipes", "weaktr"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    for name in BESIDE:
        (copy / name).mkdir()
        shutil.copy(REPOSITORY / name / "__init__.py", copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    pip("wheel", "--quiet", *offline, "--wheel-dir", folder, source)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def requirements(metadata: Message, extra: str = "") -> set[str]:
    """Names of the packages that the wheel, or one of its extras, asks for."""
    parsed = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    return {
        canonicalize_name(one.name)
        for one in parsed
        if (one.marker is None if not extra else f'extra == "{extra}"' in str(one.marker))
    }


class Outside:
    """A folder away from the repository, where the wheel is all there is of it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.installed = folder / "installed"
        pip("install", "--quiet", "--no-deps", "--no-index", "--target", self.installed, wheel)
        absent = folder / "absent"
        absent.mkdir()
        (absent / "sitecustomize.py").write_text(ABSENT)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))},
            "PYTHONPATH": f"{self.installed}{os.pathsep}{absent}",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }

    def python(self, *arguments: object, code: int = 0) -> str:
        command = [sys.executable, *map(str, arguments)]
        result = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def weaktr(self, *arguments: object, code: int = 0) -> str:
        return self.python(self.installed / "bin" / "weaktr", *arguments, code=code)


@pytest.fixture(scope="module")
def outside(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Outside:
    return Outside(tmp_path_factory.mktemp("outside"), wheel)


# --- what is in it -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_package_its_recipes_and_nothing_else_are_in_it(source: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        info = {name.partition("/")[2] for name in archive.namelist() if ".dist-info/" in name}
    own = {p.relative_to(source).as_posix() for p in (source / "weaktr").rglob("*") if p.is_file()}
    recipes = {f"weaktr/recipes/{path.name}" for path in (source / "recipes").iterdir()}
    assert files == own | recipes, "pyproject.toml lists the packages: [tool.setuptools]"
    assert "weaktr/py.typed" in files
    assert {"METADATA", "RECORD", "entry_points.txt", "licenses/LICENSE"} <= info


@pytest.mark.slow
def test_the_metadata(wheel: Path, metadata: Message) -> None:
    assert wheel.name == f"weaktr-{__version__}-py3-none-any.whl"
    assert (metadata["Name"], metadata["Version"]) == ("weaktr", __version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == {"crf", "onnx", "pipeline", "s3"}
    assert {"dvc", "hydra-core", "mlflow"} <= requirements(metadata, "pipeline")
    assert not requirements(metadata, "pipeline") & requirements(metadata)


def imported(package: str) -> dict[str, str]:
    """Foreign top-level modules that a package's sources import -> a file that does."""
    found: dict[str, str] = {}
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found |= {name.partition(".")[0]: path.name for name in names}
    known = {*sys.stdlib_module_names, "weaktr", *BESIDE}
    return {name: file for name, file in found.items() if name not in known}


def distributions_of(module: str) -> set[str]:
    """What a top-level module is installed with here; by its own name if it is not."""
    return {canonicalize_name(name) for name in DISTRIBUTIONS.get(module, [module])}


@pytest.mark.slow
def test_every_import_is_of_a_package_that_is_asked_for(metadata: Message) -> None:
    extras = {module: extra for extra, modules in EXTRAS.items() for module in modules}
    brought_by = {"omegaconf": "hydra-core", "pydensecrf": "pydensecrf2"}
    for package in ("weaktr", "stages"):
        for module, file in imported(package).items():
            names = distributions_of(module) | {brought_by.get(module, module)}
            extra = extras.get(module, "pipeline" if module == "torchvision" else "")
            assert names & requirements(metadata, extra), f"{file} imports {module}"


@pytest.mark.slow
def test_every_package_of_an_extra_is_known_to_the_command_line(metadata: Message) -> None:
    with_timm = {"torchvision"}  # never missing
    for extra, modules in EXTRAS.items():
        names = {name for module in modules for name in distributions_of(module)}
        assert requirements(metadata, extra) - with_timm <= names | {"pydensecrf2"}


# --- what it does, away from the repository and without the extras -------------------------------


@pytest.mark.slow
def test_nothing_but_weaktr_is_installed(outside: Outside) -> None:
    code = (
        "import importlib.util as u, weaktr\n"
        f"found = [name for name in {(*BESIDE, 'recipes')} if u.find_spec(name)]\n"
        "print(weaktr.__file__, found)"
    )
    assert outside.python("-c", code) == f"{outside.installed}/weaktr/__init__.py []\n"
    assert outside.weaktr("--version") == f"weaktr {__version__}\n"


@pytest.mark.slow
def test_recipes_are_listed_and_shown_from_the_package(outside: Outside) -> None:
    listing = outside.weaktr("recipes")
    for recipe in list_recipes(REPOSITORY):
        assert recipe.name in listing
    assert "in the project's folder" in listing
    shown = outside.weaktr("recipes", "coco14-vit-s")
    assert "50.3" in shown, "the published value of the last step"
    assert "\n  decoder.backbone.name: vit_small_patch16_384.augreg_in21k_ft_in1k\n" in shown
    assert "\n  decoder.crop_size: 480\n" in shown, "of the recipe that it starts from"
    assert "did you mean 'demo'" in outside.weaktr("recipes", "demoo", code=2)
    assert "run from the project's folder" in outside.weaktr("recipes", "--use", "demo", code=2)


@pytest.mark.slow
def test_a_prediction(outside: Outside) -> None:
    model = save_segmenter(outside.folder / "segmenter")
    write_image(outside.folder / "in/x.jpg", width=40, height=30)
    text = outside.weaktr("predict", model.name, "in", "-o", "out", "--overlay", "--crf")
    assert text == "1 of 1 images segmented: out/predictions.csv\n"
    assert read_mask(outside.folder / "out/masks/x.png").shape == (30, 40)


@pytest.mark.slow
def test_class_maps_checks_and_the_python_interface(outside: Outside) -> None:
    save_cam_network(outside.folder / "cam")
    save_segmenter(outside.folder / "model")
    tags = {f"{number}.jpg": CLASSES[number % 3] for number in range(12)}
    write_folder(outside.folder / "pets", tags)
    code = (
        "import sys, weaktr\n"
        "from weaktr.cli.app import app\n"
        "def run(*arguments):\n"
        "    try: app(arguments)\n"
        "    except SystemExit as ended: assert not ended.code, arguments\n"
        "run('cam', 'cam', 'pets/images/0.jpg', '-o', 'maps.png')\n"
        "run('check-data', '--kind', 'folder', '--root', 'pets')\n"
        "print(weaktr.load('model').segment('pets/images/0.jpg'))"
    )
    text = outside.python("-c", code)
    assert "Fit for training" in text
    assert "Segmentation(24 x 16 pixels" in text
    assert (outside.folder / "maps.png").is_file()


@pytest.mark.slow
def test_a_missing_extra_is_named_in_one_sentence(outside: Outside) -> None:
    project = outside.folder / "project"
    shutil.copytree(REPOSITORY / "recipes", project / "recipes")
    shutil.copy(REPOSITORY / "params.yaml", project)
    params = project / "params.yaml"
    text = outside.weaktr("recipes", "--params", params, "--use", "demo", code=2)
    assert text == (
        "Error: this needs the package hydra, which is not installed; run "
        "`pip install 'weaktr[pipeline]'`.\n"
    )
    assert params.read_text() == (REPOSITORY / "params.yaml").read_text()
    model = save_segmenter(outside.folder / "exported")
    assert "pip install 'weaktr[onnx]'" in outside.weaktr("export", model.name, code=2)


@pytest.mark.parametrize("extra", EXTRAS)
def test_modules_of_extras_are_told_from_others(extra: str) -> None:
    for module in EXTRAS[extra]:
        with pytest.raises(UserError, match=rf"package {module}, .*'weaktr\[{extra}\]'"):
            with missing_extra():
                raise ModuleNotFoundError(name=f"{module}.part")
    with pytest.raises(ModuleNotFoundError):
        with missing_extra():
            raise ModuleNotFoundError(name="no_such_module")


def test_packaged_recipes_hold_what_hydra_composes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    (tmp_path / "params.yaml").write_text("runtime: {workers: 0}\n")
    monkeypatch.chdir(tmp_path)
    recipes = packaged_recipes()
    assert [recipe.name for recipe in recipes] == [recipe.name for recipe in list_recipes()]
    for recipe in recipes:
        composed = flatten(yaml.safe_load(compose_params([recipe.name])))
        del composed["runtime.workers"]
        assert recipe_values(recipe.name, recipes) == composed


# --- what is said of it --------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__
    assert f"\n## [{__version__}] - " in (REPOSITORY / "CHANGELOG.md").read_text()


def test_the_guide_for_contributors_names_files_that_are_there() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    tracked = ("docs/", "recipes/", "stages/", "tests/", "weaktr/")
    named = {name for name in re.findall(r"`([\w./]+)`", text) if name.startswith(tracked)}
    placeholders = {"stages/NAME.py"}
    assert len(named) > 15
    assert not [name for name in named - placeholders if not (REPOSITORY / name).exists()]
