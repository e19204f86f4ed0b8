"""What attributes mean: of modules, of classes and of their objects, of the step object."""

import ast

from stepwell.graph.frames import Frame, Reading, frame_of
from stepwell.graph.meanings import (
    Class,
    External,
    Function,
    Group,
    GroupMethod,
    Instance,
    Many,
    Meaning,
    ModuleMeaning,
    StepMethod,
    StepObject,
    members,
    together,
)
from stepwell.graph.modules import Module

_MOST_BASES = 50


def attribute(frame: Frame, meaning: Meaning | None, name: str) -> Meaning | None:
    """Return what an attribute of something means."""
    match meaning:
        case StepObject():
            return StepMethod(name)
        case External(name=before):
            return External(f"{before}.{name}")
        case ModuleMeaning(module=module):
            return _of_module(frame.reading, module, name)
        case Group() if name == "create_task":
            return GroupMethod(meaning)
        case Class():
            return _of_class(frame.reading, meaning, name)
        case Instance():
            return _of_instance(frame.reading, meaning, name)
        case Many():
            return together(*[attribute(frame, member, name) for member in members(meaning)])
        case _:
            return None


def dotted(frame: Frame, node: ast.expr) -> Meaning | None:
    """Return what a name, an attribute or a class with parameters means."""
    match node:
        case ast.Name(id=name):
            return frame.lookup(name)
        case ast.Attribute(value=value, attr=name):
            return attribute(frame, dotted(frame, value), name)
        case ast.Subscript(value=value):
            return dotted(frame, value)
        case _:
            return None


def bases(kind: Class) -> list[Meaning]:
    """Return what the bases of a class mean, as far as that is known."""
    found = (dotted(kind.frame, base) for base in kind.node.bases)
    return [base for base in found if base is not None]


def lineage(kind: Class) -> list[Class]:
    """Return a class and those of the author's that it inherits from, nearest first."""
    found = [kind]
    for one in found:
        inherited = [base for base in bases(one) if isinstance(base, Class)]
        found.extend(base for base in inherited if all(base.node is not other.node for other in found))
        if len(found) > _MOST_BASES:
            break
    return found


def class_frame(reading: Reading, kind: Class) -> Frame:
    """Return the frame of a class's body."""
    found = reading.class_frames.get(kind.node)
    if found is None:
        found = reading.class_frames[kind.node] = Frame(reading, kind.frame.module, kind.frame)
        found.kind = kind
        reading.read(found, kind.node.body)
    return found


def is_workflow(kind: Class) -> bool:
    """Tell whether a class inherits from WorkflowEntrypoint."""
    above = [base for one in lineage(kind) for base in bases(one)]
    return any(isinstance(base, External) and base.name.endswith("WorkflowEntrypoint") for base in above)


def _of_module(reading: Reading, module: Module, name: str) -> Meaning | None:
    found = frame_of(reading, module).own(name)
    if found is not None:
        return found.meaning
    inner = reading.modules.named(name, module.file, 1) if module.is_package else None
    return None if inner is None else ModuleMeaning(inner)


def _of_class(reading: Reading, kind: Class, name: str) -> Meaning | None:
    reading.visit()
    for one in lineage(kind):
        found = class_frame(reading, one).names.get(name)
        if found is not None:
            is_class_method = isinstance(found.meaning, Function) and "classmethod" in _decorators(found.meaning)
            return _bound(found.meaning, Instance(kind)) if is_class_method else found.meaning
    return None


def _of_instance(reading: Reading, instance: Instance, name: str) -> Meaning | None:
    reading.visit()
    if name in instance.attributes:
        return instance.attributes[name]
    kinds = lineage(instance.kind)
    if instance.before is not None:
        nodes = [kind.node for kind in kinds]
        kinds = kinds[nodes.index(instance.before.node) + 1 :] if instance.before.node in nodes else kinds[1:]
        instance = Instance(instance.kind, instance.attributes)
    for kind in kinds:
        found = class_frame(reading, kind).names.get(name)
        if found is not None:
            return _bound(found.meaning, instance)
    return None


def _bound(meaning: Meaning | None, owner: Instance) -> Meaning | None:
    if isinstance(meaning, Function) and "staticmethod" not in _decorators(meaning):
        return Function(meaning.node, meaning.frame, owner)
    return meaning


def _decorators(function: Function) -> set[str]:
    return {node.id for node in getattr(function.node, "decorator_list", []) if isinstance(node, ast.Name)}
