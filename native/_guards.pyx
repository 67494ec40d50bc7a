# cython: language_level=3, binding=False, embedsignature=False, always_allow_keywords=False
"""The language wall's guards: what a script's attribute reads, writes and class statements pass through.

Theory of operation
-------------------
The transformer (`onvp.sandbox.lang.transformer`) puts calls of these functions into a script. Their names
begin and end with an underscore, which no name in a script can, and they live in the script's builtins.

Three sets, kept here where no script can reach them, decide everything:

* script classes: made by a ``class`` statement of a script (`_build_class_` adds them), or by one of the
  factories that stand in for the standard library's. Only their objects can be written to, and only their
  own private names (``_x``) can be read.
* clean classes: the script classes whose other bases have no private names worth hiding. Reads and writes
  through ``self`` of a clean class need no further question.
* bases and writable: the host's classes that a script may extend, and those whose objects it may change.

`_self_` is what makes methods cheap: called once at a method's entry, it gives back ``self`` when that is of
a clean class, or a `Mediator` that asks the guards at each access.

House rule: a guard answers with the thing itself, with plain text, or with an exception. It never hands
out a module, a frame, code, a function's globals or a metaclass.
"""

import builtins
import types
import typing
from abc import ABCMeta
from string import Formatter

cimport cython
from cpython.dict cimport PyDict_Contains, PyDict_GetItem
from cpython.object cimport PyObject, PyObject_GetAttr, PyObject_SetAttr, PyObject_DelAttr
from cpython.ref cimport Py_TYPE

import _string

cdef object FunctionType = types.FunctionType
cdef object BuiltinType = types.BuiltinFunctionType
cdef object DescriptorType = types.MethodDescriptorType
cdef object MethodType = types.MethodType
cdef object SimpleNamespace = types.SimpleNamespace
cdef object GenericAlias = types.GenericAlias
cdef object TypingAlias = typing._BaseGenericAlias  # hands attribute reads on to what it stands for
cdef object real_build_class = builtins.__build_class__
cdef object real_dir = builtins.dir

# ---- the tables: filled once by `configure`, then only added to ----

cdef set script_classes = set()
cdef set clean_classes = set()
cdef set clean_hosts = set()
cdef set base_hosts = set()
cdef set alias_types = set()
cdef set writable_hosts = set()
cdef set item_hosts = set()
cdef frozenset inspected = frozenset()
cdef frozenset specials = frozenset()
cdef PyObject* last_writable = NULL  # types in the sets above are never freed, so an address stays true
cdef PyObject* last_clean = NULL

cdef frozenset TEXT_DUNDERS = frozenset({"__name__", "__qualname__", "__doc__", "__module__"})
cdef frozenset CHAIN_DUNDERS = frozenset({"__cause__", "__context__", "__suppress_context__"})
cdef frozenset TUPLE_NAMES = frozenset({"_replace", "_asdict", "_fields", "_make", "_field_defaults"})
cdef frozenset ASKED_NAMES = frozenset({"format", "format_map", "mro", "obj", "register"})
cdef str MARK = "_write_"  # in every script's builtins, in no other


def configure(*, bases, clean, aliases, writable, items, inspect_names, special_names):
    """Set the host's tables. Called once, when `onvp.sandbox.lang.guards` is imported."""
    global inspected, specials
    base_hosts.update(bases)
    clean_hosts.update(clean)
    alias_types.update(aliases)
    writable_hosts.update(writable)
    item_hosts.update(items)
    inspected = frozenset(inspect_names)
    specials = frozenset(special_names)


def allow_writes(cls):
    """Let scripts set plain attributes on objects of a host's class."""
    writable_hosts.add(cls)


def allow_base(cls, clean=False):
    """Let scripts extend a host's class; a clean one has no private names worth hiding."""
    base_hosts.add(cls)
    if clean:
        clean_hosts.add(cls)


def allow_alias(cls):
    """Let objects of this host's class stand among the bases of a class statement."""
    alias_types.add(cls)


