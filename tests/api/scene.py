"""The image that tests of the Python API look at."""

from weaktr.config.dataset import ShapesParams
from weaktr.data.demo.dataset import draw_shapes_scene

SCENE = draw_shapes_scene(ShapesParams(image_side=48), "val", 0).image
