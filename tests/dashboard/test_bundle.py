"""The modules of the page as one file."""

import subprocess
import sys
from collections.abc import Callable
from os import environ
from pathlib import Path

import pytest

from stepwell.dashboard import shorten, squeeze
from stepwell.dashboard.bundle import bundle
from stepwell.dashboard.files import all_files


def shortened(script: str, *shared: str) -> shorten.Names:
    """Return what becomes of one script."""
    return shorten.shorten([shorten.Script(list(squeeze.tokens(script)), frozenset(shared))])


def test_modules_do_together_what_they_do_apart(require: Callable[..., None]) -> None:
    """Each has names of its own; only what somebody imports is a name of the whole file."""
    require("node", "the modules run in it")
    modules = {
        "app.js": 'import { twice, LIMIT } from "./parts/numbers.js";\nimport word from "./vendor/word.js";\n'
        'const n = 4;\nconsole.log(twice(n), LIMIT, word("b"));\n',
        "parts/numbers.js": '// Twice.\nimport { m } from "../vendor/word.js";\nexport { LIMIT } from "../more.js";\n'
        "const n = m;\nexport function twice(m) {\n  return n * m;\n}\n",
        "more.js": "/**\n * The limit.\n */\nexport const LIMIT = 9;\nexport const twice_ = 1;\n",
        "vendor/word.js": "var n=2,$=n;export default function(w){return w+$};export{$ as m,n as unused};\n",
    }

    made = bundle(modules, "app.js")["app.js"]
    done = subprocess.run(["node", "-e", made], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("8 9 b2\n", "")
    assert "Twice" not in made
    assert "unused" not in made


def test_what_is_loaded_later_is_a_file_of_its_own(tmp_path: Path, require: Callable[..., None]) -> None:
    """It has what only it needs, and of the first file the very modules: what one changes, the other sees."""
    require("node", "the modules run in it")
    modules = {
        "app.js": 'import { many } from "./counted.js";\nimport { only } from "./vendor/lib.js";\nmany.now += 1;\n'
        'import("./more.js").then(({ Twice, Once }) => console.log(Twice(), Once(), many.now, only));\n',
        "counted.js": "export const many = { now: 20 };\nexport const own = 1;\n",
        "more.js": 'export { Once } from "./views/once.js";\nimport { many } from "./counted.js";\n'
        "export function Twice() {\n  return 2 * many.now++;\n}\n",
        "views/once.js": 'import { other } from "../vendor/lib.js";\nexport const Once = () => other + "later";\n',
        "vendor/lib.js": "var a=1,b=2;export{a as only,b as other};\n",
    }

    made = bundle(modules, "app.js")
    for name, text in {**made, "package.json": '{"type":"module"}'}.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["node", tmp_path / "app.js"], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("42 2later 22 1\n", "")
    assert made.keys() == {"app.js", "more.js"}
    assert ("later" in made["more.js"], "later" in made["app.js"]) == (True, False)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        pytest.param({"app.js": 'import("./none.js");'}, "app.js loads none.js later", id="missing"),
        pytest.param({"views/b.js": 'import("./more.js");'}, "views/b.js loads more.js later", id="in-a-folder"),
        pytest.param({"b.js": 'import { c } from "./more.js";'}, "more.js is loaded later and imported", id="at-once"),
        pytest.param({"b.js": 'import("./rest.js");'}, "several files that are loaded later need d.js", id="in-two"),
    ],
)
def test_later_file_that_would_not_be_found_is_refused(changed: dict[str, str], refusal: str) -> None:
    """It would be missing, or there twice, where nobody looks before a click."""
    modules = {
        "app.js": 'import { b } from "./b.js";\nimport { v } from "./views/b.js";\nimport("./more.js");',
        "b.js": "export const b = 1;",
        "views/b.js": "export const v = 1;",
        "more.js": 'import { d } from "./d.js";\nexport const c = d;',
        "rest.js": 'import { d } from "./d.js";\nexport const e = d;',
        "d.js": "export const d = 1;",
    }

    with pytest.raises(ValueError, match=refusal):
        bundle(modules | changed, "app.js")


def test_two_exports_of_one_name_are_refused() -> None:
    """They would be one name of the whole file."""
    modules = {
        "a.js": 'import { x } from "./b.js";\nimport { y } from "./c.js";',
        "b.js": "export const x = 1;",
        "c.js": "export const x = 2;\nexport const y = 1;",
    }

    with pytest.raises(ValueError, match=r"c\.js exports x, as b\.js does"):
        bundle(modules, "a.js")


def test_import_of_what_nobody_exports_is_refused() -> None:
    """A browser would refuse such a module; in one file the name would be undefined."""
    with pytest.raises(ValueError, match="no module exports z"):
        bundle({"a.js": 'import { z } from "./b.js";', "b.js": "export const y = 1;"}, "a.js")


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


