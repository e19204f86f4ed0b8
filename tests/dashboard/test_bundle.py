"""The modules of the page as one file."""

import subprocess
from collections.abc import Callable

import pytest

from stepwell.dashboard.bundle import bundle, plain_style
from stepwell.dashboard.files import FILES


def test_modules_do_together_what_they_do_apart(require: Callable[..., None]) -> None:
    """Each has its own names; what is exported comes under the name that it is imported by."""
    require("node", "the modules run in it")
    modules = {
        "app.js": 'import { twice as double, LIMIT } from "./parts/numbers.js";\nimport word from "./word.js";\n'
        'const n = 4;\nconsole.log(double(n), LIMIT, word("b"));\n',
        "parts/numbers.js": '// Twice.\nimport { n } from "../word.js";\nexport { LIMIT } from "../more.js";\n'
        "export function twice(m) {\n  return n * m;\n}\n",
        "more.js": "/**\n * The limit.\n */\nexport const LIMIT = 9;\n",
        "word.js": "var n=2,$=n;export default function(w){return w+$}export{$ as n};\n".replace(
            "}export{", "};export{"
        ),
    }

    done = subprocess.run(["node", "-e", bundle(modules, "app.js")], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("8 9 b2\n", "")
    assert "Twice" not in bundle(modules, "app.js")


def test_modules_that_need_each_other_are_refused() -> None:
    """There is no order in which each comes after those that it needs."""
    modules = {"a.js": 'import { b } from "./b.js";', "b.js": 'import { a } from "./a.js";'}

    with pytest.raises(ValueError, match=r"a\.js -> b\.js -> a\.js"):
        bundle(modules, "a.js")


@pytest.mark.parametrize("line", ['import * as all from "./b.js";', 'import "./b.js";', "export let a = 1;"])
def test_form_that_is_not_taken_is_refused(line: str) -> None:
    """It would be left as it is, and break the page where nobody looks."""
    with pytest.raises(ValueError, match="of a form that is not taken"):
        bundle({"a.js": line, "b.js": ""}, "a.js")


def test_comments_do_not_go_over_the_wire() -> None:
    """Nor do indentations."""
    assert plain_style("/* Look */\na {\n  b: c;\n}\n") == "a {\nb: c;\n}\n"
    assert not [line for line in FILES["app.js"].body.decode().splitlines() if line.startswith((" ", "//"))]
