"""Digests of what code means."""

import subprocess
import sys
from pathlib import Path

from stages.common.code_digest import code_digest
from tests.conftest import REPOSITORY
from tests.tiny import CHAIN
from weaktr.files import read_json


def test_a_digest_is_of_what_code_means(tmp_path: Path) -> None:
    package = tmp_path / "weaktr"
    package.mkdir()
    (package / "__init__.py").touch()

    def digest(source: str) -> str:
        (package / "a.py").write_text(source)
        code = (
            "import sys; from pathlib import Path; import stages.common.code_digest as c; "
            "c.ROOT = Path(sys.argv[1]); print(c.code_digest('weaktr.a'))"
        )
        call = [sys.executable, "-c", code, str(tmp_path)]
        return subprocess.run(
            call, cwd=REPOSITORY, capture_output=True, text=True, check=True
        ).stdout

    plain = digest("def f(x):\n    return x + 1\n")
    same = digest('"""Doc."""\n\n\ndef f(\n    x,\n):\n    """Doc."""\n    return (x + 1)  # why\n')
    typed = digest(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import weaktr.b\n"
        "def f(x):\n    return x + 1\n"
    )
    assert plain == same
    assert plain != digest("def f(x):\n    return x + 2\n")
    assert plain != digest("def f(x):\n    return x + 1.0\n")
    assert typed == plain  # as nothing of it runs
    (package / "b.py").write_text("A = 1\n")
    before = digest("def f(x):\n    import weaktr.b\n    return x\n")
    (package / "b.py").write_text("A = 2\n")
    assert digest("def f(x):\n    import weaktr.b\n    return x\n") != before


def test_the_committed_digests_are_those_of_the_code() -> None:
    """Else a fresh clone would rerun stages: run `dvc repro` and commit `code.json`."""
    stages = (*CHAIN, "summary")
    expected = {stage: code_digest(f"stages.{stage}") for stage in stages}
    assert read_json(REPOSITORY / "code.json") == expected
