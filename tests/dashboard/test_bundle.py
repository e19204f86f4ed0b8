"""The modules of the page as one file."""

import re
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


def test_text_that_would_lose_its_indentation_is_refused() -> None:
    """Where the page shows lines as they are, the indentation is part of what is shown."""
    shown = "html`<pre class=${a}>def f():\n    return 1</pre>`;\n"

    with pytest.raises(ValueError, match="would lose its indentation"):
        bundle({"a.js": shown}, "a.js")


def test_code_between_comments_stays() -> None:
    """A comment ends where it ends, also where something stands behind it."""
    assert "b = 1" in bundle({"a.js": "/* a */ const b = 1;\n/* c */\n"}, "a.js")
    assert plain_style("/* a */ b { c: d; }\n/* e ** */\n") == "/* a */ b { c: d; }\n"


def test_each_name_that_is_imported_is_exported() -> None:
    """A browser would refuse a module that asks for more; in one file the name would be undefined."""
    app = FILES["app.js"].body.decode()
    modules = re.findall(r"(?ms)^const (\$\w+)=\(\(\)=>\{\n.*?^return\{([^{}]*)\}\}\)\(\);$", app)
    given = {name: {one.partition(":")[0] for one in names.split(",")} for name, names in modules}

    taken = re.findall(r"(?m)^const \{([^{}]*)\}=(\$\w+);", app)
    missing = [
        (module, name)
        for names, module in taken
        for name in (one.partition(":")[0].strip() for one in names.split(","))
        if name and name not in given[module]
    ]

    assert len(taken) > 100
    assert missing == []


def test_comments_do_not_go_over_the_wire() -> None:
    """Nor do indentations."""
    assert plain_style("/* Look */\na {\n  b: c;\n}\n") == "a {\nb: c;\n}\n"
    assert not [line for line in FILES["app.js"].body.decode().splitlines() if line.startswith((" ", "//"))]
