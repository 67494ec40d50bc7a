"""What a script can name: builtins, modules and their listed names, and special methods, each with a reason.

Flat tables, read by `modules.py`, `environment.py`, `transformer.py`, the reference page and the tests.
A name that is not here does not exist for a script. To add one, write down why it leads nowhere: it must
not read or write attributes by a text that the script chose, open anything, run text as code, keep state
that is shared with the host, or show a module, frame, code object or metaclass through a plain name.
"""

from typing import Final, NamedTuple


class Group(NamedTuple):
    """Names of one module that are safe for one reason."""

    reason: str
    names: str


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


PURE: Final = "computes a new value from its arguments; touches nothing else"
DATA: Final = "an immutable constant"
TYPE: Final = "a type of plain values, immutable for scripts"
ERROR: Final = "an exception class; its attributes are plain values"
OURS: Final = "our own stand-in, which asks the guards before it reads or writes an attribute"
HINT: Final = "a word for annotations and bases; evaluates nothing"
ABSTRACT: Final = "an abstract class; `register` is refused because the class is shared"

BUILTINS: Final[dict[str, Group]] = {
    "values": Group(
        PURE,
        "abs all any ascii bin callable chr divmod enumerate filter format hash hex id isinstance issubclass "
        "iter len map max min next oct ord pow range repr reversed round slice sorted sum zip",
    ),
    "types": Group(TYPE, "bool bytearray bytes complex dict float frozenset int list memoryview object set str tuple"),
    "class parts": Group("makes descriptors for the script's own classes", "classmethod property staticmethod super"),
    "constants": Group(DATA, "Ellipsis False None NotImplemented True __debug__"),
    "guarded": Group(OURS, "delattr dir getattr hasattr setattr type vars __build_class__ __import__"),
    "streams": Group("writes to the run's output, or ends the script", "print exit quit open"),
    "exceptions": Group(
        ERROR,
        "ArithmeticError AssertionError AttributeError BaseException BlockingIOError BrokenPipeError BufferError "
        "BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError "
        "ConnectionResetError DeprecationWarning EOFError EncodingWarning EnvironmentError Exception "
        "FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError ImportError "
        "ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt "
        "LookupError MemoryError ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError "
        "OverflowError PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError "
        "ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning "
        "SystemError SystemExit TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError "
        "UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning "
        "ZeroDivisionError",
    ),
}

# Special methods that a script may define in a class and call by name. Left out on purpose: __getattr__
# __getattribute__ __setattr__ __delattr__ __get__ __set__ __delete__ __set_name__ __init_subclass__
# __class_getitem__ __new__ __del__ __reduce__ __reduce_ex__ __getstate__ __setstate__ __format__ __index__
# __fspath__ __prepare__ __mro_entries__ __instancecheck__ __subclasscheck__ __dir__ __sizeof__ __buffer__:
# they answer for the interpreter or the host where those do not expect a script.
SPECIAL_METHODS: Final = words(
    "__init__ __post_init__ __repr__ __str__ __bytes__ __bool__ __hash__ __len__ __length_hint__ __contains__ "
    "__eq__ __ne__ __lt__ __le__ __gt__ __ge__ __call__ __iter__ __next__ __reversed__ __enter__ __exit__ "
    "__getitem__ __setitem__ __delitem__ __missing__ __copy__ __deepcopy__ __int__ __float__ __complex__ "
    "__round__ __floor__ __ceil__ __trunc__ __neg__ __pos__ __abs__ __invert__ __add__ __sub__ __mul__ "
    "__truediv__ __floordiv__ __mod__ __divmod__ __pow__ __matmul__ __and__ __or__ __xor__ __lshift__ "
    "__rshift__ __radd__ __rsub__ __rmul__ __rtruediv__ __rfloordiv__ __rmod__ __rdivmod__ __rpow__ "
    "__rmatmul__ __rand__ __ror__ __rxor__ __rlshift__ __rrshift__ __iadd__ __isub__ __imul__ __itruediv__ "
    "__ifloordiv__ __imod__ __ipow__ __imatmul__ __iand__ __ior__ __ixor__ __ilshift__ __irshift__"
)

