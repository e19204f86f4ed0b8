"""Programs drawn at random whose steps all have names of their own, so that one that is missing is seen."""

import textwrap
from collections.abc import Callable

from hypothesis import strategies as st

HEAD = """
import asyncio
import functools
from helpers import elsewhere
import helpers
from stepwell import WorkflowEntrypoint, step as durable

async def work(*args):
    return args

class Toolbox:
    def __init__(self, step):
        self.step = step

    async def use(self, name):
        return await self.step.do(name, work)

"""
HELPERS = """
async def elsewhere(step, make):
    return await make()

async def here(given, made):
    await made
"""


class Program:
    """A program in the making: `names` are those of its steps."""

    def __init__(self, draw: Callable[..., object]) -> None:
        self._draw = draw
        self.names: list[str] = []
        self.methods: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        self._number = 0

    def pick(self, most: int) -> int:
        """Return a number below another."""
        return int(str(self._draw(st.integers(0, most - 1))))

    def new(self, word: str = "v") -> str:
        """Return a name of a variable that is not used yet."""
        self._number += 1
        return f"{word}{self._number}"

    def name(self) -> str:
        """Return the name of another step."""
        self.names.append(f"s{len(self.names) + 1}")
        return self.names[-1]

    def call(self) -> str:
        """Return an expression that gives something to be awaited, and makes a step when it is."""
        name = self.name()
        calls = [
            f"step.do('{name}', work)",
            f"step.do('{name}', lambda: 1)",
            f"step.sleep('{name}', '1 minute')",
            f"step.sleep_until('{name}', 5)",
            f"step.wait_for_event('{name}', 'paid')",
            f"step.child('{name}', self.env.OTHER)",
            f"step.do(name='{name}')(work)()",
            f"Toolbox(step).step.do('{name}', work)",
            f"asyncio.shield(step.do('{name}', work))",
            f"asyncio.wait_for(step.do('{name}', work), 5)",
            f"elsewhere(step, lambda: step.do('{name}', work))",
            f"elsewhere(step, functools.partial(step.do, '{name}', work))",
            f"helpers.here(1, made=step.do('{name}', work))",
            f"(lambda: step.do('{name}', work))()",
            f"(step.do('{name}', work) if self.x else work())",
            f"[step.do('{name}', work)][0]",
            f"{{'a': step.do('{name}', work)}}['a']",
        ]
        at = self.pick(len(calls) + 2)
        if at < len(calls):
            return calls[at]
        if at == len(calls):
            method = self.new("method")
            self.methods[method] = f"    async def {method}(self, step):\n        await step.do('{name}', work)\n"
            return f"self.{method}(step)"
        function = self.new("function")
        if self.pick(2):
            self.functions[function] = f"@durable(name='{name}')\nasync def {function}(order=None):\n    return 1\n"
            return f"{function}(1)"
        self.helpers[function] = f"async def {function}(step):\n    return await step.do('{name}', work)\n\n"
        return f"helpers.{function}(step)"

    def block(self, depth: int) -> list[str]:
        """Return statements, at least one."""
        return [line for _ in range(1 + self.pick(3)) for line in self.statement(depth)]

    def statement(self, depth: int) -> list[str]:
        """Return the lines of a statement that makes a step at least."""
        if depth > 0 and self.pick(2):
            return self._compound(depth - 1)
        forms: list[Callable[[], list[str]]] = [self._plain, self._expression, self._begun, self._gathered]
        return forms[self.pick(len(forms))]()

    def _plain(self) -> list[str]:
        name, variable = self.name(), self.new()
        forms = [
            lambda: [f"await step.do('{name}', work)"],
            lambda: [f"{variable} = await step.do('{name}', work)"],
            lambda: [f"@step.do('{name}')", f"async def {variable}(ctx):", "    return 1", f"await {variable}()"],
            lambda: [
                f"@step.do(name='{name}', concurrent=True)",
                f"def {variable}():",
                "    return 1",
                f"await {variable}()",
            ],
            lambda: [
                f"@step.do('{name}')",
                f"def {name}():",
                "    return 1",
                f"@step.do('{self.name()}')",
                f"def {variable}({name}):",
                "    return 1",
                f"await {variable}()",
            ],
            lambda: [
                f"async def {variable}(x=1):",
                f"    return await step.do('{name}', work)",
                f"await {variable}(x=2)",
            ],
            lambda: [f"{variable} = Toolbox(step)", f"await {variable}.step.do('{name}', work)"],
            lambda: [f"await step.do('{name}', lambda: step.do('{self.name()}', work))"],
        ]
        return forms[self.pick(len(forms))]()

    def _expression(self) -> list[str]:
        call, variable = self.call(), self.new()
        forms = [
            lambda: [f"await {call}"],
            lambda: [f"{variable} = [await {call}, 1]"],
            lambda: [f"{variable} = (await {call})['x'] + 1"],
            lambda: [f"{variable} = f'{{await {call}}}'"] if "'" not in call else [f"print(await {call})"],
            lambda: [f"{variable} = self.x and await {call}"],
            lambda: [f"{variable} = await {call} if self.x else None"],
            lambda: [f"if ({variable} := await {call}):", "    pass"],
            lambda: [f"assert await {call}"],
            lambda: [f"self.total += await {call}"],
            lambda: [f"{variable} = [await c for c in [{call}]]"],
            lambda: [f"{variable} = {{n: await {call} for n in range(3)}}"],
            lambda: [f"return await {call}"],
            lambda: ["if self.x:", f"    return await {call}"],
            lambda: [f"print(await {call}, *[await {self.call()}])"],
            lambda: [f"raise ValueError(await {call})"],
            lambda: [f"with open(await {call}) as {variable}:", "    pass"],
            lambda: [f"for {variable} in await {call}:", "    pass"],
            lambda: [f"while await {call}:", "    break"],
            lambda: [f"match await {call}:", "    case 1:", "        pass"],
            lambda: [f"del (await {call})['x']"],
        ]
        return forms[self.pick(len(forms))]()

    def _begun(self) -> list[str]:
        call, variable, other = self.call(), self.new(), self.new()
        forms = [
            lambda: [f"{variable} = asyncio.create_task({call})", f"await {self.call()}", f"await {variable}"],
            lambda: [f"{variable} = {call}", f"await {self.call()}", f"await {variable}"],
            lambda: [f"{variable} = {call}"],
            lambda: [
                f"{variable} = []",
                f"{variable}.append(asyncio.create_task({call}))",
                f"await asyncio.wait({variable})",
            ],
            lambda: [f"{variable} = []", f"{variable}.append({call})", f"await asyncio.gather(*{variable})"],
            lambda: [f"{variable} = {{}}", f"{variable}['a'] = {call}", f"await {variable}['a']"],
            lambda: [f"{variable}, {other} = {call}, {self.call()}", f"await {other}", f"await {variable}"],
            lambda: [f"self.{variable} = asyncio.ensure_future({call})", f"await self.{variable}"],
            lambda: [f"{variable} = lambda: {call}", f"await {variable}()"],
            lambda: [f"def {variable}():", f"    return {call}", f"await {variable}()"],
            lambda: [f"{variable} = [lambda: {call}]", f"for {other} in reversed({variable}):", f"    await {other}()"],
            lambda: [f"{variable} = {{'a': lambda: {call}}}", f"await {variable}[self.x]()"],
            lambda: [f"unknown.begin({call})"],
            lambda: [f"unknown.register(lambda: {call})"],
            lambda: [f"async with asyncio.TaskGroup() as {variable}:", f"    {variable}.create_task({call})"],
            lambda: [f"async with unknown({call}) as {variable}:", "    pass"],
            lambda: [f"{variable} = asyncio.get_running_loop().create_task({call})"],
            lambda: [f"{call}"],
        ]
        return forms[self.pick(len(forms))]()

    def _gathered(self) -> list[str]:
        calls = ", ".join(self.call() for _ in range(1 + self.pick(3)))
        variable = self.new()
        forms = [
            lambda: [f"await asyncio.gather({calls})"],
            lambda: [f"await asyncio.gather({calls}, return_exceptions=True)"],
            lambda: [f"{variable} = [{calls}]", f"await asyncio.gather(*{variable})"],
            lambda: [
                f"await asyncio.wait([asyncio.create_task(c) for c in ({calls},)], return_when=asyncio.FIRST_COMPLETED)"
            ],
            lambda: [f"for {variable} in asyncio.as_completed([{calls}]):", f"    await {variable}"],
            lambda: [f"await asyncio.gather(*({self.call()} for n in range(3)), {calls})"],
            lambda: [f"{variable} = [{self.call()} for n in range(3)]", f"await asyncio.gather(*{variable}, {calls})"],
            lambda: [f"{variable} = asyncio.gather({calls})", f"await {variable}"],
        ]
        return forms[self.pick(len(forms))]()

    def _compound(self, depth: int) -> list[str]:
        first, second, variable = _in(self.block(depth)), _in(self.block(depth)), self.new()
        forms = [
            lambda: ["if self.x:", *first, "elif self.y:", *second, "else:", *_in(self.block(depth))],
            lambda: [f"for {variable} in range(3):", *first, "    if self.x:", "        continue", "else:", *second],
            lambda: ["while self.x:", *first, "    break"],
            lambda: ["try:", *first, "except ValueError:", *second, "finally:", *_in(self.block(depth))],
            lambda: ["try:", *first, "except (KeyError, OSError) as error:", *second, "else:", *_in(self.block(depth))],
            lambda: ["async with asyncio.timeout(5):", *first],
            lambda: [f"async with asyncio.TaskGroup() as {variable}:", *first],
            lambda: ["match self.x:", "    case 1:", *_in(first), "    case _:", *_in(second)],
            lambda: [f"async def {variable}():", *first, *([f"await {variable}()"])],
            lambda: [f"async def {variable}():", *first, f"await asyncio.gather({variable}(), {self.call()})"],
            lambda: [f"async def {variable}():", *first, f"unknown.call({variable})"],
            lambda: [f"async def {variable}():", *first, "    yield 1", f"async for x in {variable}():", *second],
            lambda: [f"class {variable}:", "    async def go(this):", *_in(first), f"await {variable}().go()"],
        ]
        return forms[self.pick(len(forms))]()

    def sources(self, depth: int) -> dict[str, str]:
        """Return the files of a program."""
        body = textwrap.indent("\n".join(self.block(depth)), "        ")
        kind = f"class Flow(WorkflowEntrypoint):\n    async def run(self, event, step):\n{body}\n\n"
        # Not those of calls that were drawn and have not found their way into the program.
        functions, methods, helpers = (
            [text for name, text in made.items() if f"{name}(" in body]
            for made in (self.functions, self.methods, self.helpers)
        )
        main = HEAD + "\n".join(functions) + "\n\n" + kind + "\n".join(methods)
        return {"flow.py": main, "helpers.py": HELPERS + "from stepwell_unknown import work\n" + "".join(helpers)}


def _in(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


@st.composite
def programs(draw: Callable[..., object]) -> tuple[dict[str, str], list[str]]:
    """Return the files of a program, and the names of all steps in it."""
    program = Program(draw)
    files = program.sources(depth=2)
    text = "".join(files.values())
    return files, [name for name in program.names if f"'{name}'" in text]