def adopt(cls):
    """Treat a class as made by the script. Only for factories called by the script."""
    cdef bint clean = True
    script_classes.add(cls)
    for base in cls.__mro__:
        if base not in script_classes and base not in clean_hosts:
            clean = False
    if clean:
        clean_classes.add(cls)
    return cls


def is_script_class(cls):
    """Was this class made by a script?"""
    return isinstance(cls, type) and cls in script_classes


def is_script_function(value):
    """Is this a function that a script's own code defined?"""
    return type(value) is FunctionType and PyDict_Contains(value.__builtins__, MARK)


cdef str kind(value):
    return "module" if type(value) is ModuleView else type(value).__name__


# ---- names ----

cdef inline bint is_dunder(str name):
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


cdef check_text(name):
    if type(name) is not str:
        raise TypeError("an attribute's name must be a str")
    return name


cdef refuse_private(o, str name):
    whose = f"class {o.__name__!r}" if isinstance(o, type) else f"a {kind(o)!r} object"
    if is_dunder(name):
        raise AttributeError(f"{name} of {whose} is not in scripts")
    raise AttributeError(
        f"{name} of {whose} is private: scripts see names with a leading underscore only on their own classes"
    )


cdef refuse_inspection(str name):
    raise AttributeError(f"{name} leads into the interpreter and is not in scripts")


# ---- reading ----

def _getattr_(o, name):
    """``o.name`` with every question asked."""
    check_text(name)
    return read(o, <str>name)


cdef read(o, str name):
    if name.startswith("_"):
        return read_private(o, name)
    if name in inspected:
        refuse_inspection(name)
    value = PyObject_GetAttr(o, name)
    if name in ASKED_NAMES:
        return asked(o, name, value)
    return value


cdef read_private(o, str name):
    if is_dunder(name):
        if name in specials:
            return _special_(o, name)
        return _dunder_(o, name)
    return _getpriv_(o, name)


cdef asked(o, str name, value):
    """Names that are harmless on most objects and powerful on a few: the value decides."""
    holder = getattr(value, "__self__", None)
    if name == "obj":
        while type(o) is super or type(o) is GenericAlias or isinstance(o, TypingAlias):
            o = o.__self__ if type(o) is super else o.__origin__
        if isinstance(o, AttributeError):
            raise AttributeError("obj of an AttributeError is not in scripts: it may be any object of the host")
    elif name == "mro":
        if isinstance(holder, type):  # past the stand-ins lie the library's own classes
            raise AttributeError(f"mro of class {holder.__name__!r} is not in scripts: use isinstance() or issubclass()")
    elif name == "register":
        if isinstance(holder, ABCMeta) and holder not in script_classes and type(value) is MethodType:
            raise AttributeError(f"register of class {holder.__name__!r} is not in scripts: the class is shared")
    elif type(value) is BuiltinType and isinstance(holder, str):
        return SafeFormat.__new__(SafeFormat, plain_text(holder), name == "format_map")
    elif type(value) is DescriptorType and issubclass(value.__objclass__, str):
        raise AttributeError(f"str.{name} is not in scripts as a function: call it on a text, 'text'.{name}(...)")
    return value


def _getpriv_(o, name):
    """``o._name``: allowed where the name belongs to a script's own class or function."""
    cls = type(o)
    if cls in clean_classes:
        return PyObject_GetAttr(o, name)
    if isinstance(o, type):
        for owner in o.__mro__:
            if PyDict_Contains(dict_of(owner), name):
                if owner in script_classes or (name in TUPLE_NAMES and issubclass(owner, tuple)):
                    return PyObject_GetAttr(o, name)
                refuse_private(o, name)
        return refuse_private(o, name) if o not in script_classes else PyObject_GetAttr(o, name)
    if name in TUPLE_NAMES and isinstance(o, tuple):
        return PyObject_GetAttr(o, name)
    if cls in script_classes:
        for owner in cls.__mro__:
            if PyDict_Contains(dict_of(owner), name):
                if owner in script_classes:
                    return PyObject_GetAttr(o, name)
                refuse_private(o, name)
        return PyObject_GetAttr(o, name)
    if is_script_function(o) or cls is SimpleNamespace:
        if name in o.__dict__:
            return o.__dict__[name]
        raise AttributeError(f"{kind(o)!r} object has no attribute {name!r}")
    if cls is super:
        value = PyObject_GetAttr(o, name)
        if is_script_function(getattr(value, "__func__", value)) or isinstance(value, (int, str, float, bytes)):
            return value
    return refuse_private(o, name)


