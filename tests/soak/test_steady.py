"""What is made of the figures of an hour under steady load."""

import pytest

from tests.soak.steady import verdict

HOURS = [minute / 60 for minute in range(60)]
NOISE = [(-1) ** minute for minute in range(60)]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        pytest.param([100.0] * 60, "flat", id="the same"),
        pytest.param([100 + noise for noise in NOISE], "flat", id="noise"),
        pytest.param([100 + 20 * hour for hour in HOURS], "rises", id="more and more"),
        pytest.param([100 - 20 * hour for hour in HOURS], "falls", id="less and less"),
        pytest.param([100 + 4 * hour for hour in HOURS], "flat", id="within its tolerance"),
        pytest.param([100 + 20 * hour + noise for hour, noise in zip(HOURS, NOISE, strict=True)], "rises", id="both"),
        pytest.param([100.0, 140.0, 90.0, 150.0], "unclear", id="too few"),
    ],
)
def test_figure_that_grows_is_told_from_noise(values: list[float], word: str) -> None:
    """A slope counts where it is above the tolerance and above twice its standard error."""
    assert verdict(HOURS[: len(values)], values, 0.05)[2] == word
