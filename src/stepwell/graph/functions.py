"""Functions of the author's: read once for each set of callables that they are given, or into the place of a call."""

import ast
from collections.abc import Sequence

from stepwell.graph.drafts import Draft, Helper, place_of
from stepwell.graph.frames import Frame, key_of
from stepwell.graph.meanings import Arguments, Class, Coroutine, Function, Many, Meaning, members, together
from stepwell.graph.naming import text_of

# In so many ways a function is read; further calls of it have its nodes in their place.
_MOST_WAYS = 12


def call_function(frame: Frame, node: ast.AST, function: Function, given: Arguments) -> Meaning | None:
    """Call a helper: what is async happens when it is awaited."""
    parameters = _parameters(function, given)
    helper = _helper(function, parameters)
    if isinstance(function.node, ast.AsyncFunctionDef):

        def begin(where: Frame) -> Meaning | None:
            if helper is None:
                where.drafts.extend(read_body(function, given))
                return None
            where.call_helper(node, helper)
            result: Meaning | None = helper.result
            return result

        return frame.later(node, begin)
    if helper is None:
        frame.drafts.extend(read_body(function, given))
        return None
    if helper.drafts or not helper.is_read:
        frame.call_helper(node, helper)
    return _held(frame, node, helper.result)


def read_body(function: Function, given: Arguments) -> list[Draft]:
    """Return the nodes of `run`, or of a step's body."""
    reading = function.frame.reading
    if function.node in reading.bodies:
        return []
    reading.bodies.add(function.node)
    try:
        inner = _read(function, _parameters(function, given))
        # What it returns without awaiting it, the engine awaits.
        for meaning in inner.returned:
            inner.run(meaning)
        return inner.drafts
    finally:
        reading.bodies.discard(function.node)


def _held(frame: Frame, node: ast.AST, result: Meaning | None) -> Meaning | None:
    """Keep places for what a function has returned and its caller has to await."""
    if isinstance(result, Coroutine):
        result.is_used = True
        return frame.later(node, result.begin)
    if isinstance(result, Many):
        return Many([_held(frame, node, member) for member in result.members], result.labels)
    return result


def _helper(function: Function, parameters: Sequence[tuple[str, Meaning | None]]) -> Helper | None:
    """Return what a function does with what it is given; None: it is called in too many ways to have a name in each."""
    reading = function.frame.reading
    key = key_of(function, [(name, meaning) for name, meaning in parameters if meaning is not None])
    ways = reading.ways.setdefault(function.node, [])
    # A function that calls itself is in its own way.
    unread = next((found for found in ways if not found.is_read), None)
    found = reading.helpers.get(key) or unread
    if found is None and len(ways) < _MOST_WAYS:
        name = _unused_name(function.name, reading.names)
        reading.names.add(name)
        file = function.frame.module.file
        found = reading.helpers[key] = Helper(name, place_of(file, function.node))
        ways.append(found)
        inner = _read(function, parameters)
        found.drafts, found.result, found.is_read = inner.drafts, together(*inner.returned), True
    return found


def _read(function: Function, parameters: Sequence[tuple[str, Meaning | None]]) -> Frame:
    reading, node = function.frame.reading, function.node
    reading.visit()
    inner = Frame(reading, function.frame.module, _enclosing(function.frame))
    inner.owner = function.owner or function.frame.owner
    inner.function = node
    for name, meaning in parameters:
        inner.bind(name, meaning)
    if isinstance(node, ast.Lambda):
        result = ast.copy_location(ast.Return(node.body), node.body)
        reading.read(inner, [result])
        inner.drafts = [draft for draft in inner.drafts if draft.members.get("word") != "return"]
    else:
        reading.read(inner, node.body)
    inner.close()
    return inner


def _enclosing(frame: Frame) -> Frame:
    """Return where the names of a function are looked for: those of a class's body are not seen in its methods."""
    return frame if frame.kind is None else frame.kind.frame


def _parameters(function: Function, given: Arguments) -> list[tuple[str, Meaning | None]]:
    """Return what each parameter means: what it is given, the step object if it is that, else its default."""
    arguments = function.node.args
    names = [parameter.arg for parameter in function.positional]
    found = _defaults(function)
    if function.owner is not None and names:
        found[names.pop(0)] = function.owner
    found.update({name: meaning for name, meaning in zip(names, given.positional, strict=False) if meaning is not None})
    if arguments.vararg is not None and len(given.positional) > len(names):
        found[arguments.vararg.arg] = Many(list(given.positional[len(names) :]))
    known = {*names, *(parameter.arg for parameter in arguments.kwonlyargs)}
    found.update({name: meaning for name, meaning in given.named.items() if name in known and meaning is not None})
    if arguments.kwarg is not None:
        found[arguments.kwarg.arg] = Many([one for name, one in given.named.items() if name not in known])
    for parameter in function.parameters:
        if found.get(parameter.arg) is None and _is_step_parameter(parameter):
            found[parameter.arg] = function.frame.reading.step
        found.setdefault(parameter.arg, None)
    return list(found.items())


def _is_step_parameter(parameter: ast.arg) -> bool:
    """Tell whether a parameter is the step object: annotated as one, or called `step`."""
    annotation = "" if parameter.annotation is None else text_of(parameter.annotation).strip("'\"")
    return annotation.rpartition(".")[2] == "WorkflowStep" or (parameter.arg == "step" and not annotation)


def _defaults(function: Function) -> dict[str, Meaning | None]:
    arguments = function.node.args
    last = len(function.positional) - len(arguments.defaults)
    pairs = [*zip(function.positional[last:], arguments.defaults, strict=True)]
    pairs += [(one, value) for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    return {
        parameter.arg: function.frame.lookup(value.id)
        for parameter, value in pairs
        if isinstance(value, ast.Name) and not _is_class(function.frame.lookup(value.id))
    }


def _is_class(meaning: Meaning | None) -> bool:
    return any(isinstance(one, Class) for one in members(meaning))


def _unused_name(name: str, used: set[str]) -> str:
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name} ({number})"
    return found
