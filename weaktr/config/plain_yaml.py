"""YAML without traps: what two readers of it would understand in two ways is refused."""

import re
from typing import Any

import yaml

_OCTAL = re.compile(r"[-+]?0[\d_]+")


class _Trap(yaml.YAMLError):
    """Valid YAML that does not mean what it seems to."""


class _PlainLoader(yaml.SafeLoader):
    """Refuses keys that are there twice, and numbers that are not decimal by a zero or a colon."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping; PyYAML alone keeps the last of two values of a key."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise _Trap(
                    f"line {line} gives {key.value!r} a second time (first in line "
                    f"{seen[key.value]}), so that one of the two would not count; remove one"
                )
            if isinstance(key, yaml.ScalarNode):
                seen[key.value] = line
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A number; `010` is 8 to YAML 1.1 and 10 to YAML 1.2, which DVC reads."""
        if _OCTAL.fullmatch(node.value) or ":" in node.value:
            raise _Trap(
                f"line {node.start_mark.line + 1} has the number {node.value}, which YAML reads as "
                "octal or as minutes; write it as a plain decimal number"
            )
        if node.tag.endswith(":int"):
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.construct_number)


def read_yaml(text: str) -> Any:
    """Plain values from YAML.

    Raises:
        yaml.YAMLError: If it is no YAML, a mapping has a key twice, or a number is written so that
            readers of YAML differ about it.
    """
    return yaml.load(text, _PlainLoader)
