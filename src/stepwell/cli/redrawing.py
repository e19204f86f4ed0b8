"""Lines on a terminal that are written over as what they tell changes."""

import click

from stepwell.cli import terminal

# Of a drawing for which there is no room, so many lines at its top stay.
_HEAD = 2


class Drawing:
    """What was drawn last, over which the next is drawn."""

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def draw(self, lines: list[str]) -> None:
        """Draw lines over what was drawn before."""
        if lines == self._drawn:
            return
        # Lines that a terminal has broken are broken anew when it is made narrower.
        columns = terminal.size()[0]
        back = sum(terminal.height_of(line, columns) for line in self._drawn)
        # Up to where the last one began, and clear from there.
        start = f"\x1b[{back}A\r\x1b[J" if back else ""
        click.echo(start + "".join(f"{line}\n" for line in lines), nl=False, color=True)
        self._drawn = lines


def fitted(lines: list[str], columns: int, rows: int) -> list[str]:
    """Return the lines that there is room for: the first, and the last."""
    heights = [terminal.height_of(line, columns) for line in lines]
    # The cursor has a line of its own.
    if sum(heights) < rows:
        return lines
    room, kept = rows - 2 - sum(heights[:_HEAD]), len(lines)
    while kept > _HEAD and room >= heights[kept - 1]:
        kept -= 1
        room -= heights[kept]
    return [*lines[:_HEAD], "...", *lines[kept:]]
