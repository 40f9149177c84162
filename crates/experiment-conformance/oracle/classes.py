"""The rule table: which construct makes which official engine differ from ours, by design.

`condition_class(engine, condition, value)` and `bucket_class(engine, bucket, value)` name the class
(D1 to D33, or a decision, of the evaluation spec) or return None where the engine must agree.
A rule names a construct that is present, not an answer: compare.py asks it about conditions whose
answers differ, generate.py avoids for the profile `common` every condition that any rule names.

Values carry number tokens as `wire.Number`. To stay sharp, rules compare what the law and the
engine make of the same value (its text, its list, its number, its version), never just its type.
"""

import json
import re
from decimal import Decimal

from wire import Number, read, write

ENGINES = ("node", "python")

TITLES = {
    "D1": "regex: full match against search, dialect",
    "D2": "`set is not`, `regex does not match` on a missing property",
    "D3": "regex that the engine rejects: the whole call fails",
    "D4": "dependency cycle: the whole call fails",
    "D5": "text list with NaN or Infinity is not strict JSON",
    "D6": "version numbers beyond u64",
    "D8": "node: number grammar, no string fallback",
    "D9": "python: number grammar",
    "D10": "text of floats",
    "D12": "integers beyond 2^53 (node) or i64 (python)",
    "D13": "python: falsy values count as missing",
    "D14": "python: `True` and `False` as text",
    "D16": "python: set operators on an empty list",
    "D17": "JSON text of objects and arrays",
    "D20": "python: `conditions: []` matches",
    "D21": "empty selector element",
    "D22": "node: empty strings dropped from lists",
    "D23": "size test of sets with duplicates",
    "D26": "order of NaN and -0",
    "D27": "version syntax",
    "D28": "payload is selectable",
    "D29": "order of astral characters",
    "D30": "metadata of an empty merge",
    "D32": "node: prototype members and array indices",
    "decision 11": "a whole result is selectable",
}

SET_OPERATORS = {
    "set is",
    "set is not",
    "set contains",
    "set does not contain",
    "set contains any",
    "set does not contain any",
}
NUMBER_OPERATORS = {"less", "less or equal", "greater", "greater or equal"}
VERSION_OPERATORS = {f"version {operator}" for operator in NUMBER_OPERATORS}
REGEX_OPERATORS = {"regex match", "regex does not match"}
# For `True` against `true` these ignore case.
CASELESS_OPERATORS = {
    "is",
    "is not",
    "contains",
    "does not contain",
    "set contains",
    "set does not contain",
    "set contains any",
    "set does not contain any",
}
OPERATORS = (
    {"is", "is not", "contains", "does not contain"}
    | SET_OPERATORS
    | NUMBER_OPERATORS
    | VERSION_OPERATORS
    | REGEX_OPERATORS
)

I64 = range(-(2**63), 2**63)
SAFE_INTEGER = 2**53


# --- Selection -----------------------------------------------------------------------------------


def select(target, selector):
    """The value under the law: objects only, missing and null are None."""
    if not selector:
        return None
    value = target
    for element in selector:
        if not isinstance(value, dict):
            return None
        value = value.get(element)
    return value


def node_finds_more(target, selector):
    """True if JavaScript finds something on the way that is no member of a JSON object."""
    value = target
    for element in selector:
        if isinstance(value, list):
            return element == "length" or element.isdigit() and int(element) < len(value) or element in LIST_MEMBERS
        if not isinstance(value, dict):
            return False
        if element not in value:
            return element in OBJECT_MEMBERS
        value = value[element]
    return False


OBJECT_MEMBERS = {"constructor", "toString", "valueOf", "hasOwnProperty", "__proto__", "isPrototypeOf"}
LIST_MEMBERS = OBJECT_MEMBERS | {"map", "filter", "at", "concat", "some", "every", "keys", "values"}


# --- Text ----------------------------------------------------------------------------------------


def digits_and_exponent(number):
    """Shortest digits `d1d2…` and the exponent `e` of `0.d1d2… × 10^e`."""
    _, digits, exponent = Decimal(repr(abs(number))).as_tuple()
    text = "".join(map(str, digits)).lstrip("0") or "0"
    exponent += len(text)
    return text.rstrip("0") or "0", exponent