cdef dict dict_of(cls):
    return dict(type.__dict__["__dict__"].__get__(cls))


def _special_(o, name):
    """``o.__len__`` and its like, where a script may define them."""
    cls = o if isinstance(o, type) else None
    if cls is not None:
        if cls in script_classes or cls in base_hosts or issubclass(cls, BaseException):
            return PyObject_GetAttr(o, name)
    elif type(o) in script_classes or type(o) is super or name not in ("__init__", "__post_init__"):
        return PyObject_GetAttr(o, name)
    return refuse_private(o, name)


def _dunder_(o, name):
    """The few reserved names that may be read, as plain values."""
    if name == "__class__":
        return class_of(o)
    if type(o) is ModuleView and name in ("__name__", "__doc__"):
        return (<ModuleView>o).title if name == "__name__" else None
    if name in TEXT_DUNDERS:
        value = PyObject_GetAttr(o, name)
        if value is None or type(value) is str:
            return value
    elif name in CHAIN_DUNDERS and isinstance(o, BaseException):
        value = PyObject_GetAttr(o, name)
        if value is None or type(value) is bool or isinstance(value, BaseException):
            return value
    elif name == "__dict__":
        try:
            return _vars_(o)
        except TypeError as error:
            raise AttributeError(str(error).replace("vars()", "__dict__")) from None
    elif name == "__members__" and isinstance(o, type) and o in script_classes:
        value = PyObject_GetAttr(o, name)
        if type(value) is types.MappingProxyType:
            return value
    return refuse_private(o, name)


def _vars_(*args):
    """The attributes of a script's own object, as a new dict."""
    if len(args) != 1:
        raise TypeError("vars() takes one object in scripts: there is no list of the names of a scope")
    o = args[0]
    if type(o) in script_classes or type(o) in writable_hosts or type(o) is SimpleNamespace:
        found = getattr(o, "__dict__", None)
        if type(found) is dict:
            return dict(found)
        raise TypeError(f"vars() of a {kind(o)} object: it has no __dict__")
    raise TypeError(f"vars() works on objects of the script's own classes, not on a {kind(o)!r}")


def _dir_(*args):
    """The plain names of an object."""
    if len(args) != 1:
        raise TypeError("dir() takes one object in scripts: there is no list of the names of a scope")
    return [n for n in real_dir(args[0]) if type(n) is str and not n.startswith("_") and n not in inspected]


def getattr_(o, name, *default):
    """The builtin getattr, guarded."""
    check_text(name)
    if len(default) > 1:
        raise TypeError("getattr expected at most 3 arguments")
    if not default or name in inspected:
        return read(o, <str>name)
    try:
        return read(o, <str>name)
    except AttributeError:
        return default[0]


def hasattr_(o, name):
    """The builtin hasattr, guarded."""
    check_text(name)
    try:
        read(o, <str>name)
    except AttributeError:
        return False
    return True


# ---- writing ----

def _write_(o):
    """The object itself, when a script may set and delete its attributes."""
    global last_writable
    cdef PyObject* cls = <PyObject*>Py_TYPE(o)
    if cls == last_writable:
        return o
    if <object>cls in script_classes or <object>cls in writable_hosts:
        last_writable = cls
        return o
    if isinstance(o, type):
        if o in script_classes:
            return o
        raise TypeError(f"class {o.__name__!r} is not the script's own: its attributes cannot be set")
    if is_script_function(o) or isinstance(o, BaseException):
        return o
    raise TypeError(f"attributes of a {kind(o)!r} cannot be set: scripts change objects of their own classes only")


