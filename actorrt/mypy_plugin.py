"""A mypy plugin: gives the methods of `ActorRef[Counter]` the parameters and results that they have in `Counter`.

Add `plugins = actorrt.mypy_plugin` to the mypy settings. Then `counter.increment(5)` is a `Reply[int]`, a generator
method returns a `Stream` of its items, a group's method returns a list of results, and a wrong argument or an unknown
method is an error. `spawn` takes the constructor's arguments. An `ObjectRef` to a value may stand for the value in
calls and spawns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy.checker import TypeChecker
from mypy.expandtype import expand_type_by_instance
from mypy.maptype import map_instance_to_supertype
from mypy.nodes import Decorator, FuncDef, MemberExpr, SymbolTableNode, TypeInfo
from mypy.plugin import AttributeContext, MethodSigContext, Plugin
from mypy.typeops import bind_self, make_simplified_union
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    Overloaded,
    Parameters,
    Type,
    TypeOfAny,
    get_proper_type,
)

_ACTOR: Final = "actorrt.actors.api.actor.Actor"
_SPAWNER: Final = "actorrt.actors.api.actor.Spawner"
_REF: Final = "actorrt.actors.refs.ref.ActorRef"
_METHOD: Final = "actorrt.actors.refs.ref.ActorMethod"
_GROUP: Final = "actorrt.actors.refs.group.ActorGroup"
_GROUP_METHOD: Final = "actorrt.actors.refs.group.GroupMethod"
_REPLY: Final = "actorrt.actors.refs.reply.Reply"
_STREAM: Final = "actorrt.actors.calling.streams.Stream"
_OBJECT: Final = "actorrt.store.client.ref.ObjectRef"
_SPAWNS: Final = frozenset({"spawn", "spawn_many"})
_OWN: Final = frozenset({"stop", "kill", "is_alive"})  # methods of refs and groups themselves
_HOOKS: Final = frozenset({"snapshot", "restore"})  # hooks that `Actor` itself does not define
_STREAMING: Final = frozenset(
    {
        "typing.AsyncGenerator",
        "typing.AsyncIterable",
        "typing.AsyncIterator",
        "typing.Generator",
        "typing.Iterator",
    }
)


class ActorRtPlugin(Plugin):
    """Determines the types of the attributes of refs and groups, and the signatures of spawns."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        if owner not in (_REF, _GROUP) or name.startswith("_") or name in _OWN:
            return None
        return _method_of_actor if owner == _REF else _method_of_group

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        return _spawn if fullname.rpartition(".")[2] in _SPAWNS else None  # the hook looks at the class


def _spawn(context: MethodSigContext) -> FunctionLike:
    """Return the signature of a spawn: its own parameters, and then the constructor's."""
    signature = context.default_signature
    constructor = _constructor(context.type)
    if constructor is None or constructor.variables:
        return signature
    own_count = len(signature.arg_types) - 2  # the last two are *args and **kwargs
    types = [make_simplified_union([kind, _instance(context, _OBJECT, [kind])]) for kind in constructor.arg_types]
    return signature.copy_modified(
        arg_types=[*signature.arg_types[:own_count], *types],
        arg_kinds=[*signature.arg_kinds[:own_count], *constructor.arg_kinds],
        arg_names=[*signature.arg_names[:own_count], *constructor.arg_names],
    )


def _constructor(spawner: Type) -> CallableType | None:
    """Return the constructor of the class that a spawn is called on, without `self`; None if it is not known."""
    kind = get_proper_type(spawner)
    if isinstance(kind, CallableType) and kind.is_type_obj() and not kind.variables:
        actor = get_proper_type(kind.ret_type)
    elif isinstance(kind, Instance) and kind.type.fullname == _SPAWNER:
        actor = get_proper_type(kind.args[0])
    else:
        return None
    if not isinstance(actor, Instance) or not actor.type.has_base(_ACTOR):
        return None
    owner = next(base for base in actor.type.mro if "__init__" in base.names)
    function = get_proper_type(owner.names["__init__"].type)
    if not isinstance(function, CallableType):
        return None
    return expand_type_by_instance(bind_self(function, actor), map_instance_to_supertype(actor, owner))