def is_integer_token(token):
    return not any(c in token for c in ".eE")


def law_number_text(token):
    if is_integer_token(token) and int(token) in I64 and token != "-0":
        return str(int(token))
    return java_double_text(float(token))


def java_double_text(number):
    sign = "-" if str(number).startswith("-") else ""
    magnitude = abs(number)
    if magnitude == float("inf"):
        return sign + "Infinity"
    if magnitude == 0:
        return sign + "0.0"
    digits, exponent = digits_and_exponent(magnitude)
    if 1e-3 <= magnitude < 1e7:
        if exponent <= 0:
            return f"{sign}0.{'0' * -exponent}{digits}"
        whole = digits[:exponent].ljust(exponent, "0")
        return f"{sign}{whole}.{digits[exponent:] or '0'}"
    if magnitude == 5e-324:
        digits = "49"
        exponent = -323
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent - 1}"


def node_number_text(token):
    number = float(token)
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    if abs(number) == float("inf"):
        return sign + "Infinity"
    digits, exponent = digits_and_exponent(number)
    if len(digits) <= exponent <= 21:
        return sign + digits.ljust(exponent, "0")
    if 0 < exponent <= 21:
        return f"{sign}{digits[:exponent]}.{digits[exponent:]}"
    if -6 < exponent <= 0:
        return f"{sign}0.{'0' * -exponent}{digits}"
    power = exponent - 1
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'+' if power > 0 else '-'}{abs(power)}"


def python_number_text(token):
    return str(int(token)) if is_integer_token(token) else repr(float(token))