# Reserved names that may be read through `_dunder_`, which answers with plain values only.
READABLE_DUNDERS: Final = words(
    "__class__ __name__ __qualname__ __doc__ __module__ __cause__ __context__ __suppress_context__ __dict__ __members__"
)

# Plain names that are harmless on most objects and powerful on a few (text formatting, the object behind an
# AttributeError, registries of abstract classes, a class's ancestors): the guard looks at the value.
ASKED: Final = frozenset({"format", "format_map", "mro", "obj", "register"})

# What enum and namedtuple classes use names with underscores at both ends for.
ENUM_NAMES: Final = words(
    "_missing_ _generate_next_value_ _ignore_ _order_ _value_ _name_ _value2member_map_ _member_map_ _member_names_"
)
ENUM_HOOKS: Final = frozenset(["_missing_", "_generate_next_value_", "_ignore_", "_order_"])

# What a module may say of itself.
MODULE_DUNDERS: Final = words(
    "__all__ __author__ __authors__ __contact__ __copyright__ __credits__ __date__ __email__ __license__ "
    "__maintainer__ __status__ __version__"
)

# Modules that C code of the interpreter looks up through the script's __import__: they are loaded already,
# C takes them from the interpreter's own table, and the script gets an empty view.
C_IMPORTS: Final = words("_strptime time re unicodedata locale copyreg numbers warnings io")

