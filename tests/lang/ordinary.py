# ruff: noqa: E501 - the lines are as long as researchers write them
"""Ordinary Python as researchers write it: one snippet for each habit. What they print is what CPython prints."""

SNIPPETS: dict[str, str] = {
    "augmented assignment to items": r"""
d = {'a': 1}
d['a'] += 2
d['a'] **= 2
m = [[0] * 2 for _ in 'ab']
m[1][0] -= 5
print(d, m)
""",
    "augmented assignment to slices": r"""
x = [1, 2, 3, 4]
x[1:3] += [9]
x[::2] = 'abc'
print(x)
""",
    "augmented assignment to attributes": r"""
class C:
    n = 0
    items = ()
c = C()
c.n += 1
c.n <<= 3
c.items += (1,)
C.n |= 4
print(c.n, c.items, C.n)
""",
    "augmented assignment evaluates its target once": r"""
calls = []
def key():
    calls.append(1)
    return 'k'
d = {'k': [1]}
d[key()] += [2]
def obj():
    calls.append(2)
    return o
class O:
    v = 0
o = O()
obj().v += 5
print(d, o.v, calls)
""",
    "annotated assignment": r"""
from __future__ import annotations
x: int = 1
y: 'list[str]'
z: dict[str, list[int]] = {}
class C:
    a: int = 2
    b: undefined_name
    def __init__(self) -> None:
        self.c: float = 3.0
        self.d: str
def f(a: int, *b: str, c: 'NoSuch' = 1, **d: float) -> NoSuchType:
    e: int = a
    g: float
    return e + c
print(x, z, C.a, C().c, f(1))
""",
    "match on values and sequences": r"""
def kind(x):
    match x:
        case 0 | 1: return 'bit'
        case -1 | 2.5 | 'a': return 'literal'
        case None | True: return 'singleton'
        case [a, b]: return f'pair {a} {b}'
        case [first, *rest]: return f'{first} and {len(rest)}'
        case {'type': 'ping', 'dst': dst, **others}: return f'ping {dst} {others}'
        case {}: return 'dict'
        case str() as s if s.isdigit(): return f'digits {s}'
        case int(n): return f'int {n}'
        case _: return 'other'
print([kind(x) for x in (0, 2.5, None, [1, 2], [1, 2, 3], {'type': 'ping', 'dst': 'h', 'n': 1}, {'q': 1}, '12', 77, 3.5)])
""",
    "match on classes": r"""
from dataclasses import dataclass
from collections import namedtuple
import enum
class Kind(enum.Enum):
    A = 1
    B = 2
@dataclass
class Point:
    x: int
    y: int = 0
Hop = namedtuple('Hop', 'ttl addr')
class Plain:
    __match_args__ = ('a', 'b')
    def __init__(self, a, b):
        self.a, self.b = a, b
def f(v):
    match v:
        case Point(x=0, y=y): return f'on axis {y}'
        case Point(x, y): return f'{x},{y}'
        case Hop(ttl=1): return 'first hop'
        case Hop(t, a): return f'{t} {a}'
        case Plain(1, b=b): return f'plain {b}'
        case Kind.A: return 'kind a'
        case ValueError(args=[m]): return m
print([f(v) for v in (Point(0, 2), Point(3, 4), Hop(1, 'a'), Hop(2, 'b'), Plain(1, 2), Kind.A, ValueError('m'), 5)])
""",
    "nonlocal and global": r"""
total = 0
def counter():
    n = 0
    def inc(by=1):
        nonlocal n
        global total
        n += by
        total += by
        return n
    return inc
a, b = counter(), counter()
a(); a(5); b()
print(a(), b(), total)
""",
    "main guard": r"""
def main():
    print('main')
    return 0
if __name__ == '__main__':
    main()
""",
    "main guard with exit": r"""
import sys
def main():
    return 0
if __name__ == '__main__':
    try:
        sys.exit(main())
    except SystemExit as e:
        print(e.code)
""",
    "underscore names": r"""
_cache = {}
__counter = 0
def _helper(_x, *_rest, _flag=True, **_kw):
    global __counter
    __counter += 1
    return _cache.setdefault(_x, (_rest, _flag, sorted(_kw)))
for _ in range(2):
    for __ in range(2):
        _helper(_, __, _y=1)
_a, (_b, *_c) = 1, (2, 3, 4)
print(_cache, __counter, _a, _b, _c, [_ for _ in 'ab'], (lambda _q: _q)(_q=5))
""",
    "private attributes of classes": r"""
class Base:
    _registry = {}
    __secret = 1
    def __init__(self, v):
        self._v = v
        self.__w = v * 2
        Base._registry[v] = self
    def _double(self):
        return self._v * 2
    def w(self):
        return self.__w + self.__secret
    @classmethod
    def _make(cls, v):
        cls._made = True
        return cls(v)
    @staticmethod
    def _static(x):
        return x._v
class Sub(Base):
    def __init__(self, v):
        super().__init__(v)
        self._v += 1
        self.__w = 'sub'
    def show(self, other):
        return self._double(), other._v, self.__w, [self._v for _ in range(2)], (lambda: self._v)()
s = Sub._make(3)
print(s.show(Base(7)), s.w(), s._v, Base._static(s), sorted(Base._registry), Sub._made)
""",
    "special methods": r"""
import functools
@functools.total_ordering
class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __repr__(self): return f'V({self.x}, {self.y})'
    def __str__(self): return f'<{self.x} {self.y}>'
    def __eq__(self, o): return isinstance(o, V) and (self.x, self.y) == (o.x, o.y)
    def __lt__(self, o): return (self.x, self.y) < (o.x, o.y)
    def __hash__(self): return hash((self.x, self.y))
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
    __iadd__ = __add__
    def __radd__(self, o): return self
    def __neg__(self): return V(-self.x, -self.y)
    def __abs__(self): return (self.x ** 2 + self.y ** 2) ** .5
    def __bool__(self): return bool(self.x or self.y)
    def __iter__(self): yield self.x; yield self.y
    def __len__(self): return 2
    def __getitem__(self, i): return (self.x, self.y)[i]
    def __setitem__(self, i, v): setattr(self, 'xy'[i], v)
    def __contains__(self, v): return v in (self.x, self.y)
    def __call__(self, k): return V(self.x * k, self.y * k)
    def __int__(self): return self.x
    def __float__(self): return float(self.x)
a, b = V(1, 2), V(3, 4)
a[0] += 5
a += b
print(a, repr(b), a == b, a < b, a >= b, sum([a, b]), -a, abs(b), bool(V(0, 0)), list(a), len(a), a[1], 4 in b, a(2), int(a), float(a))
print({a: 1}[a], [*a], max(a, b), sorted([b, a]))
""",
    "iterators and context managers of one's own": r"""
class Count:
    def __init__(self, n): self._n = n
    def __iter__(self): return self
    def __next__(self):
        if self._n <= 0:
            raise StopIteration
        self._n -= 1
        return self._n
class Timer:
    def __enter__(self):
        self.t = 1
        return self
    def __exit__(self, kind, value, tb):
        print('exit', kind.__name__ if kind else None, value)
        return kind is ValueError
with Timer() as t, Timer():
    print(t.t, list(Count(3)))
with Timer():
    raise ValueError('swallowed')
""",
    "inheritance and super": r"""
class A:
    def __init__(self, a): self.a = a
    def who(self): return 'A' + str(self.a)
class B(A):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b
    def who(self): return 'B' + super().who()
class C(B):
    def __init__(self):
        B.__init__(self, 1, 2)
    def who(self): return 'C' + super(C, self).who()
class D(dict):
    def __setitem__(self, k, v):
        super().__setitem__(k.lower(), v)
    def __missing__(self, k): return k * 2
d = D(); d['X'] = 1
print(C().who(), d, d['q'], isinstance(C(), A), issubclass(C, B), C.__name__)
""",
    "diamond inheritance": r"""
class A:
    def f(self): return ['A']
class B(A):
    def f(self): return ['B'] + super().f()
class C(A):
    def f(self): return ['C'] + super().f()
class D(B, C):
    def f(self): return ['D'] + super().f()
print(D().f())
""",
    "properties": r'''
class T:
    def __init__(self): self._c = 0
    @property
    def c(self):
        """Celsius."""
        return self._c
    @c.setter
    def c(self, v):
        if v < -273: raise ValueError('cold')
        self._c = v
    @c.deleter
    def c(self): self._c = None
    f = property(lambda self: self._c * 9 / 5 + 32)
t = T()
t.c = 100
t.c += 1
print(t.c, t.f)
try:
    t.c = -300
except ValueError as e:
    print(e)
del t.c
print(t.c)
''',
    "decorators": r"""
import functools
def logged(prefix):
    def deco(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            wrapper.calls += 1
            return f'{prefix}{f(*args, **kwargs)}'
        wrapper.calls = 0
        return wrapper
    return deco
@logged('> ')
def hello(name='x'):
    "Say hello."
    return 'hello ' + name
print(hello('a'), hello(name='b'), hello.calls, hello.__name__, hello.__doc__)
def plain(f):
    def inner(*a): return f(*a)
    inner.__name__ = f.__name__
    inner.__doc__ = f.__doc__
    return inner
@plain
def q(): 'doc q'
print(q.__name__, q.__doc__)
def register(cls):
    cls.registered = True
    return cls
@register
class R: pass
print(R.registered)
""",
    "class decorator with arguments": r"""
class memo:
    def __init__(self, f):
        self.f = f
        self._seen = {}
    def __call__(self, *a):
        if a not in self._seen:
            self._seen[a] = self.f(*a)
        return self._seen[a]
@memo
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(30))
""",
    "dataclasses": r"""
from dataclasses import dataclass, field, asdict, astuple, replace, fields, InitVar, KW_ONLY
import dataclasses
from typing import ClassVar, Optional, List
@dataclass(order=True)
class Hop:
    ttl: int
    addr: Optional[str] = None
    rtts: List[float] = field(default_factory=list, compare=False)
    seen: ClassVar[int] = 0
    scale: InitVar[float] = 1.0
    _: KW_ONLY
    note: str = ''
    def __post_init__(self, scale):
        self.rtts = [r * scale for r in self.rtts]
        Hop.seen += 1
    @property
    def best(self): return min(self.rtts, default=None)
@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    a: int
    b: str = 'b'
    c: int = field(init=False, default=0)
    def __post_init__(self):
        object.__setattr__(self, 'c', self.a + 1)
h = Hop(1, 'x', [2.0, 1.0], 2.0, note='n')
print(h, h.best, asdict(h), astuple(h), replace(h, ttl=9, scale=1.0).ttl, [f.name for f in fields(h)], Hop.seen, h < Hop(2))
print(Key(1), {Key(1): 2}[Key(1)], Key(3).c)
try:
    Key(1).a = 2
except dataclasses.FrozenInstanceError as e:
    print('frozen', e)
@dataclass
class Sub(Hop):
    extra: int = 5
print(Sub(1).extra)
""",
    "NamedTuple": r"""
from typing import NamedTuple
from collections import namedtuple
class Reply(NamedTuple):
    addr: str
    rtt: float = 0.0
    def ms(self): return self.rtt * 1000
P = namedtuple('P', ['x', 'y'], defaults=[0])
class Q(P):
    __slots__ = ()
    @property
    def norm(self): return self.x + self.y
r = Reply('a', 1.5)
addr, rtt = r
print(r, r.ms(), r._replace(rtt=2.0), r._asdict(), Reply._fields, P(1)._replace(y=3), Q(1, 2).norm, P._make([1, 2]), addr, rtt, r[0])
F = NamedTuple('F', [('a', int), ('b', str)])
print(F(1, 'x'))
""",
    "Enum": r"""
from enum import Enum, IntEnum, Flag, auto, unique, StrEnum, IntFlag
@unique
class Color(Enum):
    RED = 1
    GREEN = auto()
    @property
    def pretty(self): return self.name.title()
    @classmethod
    def default(cls): return cls.RED
    @classmethod
    def _missing_(cls, value): return cls.GREEN
class Level(IntEnum):
    LOW = 1
    HIGH = 5
class Perm(Flag):
    R = auto()
    W = auto()
class S(StrEnum):
    A = auto()
class T(str, Enum):
    X = 'x'
print(Color.RED, Color(2), Color['RED'], Color('?'), Color.RED.value, Color.RED.pretty, list(Color), Color.default(), Level.HIGH > 3, Perm.R | Perm.W, S.A, T.X == 'x')
print(repr(Color.RED), Color.RED in Color, len(Color), {Color.RED: 1}, sorted(Level), Level(1).name, Color.__members__.keys(), 2 in Color._value2member_map_)
E = Enum('E', 'ONE TWO')
print(E.ONE, E['TWO'].value, [e.name for e in Enum('Z', {'A': 5, 'B': 6})], isinstance(Color.RED, Color), isinstance(Color.RED, Enum))
try:
    Level(9)
except ValueError as e:
    print(e)
""",
    "generators": r"""
def gen(n):
    got = []
    for i in range(n):
        got.append((yield i))
    return got
def outer():
    r = yield from gen(2)
    yield r
    yield from 'ab'
g = outer()
print(next(g), g.send('x'), g.send('y'), list(g))
def safe():
    try:
        yield 1
    except ValueError as e:
        yield f'caught {e}'
    finally:
        print('closed')
g = safe(); next(g); print(g.throw(ValueError('v'))); g.close()
print(sum(x * x for x in range(5)), list(map(lambda p: p[0], zip('ab', (1, 2)))), dict(enumerate('ab')))
""",
    "closures and late binding": r"""
fs = [lambda i=i: i for i in range(3)]
gs = [lambda: i for i in range(3)]
print([f() for f in fs], [g() for g in gs])
def adder(n):
    return lambda x: x + n
print(adder(3)(4))
""",
    "star unpacking": r"""
a, *b, c = range(5)
[d, (e, f)] = [1, (2, 3)]
print(a, b, c, d, e, f, [*b, *'xy'], {**{'k': 1}, 'l': 2}, (*b,))
def g(*args, **kw): return args, kw
print(g(*b, 9, **{'z': 1}, y=2))
for i, (j, *k) in enumerate([(1, 2, 3)]): print(i, j, k)
x = y, z = 1, 2
print(x, y, z)
""",
    "walrus": r"""
data = [1, 5, 10]
if (n := len(data)) > 2: print(n)
print([y for x in data if (y := x * 2) > 5], y)
while (v := data.pop()) > 1: print(v)
""",
    "slices": r"""
s = 'abcdef'
x = list(range(10))
x[2:5] = []
del x[::3]
print(s[::-1], s[-3:], s[1:4:2], x, s[slice(1, 3)], x[-1:])
""",
    "f-strings": r"""
x, w, p = 3.14159, 10, 2
name = 'vp'
d = {'k': [1, 2]}
class C: a = 5
print(f'{x:.2f}|{x:{w}.{p}f}|{name!r:>6}|{name:^{w}}|{d["k"][1]}|{C.a}|{x=:.1f}|{{}}|{"nested " + f"{name}"}|{1_000_000:,}|{255:#x}|{.5:%}')
""",
    "str.format": r"""
class C:
    a = 5
    b = {'k': 'v'}
print('{} {:>5} {0}'.replace('{0}', '').format(1, 2), '{0} {1} {0}'.format('a', 'b'), '{n:.2f} {m!r}'.format(n=1.5, m='q'))
print('{0.a} {0.b[k]} {1[0]}'.format(C(), [7]), '{:{}}|{:{w}.{p}f}'.format('x', 4, 2.5, w=6, p=1), '{k}'.format_map({'k': 1}))
fmt = '{:<8}{:>8}'
print(fmt.format('a', 'b'), list(map('{:02x}'.format, [1, 255])))
""",
    "percent formatting": r"""
print('%s %d %5.2f %r %x %% %-5s|' % ('a', 3, 2.5, 'q', 255, 'l'), '%(a)s-%(b)03d' % {'a': 1, 'b': 2}, 'one %s' % 'arg', '%*d' % (5, 3))
""",
    "exceptions": r'''
class MeasurementError(Exception):
    """Something went wrong."""
    def __init__(self, msg, code=None):
        super().__init__(msg)
        self.code = code
class Timeout(MeasurementError): pass
def f(n):
    try:
        if n == 0: raise Timeout('slow', code=5)
        if n == 1: return {}['k']
        if n == 2: 1 / 0
        return 'ok'
    except Timeout as e:
        return type(e).__name__, e.code, str(e), e.args
    except (KeyError, IndexError) as e:
        return repr(e)
    except ZeroDivisionError:
        return 'zero'
    else:
        return 'never'
    finally:
        print('finally', n)
print([f(i) for i in range(4)])
try:
    try:
        int('x')
    except ValueError as e:
        raise MeasurementError('wrapped') from e
except MeasurementError as e:
    print(e, type(e.__cause__).__name__, e.__cause__)
try:
    try:
        raise KeyError('k')
    finally:
        print('cleanup')
except LookupError as e:
    print(type(e).__name__, e.__context__)
try:
    assert 1 > 2, 'math'
except AssertionError as e:
    print(e)
''',
    "try else and re-raise": r"""
def f(x):
    try:
        v = int(x)
    except ValueError:
        print('bad')
        raise
    else:
        print('good')
        return v
print(f('1'))
try:
    f('q')
except ValueError as error:
    print('again', error)
for E in (TimeoutError, ConnectionError, RecursionError, FileNotFoundError, PermissionError):
    try:
        raise E('m')
    except E as e:
        print(type(e).__name__, e)
""",
    "names and docs of functions and types": r"""
def f():
    'doc f'
class C:
    'doc C'
    def m(self): 'doc m'
print(f.__name__, f.__doc__, C.__name__, C.__doc__, C.m.__name__, C().m.__doc__, type(C()).__name__, C().__class__.__name__, type(1).__name__, C.m.__qualname__, C.__module__, len.__name__)
""",
    "module docstring": r'''
"""Ping things.

Usage: x
"""
import argparse
print(__doc__.splitlines()[0])
print(argparse.ArgumentParser(prog="p", description=__doc__).description[:4])
''',
    "module metadata": r"""
__version__ = '1.2'
__author__ = 'me'
__all__ = ['f']
print(__version__, __author__, __all__)
""",
    "future import": r'''
"""Doc."""
from __future__ import annotations
import json
print(json.dumps(__doc__))
''',
    "del": r"""
x = [1, 2, 3]
d = {'a': 1, 'b': 2}
class C: pass
c = C(); c.v = 1
del x[0], d['a'], c.v
y = 1
del y
print(x, d, hasattr(c, 'v'))
try:
    y
except NameError as e:
    print(e)
""",
    "chained comparison and booleans": r"""
x = 5
print(1 < x <= 5 != 6, not x, x and 0 or 'z', 3 if x else 4, x is not None, 5 in [x], 0 < 1 > 0)
""",
    "comprehensions": r"""
print([i * j for i in range(3) for j in range(3) if i != j], {k: v for k, v in zip('ab', (1, 2))}, {c for c in 'aab'} == {'a', 'b'}, [[x for x in r] for r in [[1], [2]]], dict((a, b) for a, b in [(1, 2)]))
rows = [('a', (1, 2)), ('b', (3, 4))]
print([n + str(x) for n, (x, _) in rows])
""",
    "lambda and sorting": r"""
x = [('b', 2), ('a', 3)]
print(sorted(x, key=lambda t: t[1], reverse=True), max(x, key=lambda t: t[0]), list(filter(None, [0, 1])), [*map(str, range(3))])
x.sort(key=lambda p: (-p[1], p[0]))
print(x)
""",
    "print to stderr": r"""
import sys
print('oops', 1, sep=': ', file=sys.stderr)
sys.stderr.write('w\n')
sys.stdout.write('out\n')
print('a', 'b', sep='', end='')
print(flush=True)
""",
    "getattr and setattr": r"""
class C: pass
c = C()
setattr(c, 'x', 1)
for n in ('x', 'y'): print(n, getattr(c, n, None), hasattr(c, n))
delattr(c, 'x')
print(vars(c), [n for n in dir(c) if not n.startswith('_')], getattr('abc', 'upper')())
class D:
    def __init__(self, **kw):
        for k, v in kw.items():
            setattr(self, k, v)
print(vars(D(a=1, b=2)), D(q=1).__dict__)
""",
    "instance dictionaries": r"""
import json
class C:
    def __init__(self, **kw):
        self.__dict__.update(kw)
        self.__dict__['z'] = 0
    def to_json(self):
        return json.dumps(self, default=lambda o: o.__dict__, sort_keys=True)
print(C(a=1, b=[C(c=2)]).to_json())
""",
    "counting": r"""
from collections import Counter, defaultdict
c = Counter()
d = defaultdict(lambda: defaultdict(int))
for w in 'a b a'.split():
    c[w] += 1
    d[w]['n'] += 2
c.update('ab')
print(c.most_common(), {k: dict(v) for k, v in d.items()}, c['none'], c - Counter('a'))
""",
    "static and class methods": r"""
class C:
    n = 0
    def __init__(self): type(self).n += 1
    @classmethod
    def make(cls, *a): return cls()
    @staticmethod
    def two(): return 2
class D(C): pass
D.make(); C.make()
print(C.n, D.n, C.two(), D().two(), self_less := C.make().n)
""",
    "slots": r"""
class P:
    __slots__ = ('x', '_y')
    def __init__(self, x): self.x = x; self._y = 1
    def y(self): return self._y
p = P(3)
p.x += 1
print(p.x, p.y())
try:
    p.z = 1
except AttributeError as e:
    print('no z')
""",
    "abstract classes": r"""
from abc import ABC, abstractmethod
class Probe(ABC):
    @abstractmethod
    def run(self): ...
    @property
    @abstractmethod
    def name(self): ...
    def show(self): return f'{self.name}:{self.run()}'
class Ping(Probe):
    name = 'ping'
    def run(self): return 1
print(Ping().show())
try:
    Probe()
except TypeError as e:
    print('abstract')
""",
    "protocols and generics": r"""
from typing import Protocol, Generic, TypeVar, runtime_checkable, Callable, Iterator, Any, TypedDict, Union
T = TypeVar('T')
class Sized2(Protocol):
    def size(self) -> int: ...
class Stack(Generic[T]):
    def __init__(self) -> None: self._items: list[T] = []
    def push(self, item: T) -> 'Stack[T]':
        self._items.append(item)
        return self
    def pop(self) -> T: return self._items.pop()
class Row(TypedDict, total=False):
    a: int
Handler = Callable[[int], str]
Maybe = Union[int, None]
r: Row = {'a': 1}
print(Stack[int]().push(1).push(2).pop(), r, Row(a=2), int | None)
""",
    "simple namespaces": r"""
from types import SimpleNamespace
s = SimpleNamespace(a=1)
s.b = 2
s.b += 1
print(s, s.b, vars(s))
""",
    "while else and for else": r"""
n = 3
while n:
    n -= 1
    if n == 5: break
else:
    print('done')
for i in range(3):
    if i == 1: continue
    if i == 2: break
else:
    print('never')
print(i)
pass
""",
    "recursion": r"""
def walk(t, depth=0):
    return depth if not isinstance(t, list) else max([walk(x, depth + 1) for x in t] or [depth])
print(walk([1, [2, [3, []]]]))
def fact(n): return 1 if n < 2 else n * fact(n - 1)
print(fact(20))
def forever(): return forever()
try:
    forever()
except RecursionError:
    print('too deep')
""",
    "bytes and struct": r"""
import struct
b = struct.pack('!HHI', 1, 2, 3)
v, *rest = struct.unpack('!HHI', b)
m = memoryview(b)[2:4]
a = bytearray(b)
a[0] ^= 0xff
a[1:2] = b'zz'
print(b.hex(), v, rest, bytes(m), a, int.from_bytes(b[:2], 'big'), (258).to_bytes(2, 'big'), b'%d' % 5)
""",
    "string methods": r"""
s = ' Mixed Case,x '
print(s.strip().lower().split(','), s.title(), 'a-b'.partition('-'), 'x'.join('ab'), s.replace('x', 'y'), 'é'.encode(), 'abc'.translate(str.maketrans('a', 'b')), '1'.zfill(3), s.startswith(' '), 'ab'.center(6, '*'))
""",
    "time and date arithmetic": r"""
from datetime import datetime, timedelta, timezone
import time
t = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
print(t.isoformat(), (t + timedelta(hours=1, minutes=30)).strftime('%H:%M'), t.timestamp(), f'{t:%d %b}', datetime.strptime('2026-05', '%Y-%m').month, time.strftime('%Y', time.gmtime(0)), (t - datetime.fromtimestamp(0, timezone.utc)).days)
start = time.monotonic()
time.sleep(0)
print(time.monotonic() >= start, time.perf_counter() > 0)
""",
    "CSV and JSON reports": r"""
import csv, json, io, sys
rows = [{'dst': 'a', 'rtt': 1.5}, {'dst': 'b', 'rtt': None}]
out = io.StringIO()
w = csv.DictWriter(out, fieldnames=['dst', 'rtt'])
w.writeheader()
w.writerows(rows)
print(out.getvalue().splitlines())
print(list(csv.DictReader(io.StringIO(out.getvalue()))))
print(json.dumps(rows, indent=1), json.loads('[1, {"a": null}]'))
csv.writer(sys.stdout, lineterminator='\n').writerow([1, 'a,b'])
json.dump({'k': 1}, sys.stdout)
print()
class Enc(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, set): return sorted(o)
        return super().default(o)
print(json.dumps({1, 2}, cls=Enc), json.dumps({'b': 1, 'a': 2}, sort_keys=True))
""",
    "address arithmetic": r"""
import ipaddress
net = ipaddress.ip_network('192.0.2.0/28')
print([str(h) for h in list(net.hosts())[:2]], ipaddress.ip_address('192.0.2.5') in net, net.prefixlen, int(ipaddress.ip_address('::1')), list(net.subnets(new_prefix=30))[1], ipaddress.ip_address('2001:db8::1').exploded)
try:
    ipaddress.ip_address('x')
except ValueError as e:
    print(e)
""",
    "statistics": r"""
import statistics, math
r = [1.0, 2.0, 4.0, 8.0]
print(statistics.mean(r), statistics.median(r), round(statistics.stdev(r), 3), statistics.quantiles(r, n=4), math.floor(math.log2(8)), math.isclose(.1 + .2, .3), sum(r) / len(r), min(r), max(r))
""",
    "a reactive loop": r"""
import heapq, itertools, collections
queue = [(0, 'a')]
seen = set()
ids = itertools.count(1)
while queue:
    prio, item = heapq.heappop(queue)
    if item in seen: continue
    seen.add(item)
    if prio < 3:
        heapq.heappush(queue, (prio + next(ids), item + 'x'))
print(sorted(seen))
d = collections.deque([1, 2, 3], maxlen=3)
d.append(4); d.rotate(1)
print(list(d), [list(g) for k, g in itertools.groupby('aab')])
""",
    "regular expressions": r"""
import re
line = 'ttl=64 time=1.23 ms'
m = re.search(r'ttl=(?P<ttl>\d+) time=([\d.]+)', line)
print(m.group('ttl'), m[2], m.groupdict(), re.sub(r'\d', lambda k: str(int(k.group()) + 1), 'a1b2'), re.findall(r'\w+', line), re.compile('x', re.I).match('X') is not None, re.split('[ =]', line))
if (m := re.match('t', line)): print(m.span())
""",
    "single dispatch": r"""
from functools import singledispatch, lru_cache, partial, reduce, cached_property
import operator
@singledispatch
def show(x): return 'other'
@show.register
def _(x: int): return 'int'
@show.register(str)
def _s(x): return 'str'
print(show(1), show('a'), show(2.5))
@lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(50), fib.cache_info().hits > 0, partial(pow, 2)(5), reduce(operator.mul, [1, 2, 3]), operator.itemgetter(1)('ab'), operator.attrgetter('real')(5), operator.methodcaller('upper')('a'))
class C:
    @cached_property
    def v(self):
        print('once')
        return 5
c = C(); print(c.v + c.v)
""",
    "identity and types": r"""
class A: pass
a = A()
print(type(a) is A, type(1) == int, type('') in (str, bytes), isinstance(A, type), type(A) is type, type(None).__name__, callable(a), isinstance(1, (int, str)), isinstance(True, int | None), issubclass(bool, int), a.__class__ is A, type(a)().__class__.__name__)
""",
    "copying": r"""
import copy
class N:
    def __init__(self): self.kids = []
    def __copy__(self):
        new = N(); new.kids = ['copied']
        return new
n = N(); n.kids.append(N())
m = copy.deepcopy(n)
print(m is not n, len(m.kids), copy.copy(n).kids, copy.copy([1]), copy.deepcopy({'a': (1, [2])}))
""",
    "variables that are called like builtins": r"""
def compile(x): return 'mine ' + x
printed = 5
id = 7
input = lambda p: 'typed'
type_ = 1
list_ = [1]
print(compile('a'), printed, id, input('?'), type_, list_)
def f(format='{}', obj=None, type=None):
    return format.format(obj), type
print(f('<{}>', 3))
""",
    "attributes that are called like text methods": r"""
class Msg:
    def __init__(self, obj): self.obj = obj; self.format = 'json'
    def register(self): return 'reg ' + self.format
    def mro(self): return self.obj
m = Msg(3)
m.obj += 1
m.format += '!'
print(m.obj, m.format, m.register(), m.mro())
""",
    "text subclasses": r"""
class Name(str):
    def shout(self): return self.upper() + '!'
n = Name('vp{}')
print(n.shout(), n.format(1), n + 'x', n[:2], len(n), n == 'vp{}')
""",
    "default mutable arguments and keyword only": r"""
def f(a, /, b, *, c=3, acc=[]):
    acc.append(a)
    return a, b, c, acc
print(f(1, 2), f(1, b=2, c=5))
try:
    f(a=1, b=2)
except TypeError as e:
    print('positional-only' in str(e))
""",
    "functions as values": r"""
def apply(f, *a, **k): return f(*a, **k)
ops = {'+': lambda a, b: a + b, 'max': max}
print({k: apply(v, 1, 2) for k, v in ops.items()}, apply(sorted, [2, 1], reverse=True), (lambda *a: a)(*'ab'))
""",
    "nested classes and functions": r"""
class Outer:
    class Inner:
        _n = 0
        def bump(self):
            self._n += 1
            return self._n
    def make(self):
        me = self
        class Local(Outer.Inner):
            def who(this): return type(me).__name__, this._n
        return Local()
x = Outer().make()
x.bump(); x.bump()
print(x.who())
""",
    "self is rebound": r"""
class Node:
    def __init__(self, v, next=None): self.v, self._next = v, next
    def last(self):
        while self._next is not None:
            self = self._next
        self._seen = True
        return self.v
print(Node(1, Node(2, Node(3))).last())
""",
    "a linked list with other objects' private parts": r"""
class N:
    def __init__(self, v): self._v = v; self._next = None
class L:
    def __init__(self): self._head = None; self._n = 0
    def push(self, v):
        n = N(v); n._next = self._head; self._head = n; self._n += 1
        return self
    def __iter__(self):
        n = self._head
        while n:
            yield n._v
            n = n._next
    def __len__(self): return self._n
l = L().push(1).push(2)
print(list(l), len(l))
""",
    "logging": r"""
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, force=True, format='%(levelname)s:%(name)s:%(lineno)d:%(funcName)s:%(message)s')
log = logging.getLogger(__name__)
def f(): log.info('x=%d', 3)
f()
log.debug('hidden')
log.warning('w %s %s', 'a', 1)
logging.error('root')
""",
    "zip, enumerate, reversed, any, all": r"""
print(list(zip([1, 2], 'ab', strict=True)), list(enumerate('ab', 1)), list(reversed([1, 2])), any([0, 1]), all([]), divmod(7, 2), round(2.567, 2), abs(-3), pow(2, 5, 7), bin(5), hex(255), chr(65), ord('A'), sum([[1], [2]], []))
""",
    "integers and floats": r"""
print(10 ** 20, 7 // -2, 7 % -2, 1e-3, float('inf'), int('ff', 16), 0b101, 1_000, (5).bit_length(), 2.5.is_integer(), complex(1, 2).imag, hash(1) == hash(1.0), 5 @ 1 if False else '')
""",
    "sets": r"""
a = {1, 2, 3}
a |= {4}
a -= {1}
a &= {2, 4}
print(a, a ^ {2}, a <= {2, 4, 5}, frozenset('a'), a.isdisjoint({9}))
""",
    "dict methods": r"""
d = {'a': 1}
d |= {'b': 2}
d.setdefault('c', []).append(3)
print(d, d | {'z': 0}, d.get('q', 'none'), d.pop('a'), list(d.items()), sorted(d, reverse=True), {v if isinstance(v, int) else 0: k for k, v in d.items()}, 'b' in d, dict.fromkeys('ab', 0))
""",
    "global configuration at the top": r"""
TARGETS = ['192.0.2.%d' % i for i in range(1, 4)]
LIMIT, TIMEOUT = 3, 1.5
DEBUG = False
def run():
    for i, t in enumerate(TARGETS[:LIMIT]):
        yield i, t, TIMEOUT
for row in run(): print(*row, sep='\t')
""",
    "an exception's text and traceback": r"""
import traceback, sys
try:
    {}['missing']
except Exception as e:
    text = traceback.format_exc()
    print(text.splitlines()[-1], sys.exc_info()[0].__name__, type(e) is KeyError, 'line 3' in text)
""",
    "contextlib": r"""
from contextlib import contextmanager, suppress, ExitStack
@contextmanager
def ctx(n):
    print('in', n)
    try:
        yield n
    finally:
        print('out', n)
with ctx(1) as a, ctx(2) as (b):
    print(a, b)
with suppress(KeyError):
    {}[1]
with ExitStack() as st:
    xs = [st.enter_context(ctx(i)) for i in 'ab']
""",
    "unpacking in with and for": r"""
class P:
    def __enter__(self): return 1, (2, 3)
    def __exit__(self, *a): return False
with P() as (a, (b, c)):
    print(a, b, c)
class O: pass
o = O()
for o.x, [o.y] in [(1, [2])]: print(o.x, o.y)
o.z, d = 5, {}
d['k'], *o.rest = 1, 2, 3
print(o.z, d, o.rest)
""",
}
