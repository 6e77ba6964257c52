"""Which recipe params come from, and what differs: a name that tells results apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaktr.config.params import Params
from weaktr.experiments.recipes import Recipe, flatten, recipe_values, typed_params
from weaktr.files import digest_value

MOST_CHANGES = 3
"""Changes that a name lists."""
UNLIKE = 20
"""Params with more changes than these come from no recipe."""

OWN = "own params"
"""What such params are called, before their digest."""


@dataclass(frozen=True)
class Origin:
    """Where params come from.

    Attributes:
        recipes: The whole recipe that they are nearest to, and those that lie on top of it.
        changes: What differs from these: dotted key -> value.
        digest: Of all params.
    """

    recipes: tuple[str, ...]
    changes: Mapping[str, Any]
    digest: str

    @property
    def recipe(self) -> str:
        """`demo + supervised`."""
        return " + ".join(self.recipes)

    @property
    def is_known(self) -> bool:
        """Whether there is a recipe that the params are near to."""
        return not self.recipe.startswith(OWN)

    @property
    def changed(self) -> str:
        """`cam.lr 0.01, seed 1`; empty where nothing differs."""
        parts = [f"{key} {short(value)}" for key, value in self.changes.items()]
        more = len(parts) - MOST_CHANGES
        return ", ".join(parts[:MOST_CHANGES]) + f", {more} more ({self.digest})" * (more > 0)

    @property
    def name(self) -> str:
        """`demo + supervised, seed 1`."""
        return ", ".join(part for part in (self.recipe, self.changed) if part)


def origin_of(params: Params, recipes: Sequence[Recipe]) -> Origin:
    """The recipes that params come from, and what differs.

    Args:
        params: The params.
        recipes: All that there are. Those that name their data are whole; others lie on top.
    """
    own = flat_params(params)
    digest = digest_value(own)[:6]
    best: Origin | None = None
    for recipe in recipes:
        if recipe.about.data:
            origin = _compared(own, recipe, recipes, digest)
            if best is None or len(origin.changes) < len(best.changes):
                best = origin
    if best is None or len(best.changes) > UNLIKE:
        on_top = _holding(own, flat_params(Params()), {}, recipes)
        return Origin((f"{OWN} {digest}", *on_top), {}, digest)
    return best


def _compared(
    own: Mapping[str, Any], whole: Recipe, recipes: Sequence[Recipe], digest: str
) -> Origin:
    """Params against one whole recipe, with those on top that hold in all they set."""
    given = recipe_values(whole.name, recipes)
    values = _validated(given)
    on_top = _holding(own, values, given, recipes)
    for laid in on_top.values():
        values |= laid
    changes = {key: own[key] for key, value in values.items() if key in own and own[key] != value}
    return Origin((whole.name, *on_top), changes, digest)


def _holding(
    own: Mapping[str, Any],
    values: Mapping[str, Any],
    given: Mapping[str, Any],
    recipes: Sequence[Recipe],
) -> dict[str, dict[str, Any]]:
    """The recipes on top that change some values, and in all of these agree with the params.

    Args:
        own: The params.
        values: What lies below.
        given: The same as its recipe writes it.
        recipes: All that there are.

    Returns:
        What each of them changes, by name.
    """
    found = {}
    for recipe in recipes:
        if not recipe.about.data:
            laid = _validated({**given, **recipe_values(recipe.name, recipes)})
            changing = {key: value for key, value in laid.items() if value != values.get(key)}
            if changing and all(own.get(key) == value for key, value in changing.items()):
                found[recipe.name] = changing
    return found


def _validated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted values as the typed params hold them; only the keys that were given."""
    flat = flat_params(typed_params(values))
    return {key: flat[key] for key in values if key in flat}


def recipe_params(names: Sequence[str], recipes: Sequence[Recipe]) -> dict[str, Any]:
    """What recipes set, a later one on top of those before it, as the typed params hold it.

    Args:
        names: As in `Origin.recipes`; those that are no recipe's are passed over.
        recipes: All that there are.

    Returns:
        Dotted key -> plain value.
    """
    known = {recipe.name for recipe in recipes}
    given: dict[str, Any] = {}
    for name in names:
        if name in known:
            given |= recipe_values(name, recipes)
    return _validated(given)


def flat_params(params: Params) -> dict[str, Any]:
    """The params that results depend on: dotted key -> plain value."""
    flat = flatten(params.model_dump(mode="json", exclude={"runtime"}))
    if params.dataset.kind != "shapes":
        flat = {key: value for key, value in flat.items() if not key.startswith("dataset.shapes.")}
    return flat


def short(value: Any) -> str:
    """A value in few characters."""
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(map(short, value)) + "]"
    return str(value)
