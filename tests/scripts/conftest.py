"""The tiny run of the stages, for scripts that go on from one."""

from tests.stages.conftest import finished, workspace

__all__ = ["finished", "workspace"]