def _writepriv_(o, name):
    """The object itself, when a script may read and write its private attribute."""
    _write_(o)
    cls = type(o)
    if cls in clean_classes or is_script_function(o):
        return o
    for owner in (o if isinstance(o, type) else cls).__mro__:
        if PyDict_Contains(dict_of(owner), name):
            if owner in script_classes:
                return o
            refuse_private(o, name)
    if cls in writable_hosts and cls not in script_classes and cls is not SimpleNamespace:
        refuse_private(o, name)
    if isinstance(o, BaseException) and cls not in script_classes:
        refuse_private(o, name)
    return o


def _writetext_(o):
    """The object itself, when a script may set its ``__name__``, ``__qualname__`` or ``__doc__``."""
    if is_script_function(o) or (isinstance(o, type) and o in script_classes):
        return o
    raise TypeError(f"__name__ and __doc__ of a {kind(o)!r} cannot be set: only those of the script's own functions and classes")


def _writeitem_(o):
    """The object itself, when a script may set and delete its items (emitted with full guards)."""
    cls = type(o)
    if cls in item_hosts or cls in script_classes:
        return o
    for base in cls.__mro__:
        if base in item_hosts:
            return o
    if not hasattr(cls, "__setitem__"):
        return o  # the interpreter's own sentence says it best
    raise TypeError(f"items of a {kind(o)!r} object cannot be set in scripts")


cdef check_written(o, name):
    check_text(name)
    if (<str>name).startswith("_"):
        if is_dunder(<str>name) or (<str>name).endswith("_"):
            refuse_private(o, <str>name)
        _writepriv_(o, name)
    elif name in inspected:
        refuse_inspection(<str>name)
    else:
        _write_(o)


def setattr_(o, name, value):
    """The builtin setattr, guarded."""
    check_written(o, name)
    PyObject_SetAttr(o, name, value)


def delattr_(o, name):
    """The builtin delattr, guarded."""
    check_written(o, name)
    PyObject_DelAttr(o, name)


def _osetattr_(o, name, value):
    """``object.__setattr__(self, name, value)``: how frozen dataclasses set what they derive."""
    check_written(o, name)
    if type(o) not in script_classes:
        refuse_private(o, "__setattr__")
    object.__setattr__(o, name, value)


def _updatevars_(o, *args, **kwargs):
    """``o.__dict__.update(...)``."""
    found = dict(*args, **kwargs)
    for name in found:
        check_written(o, name)
    for name, value in found.items():
        PyObject_SetAttr(o, name, value)


# ---- self ----

def _self_(o):
    """``self``, asked about once: the object when its class is clean, or a mediator."""
    global last_clean
    cdef PyObject* cls = <PyObject*>Py_TYPE(o)
    if cls == last_clean:
        return o
    if <object>cls in clean_classes:
        last_clean = cls
        return o
    if isinstance(o, type) and o in clean_classes:
        return o
    cdef Mediator mediator = Mediator.__new__(Mediator)
    mediator.target = o
    return mediator


@cython.final
@cython.auto_pickle(False)
cdef class Mediator:
    """Stands for ``self`` inside a method when each access must be asked. Scripts cannot name it."""

    cdef object target

    def __getattribute__(self, name):
        return read(self.target, <str>name)

    def __setattr__(self, name, value):
        setattr_(self.target, name, value)

    def __delattr__(self, name):
        delattr_(self.target, name)


# ---- types and classes ----

cdef class_of(o):
    """type(o), except that a class's class is the script's `type`: metaclasses stay hidden."""
    if isinstance(o, type):
        return type_face
    return type(o)


class _TypeMeta(type):
    """Makes ``type(x)`` a question and nothing more."""

    def __call__(cls, *args, **kwargs):
        if len(args) != 1 or kwargs:
            raise TypeError("type() with three arguments makes classes and is not in scripts: write a class statement")
        return class_of(args[0])

    def __instancecheck__(cls, value):
        return isinstance(value, type)

    def __subclasscheck__(cls, other):
        return issubclass(other, type)

    def __repr__(cls):
        return "<class 'type'>"