def _method_of_actor(context: AttributeContext) -> Type:
    method = _method(context)
    if not isinstance(method, CallableType):
        return method
    return _instance(context, _METHOD, [_parameters(context, method), _answer(context, method)])


def _method_of_group(context: AttributeContext) -> Type:
    method = _method(context)
    if not isinstance(method, CallableType):
        return method
    answer = _answer(context, method)
    if answer.type.fullname == _STREAM:
        return context.default_attr_type
    return _instance(context, _GROUP_METHOD, [_parameters(context, method), answer.args[0]])


def _method(context: AttributeContext) -> Type:
    """Return the method that the attribute names, without `self`; the attribute's own type if the class is unknown."""
    ref = get_proper_type(context.type)
    expression = context.context
    if not isinstance(ref, Instance) or not ref.args or not isinstance(expression, MemberExpr):
        return context.default_attr_type
    actor = get_proper_type(ref.args[0])
    if not isinstance(actor, Instance):
        return context.default_attr_type  # ActorRef[Any]
    name = expression.name
    owner = next((base for base in actor.type.mro if name in base.names), None)
    symbol = None if owner is None else owner.names[name]
    function = get_proper_type(symbol.type) if symbol is not None else None
    if isinstance(function, Overloaded):
        return context.default_attr_type
    is_hook = name in _HOOKS or any(base.fullname == _ACTOR and name in base.names for base in actor.type.mro)
    if not isinstance(function, CallableType) or is_hook or _is_property(symbol):
        context.api.fail(f'"{actor.type.name}" has no public method "{name}"', expression)
        return AnyType(TypeOfAny.from_error)
    assert owner is not None
    method = function if _is_static(symbol) else bind_self(function, actor, is_classmethod=_is_class(symbol))
    return expand_type_by_instance(method, map_instance_to_supertype(actor, owner))


def _function(symbol: SymbolTableNode | None) -> FuncDef | None:
    node = None if symbol is None else symbol.node
    if isinstance(node, Decorator):
        return node.func
    return node if isinstance(node, FuncDef) else None


def _is_property(symbol: SymbolTableNode | None) -> bool:
    function = _function(symbol)
    return function is not None and function.is_property


def _is_static(symbol: SymbolTableNode | None) -> bool:
    function = _function(symbol)
    return function is not None and function.is_static


def _is_class(symbol: SymbolTableNode | None) -> bool:
    function = _function(symbol)
    return function is not None and function.is_class


def _parameters(context: AttributeContext, method: CallableType) -> Parameters:
    """Return the parameters of a call through a ref: each takes a value, or an `ObjectRef` to one."""
    types = [make_simplified_union([kind, _instance(context, _OBJECT, [kind])]) for kind in method.arg_types]
    return Parameters(types, method.arg_kinds, method.arg_names)


def _answer(context: AttributeContext, method: CallableType) -> Instance:
    """Return the type of a call: a reply with the method's result, or a stream of the items that it yields."""
    returned = get_proper_type(method.ret_type)
    if isinstance(returned, Instance):
        if returned.type.fullname == "typing.Coroutine":
            return _instance(context, _REPLY, [returned.args[2]])
        if returned.type.fullname in _STREAMING:
            return _instance(context, _STREAM, [returned.args[0]])
    return _instance(context, _REPLY, [returned])


def _instance(context: AttributeContext | MethodSigContext, fullname: str, arguments: list[Type]) -> Instance:
    """Return a class of actorrt with type arguments; the user's module need not import the class."""
    module, _, name = fullname.rpartition(".")
    assert isinstance(context.api, TypeChecker)
    info = context.api.modules[module].names[name].node
    assert isinstance(info, TypeInfo)
    return Instance(info, arguments)


def plugin(_: str) -> type[ActorRtPlugin]:
    """Return the plugin; called by mypy."""
    return ActorRtPlugin