def json_text(value, number_text, node):
    """Compact JSON; with `node`, integer keys come first, in ascending order."""
    if isinstance(value, Number):
        return number_text(value)
    if isinstance(value, dict):
        keys = list(value)
        if node:
            indices = [k for k in keys if re.fullmatch(r"0|[1-9][0-9]{0,8}", k)]
            keys = sorted(indices, key=int) + [k for k in keys if k not in indices]
        return "{" + ",".join(f"{write(k)}:{json_text(value[k], number_text, node)}" for k in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(json_text(v, number_text, node) for v in value) + "]"
    return write(value)


def law_text(value):
    if isinstance(value, Number):
        return law_number_text(value)
    return value if isinstance(value, str) else json_text(value, law_number_text, False)


def node_text(value):
    if isinstance(value, Number):
        return node_number_text(value)
    return value if isinstance(value, str) else json_text(value, node_number_text, True)


def python_text(value):
    if isinstance(value, Number):
        return python_number_text(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    return json.dumps(json.loads(write(value)))


ENGINE_TEXT = {"node": node_text, "python": python_text}


def text_class(engine, value):
    """Why this engine prints another text than the law, or None where the text is the same."""
    if law_text(value) == ENGINE_TEXT[engine](value):
        return None
    if isinstance(value, Number):
        if is_integer_token(value) and abs(int(value)) > SAFE_INTEGER:
            return "D12"
        return "D10"
    if isinstance(value, bool):
        return "D14"
    return "D17"


# --- Lists ---------------------------------------------------------------------------------------


def elements(value):
    """The elements of an array or of text that is a strict JSON array, nulls dropped; else None."""
    if isinstance(value, list):
        found = value
    elif isinstance(value, str) and not isinstance(value, Number) and value.startswith("["):
        try:
            found = read(value)
        except (ValueError, RecursionError):
            return None
        # The reader takes NaN and Infinity, which are not JSON.
        if any(is_constant(v) for v in found):
            return None
    else:
        return None
    return [v for v in found if v is not None]


def is_constant(value):
    if isinstance(value, Number):
        return value.lstrip("-")[:1] in ("N", "I")
    if isinstance(value, list):
        return any(map(is_constant, value))
    return isinstance(value, dict) and any(map(is_constant, value.values()))


def python_reads_more(value):
    """True for text such as `[NaN]`, a list in Python only."""
    if not isinstance(value, str) or isinstance(value, Number) or not value.startswith("["):
        return False
    try:
        return isinstance(read(value), list) and elements(value) is None
    except (ValueError, RecursionError):
        return False


# --- Numbers and versions in text ----------------------------------------------------------------

DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
LAW_NUMBER = re.compile(rf"[+-]?(?:NaN|Infinity|({DECIMAL})[fFdD]?|(0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+)[fFdD]?)")
NODE_NUMBER = re.compile(rf"[+-]?(?:Infinity|{DECIMAL})|0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|")
# Trimmed by JavaScript, beyond what every engine trims.
NODE_SPACE = "\ufeff\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
C0_AND_SPACE = "".join(map(chr, range(0x21)))


def law_number(text):
    trimmed = text.strip(C0_AND_SPACE)
    if not LAW_NUMBER.fullmatch(trimmed):
        return None
    if "x" in trimmed.lower():
        return float.fromhex(trimmed.rstrip("fFdD") if re.search(r"[pP][+-]?[0-9]+[fFdD]$", trimmed) else trimmed)
    return float(trimmed.rstrip("fFdD"))


def node_number(text):
    """The number, or None where JavaScript has NaN."""
    trimmed = text.strip(" \t\n\r\v\f" + NODE_SPACE)
    if not NODE_NUMBER.fullmatch(trimmed):
        return None
    if trimmed == "":
        return 0.0
    if trimmed[1:2] in tuple("xXbBoO"):
        return float(int(trimmed, 0))
    return float(trimmed)


def python_number(text):
    try:
        return float(text)
    except ValueError:
        return None


def same_number(a, b):
    return a == b or a is not None and b is not None and a != a and b != b


LAW_VERSION = re.compile(
    r"([0-9]+)\.([0-9]+)(?:\.([0-9]+)"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)?"
)
# The engines' own pattern without its nested repetition, which would be exponential.
ENGINE_VERSION = r"^(\d+)\.(\d+)(\.(\d+)(-((?:[-\w]\.?)*))?)?$"
ENGINE_VERSIONS = {"node": re.compile(ENGINE_VERSION[:-1] + r"\Z", re.ASCII), "python": re.compile(ENGINE_VERSION)}


def law_version(text):
    found = LAW_VERSION.fullmatch(text)
    if not found:
        return None
    numbers = tuple(int(n or 0) for n in found.group(1, 2, 3))
    return None if max(numbers) >= 2**64 else (*numbers, found.group(4))


def version_class(engine, text):
    law = LAW_VERSION.fullmatch(text)
    theirs = ENGINE_VERSIONS[engine].match(text)
    if bool(law) != bool(theirs):
        return "D27"
    if not law:
        return None
    largest = max(int(n or 0) for n in law.group(1, 2, 3))
    if largest >= 2**64:
        return "D6"
    return "D12" if engine == "node" and largest > SAFE_INTEGER else None


# --- Rules ---------------------------------------------------------------------------------------


def selection_class(engine, selector, target):
    """Why the engine selects another value than the law, or None."""
    if selector[:1] == ["result"] and len(selector) <= 2:
        return "decision 11"
    value = select(target, selector)
    if selector[:1] == ["result"]:
        if len(selector) > 2 and selector[2] == "payload":
            return "D28" if value is not None else None
        if engine == "node" and selector[2:] == ["metadata"] and not value:
            return "D30"
    if "" in selector and value is not None:
        return "D21"
    if engine == "node" and node_finds_more(target, selector):
        return "D32"
    return None


def is_falsy(value):
    if isinstance(value, Number):
        return float(value) == 0
    return value is False or value in ("", [], {})


def condition_class(engine, condition, value):
    """The class of a condition on this selected value (None: missing), or None where all must agree."""
    operator = condition["op"]
    if value is None:
        return "D2" if operator in ("set is not", "regex does not match") else None
    # An unknown operator is false everywhere, whatever it is given.
    if operator not in OPERATORS:
        return None
    if engine == "python" and is_falsy(value):
        return "D13"
    values = condition["values"]
    if engine == "python" and python_reads_more(value):
        return "D5"

    found = elements(value)
    if operator in SET_OPERATORS:
        return None if found is None else set_class(engine, operator, values, found)
    if found is None:
        found = [value]
    for element in found:
        if engine == "node" and element == "" and isinstance(value, (list, str)) and elements(value) is not None:
            return "D22"
        why = text_class(engine, element)
        if why and not (why == "D14" and operator in CASELESS_OPERATORS):
            return why
    texts = [law_text(element) for element in found]
    if operator in NUMBER_OPERATORS:
        return number_class(engine, texts, values)
    if operator in VERSION_OPERATORS:
        for text in texts + values:
            if why := version_class(engine, text):
                return why
        return order_class(engine, texts, values)
    if operator in REGEX_OPERATORS:
        return regex_class(engine, texts, values)
    return None


def set_class(engine, operator, values, found):
    if engine == "python" and not found:
        return "D16"
    if engine == "node" and "" in found:
        return "D22"
    for element in found:
        why = text_class(engine, element)
        if why and not (why == "D14" and operator in CASELESS_OPERATORS):
            return why
    texts = [law_text(element) for element in found]
    if operator in ("set contains", "set does not contain"):
        if len(set(values)) < len(values) or len(set(texts)) < len(texts):
            return "D23"
        # `true` and `True`: two elements in Python's list, one text under the law, or the other way round.
    if engine == "python" and True in [v for v in found if isinstance(v, bool)] and any(
        isinstance(v, str) and not isinstance(v, Number) and v.lower() == "true" for v in found
    ):
        return "D14"
    return None


def number_class(engine, texts, values):
    parsed = [law_number(value) for value in values]
    usable = any(number is not None for number in parsed)
    grammar = "D8" if engine == "node" else "D9"
    theirs = node_number if engine == "node" else python_number
    for text, law in [(text, law_number(text)) for text in texts] + list(zip(values, parsed)):
        # NaN is a number under the law; JavaScript drops nothing and compares it as false.
        if law is not None and law != law:
            return "D26"
        if not same_number(law, theirs(text)):
            return grammar
    for text in texts:
        number = law_number(text)
        if number is None or not usable:
            if values and engine == "node":
                return "D8"
            if why := order_class(engine, [text], values):
                return why
        elif number == 0 and any(v == 0 and str(v) != str(number) for v in parsed):
            return "D26"
    return None


def order_class(engine, texts, values):
    """Code points against UTF-16 code units, where they sort differently."""
    if engine == "python":
        joined = "".join(texts + values)
        if any(c > "\uffff" for c in joined) and any("\ue000" <= c <= "\uffff" for c in joined):
            return "D29"
    return None


# What node 20 rejects although the law's dialect has it, and the same for Python.
REJECTED = {"node": re.compile(r"\(\?[a-z]+[:)]"), "python": re.compile(r"\(\?<[A-Za-z]")}
# Syntax that dialects read differently, or know in part.
DIALECT = re.compile(r"\\[QEZzAGhHRvVpP]|\[\^?\]|&&|\[\[|\(\?|[*+?}]\+|\{,")


def regex_class(engine, texts, values):
    patterns = [REJECTED["python"].sub(lambda m: "(?P<" + m.group()[-1], pattern) for pattern in values]
    for written, pattern in zip(values, patterns):
        if REJECTED[engine].search(written):
            return "D3"
        try:
            re.compile(pattern)
        except re.error:
            return "D3"
    if any(DIALECT.search(pattern.replace("(?:", "(")) for pattern in values):
        return "D1"
    for text in texts:
        if re.search("[\n\r\u0085\u2028\u2029]", text):
            return "D1"
        if not text.isascii() and any(re.search(r"\\[wWdDsSbB]|\(\?|\[\^", pattern) for pattern in values):
            return "D1"
        if any(c > "\uffff" for c in text) and any(re.search(r"[.\[]", pattern) for pattern in values):
            return "D1"
        if any(re.search(p, text) for p in patterns) != any(re.fullmatch(p, text) for p in patterns):
            return "D1"
    return None


def bucket_class(engine, value):
    """The class of bucketing by this selected value, or None where all must agree."""
    return None if value is None else text_class(engine, value)


def shape_class(engine, conditions):
    """The class of a segment's list of conditions as such."""
    return "D20" if engine == "python" and conditions == [] else None