def test_module_that_renames_is_refused() -> None:
    """A name stands for one thing in the whole file."""
    with pytest.raises(ValueError, match="renames what it imports"):
        bundle({"a.js": 'import { b as c } from "./b.js";', "b.js": "export const b = 1;"}, "a.js")


@pytest.mark.parametrize("name", ["app.js", "more.js"])
def test_bundle_is_read_by_a_browser(name: str, tmp_path: Path, require: Callable[..., None]) -> None:
    """All modules of a file together are one module without a mistake in it."""
    require("node", "it reads the script")
    script = tmp_path / f"{name}.mjs"
    script.write_bytes(all_files()[name].body)

    done = subprocess.run(["node", "--check", script], capture_output=True, check=False)

    assert done.stderr.decode() == ""


@pytest.mark.parametrize(
    ("source", "squeezed"),
    [
        pytest.param("/* a */ const b = 1;\n/* c */\n", "let b=1;", id="comments"),
        pytest.param("a = `\n// no comment\n`; // one\nb();", "a=`\n// no comment\n`;b();", id="slashes-in-a-template"),
        pytest.param("a = 'http://b' + \"c  // d\";", "a='http://b'+\"c  // d\";", id="slashes-in-text"),
        pytest.param("a = b / c / d; e = / x\\/[/ ]/g;", "a=b/c/d;e=/ x\\/[/ ]/g;", id="division-and-expression"),
        pytest.param("return / a/.test(b)", "return/ a/.test(b)", id="expression-behind-a-word"),
        pytest.param("a = b + +c - -d;", "a=b+ +c- -d;", id="signs-that-would-be-another"),
        pytest.param("if (a) {\n  b\n}\nc\nd()", "if(a){b}\nc\nd()", id="line-ends-that-end-statements"),
        pytest.param("a++\nb", "a++\nb", id="line-end-behind-a-sign"),
        pytest.param("a\n  .b()\n  ?.c();", "a.b()?.c();", id="chain"),
        pytest.param("`a ${b ? `{ ${ {c: 1}.c } }` : d} e`", "`a ${b?`{ ${{c:1}.c} }`:d} e`", id="nested-templates"),
        pytest.param("html`<a\n  b=${c}\n  d>\n  e f\n  g\n</a>`", "html`<a\nb=${c}\nd>\ne f\ng<//>`", id="markup"),
        pytest.param("html`<a>\n  ${b}\n  ${c}\n</a>\n`", "html`<a>${b}\n${c}<//>`", id="markup-round-values"),
        pytest.param('html`<a b="c-d" e="f g" h="i">"j"</a>`', 'html`<a b=c-d e="f g" h=i>"j"<//>`', id="attributes"),
        pytest.param("f([a, b,], {c,}, d,); [, e] = [,];", "f([a,b],{c},d);[,e]=[,];", id="commas-behind-the-last"),
        pytest.param("if (a) { b(); }", "if(a){b()}", id="end-of-a-block"),
        pytest.param("for (a = 1_000; ; ) 'b_1';", "for(a=1000;;)'b_1';", id="digits"),
        pytest.param("a((b) => c, async (d) => e, (f, g) => h);", "a(b=>c,async(d)=>e,(f,g)=>h);", id="one-parameter"),
        pytest.param("yield (a) => b; f(a)\n(b)", "yield a=>b;f(a)\n(b)", id="parameter-behind-a-word"),
    ],
)  # fmt: skip
def test_script_loses_only_what_people_need(source: str, squeezed: str) -> None:
    """What stands in texts, templates and regular expressions stays as it is, but for the indentation of markup."""
    assert squeeze.script(source) == squeezed


@pytest.mark.parametrize("source", ["a = `b ${c", "a = 'b\n'"])
def test_script_that_cannot_be_read_is_refused(source: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=r"cannot be read|does not end"):
        squeeze.script(source)


def test_sheet_loses_only_what_people_need() -> None:
    """Spaces that part values and selectors stay."""
    sheet = (
        '/* Look */\na > b :hover,\nc {\n  d: calc(1px + 2px) e;\n  content: " ";\n}\n@media (f: g) { h { i: j; } }\n'
    )

    assert squeeze.sheet(sheet) == 'a >b :hover,c{d:calc(1px + 2px) e;content:" "}@media (f:g){h{i:j}}'


