"""A mypy plugin: gives the methods of `ActorRef[Counter]` the parameters and results that they have in `Counter`.

Add `plugins = actorrt.mypy_plugin` to the mypy settings. `counter.increment(5)` is then a `Reply[int]`, a generator
method gives a `Stream` of its items, and a wrong argument or an unknown method is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy.checker import TypeChecker
from mypy.nodes import MemberExpr, TypeInfo
from mypy.plugin import AttributeContext, Plugin
from mypy.typeops import bind_self
from mypy.types import AnyType, CallableType, Instance, Overloaded, Parameters, Type, TypeOfAny, get_proper_type

_REF: Final = "actorrt.actors.ref.ActorRef"
_METHOD: Final = "actorrt.actors.ref.ActorMethod"
_REPLY: Final = "actorrt.actors.reply.Reply"
_STREAM: Final = "actorrt.actors.streams.Stream"
_OWN: Final = frozenset({"stop", "kill", "is_alive"})
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
    """Answers for attributes of refs."""

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        owner, _, name = fullname.rpartition(".")
        if owner == _REF and not name.startswith("_") and name not in _OWN:
            return _method_of_actor
        return None


def _method_of_actor(context: AttributeContext) -> Type:
    ref = get_proper_type(context.type)
    expression = context.context
    if not isinstance(ref, Instance) or not ref.args or not isinstance(expression, MemberExpr):
        return context.default_attr_type
    actor = get_proper_type(ref.args[0])
    if not isinstance(actor, Instance):
        return context.default_attr_type  # ActorRef[Any]
    symbol = actor.type.get(expression.name)
    function = get_proper_type(symbol.type) if symbol is not None else None
    if not isinstance(function, CallableType):
        if not isinstance(function, Overloaded):
            context.api.fail(f'"{actor.type.name}" has no public method "{expression.name}"', expression)
            return AnyType(TypeOfAny.from_error)
        return context.default_attr_type
    bound = bind_self(function, actor)
    parameters = Parameters(bound.arg_types, bound.arg_kinds, bound.arg_names)
    return _instance(context, _METHOD, [parameters, _result(context, bound)])


def _result(context: AttributeContext, method: CallableType) -> Type:
    """Return what a call gives: a reply with the method's result, or a stream of what it yields."""
    returned = get_proper_type(method.ret_type)
    if isinstance(returned, Instance):
        if returned.type.fullname == "typing.Coroutine":
            return _instance(context, _REPLY, [returned.args[2]])
        if returned.type.fullname in _STREAMING:
            return _instance(context, _STREAM, [returned.args[0]])
    return _instance(context, _REPLY, [returned])


def _instance(context: AttributeContext, fullname: str, arguments: list[Type]) -> Instance:
    """Return a class of ours with its arguments; the user's module need not have imported it."""
    module, _, name = fullname.rpartition(".")
    assert isinstance(context.api, TypeChecker)
    info = context.api.modules[module].names[name].node
    assert isinstance(info, TypeInfo)
    return Instance(info, arguments)


def plugin(_: str) -> type[ActorRtPlugin]:
    """Return the plugin; called by mypy."""
    return ActorRtPlugin