def _no_parts(cls, item):
    return types.GenericAlias(cls, item)


type_face = _TypeMeta("type", (), {"__slots__": (), "__module__": "builtins", "__qualname__": "type",
                                   "__class_getitem__": classmethod(_no_parts)})


def _build_class_(function, name, *bases, **keywords):
    """The builtin __build_class__: bases are checked, the new class becomes the script's."""
    if keywords and set(keywords) != {"total"}:
        raise TypeError(f"class {name}: keywords are not in scripts")
    for base in bases:
        if not isinstance(base, type) and type(base) not in alias_types:
            raise TypeError(f"class {name}: a base must be a class, not a {kind(base)!r} object")
    for base in types.resolve_bases(bases):
        if not isinstance(base, type) or not may_extend(base):
            raise TypeError(f"class {name}: {getattr(base, '__name__', base)} cannot be extended by scripts")
    cls = real_build_class(function, name, *bases, **keywords)
    if not isinstance(cls, type):
        raise TypeError(f"class {name}: the bases do not make a class")
    return adopt(cls)


cdef bint may_extend(cls):
    return cls in script_classes or cls in base_hosts or issubclass(cls, BaseException)


# ---- text formatting ----

cdef str plain_text(text):
    return str.__str__(text)


class _Fields(Formatter):
    """string.Formatter that walks attributes through the guards."""

    def get_field(self, field_name, args, kwargs):
        first, rest = _string.formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, step in rest:
            value = read(value, <str>step) if is_attribute else value[step]
        return value, first


cdef object fields = _Fields()
cdef dict simple_formats = {}


def is_simple_format(text):
    """Does this format string read no attribute and no item of its arguments?"""
    return only_names(text, 2)


cdef bint only_names(str text, int depth):
    if depth < 0:
        return False
    try:
        for _, name, spec, _ in _string.formatter_parser(text):
            if name is not None and ("." in name or "[" in name):
                return False
            if spec and ("{" in spec or "}" in spec) and not only_names(spec, depth - 1):
                return False
    except ValueError:
        return True  # the interpreter's own sentence says what is wrong
    return True


cdef str format_text(str text, tuple args, dict kwargs):
    simple = simple_formats.get(text)
    if simple is None:
        simple = only_names(text, 2)
        if len(simple_formats) >= 512 or len(text) > 4096:
            simple_formats.clear()
        simple_formats[text] = simple
    if simple:
        return text.format(*args, **kwargs)
    return fields.vformat(text, args, kwargs)


def _format_(o, *args, **kwargs):
    """``o.format(...)``."""
    if type(o) is str:
        return format_text(<str>o, args, kwargs)
    return read(o, "format")(*args, **kwargs)


@cython.final
@cython.auto_pickle(False)
cdef class SafeFormat:
    """What ``text.format`` is to a script."""

    cdef str text
    cdef bint mapping

    def __cinit__(self, str text="", bint mapping=False):
        self.text = text
        self.mapping = mapping

    def __call__(self, *args, **kwargs):
        if not self.mapping:
            return format_text(self.text, args, kwargs)
        if len(args) != 1 or kwargs:
            raise TypeError("format_map() takes exactly one argument")
        if only_names(self.text, 2):
            return self.text.format_map(args[0])
        return fields.vformat(self.text, (), args[0])

    def __repr__(self):
        return "<built-in method format of str object>"


# ---- what full guards add: the same questions, asked everywhere ----

def _getitem_(o, key):
    """``o[key]``."""
    return o[key]


def _getiter_(o):
    """What a for statement iterates over."""
    return o


def _apply_(function, *args, **kwargs):
    """A call with ``*`` or ``**``."""
    return function(*args, **kwargs)


def _unpack_sequence_(value, spec, getiter):
    """What ``a, (b, c) = value`` unpacks."""
    return unpack(value, spec, getiter)


