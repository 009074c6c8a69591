"""Class maps as people like to see them: colours, overlay on the picture, legend.

Pictures are `(H, W, 3)` uint8 RGB, class maps `(H, W)` class ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.runtime.choices import Colours
from afformer.runtime.drawing.borders import class_borders
from afformer.runtime.drawing.colours import overlay_colours
from afformer.runtime.drawing.legend import Legend
from afformer.runtime.drawing.names import NameTags
from afformer.runtime.drawing.painting import Painter, colour_table, look_up
from afformer.runtime.drawing.text import writable
from afformer.runtime.workspace import Workspace
from afformer.spec import RGB


class Renderer:
    """Draws class maps with one palette. Keeps its buffers: a result is valid until the next call of the same method.

    Args:
        classes: Class names.
        palette: The data set's colours, one RGB colour per class: those of masks.
        opacity: How much of the classes' colours covers the picture in an overlay, 0..1.
        outlines: Draw lines between the classes of an overlay.
        names: Write the classes' names on the larger regions of an overlay.
        colours: Colours of overlays and legends.

    Raises:
        ValueError: The opacity is not within 0..1, there is no such choice of colours, or a class has no colour.
    """

    def __init__(
        self,
        classes: Sequence[str],
        palette: Sequence[RGB],
        opacity: float = 0.5,
        outlines: bool = False,
        *,
        names: bool = False,
        colours: Colours | str = Colours.AUTO,
    ) -> None:
        if not 0.0 <= opacity <= 1.0:
            raise ValueError(f"opacity must be 0..1, but got {opacity}")
        if len(classes) != len(palette):
            raise ValueError(f"palette must have one colour a class, {len(classes)}, but got {len(palette)}")
        self.classes = tuple(classes)
        self.palette: tuple[RGB, ...] = tuple((red, green, blue) for red, green, blue in palette)
        self.colours = overlay_colours(self.classes, self.palette, Colours(colours))
        """The classes' colours in overlays and legends."""
        self.opacity = opacity
        self.outlines = outlines
        self.names = names
        self._palette_table = colour_table(self.palette)
        self._painter = Painter(self.colours, opacity)
        shown = writable(self.classes)
        self._tags = NameTags(shown)
        self._legend = Legend(shown, self.colours)
        self._work = Workspace()

    def colourise(self, classmap: ClassMap) -> RGBImage:
        """The class map in the palette's colours, as masks are shown."""
        return look_up(self._palette_table, classmap, self._work.array("colours", (*classmap.shape, 3), np.uint8))

    def overlay(self, image: RGBImage, classmap: ClassMap, *, follow: bool = False) -> RGBImage:
        """The picture, tinted with the classes' colours; its own colours fade, so that they do not mix in.

        Args:
            image: The picture.
            classmap: Its class map.
            follow: The picture follows the one before in a video: names stay where they were if they still fit there.

        Raises:
            ValueError: Picture and class map differ in size.
        """
        if image.shape[:2] != classmap.shape:
            raise ValueError(f"picture and class map must have one size, but got {image.shape} and {classmap.shape}")
        borders = class_borders(classmap, self._work) if self.outlines or self.names else None
        drawn = self._painter.paint(image, classmap, borders if self.outlines else None)
        if self.names and borders is not None:
            self._tags.draw(drawn, classmap, borders, follow=follow)
        return drawn

    def legend(self, classmap: ClassMap, height: int) -> RGBImage:
        """A panel with the classes that occur, in the order of their ids: colour, name, percentage.

        Args:
            classmap: `(H, W)` class ids.
            height: The panel's height in pixels. If not all classes fit in, the largest are shown and the others
                counted in a last line. Where not even a few lines fit, the panel is higher than asked for.

        Returns:
            `(height or more, W', 3)` uint8 RGB.
        """
        return self._legend.panel(classmap, height)

    def small_legend(self, classmap: ClassMap, height: int) -> RGBImage:
        """A small panel for the corner of a video frame of some height: colours and names of the classes seen so far.

        Returns:
            `(H', W', 3)` uint8 RGB, no higher than the frame.
        """
        return self._legend.small_panel(classmap, height)
