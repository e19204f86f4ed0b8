"""Keep the drawings of the samples as they are now."""

from stepwell.graph.svg import svg
from tests.graph.drawn import SAMPLES
from tests.graph.goldens import keep

for name, sample in SAMPLES.items():
    keep(name, svg(sample, has_style=False))