def _iter_unpack_sequence_(value, spec, getiter):
    """What ``for a, (b, c) in value`` iterates over."""
    return (unpack(item, spec, getiter) for item in getiter(value))


cdef unpack(value, dict spec, getiter):
    found = list(getiter(value))
    if len(found) < spec["min_len"]:
        return found
    for index, child in spec["childs"]:
        found[index] = unpack(found[index], child, getiter)
    return found


def _inplacevar_(operation, left, right):
    """``name += value`` and its twelve siblings."""
    if operation == "+=":
        left += right
    elif operation == "-=":
        left -= right
    elif operation == "*=":
        left *= right
    elif operation == "/=":
        left /= right
    elif operation == "%=":
        left %= right
    elif operation == "**=":
        left **= right
    elif operation == "<<=":
        left <<= right
    elif operation == ">>=":
        left >>= right
    elif operation == "|=":
        left |= right
    elif operation == "^=":
        left ^= right
    elif operation == "&=":
        left &= right
    elif operation == "//=":
        left //= right
    elif operation == "@=":
        left @= right
    else:
        raise SystemError(f"unknown operation {operation!r}")
    return left


def _augattr_(operation, o, name, value):
    """``o.name += value``."""
    new = _inplacevar_(operation, read(o, <str>name), value)
    setattr_(o, name, new)


def _augitem_(operation, o, key, value):
    """``o[key] += value``: the write is asked about even when the operator changed the item in place."""
    new = _inplacevar_(operation, o[key], value)
    _writeitem_(o)[key] = new


# ---- what a script holds instead of modules and streams ----

@cython.final
@cython.auto_pickle(False)
cdef class ModuleView:
    """A module as a script sees it: listed names, read-only, and nothing behind them."""

    cdef dict names
    cdef str title

    def __cinit__(self):
        self.names = {}
        self.title = "?"

    def __getattribute__(self, name):
        found = PyDict_GetItem(self.names, name)
        if found is not NULL:
            return <object>found
        if name == "__class__":  # isinstance() asks for it
            return ModuleView
        # Not even __name__: `from x import y` would use it to find x.y among the interpreter's modules.
        raise AttributeError(missing(self, name))

    def __setattr__(self, name, value):
        raise AttributeError(f"module {self.title!r} is read-only in scripts")

    def __delattr__(self, name):
        raise AttributeError(f"module {self.title!r} is read-only in scripts")

    def __dir__(self):
        return sorted(self.names)

    def __repr__(self):
        return f"<module {self.title!r} (names that scripts see)>"

    def __reduce_ex__(self, protocol):
        raise TypeError("modules cannot be copied or pickled")


cdef str missing(ModuleView view, name):
    if str(name).startswith("_"):
        return f"module {view.title!r} has no attribute {name!r} in scripts"
    return f"module {view.title!r} has no name {name!r} in scripts: see dir({view.title.split('.')[-1]}) for those it has"


def make_view(str title, names):
    """A view of these names."""
    cdef ModuleView view = ModuleView.__new__(ModuleView)
    view.title = title
    view.names = dict(names)
    return view


def view_names(ModuleView view):
    """The names of a view, for `__import__` and for tests."""
    return dict(view.names)


def view_title(ModuleView view):
    """The module's name."""
    return view.title


def is_view(value):
    """Is this a view?"""
    return type(value) is ModuleView


def make_print(stream):
    """The builtin print over a stream."""
    write = stream.write
    flush_stream = stream.flush
    real_print = builtins.print

    def print(*values, sep=None, end=None, file=None, flush=False):
        if file is not None and file is not stream:
            return real_print(*values, sep=sep, end=end, file=file, flush=flush)
        if (sep is not None and not isinstance(sep, str)) or (end is not None and not isinstance(end, str)):
            raise TypeError("sep and end must be None or a string")
        text = (" " if sep is None else sep).join([str(v) for v in values])
        write(text + ("\n" if end is None else end))
        if flush:
            flush_stream()

    return print