MODULES: Final[dict[str, tuple[Group, ...]]] = {
    "abc": (
        Group(ABSTRACT, "ABC"),
        Group("marks the script's own functions", "abstractmethod"),
    ),
    "argparse": (
        Group(
            "a private copy of the module that opens no files, writes to the run's streams and sets plain names "
            "on its own Namespace only",
            "Action ArgumentDefaultsHelpFormatter ArgumentParser BooleanOptionalAction HelpFormatter "
            "MetavarTypeHelpFormatter Namespace RawDescriptionHelpFormatter RawTextHelpFormatter",
        ),
        Group(ERROR, "ArgumentError ArgumentTypeError"),
        Group(DATA, "ONE_OR_MORE OPTIONAL PARSER REMAINDER SUPPRESS ZERO_OR_MORE"),
    ),
    "array": (Group(TYPE, "array typecodes"),),
    "base64": (
        Group(
            PURE,
            "a85decode a85encode b16decode b16encode b32decode b32encode b32hexdecode b32hexencode b64decode "
            "b64encode b85decode b85encode decodebytes encodebytes standard_b64decode standard_b64encode "
            "urlsafe_b64decode urlsafe_b64encode",
        ),
    ),
    "binascii": (
        Group(
            PURE, "a2b_base64 a2b_hex a2b_qp a2b_uu b2a_base64 b2a_hex b2a_qp b2a_uu crc32 crc_hqx hexlify unhexlify"
        ),
        Group(ERROR, "Error Incomplete"),
    ),
    "bisect": (Group(PURE, "bisect bisect_left bisect_right insort insort_left insort_right"),),
    "calendar": (
        Group(PURE, "isleap leapdays monthrange monthcalendar timegm weekday weekheader month calendar firstweekday"),
        Group(TYPE, "Calendar TextCalendar HTMLCalendar"),
        Group(
            DATA,
            "day_abbr day_name month_abbr month_name January February MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY "
            "SATURDAY SUNDAY",
        ),
        Group(ERROR, "IllegalMonthError IllegalWeekdayError"),
    ),
    "cmath": (
        Group(
            PURE,
            "acos acosh asin asinh atan atanh cos cosh exp isclose isfinite isinf isnan log log10 phase polar rect "
            "sin sinh sqrt tan tanh",
        ),
        Group(DATA, "e inf infj nan nanj pi tau"),
    ),
    "collections": (
        Group(TYPE, "ChainMap Counter OrderedDict UserDict UserList defaultdict deque"),
        Group(OURS, "namedtuple"),
        Group("the view of collections.abc", "abc"),
    ),
    "collections.abc": (
        Group(
            ABSTRACT,
            "ByteString Callable Collection Container Generator Hashable ItemsView Iterable Iterator KeysView Mapping "
            "MappingView MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized ValuesView",
        ),
    ),
    "contextlib": (
        Group(
            "context managers over the script's own objects",
            "AbstractContextManager ContextDecorator ExitStack closing contextmanager nullcontext suppress",
        ),
        Group(OURS, "redirect_stdout"),
    ),
    "copy": (
        Group(
            "our own deepcopy takes plain containers and the script's objects apart, nothing of the host's",
            "copy deepcopy",
        ),
        Group(ERROR, "Error error"),
    ),
    "csv": (
        Group("reads and writes objects that the script already has", "DictReader DictWriter Sniffer reader writer"),
        Group(TYPE, "Dialect excel excel_tab unix_dialect"),
        Group(DATA, "QUOTE_ALL QUOTE_MINIMAL QUOTE_NONE QUOTE_NONNUMERIC"),
        Group(
            "settings of this process alone, which runs one script", "field_size_limit list_dialects register_dialect"
        ),
        Group(ERROR, "Error"),
    ),
    "dataclasses": (
        Group(OURS, "dataclass make_dataclass"),
        Group("reads fields that a dataclass of the script declares", "asdict astuple fields is_dataclass replace"),
        Group("describes a field", "Field field InitVar KW_ONLY MISSING"),
        Group(ERROR, "FrozenInstanceError"),
    ),
    "datetime": (
        Group(TYPE, "date datetime time timedelta timezone tzinfo"),
        Group(DATA, "MAXYEAR MINYEAR UTC"),
    ),
    "decimal": (
        Group(TYPE, "Context Decimal DecimalTuple"),
        Group("the number settings of this process alone, which runs one script", "getcontext localcontext setcontext"),
        Group(
            DATA,
            "MAX_EMAX MAX_PREC MIN_EMIN MIN_ETINY ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN "
            "ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP",
        ),
        Group(
            ERROR,
            "Clamped ConversionSyntax DecimalException DivisionByZero DivisionImpossible DivisionUndefined "
            "FloatOperation Inexact InvalidContext InvalidOperation Overflow Rounded Subnormal Underflow",
        ),
    ),
    "enum": (
        Group(
            "bases whose functional form accepts plain names only",
            "Enum Flag IntEnum IntFlag StrEnum",
        ),
        Group("marks members of the script's own enums", "auto unique"),
    ),
    "fractions": (Group(TYPE, "Fraction"),),
    "functools": (
        Group(
            "calls what the script gives it", "cache cached_property cmp_to_key lru_cache partial partialmethod reduce"
        ),
        Group(OURS, "singledispatch total_ordering update_wrapper wraps"),
        Group(DATA, "WRAPPER_ASSIGNMENTS WRAPPER_UPDATES"),
    ),
    "hashlib": (
        Group(
            "digests bytes",
            "blake2b blake2s md5 new pbkdf2_hmac sha1 sha224 sha256 sha384 sha3_224 sha3_256 sha3_384 sha3_512 sha512 "
            "shake_128 shake_256",
        ),
        Group(DATA, "algorithms_available algorithms_guaranteed"),
    ),
    "heapq": (Group(PURE, "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest"),),
    "hmac": (Group("digests bytes", "compare_digest digest new"),),
    "html": (Group(PURE, "escape unescape"),),
    "io": (
        Group("a text or bytes buffer in memory", "BytesIO StringIO"),
        Group(DATA, "DEFAULT_BUFFER_SIZE SEEK_CUR SEEK_END SEEK_SET"),
        Group(ERROR, "UnsupportedOperation"),
    ),
    "ipaddress": (
        Group(
            PURE,
            "collapse_addresses get_mixed_type_key ip_address ip_interface ip_network summarize_address_range "
            "v4_int_to_packed v6_int_to_packed",
        ),
        Group(TYPE, "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network"),
        Group(DATA, "IPV4LENGTH IPV6LENGTH"),
        Group(ERROR, "AddressValueError NetmaskValueError"),
    ),
    "itertools": (
        Group(
            "iterates over what the script gives it",
            "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse "
            "groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest",
        ),
    ),
    "json": (
        Group(
            "turns plain values into text and back; hooks are the script's own functions",
            "JSONDecoder JSONEncoder dump dumps load loads",
        ),
        Group(ERROR, "JSONDecodeError"),
    ),
    "logging": (
        Group(
            "our own small logging: writes to the run's streams, formats with the guarded format",
            "BASIC_FORMAT FileHandler Filter Formatter Handler LogRecord Logger LoggerAdapter NullHandler "
            "StreamHandler addLevelName basicConfig captureWarnings critical debug disable error exception fatal "
            "getLevelName getLogger info log root shutdown warn warning",
        ),
        Group(DATA, "CRITICAL DEBUG ERROR FATAL INFO NOTSET WARN WARNING"),
    ),
    "math": (
        Group(
            PURE,
            "acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist erf erfc exp exp2 "
            "expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot isclose isfinite isinf isnan isqrt lcm ldexp "
            "lgamma log log10 log1p log2 modf nextafter perm pow prod radians remainder sin sinh sqrt tan tanh trunc "
            "ulp",
        ),
        Group(DATA, "e inf nan pi tau"),
    ),
    "numbers": (Group(ABSTRACT, "Complex Integral Number Rational Real"),),
    "operator": (
        Group(OURS, "attrgetter methodcaller"),
        Group(
            PURE,
            "abs add and_ concat contains countOf delitem eq floordiv ge getitem gt iadd iand iconcat ifloordiv "
            "ilshift imatmul imod imul index indexOf inv invert ior ipow irshift is_ is_not isub itemgetter itruediv "
            "ixor le length_hint lshift lt matmul mod mul ne neg not_ or_ pos pow rshift setitem sub truediv truth xor",
        ),
    ),
    "pprint": (
        Group("prints to the run's output, or to the stream that it is given", "PrettyPrinter pp pprint"),
        Group(PURE, "isreadable isrecursive pformat saferepr"),
    ),
    "random": (
        Group(
            "methods of a generator made for this run",
            "betavariate choice choices expovariate gammavariate gauss getrandbits getstate lognormvariate "
            "normalvariate paretovariate randbytes randint random randrange sample seed setstate shuffle triangular "
            "uniform vonmisesvariate weibullvariate",
        ),
        Group("generators of the script's own", "Random SystemRandom"),
    ),
    "re": (
        Group(
            "matches text; a pattern that never ends is ended by the CPU limit",
            "Match Pattern compile escape findall finditer fullmatch match search split sub subn",
        ),
        Group(
            DATA,
            "A ASCII DOTALL I IGNORECASE M MULTILINE NOFLAG RegexFlag S U UNICODE VERBOSE X",
        ),
        Group(ERROR, "error"),
    ),
    "secrets": (
        Group(
            "the system's random numbers",
            "choice compare_digest randbelow randbits token_bytes token_hex token_urlsafe",
        ),
    ),
    "statistics": (
        Group(
            PURE,
            "correlation covariance fmean geometric_mean harmonic_mean linear_regression mean median median_grouped "
            "median_high median_low mode multimode pstdev pvariance quantiles stdev variance",
        ),
        Group(TYPE, "NormalDist"),
        Group(ERROR, "StatisticsError"),
    ),
    "string": (
        Group(PURE, "capwords"),
        Group(
            DATA,
            "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation whitespace",
        ),
        Group(
            "substitutes names by items, never by attributes; string.Formatter is left out for that reason", "Template"
        ),
    ),
    "struct": (
        Group(PURE, "calcsize iter_unpack pack pack_into unpack unpack_from"),
        Group(TYPE, "Struct"),
        Group(ERROR, "error"),
    ),
    "sys": (
        Group("made for this run: its arguments, its streams, its end", "argv exit stderr stdin stdout exc_info"),
        Group("a limit of this process alone, up to 20000", "getrecursionlimit setrecursionlimit"),
        Group(PURE, "getdefaultencoding getsizeof intern"),
        Group(
            DATA,
            "byteorder copyright float_info hash_info hexversion implementation int_info maxsize maxunicode platform "
            "version version_info",
        ),
    ),
    "textwrap": (Group(PURE, "dedent fill indent shorten wrap"), Group(TYPE, "TextWrapper")),
    "time": (
        Group(
            "reads this process's clocks, or waits",
            "asctime ctime gmtime localtime mktime monotonic monotonic_ns perf_counter perf_counter_ns process_time "
            "process_time_ns sleep strftime strptime time time_ns",
        ),
        Group(TYPE, "struct_time"),
        Group("the worker's time zone is UTC", "altzone daylight timezone tzname"),
    ),
    "traceback": (
        Group(
            "formats exceptions with the script's own lines; no frame or traceback object is shown",
            "format_exc format_exception format_exception_only print_exc print_exception",
        ),
    ),
    "types": (
        Group(TYPE, "MappingProxyType NoneType SimpleNamespace"),
        Group("names of types, for isinstance", "EllipsisType FunctionType GeneratorType LambdaType MethodType"),
    ),
    "typing": (
        Group(
            HINT,
            "AbstractSet Annotated Any AnyStr Callable ChainMap ClassVar Collection Concatenate Container Counter "
            "DefaultDict Deque Dict Final FrozenSet Generator Generic Hashable ItemsView Iterable Iterator KeysView "
            "List Literal LiteralString Mapping MutableMapping MutableSequence MutableSet NamedTuple Never NewType "
            "NoReturn NotRequired Optional OrderedDict ParamSpec Pattern Match Protocol Required Reversible Self "
            "Sequence Set Sized SupportsAbs SupportsBytes SupportsComplex SupportsFloat SupportsInt SupportsRound "
            "TYPE_CHECKING Text TextIO IO BinaryIO Tuple Type TypeAlias TypeGuard TypeVar TypedDict Union Unpack "
            "ValuesView",
        ),
        Group(
            "returns its argument",
            "assert_never assert_type cast final no_type_check overload runtime_checkable",
        ),
    ),
    "unicodedata": (
        Group(
            PURE,
            "bidirectional category combining decimal decomposition digit east_asian_width is_normalized lookup "
            "mirrored name normalize numeric unidata_version",
        ),
    ),
    "urllib": (Group("the view of urllib.parse", "parse"),),
    "urllib.parse": (
        Group(
            PURE,
            "parse_qs parse_qsl quote quote_from_bytes quote_plus unquote unquote_plus unquote_to_bytes urldefrag "
            "urlencode urljoin urlparse urlsplit urlunparse urlunsplit",
        ),
        Group(TYPE, "DefragResult ParseResult SplitResult"),
    ),
    "uuid": (
        Group(TYPE, "UUID"),
        Group("makes identifiers; none tells of the machine", "uuid3 uuid4 uuid5"),
        Group(DATA, "NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500"),
    ),
    "warnings": (
        Group("says a line on stderr; filters have no effect", "filterwarnings simplefilter warn catch_warnings"),
    ),
    "zlib": (
        Group(PURE, "adler32 compress crc32 decompress compressobj decompressobj"),
        Group(ERROR, "error"),
    ),
    "zoneinfo": (
        Group("zones from memory; no file is read", "ZoneInfo available_timezones"),
        Group(ERROR, "ZoneInfoNotFoundError"),
    ),
}


def listed(module: str) -> list[str]:
    """The names of a module, in the table's order."""
    return [name for group in MODULES[module] for name in group.names.split()]


def builtin_names() -> list[str]:
    """The names of the builtins."""
    return [name for group in BUILTINS.values() for name in group.names.split()]