@pytest.mark.parametrize(
    ("script", "short"),
    [
        pytest.param("const first=1;second(first)", "const A=1;second(A)", id="variable"),
        pytest.param("function twice(number){return number}", "function A(e){return e}", id="function-and-parameter"),
        pytest.param("const[one,two]=f();each=>each", "const[A,B]=f();e=>e", id="parts-and-arrow"),
        pytest.param("f(each=>Number(each,list.map(Number)))", "f(e=>Number(e,list.map(Number)))", id="others"),
        pytest.param("const name=1;f(open=>open)", "const name=1;f(open=>open)", id="what-browsers-call-so"),
        pytest.param("f(size=>size+box.size)", "f(e=>e+box.size)", id="member"),
        pytest.param("f(size=>({size:size}))", "f(e=>({size:e}))", id="key"),
        pytest.param("f((size,a)=>({size,b}))", "f((e,a)=>({size:e,b}))", id="shorthand"),
        pytest.param("f(({size,rest=1})=>size+rest)", "f(({size:e,rest:a=1})=>e+a)", id="parts-of-a-parameter"),
        pytest.param("f(({a:{size},b:[one]})=>size+one)", "f(({a:{size:e},b:[a]})=>e+a)", id="parts-of-parts"),
        pytest.param("f(({a:whole,...rest})=>whole+rest)", "f(({a:e,...a})=>e+a)", id="parts-by-other-names"),
        pytest.param("f(({a={size}})=>size)", "f(({a={size}})=>size)", id="value-where-there-is-no-part"),
        pytest.param("f(()=>{let{size}=g();h(size)})", "f(()=>{let{size:e}=g();h(e)})", id="parts-of-a-variable"),
        pytest.param("f(()=>{for(let{size}of g)h(size)})", "f(()=>{for(let{size:e}of g)h(e)})", id="parts-in-a-loop"),
        pytest.param("f(size=>{if(g){size=1}})", "f(e=>{if(g){e=1}})", id="block-is-no-shorthand"),
        pytest.param("const list=1;f({list})", "const A=1;f({list:A})", id="shorthand-of-an-outermost"),
        pytest.param("f(({location})=>location)", "f(({location})=>location)", id="part-that-browsers-call-so"),
        pytest.param("class C{a(){}list(){}}function list(){}", "class A{a(){}list(){}}function list(){}", id="method"),
        pytest.param("class B extends C{a=1;all=2;f(all){}}", "class A extends C{a=1;all=2;f(all){}}", id="field"),
        pytest.param("f(go=>({a(){},async go(it){}}))", "f(e=>({a(){},async go(a){}}))", id="method-of-a-literal"),
        pytest.param("f(...rest=>[...rest])", "f(...e=>[...e])", id="spread-is-no-member"),
        pytest.param("g(e);f(one=>one(e))", "g(e);f(a=>a(e))", id="letter-that-is-there"),
        pytest.param("f(one=>one);g((two,one)=>one)", "f(e=>e);g((e,a)=>a)", id="each-by-itself"),
        pytest.param("f(word=>`word ${word} word`,'word')", "f(e=>`word ${e} word`,'word')", id="texts"),
        pytest.param("const A=1;let list=A\nf(list)", "const B=1;let C=B\nf(C)", id="line-end-between-statements"),
    ],
)  # fmt: skip
def test_only_names_of_our_own_are_shortened(script: str, short: str) -> None:
    """What is a member or a key, or is not declared, keeps its name; where it is a name at once, both are written."""
    assert shortened(script).scripts == [short]


@pytest.mark.parametrize("script", ["const one=1,two=2", "let one,two", "const[one]=f(),two=2"])
def test_several_names_in_one_statement_are_refused(script: str) -> None:
    """Only the first would be known of, and another one be called otherwise wherever a condition asks for it alone."""
    with pytest.raises(ValueError, match="two is declared behind a comma"):
        shortened(f"{script};function f(){{if(two)g(two)}}")


def test_names_of_several_scripts_are_one_where_they_share_them() -> None:
    """What one gives and another takes is called alike; what each has for itself is not."""
    scripts = ["const one=two=>two;const own=2", "g(one);const own=3", "g(one=>own)"]
    shared: list[frozenset[str]] = [frozenset({"one"}), frozenset({"one"}), frozenset()]

    made = shorten.shorten(
        shorten.Script(list(squeeze.tokens(script)), names) for script, names in zip(scripts, shared, strict=True)
    )

    assert made.scripts == ["const A=e=>e;const B=2", "g(A);const C=3", "g(e=>own)"]


def test_one_name_of_two_modules_that_stays_is_refused() -> None:
    """They are one script in the end; the one would be declared twice."""
    modules = {
        "a.js": 'import { x } from "./b.js";\nconst find = { x };\nf(find);',
        "b.js": "export const x = 1;\nconst find = 2;\ng(find);",
    }

    with pytest.raises(ValueError, match="several modules declare find, which stays"):
        bundle(modules, "a.js")


def test_files_are_the_same_in_each_process() -> None:
    """Servers that share a database serve them under one hash, whatever the order of a set is there."""
    program = "from stepwell.dashboard import files; print(files.digest())"

    seen = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, env=environ | {"PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(seen) == 1
    assert b"" not in seen
