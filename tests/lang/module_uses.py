"""How researchers use each module: a few lines each. What they print is what CPython prints."""

# ruff: noqa: E501 - scripts and sentences stand as they are

USES: dict[str, str] = {
    "abc": r"""
from abc import ABC, abstractmethod
class Probe(ABC):
    @abstractmethod
    def run(self): ...
    @property
    @abstractmethod
    def name(self): ...
class Ping(Probe):
    def run(self): return 1
    @property
    def name(self): return 'ping'
try:
    Probe()
except TypeError as e:
    print(str(e).split(' with')[0])
print(Ping().run(), Ping().name)
""",
    "argparse": r"""
import argparse
p = argparse.ArgumentParser(description='Ping things.', formatter_class=argparse.ArgumentDefaultsHelpFormatter)
p.add_argument('targets', nargs='+', help='where to')
p.add_argument('-c', '--count', type=int, default=3, choices=range(1, 10), help='how many of %(prog)s')
p.add_argument('--verbose', '-v', action='store_true')
p.add_argument('--tag', action='append')
g = p.add_mutually_exclusive_group()
g.add_argument('--v4', action='store_const', const=4, dest='family')
g.add_argument('--v6', action='store_const', const=6, dest='family')
a = p.parse_args(['-c', '5', '--tag', 'x', '--tag', 'y', '--v6', '192.0.2.1', '192.0.2.2'])
print(a.targets, a.count, a.verbose, a.tag, a.family, sorted(vars(a)))
a.count = 7
print(a.count)
s = argparse.ArgumentParser(prog='tool')
sub = s.add_subparsers(dest='command', required=True)
ping = sub.add_parser('ping', help='one')
ping.add_argument('dst')
ping.set_defaults(func=lambda args: print('ping', args.dst))
n = s.parse_args(['ping', 'h'])
n.func(n)
print(s.format_usage().strip())
try:
    p.parse_args(['-c', 'x', 'h'])
except SystemExit as e:
    print(e.code)
def port(text):
    if not text.isdigit():
        raise argparse.ArgumentTypeError('not a port')
    return int(text)
q = argparse.ArgumentParser(exit_on_error=False)
q.add_argument('--port', type=port)
try:
    q.parse_args(['--port', 'x'])
except argparse.ArgumentError as e:
    print(e.message)
print(q.parse_known_args(['--port', '3', '--other'])[1])
print('where to' in p.format_help())
""",
    "base64": r"""
import base64
print(base64.b64encode(b'hello'), base64.urlsafe_b64decode('aGVsbG8='), base64.b32encode(b'a'), base64.b85encode(b'ab'))
""",
    "binascii": r"""
import binascii
print(binascii.hexlify(b'ab'), binascii.unhexlify('6162'), binascii.crc32(b'ab'))
try:
    binascii.unhexlify('6')
except binascii.Error as e:
    print(e)
""",
    "bisect": r"""
import bisect
x = [1, 3, 5]
bisect.insort(x, 4)
print(x, bisect.bisect_left(x, 3), bisect.bisect(x, 3))
""",
    "calendar": r"""
import calendar
print(calendar.timegm((2026, 1, 2, 0, 0, 0)), calendar.isleap(2024), calendar.monthrange(2026, 2), calendar.day_name[0])
print(calendar.month_abbr[3])
""",
    "cmath": r"""
import cmath
print(cmath.sqrt(-1), cmath.phase(1j) > 1.5)
""",
    "collections": r"""
import collections
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
c = Counter('abca')
c['z'] += 2
print(c.most_common(1), c.total())
d = defaultdict(list)
d['k'].append(1)
q = deque(maxlen=2)
q.extend([1, 2, 3])
Hop = namedtuple('Hop', 'ttl addr', defaults=[None])
h = Hop(1)._replace(addr='a')
print(dict(d), list(q), h, h._asdict(), Hop._fields, Hop._make([2, 'b']))
class Hop2(namedtuple('Hop2', ['ttl', 'rtt'])):
    def ms(self):
        return self.rtt * 1000
print(Hop2(1, 2).ms(), collections.ChainMap({'a': 1}, {'b': 2})['b'], OrderedDict(a=1))
""",
    "collections.abc": r"""
import collections.abc
from collections.abc import Iterable, Mapping
class M(Mapping):
    def __getitem__(self, k): return 1
    def __iter__(self): return iter('ab')
    def __len__(self): return 2
print(isinstance([], Iterable), dict(M()), isinstance(M(), collections.abc.Mapping))
""",
    "contextlib": r"""
import contextlib
from contextlib import contextmanager, suppress, ExitStack, closing, nullcontext
@contextmanager
def timed(name):
    print('enter', name)
    try:
        yield name
    finally:
        print('leave', name)
with timed('a') as x, suppress(KeyError):
    {}['k']
with ExitStack() as s:
    s.enter_context(timed('b'))
    s.callback(print, 'callback')
with nullcontext(5) as v:
    print(v)
class C:
    def close(self): print('closed')
with closing(C()):
    pass
import io
with contextlib.redirect_stdout(io.StringIO()) as f:
    print('inside')
    with contextlib.redirect_stdout(io.StringIO()) as g:
        print('deeper', end='')
    print('again')
print(repr(f.getvalue()), repr(g.getvalue()))
""",
    "copy": r"""
import copy
class C:
    def __init__(self): self.a = [1]
x = C()
y = copy.copy(x); z = copy.deepcopy(x)
x.a.append(2)
print(y.a, z.a, copy.deepcopy({'k': [1, (2, {3})]}))
ring = [1]
ring.append(ring)
other = copy.deepcopy(ring)
print(other[1] is other, other is not ring)
import collections, dataclasses, enum
class Node:
    __slots__ = ('next', 'value')
    def __init__(self, value):
        self.value, self.next = value, self
n = copy.deepcopy(Node([1]))
print(n.next is n, n.value)
class Own:
    def __deepcopy__(self, memo):
        memo[id(self)] = new = Own()
        new.part = copy.deepcopy(self.part, memo)
        return new
o = Own()
o.part = [o]
p = copy.deepcopy([o, o])
print(p[0] is p[1], p[0].part[0] is p[0], p[0] is not o)
class Stack(list):
    pass
s = Stack([[1]])
s.name = 'x'
t = copy.deepcopy(s)
print(t, t.name, t[0] is not s[0], type(t).__name__)
class Table(dict):
    pass
print(copy.deepcopy(Table(a=[1])), copy.deepcopy(collections.defaultdict(list, a=[1])), copy.deepcopy(collections.Counter('aab')))
class Bad(ValueError):
    pass
e = copy.deepcopy(Bad('x', [1]))
print(repr(e), copy.deepcopy(collections.deque([1, [2]], maxlen=3)), copy.deepcopy((1, 2)))
class Level(enum.Enum):
    LOW = 1
@dataclasses.dataclass
class Hop:
    ttl: int
    rtts: list
    level: Level = Level.LOW
h = Hop(1, [[0.5]])
k = copy.deepcopy(h)
k.rtts[0].append(1)
print(h, k, copy.deepcopy(Level.LOW) is Level.LOW)
Pair = collections.namedtuple('Pair', 'a b')
print(copy.deepcopy(Pair([1], 2)), dataclasses.asdict(Hop(1, [Hop(2, [])])), dataclasses.astuple(Hop(1, [Pair(1, 2)])))
print(dataclasses.asdict(Hop(1, [{'k': Hop(3, [])}]), dict_factory=lambda pairs: len(pairs)))
""",
    "csv": r"""
import csv, io, sys
f = io.StringIO()
w = csv.DictWriter(f, fieldnames=['a', 'b'])
w.writeheader()
w.writerow({'a': 1, 'b': 'x,y'})
print(list(csv.DictReader(io.StringIO(f.getvalue()))), list(csv.reader(['a;b'], delimiter=';')))
csv.writer(sys.stdout, lineterminator='\n', quoting=csv.QUOTE_ALL).writerow([1, 2])
""",
    "dataclasses": r"""
import dataclasses
from dataclasses import dataclass, field, asdict, astuple, replace
from typing import ClassVar
@dataclass(order=True)
class Hop:
    ttl: int
    addr: str = ''
    rtts: list = field(default_factory=list, compare=False)
    count: ClassVar[int] = 7
    def __post_init__(self): self.seen = True
h = Hop(1, 'a')
h.rtts.append(0.5)
print(h, asdict(h), astuple(replace(h, ttl=2)), h < Hop(2), [f.name for f in dataclasses.fields(Hop)], h.seen, Hop.count)
@dataclass(frozen=True)
class F:
    x: int = 1
try:
    F().x = 2
except dataclasses.FrozenInstanceError as e:
    print(e)
@dataclass(slots=True, kw_only=True)
class S:
    x: int
print(S(x=3), hash(F()) == hash(F()))
""",
    "datetime": r"""
import datetime as dt
from datetime import datetime, timedelta, timezone
t = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
print(t.isoformat(), t.strftime('%Y-%m-%d %a'), (t + timedelta(hours=25)).date(), t.timestamp())
print(datetime.strptime('2026-01-02', '%Y-%m-%d'), dt.date(2026, 1, 2).isocalendar().week, datetime.fromtimestamp(0, dt.UTC))
print(datetime.now(timezone.utc) > t, t.astimezone().utcoffset(), datetime.fromisoformat('2026-01-02T03:04'))
""",
    "decimal": r"""
from decimal import Decimal, getcontext, localcontext, ROUND_HALF_UP, InvalidOperation
getcontext().prec = 6
print(Decimal(1) / 7, Decimal('2.675').quantize(Decimal('0.01'), ROUND_HALF_UP))
with localcontext() as ctx:
    ctx.prec = 3
    print(Decimal(1) / 7)
getcontext().traps[InvalidOperation] = True
try:
    Decimal('x')
except InvalidOperation:
    print('invalid')
""",
    "enum": r"""
from enum import Enum, IntEnum, Flag, StrEnum, auto, unique
@unique
class State(Enum):
    UP = 'up'
    DOWN = 'down'
    def flip(self): return State.DOWN if self is State.UP else State.UP
class Level(IntEnum):
    LOW = 1
    HIGH = 2
class Bits(Flag):
    A = auto()
    B = auto()
class Name(StrEnum):
    X = auto()
class Both(str, Enum):
    Q = 'q'
print(State.UP, State('down'), State.UP.flip().name, [s.value for s in State], Level.HIGH > 1, Level(1), repr(Level.LOW))
print(Bits.A | Bits.B, Name.X, Both.Q == 'q', State['UP'], len(State), State.UP in State, repr(State.UP))
Color = Enum('Color', 'RED GREEN')
print(Color.RED.value, list(Color))
match Level(2):
    case Level.LOW: print('low')
    case Level.HIGH: print('high')
try:
    State('x')
except ValueError as e:
    print(e)
""",
    "fractions": r"""
from fractions import Fraction
print(Fraction(1, 3) + Fraction('1/6'), Fraction(0.5).limit_denominator(3))
""",
    "functools": r"""
import functools
from functools import lru_cache, partial, reduce, wraps, total_ordering, cached_property, singledispatch, cmp_to_key
calls = []
@lru_cache(maxsize=None)
def slow(x):
    calls.append(x)
    return x * 2
slow(1); slow(1)
print(calls, slow.cache_info().hits, partial(int, base=2)('11'), reduce(lambda a, b: a + b, [1, 2, 3]))
def deco(f):
    @wraps(f)
    def inner(*a, **k):
        return f(*a, **k)
    return inner
@deco
def named():
    'says so'
print(named.__name__, named.__doc__)
@total_ordering
class V:
    def __init__(self, x): self.x = x
    def __eq__(self, o): return self.x == o.x
    def __lt__(self, o): return self.x < o.x
print(V(1) <= V(2), sorted([3, 1], key=cmp_to_key(lambda a, b: a - b)))
class P:
    n = 0
    @cached_property
    def v(self):
        self.n += 1
        return self.n
p = P(); p.v
print(p.v)
@singledispatch
def show(x): return 'any'
@show.register(int)
def show_int(x): return 'int'
print(show(1), show('a'))
@functools.cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(50))
""",
    "hashlib": r"""
import hashlib
print(hashlib.sha256(b'a').hexdigest()[:8], hashlib.md5(b'a').hexdigest()[:8], hashlib.new('sha1', b'a').hexdigest()[:8])
print(hashlib.blake2b(b'a', digest_size=4).hexdigest(), hashlib.shake_128(b'a').hexdigest(4), hashlib.sha3_256(b'a').name)
print(hashlib.pbkdf2_hmac('sha256', b'p', b's', 2).hex()[:8])
""",
    "heapq": r"""
import heapq
h = []
for x in (3, 1, 2): heapq.heappush(h, x)
print(heapq.heappop(h), heapq.nsmallest(2, [5, 4, 3]), list(heapq.merge([1, 3], [2])))
""",
    "hmac": r"""
import hmac
print(hmac.new(b'k', b'm', 'sha256').hexdigest()[:8], hmac.compare_digest('a', 'a'))
""",
    "html": r"""
import html
print(html.escape('<a>'), html.unescape('&amp;&eacute;'))
""",
    "io": r"""
import io
f = io.StringIO('a\nb\n')
print([line.strip() for line in f], io.BytesIO(b'abc').read(2))
with io.StringIO() as g:
    print('x', file=g)
    print(repr(g.getvalue()))
""",
    "ipaddress": r"""
import ipaddress
n = ipaddress.ip_network('192.0.2.0/29')
print(n.num_addresses, list(n.hosts())[0], ipaddress.ip_address('2001:db8::1').exploded, n.supernet(), ipaddress.IPv4Address('192.0.2.1') in n)
print(sorted([ipaddress.ip_address('192.0.2.9'), ipaddress.ip_address('192.0.2.1')])[0], n.broadcast_address, list(n.subnets())[1])
print([str(x) for x in ipaddress.collapse_addresses([ipaddress.ip_network('192.0.2.0/25'), ipaddress.ip_network('192.0.2.128/25')])])
try:
    ipaddress.ip_address('x')
except ValueError as e:
    print(e)
""",
    "itertools": r"""
import itertools as it
print(list(it.chain([1], [2])), list(it.islice(it.count(), 2)), [(k, len(list(g))) for k, g in it.groupby('aab')])
print(list(it.pairwise([1, 2, 3])), list(it.product('ab', repeat=2))[1], list(it.accumulate([1, 2, 3])), list(it.zip_longest('a', 'bc')))
print(list(it.combinations('abc', 2))[0], list(it.takewhile(lambda x: x < 2, [1, 2])), list(it.chain.from_iterable([[1]])))
""",
    "json": r"""
import json, sys, io
print(json.dumps({'b': [1, None, True], 'a': 'é'}, sort_keys=True, indent=1))
print(json.loads('{"a": 1.5}', parse_float=str), json.dumps({1}, default=list))
class E(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, set):
            return sorted(o)
        return super().default(o)
print(json.dumps({'s': {2, 1}}, cls=E))
json.dump([1], sys.stdout)
print()
print(json.load(io.StringIO('[2]')), json.loads('{"a": 1}', object_hook=lambda d: len(d)))
try:
    json.loads('{')
except json.JSONDecodeError as e:
    print(e.lineno, e.msg)
""",
    "logging": r"""
import logging, sys
logging.basicConfig(level=logging.INFO, format='%(levelname)s:%(name)s:%(message)s', stream=sys.stdout)
log = logging.getLogger('probe')
log.info('sent %d to %s', 3, 'a')
log.debug('not shown')
log.warning('careful')
logging.error('root %s', 'x')
try:
    1 / 0
except ZeroDivisionError:
    log.exception('failed')
log.setLevel(logging.DEBUG)
print(log.isEnabledFor(logging.DEBUG), log.name, logging.getLevelName(20))
""",
    "math": r"""
import math
print(math.sqrt(4), math.inf, math.isclose(0.1 + 0.2, 0.3), math.ceil(1.2), math.comb(4, 2), math.dist((0, 0), (3, 4)))
""",
    "numbers": r"""
import numbers
print(isinstance(1, numbers.Number), isinstance(1.5, numbers.Integral))
""",
    "operator": r"""
import operator
from operator import itemgetter, attrgetter, methodcaller
class H:
    def __init__(self, t):
        self.ttl = t
        self.addr = 'a.b'
hops = [H(2), H(1)]
print(sorted([('a', 2), ('b', 1)], key=itemgetter(1)), [h.ttl for h in sorted(hops, key=attrgetter('ttl'))])
print(methodcaller('upper')('x'), operator.add(1, 2), attrgetter('ttl', 'addr')(hops[0]), attrgetter('ttl.real')(hops[0]))
print(operator.contains([1], 1), operator.xor(1, 3), operator.truediv(1, 2))
""",
    "pprint": r"""
import pprint
pprint.pprint({'b': 1, 'a': [1, 2]})
print(pprint.pformat([1]))
""",
    "random": r"""
import random
random.seed(1)
a = random.random()
random.seed(1)
print(a == random.random(), random.randint(1, 1), random.choice([3]), len(random.sample(range(10), 4)))
x = [1, 2, 3]
random.shuffle(x)
r = random.Random(5)
print(sorted(x), r.randint(0, 9) == random.Random(5).randint(0, 9), 0 <= random.SystemRandom().random() < 1, random.choices('a', k=2))
""",
    "re": r"""
import re
p = re.compile(r'(?P<ttl>\d+)\s+(\S+)', re.I | re.M)
m = p.match('12 host')
print(m.group('ttl'), m[2], m.groupdict(), p.sub(r'\2 \g<ttl>', '1 a'), re.sub('a', lambda m: m.group().upper(), 'banana'))
print(re.findall(r'\w', 'a b'), re.split(',', 'a,b'), [x.start() for x in re.finditer('a', 'aba')], re.escape('a.b'), m.expand(r'\1'))
try:
    re.compile('(')
except re.error as e:
    print(e.msg)
""",
    "secrets": r"""
import secrets
print(len(secrets.token_hex(4)), secrets.randbelow(1), secrets.choice([1]))
""",
    "statistics": r"""
import statistics
x = [1.0, 2.0, 3.0, 10.0]
print(statistics.mean(x), statistics.median(x), round(statistics.stdev(x), 3), statistics.quantiles(x, n=4), statistics.mode([1, 1, 2]))
print(round(statistics.NormalDist(0, 1).cdf(0), 1), statistics.fmean(x), round(statistics.correlation([1, 2, 3], [1, 2, 4]), 3))
try:
    statistics.mean([])
except statistics.StatisticsError as e:
    print(e)
""",
    "string": r"""
import string
print(string.ascii_lowercase[:3], string.Template('$a ${b}').substitute(a=1, b=2), string.capwords('a b'))
""",
    "struct": r"""
import struct
print(struct.pack('!HI', 1, 2), struct.unpack('<H', b'\1\0'), struct.calcsize('Q'), struct.Struct('!H').size)
""",
    "sys": r"""
import sys
print(len(sys.argv), sys.maxsize > 0, sys.version_info >= (3, 11), sys.byteorder in ('little', 'big'), sys.float_info.max > 0)
print('e', file=sys.stderr)
sys.stdout.write('w\n')
sys.stdout.flush()
try:
    sys.exit(3)
except SystemExit as e:
    print(e.code)
""",
    "textwrap": r"""
import textwrap
print(textwrap.dedent('  a\n  b'), textwrap.fill('aa bb', 2), textwrap.shorten('hello world', 8), textwrap.indent('a', '> '))
""",
    "time": r"""
import time
t = time.time(); m = time.monotonic(); time.sleep(0)
print(t > 1, m <= time.monotonic(), time.strftime('%Y', time.gmtime(0)), time.strptime('2026', '%Y').tm_year, time.perf_counter_ns() > 0)
print(time.strftime('%H', time.localtime(0)), time.tzname[0], time.mktime(time.gmtime(0)))
""",
    "traceback": r"""
import traceback
def f():
    return 1 / 0
try:
    f()
except ZeroDivisionError as e:
    text = traceback.format_exc()
    print(text.splitlines()[0], '|', text.splitlines()[-1], 'in f' in text)
    print(traceback.format_exception_only(type(e), e))
    traceback.print_exc()
""",
    "types": r"""
import types
n = types.SimpleNamespace(a=1)
n.b = 2
print(n, isinstance(len, types.FunctionType))
""",
    "typing": r"""
from typing import Any, Callable, Dict, Generic, List, NamedTuple, Optional, Protocol, TypedDict, TypeVar, Union, cast
T = TypeVar('T')
Table = Dict[str, List[Optional[int]]]
class Hop(NamedTuple):
    ttl: int
    addr: str = ''
    def short(self): return f'{self.ttl}:{self.addr}'
class Box(Generic[T]):
    def __init__(self, x: T) -> None: self.x = x
class Row(TypedDict, total=False):
    a: int
class P(Protocol):
    def go(self) -> int: ...
print(Hop(1, 'a').short(), Hop(2)._asdict(), Box[int](3).x, Row(a=1), cast(int, 'x'))
def f(x: 'Undefined', *, y: Optional[Callable[[Any], Union[int, str]]] = None) -> 'Nope':
    z: Table = {}
    return z
print(f(1))
Pair = NamedTuple('Pair', [('a', int), ('b', int)])
print(Pair(1, 2))
""",
    "unicodedata": r"""
import unicodedata
print(unicodedata.name('a'), unicodedata.normalize('NFC', 'e\u0301'))
""",
    "urllib.parse": r"""
import urllib.parse
from urllib.parse import urlparse, urlencode, quote
u = urlparse('https://www.example.net:8443/a?b=c#d')
print(u.hostname, u.port, u.path, urllib.parse.parse_qs(u.query), urlencode({'a': 'b c'}), quote('/ä'), u._replace(fragment='').geturl())
""",
    "uuid": r"""
import uuid
print(uuid.uuid5(uuid.NAMESPACE_DNS, 'x'), uuid.uuid4().version, uuid.UUID(int=1))
""",
    "zlib": r"""
import zlib
print(zlib.decompress(zlib.compress(b'abc')), zlib.crc32(b'a'))
""",
    "zoneinfo": r"""
import zoneinfo
from zoneinfo import ZoneInfo
from datetime import datetime
z = ZoneInfo('Pacific/Auckland')
print(datetime(2026, 1, 1, tzinfo=z).utcoffset(), datetime(2026, 7, 1, tzinfo=z).tzname(), z.key, z is ZoneInfo('Pacific/Auckland'))
print(len(zoneinfo.available_timezones()) > 400, str(ZoneInfo('UTC')))
try:
    ZoneInfo('Nowhere/Land')
except zoneinfo.ZoneInfoNotFoundError as e:
    print(type(e).__name__)
""",
}
