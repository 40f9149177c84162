#!/usr/bin/env python3
"""Writes random pairs of flags and context, one JSON object `{"name","flags","context"}` a line.

Usage: oracle/generate.py --seed N --pairs N [--profile common|all]

The same seed gives the same lines on every machine; pair `i` does not depend on how many are asked for.
No pair has a dependency cycle or a malformed flag: official engines fail the whole call for those.

Profile `all`: every operator, every JSON type of property, text lists, versions, numbers in many
notations, dependencies, cohorts, groups, holdout and mutex shapes, absent and empty conditions,
`(none)`, booleans in any case, nested objects, overlapping, empty and inverted ranges, metadata on all
levels, values and payloads of any JSON type, duplicate flag keys, regular expressions.

Profile `common`: the same generator without the constructs that the official engines answer differently
from the law. Conditions and buckets that any rule of classes.py names are drawn again, so avoided are:

  D1   patterns whose search and full match differ on the selected text; line breaks; `\\w`, `\\d`, `\\b`
       on non-ASCII text; `.` on astral characters
  D2   `set is not` and `regex does not match` where the property may be missing
  D3   patterns that one dialect rejects
  D5   text lists with NaN or Infinity
  D6 D27 version texts that only one grammar takes; numbers beyond u64
  D8 D9 `less`, `greater` and so on with text that is no number everywhere, or with no number at all
  D10  floats compared, matched or bucketed as text where Java, JavaScript and Python print differently
       (`1.0`, `1e21`; `0.5` and `3.14` stay)
  D12  integers beyond 2^53
  D13  conditions on `""`, `0`, `false`, `[]`, `{}` (buckets on them stay)
  D14  booleans where the case of `true` matters: order, version, regex, `set is`, buckets
  D16  set operators on empty lists
  D17  nested objects, and arrays of several elements, as text (set operators on objects stay)
  D20  `conditions: []` (`[[]]` and absent conditions stay)
  D21  empty selector elements
  D22  `""` in lists
  D23  `set contains` with duplicates in list or values
  D26  NaN, and -0 against 0
  D28 D30 D32, decision 11: selectors of payloads, of whole results, of array indices and prototype members
"""

import argparse
import sys

from classes import (
    ENGINES,
    NUMBER_OPERATORS,
    REGEX_OPERATORS,
    SET_OPERATORS,
    VERSION_OPERATORS,
    bucket_class,
    condition_class,
    elements,
    law_text,
    select,
    selection_class,
    shape_class,
)
from wire import Number, write

MASK = 2**64 - 1
TOP = 42949673  # One more than the largest distribution slot.
TRIES = 30


class Random:
    """SplitMix64: the library's generator may draw differently in another Python version."""

    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    def below(self, n):
        return (self.next() >> 11) * n >> 53

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, percent):
        return self.below(100) < percent

    def pick(self, items):
        return items[self.below(len(items))]

    def some(self, items, most):
        return [self.pick(items) for _ in range(self.between(1, most))]

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


USER_FIELDS = {
    "country": ["United States", "Germany", "Côte d’Ivoire", "日本"],
    "city": ["Tokyo", "Zürich", "San Francisco", "İstanbul"],
    "language": ["English", "Deutsch", "日本語"],
    "platform": ["iOS", "Android", "Web"],
    "os": ["Android 14", "iOS 17.2", "macOS", "windows"],
    "version": ["1.2.3", "1.10.0", "2.0.0-beta.1", "0.9.9", "10.0.1", "1.2", "3", "1.2.3.4", "1.0.20240115"],
    "device_model": ["iPhone 13", "Galaxy S23", "Pixel 8"],
    "device_brand": ["apple", "google", "samsung"],
    "carrier": ["T-Mobile", "Verizon"],
    "region": ["California", "Bavaria"],
    "library": ["experiment-js-client/1.13.0", "amplitude-ts/2.7.1"],
}
WORDS = ["free", "pro", "enterprise", "Enterprise", "a", "b", "c", "hello world", "user@amplitude.com", "Ärger", "ΣΑΣ",
         "😀", "/path/1/2/3/end", "2024-01-02", "x-y_z", "null", "(none)", "日本", "É", "ß", "None", "straße"]
BOOLEANS = ["true", "false", "TRUE", "False", "True"]
VERSIONS = ["1.2.3", "1.2.4", "1.10.0", "1.9", "1.10", "0.9.9", "2.0.0-beta.1", "2.0.0-beta", "2.0.0-rc.10", "2.0.0-rc.2",
            "1.2.3-alpha", "1.2.3-A", "10.0.1", "01.02.03", "1.0.20240115123456", "4294967296.0.1", "2.0.0", "0.0.0", "1.2.3-0"]
ODD_VERSIONS = ["1.2.3+build", "1.2.3-a_b", "1.2.3-", "1.2.3-a.", "1.2.3-01", "v1.2", "1.2.3.4", "1", "1.2-beta", "1.2.", " 1.2",
                "99999999999999999999.0", "9007199254740993.0", "1.2.3\n", "1.2.3-é", "1.2.3-a+b.c", ""]
NUMBER_TEXTS = ["1", "2", "5", "10", "42", "100", "-5", "+5", "3.14", ".5", "5.", "1e3", "1E3", "1e-05", "007", "1000", "1.50",
                " 5", "5 ", "Infinity", "-Infinity", "0", "0.0", "123456789012", "9007199254740991"]
ODD_NUMBER_TEXTS = ["0x10", "0x1p3", "1_000", "NaN", "nan", "inf", "1d", "2F", "-0", "0b11", "", "1,000", "１２", "٣", "\u00a05",
                    "--1", "1e", "9007199254740993", "12345678901234567890", "1e400"]
NUMBERS = ["1", "2", "5", "10", "42", "100", "-5", "7", "1000", "123456789012", "1705312496", "0", "0.5", "3.14", "-2.25", "1312.1",
           "0.001", "1234567.5", "500.5", "9007199254740991"]
ODD_NUMBERS = ["1.0", "100.0", "1e3", "1E5", "10e-1", "-0", "-0.0", "0.0", "1.50", "1e-7", "0.0001", "10000000.0", "12345678.5", "1e21",
               "9007199254740993", "9223372036854775807", "12345678901234567890", "-9223372036854775808", "1.5e300", "5e-324", "0.1e1",
               "123456789012345680.0", "1.0E10"]
TEXT_LISTS = ['["a","b"]', '["free"]', "[1,2]", '["a",1,null]', '["true"]', "[true]", ' ["a"]', "[broken", '["a"] x', "[a,b]", '["a"] ',
              "[01]", "[1,2,]", "['a']"]
ODD_TEXT_LISTS = ["[]", "[ ]", "[null]", "[NaN]", "[1.0]", "[1e3]", "[-0]", '[""]', "[[1,2]]", '[{"b":1,"a":2}]', "[12345678901234567890]",
                  '["\\u00e9"]', '["a","a"]', "[[]]", "[false]"]
COHORTS = ["c1", "c2", "c3", "c4", "gc1", "gc2", "u0qtvwla"]
MISSING = [["context", "user", "user_properties", "missing"], ["context", "user", "no_such_field"], ["nope", "user"], [],
           ["context", "groups", "missing", "group_name"], ["context", "user", "user_id", "x"], ["result", "zzz", "key"]]
ODD_SELECTORS = [["context", "user", "user_properties", ""], ["context", "user", "user_properties", "tags", "0"], ["context", "user"],
                 ["context", "user", "constructor"], ["context"], ["context", "user", "user_properties"], ["context", "user", "", "x"],
                 ["context", "user", "user_properties", "tags", "length"]]
UNKNOWN_OPERATORS = ["exists", "IS", "", "glob match", "glob does not match"]
PATTERNS = [".*", ".+", "^[a-z]+$", "^[A-Za-z ]+$", "(free|pro)", "^(?:a|b|c)$", "[0-9]+", "^[0-9.]+$", "\\d+", "\\w+", "^$", "^.*@amplitude\\.com$",
            "/path/.*/end", "a?b?c?", "[^/]*", "^user-\\d{1,4}$", "i(OS|Phone).*", "x{2,3}", "\\bhello\\b.*", "^a", "b$", "o", "[a-c]"]
ODD_PATTERNS = ["[", "(", "*a", "", "(?i)FREE", "(?<n>a|free)", "a**"]
JSON_VALUES = ["on", "treatment", "", True, False, None, {"k": "v"}, {"a": {"b": [Number("1.5"), None]}}, [], [Number("1"), Number("2"), "3"],
               Number("1"), Number("1.0"), Number("12"), Number("0.5"), Number("1e3"), Number("9007199254740993"), {}, "ü😀\n\"q\"", "1.2.3"]
DISTRIBUTION_CUTS = [1, 4772185, 14316557, 21474837, 28633115, 34359738, TOP - 1]


class Generator:
    def __init__(self, seed, index, profile):
        # Both numbers go through the generator, so that neighbouring seeds share no pair.
        self.random = Random(Random(seed).next() ^ Random(index ^ 0x5851F42D4C957F2D).next())
        self.common = profile == "common"
        self.name = f"{profile}-{seed}-{index}"

    # --- Context ---------------------------------------------------------------------------------

    def odd(self, percent, usual, odd):
        """An odd item with this chance, a usual one otherwise."""
        return self.random.pick(odd if self.random.chance(percent) else usual)

    def scalar(self):
        kind = self.random.below(12)
        if kind < 4:
            return self.random.pick(WORDS)
        if kind < 6:
            return self.odd(25, VERSIONS, ODD_VERSIONS)
        if kind < 8:
            return Number(self.odd(30, NUMBERS, ODD_NUMBERS))
        if kind < 10:
            return self.odd(25, NUMBER_TEXTS, ODD_NUMBER_TEXTS)
        return self.random.chance(60) if kind == 10 else self.random.pick(BOOLEANS)

    def property(self, depth=0):
        kind = self.random.below(20)
        if kind < 12 or depth > 2:
            return self.scalar()
        if kind < 16:
            return [self.element(depth) for _ in range(self.random.between(0 if self.random.chance(15) else 1, 4))]
        if kind < 18:
            return self.odd(40, TEXT_LISTS, ODD_TEXT_LISTS)
        if kind == 18:
            keys = ["k", "deep", "x", "u"] + (["10", "2"] if self.random.chance(20) else [])
            return {self.random.pick(keys): self.property(depth + 1) for _ in range(self.random.between(0, 3))}
        return self.random.pick([None, "", {}, "a\nb", [""]])

    def element(self, depth):
        if self.random.chance(85):
            return self.scalar()
        return self.random.pick([None, "", [Number("1")], ["a"], {"k": "v"}, {}, [], self.property(depth + 1)])

    def cohorts(self):
        picked = sorted(set(self.random.some(COHORTS, 4)))
        self.random.shuffle(picked)
        return picked

    def context(self):
        random = self.random
        if random.chance(1):
            return random.pick([{}, {"user": {}}, {"user": None}, {"user": "text"}, {"groups": {}}])
        user = {}
        if random.chance(97):
            user["user_id"] = random.pick([f"user-{random.below(1000)}", f"user-{random.below(10**6)}", "user@amplitude.com", "u😀", " ", ""])
        if random.chance(90):
            user["device_id"] = f"{random.next():016x}"
        for field in USER_FIELDS:
            if random.chance(45):
                user[field] = random.pick(USER_FIELDS[field])
        if random.chance(40):
            number = random.below(10**12)
            user["amplitude_id"] = str(number) if random.chance(20) else Number(number)
        if random.chance(70):
            user["cohort_ids"] = self.cohorts()
        if random.chance(95):
            properties = {f"p{i}": self.property() for i in range(random.between(1, 7))}
            properties["plan"] = random.pick(WORDS[:4])
            properties["age"] = Number(random.between(1, 90))
            if random.chance(50):
                properties["app_version"] = random.pick(VERSIONS)
            if random.chance(50):
                properties["tags"] = sorted(set(random.some(["a", "b", "c", "beta", "true", "x"], 4)))
            if random.chance(30):
                properties["nested"] = {"deep": {"x": self.scalar()}, "plan": random.pick(WORDS)}
            if random.chance(5):
                properties[""] = "emptykey"
            user["user_properties"] = properties
        context = {"user": user}
        if random.chance(45):
            groups = {}
            for kind in ["org id", "org name", "team"]:
                if random.chance(50):
                    group = {"group_name": random.pick(["Amplitude", "acme", "Org 1", "ÄÖ", "42"])}
                    if random.chance(70):
                        group["group_properties"] = {
                            "plan": random.pick(WORDS[:4]),
                            "seats": self.odd(15, [Number("50"), Number("500"), "20"], [Number("50.0"), Number("0")]),
                            "tags": random.some(["x", "y", "1", "2"], 2),
                        }
                    if random.chance(60):
                        group["cohort_ids"] = self.cohorts()
                    groups[kind] = group
            context["groups"] = groups
        if random.chance(10):
            context["page"] = {"url": "https://example.com/path?x=1"}
        return context

    def paths(self, value, path):
        """Every selector into the context that the law can follow, with its value."""
        found = [(path, value)]
        if isinstance(value, dict):
            for key in value:
                if key != "" or not self.common:
                    found += self.paths(value[key], path + [key])
        return found

    # --- Conditions ------------------------------------------------------------------------------

    def result_candidates(self, key, tail):
        """What `["result", key, …tail]` may select, missing included."""
        found = [None]
        for flag in self.defined.get(key, []):
            for variant in flag["variants"].values():
                if tail in (["key"], ["value"]):
                    found.append(variant.get(tail[0]))
                else:
                    for level in [flag, *flag["segments"], variant]:
                        found.append(select(level, tail))
        return found

    def subject(self):
        """A selector, and the values it may select."""
        random = self.random
        kind = random.below(100)
        if kind < 22 and self.referable:
            key = random.pick(self.referable)
            tail = random.pick([["key"], ["key"], ["key"], ["value"], ["metadata", "segmentName"], ["metadata", "experimentKey"],
                                ["metadata", "flagVersion"], ["metadata", "default"], ["metadata", "note"]])
            self.referred.add(key)
            if not self.common and random.chance(8):
                # A whole result has no text in Python: selecting all of them would fail the call.
                tail = random.pick([["payload"], ["payload", "k"], ["metadata"]])
            return ["result", key, *tail], self.result_candidates(key, tail)
        if kind < 34:
            return self.with_value(random.pick([["context", "user", "cohort_ids"], ["context", "groups", "org id", "cohort_ids"],
                                                ["context", "groups", "team", "cohort_ids"]]))
        if kind < 40:
            return self.with_value(random.pick(MISSING))
        if kind < 43 and not self.common:
            return self.with_value(random.pick(ODD_SELECTORS))
        if kind < 70 and self.property_paths:
            return self.with_value(random.pick(self.property_paths))
        return self.with_value(random.pick(self.present))

    def with_value(self, selector):
        return selector, [select(self.target, selector)]

    def number_near(self, text):
        random = self.random
        try:
            number = int(text)
        except ValueError:
            return random.pick([text, self.odd(20, NUMBER_TEXTS, ODD_NUMBER_TEXTS)])
        return random.pick([str(number), str(number + 1), str(number - 1), str(number * 10), f"{number}.5", f"{number}e0", f" {number}"])

    def version_near(self, text):
        parts = text.split(".")
        try:
            parts[-1] = str(max(0, int(parts[-1]) + self.random.between(-1, 1)))
        except ValueError:
            return self.odd(20, VERSIONS, ODD_VERSIONS)
        return ".".join(parts) if self.random.chance(60) else self.odd(20, VERSIONS, ODD_VERSIONS)

    def text_near(self, text):
        random = self.random
        kind = random.below(10)
        if kind < 5:
            return text
        if kind == 5:
            return text.upper()
        if kind == 6:
            return text.lower()
        if kind == 7:
            return text[: max(1, len(text) // 2)]
        return text + "x" if kind == 8 else random.pick(WORDS)

    def pattern_near(self, text):
        random = self.random
        literal = "".join("\\" + c if c in ".^$*+?()[]{}|\\" else c for c in text)
        half = "".join("\\" + c if c in ".^$*+?()[]{}|\\" else c for c in text[: max(1, len(text) // 2)])
        return random.pick([f"^{literal}$", literal, f".*{half}.*", f"{half}.*", f"^{half}.*$", f"^(?:{literal}|other)$", f"(zzz|{half}).*",
                            half, f"^{half}", "^zzz$", self.odd(8, PATTERNS, ODD_PATTERNS), random.pick(PATTERNS)])

    def operator(self, value):
        """An operator that suits the value more often than not."""
        random = self.random
        if random.chance(25):
            return random.pick(ALL_OPERATORS)
        if random.chance(2):
            return random.pick(UNKNOWN_OPERATORS)
        if elements(value) is not None:
            return random.pick(SETS if random.chance(75) else ALL_OPERATORS)
        if isinstance(value, Number):
            return random.pick(COMPARISONS if random.chance(75) else TEXTUAL)
        if isinstance(value, str) and value[:1].isdigit() and "." in value:
            return random.pick(VERSION_COMPARISONS if random.chance(75) else ALL_OPERATORS)
        if isinstance(value, str) and value.strip()[:1] in set("0123456789+-.I"):
            return random.pick(COMPARISONS if random.chance(60) else ALL_OPERATORS)
        return random.pick(TEXTUAL)

    def values(self, operator, value):
        random = self.random
        if random.chance(2):
            return []
        if value is None:
            return random.some(["(none)", "on", "a", "1", "1.2.3", ".*", "true"], 2)
        found = elements(value)
        texts = [law_text(v) for v in (found if found is not None else [value])] or [""]
        if operator in SET_OPERATORS:
            if random.chance(45):
                picked = list(dict.fromkeys(texts))
                random.shuffle(picked)
                if random.chance(50):
                    picked = picked[: random.between(1, len(picked))]
                if random.chance(25):
                    picked.append(random.pick(WORDS))
                return picked
            return list(dict.fromkeys(random.some(COHORTS + texts, 3)))
        if operator in NUMBER_OPERATORS:
            near = [self.number_near(random.pick(texts)) for _ in range(random.between(1, 2))]
            if random.chance(10):
                near.append(random.pick(WORDS))
            return near
        if operator in VERSION_OPERATORS:
            return [self.version_near(random.pick(texts)) for _ in range(random.between(1, 2))]
        if operator in REGEX_OPERATORS:
            return [self.pattern_near(random.pick(texts)) for _ in range(random.between(1, 2))]
        near = [self.text_near(random.pick(texts)) for _ in range(random.between(1, 3))]
        if random.chance(15):
            near.append(random.pick(BOOLEANS + ["(none)"]))
        if isinstance(value, bool) or isinstance(value, str) and value.lower() in ("true", "false"):
            near.append(random.pick(BOOLEANS))
        return near

    def condition(self):
        for _ in range(TRIES):
            selector, candidates = self.subject()
            value = self.random.pick(candidates)
            if isinstance(value, dict) and self.random.chance(70):
                continue
            operator = self.operator(value)
            condition = {"selector": selector, "op": operator, "values": self.values(operator, value)}
            if not self.common or self.agrees(condition, candidates):
                return condition
        return {"selector": ["context", "user", "user_id"], "op": "is not", "values": ["nobody"]}

    def agrees(self, condition, candidates):
        return not any(
            selection_class(engine, condition["selector"], self.target)
            or any(condition_class(engine, condition, value) for value in candidates)
            for engine in ENGINES
        )

    def conditions(self):
        random = self.random
        if random.chance(4):
            odd = random.pick([[], [[]], None, [[], [self.condition()]]])
            if not (self.common and any(shape_class(engine, odd) for engine in ENGINES)):
                return odd
        return [[self.condition() for _ in range(random.pick([1, 1, 1, 2, 2, 3]))] for _ in range(random.pick([1, 1, 1, 2, 3]))]

    # --- Buckets ---------------------------------------------------------------------------------

    def bucket_selector(self):
        random = self.random
        for _ in range(TRIES):
            kind = random.below(20)
            if kind < 9:
                selector, candidates = self.with_value(["context", "user", random.pick(["user_id", "user_id", "device_id"])])
            elif kind < 11:
                selector, candidates = self.with_value(["context", "user", "amplitude_id"])
            elif kind < 14:
                selector, candidates = self.with_value(["context", "groups", random.pick(["org id", "org name", "team"]), "group_name"])
            elif kind == 14:
                selector, candidates = self.with_value(random.pick(MISSING))
            else:
                selector, candidates = self.subject()
            if not self.common or not any(
                selection_class(engine, selector, self.target) or any(bucket_class(engine, value) for value in candidates)
                for engine in ENGINES
            ):
                return selector
        return ["context", "user", "user_id"]

    def distributions(self, names):
        random = self.random
        if random.chance(5):
            return []
        if random.chance(8):
            return [{"variant": random.pick(names + ["unknown"]), "range": self.odd_range(TOP)} for _ in range(2)]
        cuts = sorted(set(random.some(DISTRIBUTION_CUTS, len(names)))) if len(names) > 1 else []
        edges = [0, *cuts, TOP]
        # Real configurations overlap by one; the first wins.
        return [
            {"variant": names[i % len(names)], "range": [max(0, edges[i] - 1), edges[i + 1]]} for i in range(len(edges) - 1)
        ]

    def odd_range(self, top):
        random = self.random
        low, high = random.below(top), random.below(top)
        return random.pick([[low, high], [min(low, high), max(low, high)], [low, low], [0, 0], [-5, high], [0, top * 2]])

    def bucket(self, names):
        random = self.random
        shape = random.below(10)
        if shape < 5:
            ranges = [[0, random.pick([100, 100, 50, 1, 99, random.between(1, 100)])]]
        elif shape < 8:
            cut = random.between(0, 100)
            ranges = [[0, cut], [cut, 100]]
        else:
            ranges = [self.odd_range(100) for _ in range(random.between(0, 3))]
        alphabet = "ABCDEFGHJKabcdefghjk23456789"
        salt = "".join(random.pick(alphabet) for _ in range(8)) if random.chance(97) else random.pick(["", "sälz/😀"])
        return {
            "selector": self.bucket_selector(),
            "salt": salt,
            "allocations": [{"range": r, "distributions": self.distributions(names)} for r in ranges],
        }

    # --- Flags -----------------------------------------------------------------------------------

    def variant(self, key):
        random = self.random
        variant = {"key": key if random.chance(96) else key + "-renamed"}
        if random.chance(90):
            variant["value"] = key if random.chance(75) else random.pick(JSON_VALUES)
        if random.chance(25):
            variant["payload"] = random.pick(JSON_VALUES)
        if random.chance(10):
            variant["metadata"] = self.metadata("variant")
        return variant

    def metadata(self, level):
        random = self.random
        return random.pick([None, {}, {"note": level}, {"note": None}, {"note": level, "n": Number("1.0")}, {"segmentName": level}])

    def segment(self, names, last):
        random = self.random
        segment = {}
        if random.chance(85):
            segment["metadata"] = {"segmentName": "All Other Users" if last else f"Segment {random.between(1, 3)}"}
            if random.chance(8):
                segment["metadata"]["note"] = random.pick(["segment", None, True, Number("7")])
        elif random.chance(30):
            segment["metadata"] = self.metadata("segment")
        if random.chance(94):
            segment["variant"] = random.pick(names + ["off", "off"]) if random.chance(97) else random.pick(["unknown", None])
        if not last or random.chance(5):
            segment["conditions"] = self.conditions()
        if random.chance(65):
            segment["bucket"] = self.bucket(list(names))
        elif random.chance(5):
            segment["bucket"] = None
        return segment

    def guard(self, parents):
        """The segment that keeps users out of a flag that depends on a holdout or mutex group."""
        guards = [[{"selector": ["result", key, "key"], "op": "is not", "values": [on]}] for key, on in parents]
        return {"conditions": guards, "metadata": {"segmentName": "flag-dependencies"}, "variant": "off"}

    def group_flag(self, key, kind, slots):
        self.referred = set()
        names = list(slots)
        variants = {name: {"key": name, "value": name, "payload": {"flagIds": [str(self.random.below(10000))]}} for name in names}
        variants["off"] = {"key": "off", "metadata": {"default": True}}
        segment = {"metadata": {"segmentName": "All Other Users"}, "variant": "off", "bucket": self.bucket(names)}
        flag = {
            "key": key,
            "metadata": {"deployed": False, "evaluationMode": "local", "flagType": kind, "flagVersion": Number(1)},
            "segments": [segment],
            "variants": variants,
        }
        return self.with_dependencies(flag)

    def flag(self, key, parents):
        random = self.random
        self.referred = set()
        names = random.pick([["on"], ["on"], ["control", "treatment"], ["control", "treatment"], ["control", "treatment", "treatment-b"]])
        flag = {"key": key, "variants": {name: self.variant(name) for name in names}}
        flag["variants"]["off"] = {"key": "off", "metadata": {"default": True}}
        if random.chance(90):
            flag["metadata"] = {
                "deployed": random.chance(80),
                "evaluationMode": "local",
                "flagType": "release" if names == ["on"] else "experiment",
                "flagVersion": Number(random.between(1, 40)),
            }
            if names != ["on"]:
                flag["metadata"]["experimentKey"] = f"exp-{random.between(1, 3)}"
        elif random.chance(50):
            flag["metadata"] = self.metadata("flag")
        count = random.pick([1, 1, 2, 2, 3, 4])
        flag["segments"] = [self.segment(names, last=False) for _ in range(count - 1)]
        if random.chance(90):
            flag["segments"].append(self.segment(names, last=True))
        if parents:
            flag["segments"].insert(0, self.guard(parents))
            self.referred.update(key for key, _ in parents)
        return self.with_dependencies(flag)

    def with_dependencies(self, flag):
        random = self.random
        # An undeclared reference sees what happens to be evaluated before.
        declared = [key for key in sorted(self.referred) if self.integer_keys or random.chance(85)]
        if random.chance(5):
            declared.append("missing-flag")
        if self.referable and random.chance(10):
            declared.append(random.pick(self.referable))
        random.shuffle(declared)
        if declared or random.chance(5):
            flag["dependencies"] = declared
        return flag

    def define(self, flag):
        self.defined.setdefault(flag["key"], []).append(flag)
        if flag["key"] not in self.referable:
            self.referable.append(flag["key"])

    def pair(self):
        random = self.random
        context = self.context()
        self.target = {"context": context, "result": {}}
        self.present = [(["context"] + path) for path, _ in self.paths(context, [])][1:] or [["context", "user", "user_id"]]
        self.property_paths = [path for path in self.present if path[:3] == ["context", "user", "user_properties"] and len(path) > 3]
        self.defined, self.referable = {}, []
        # JavaScript moves such keys to the front: harmless unless a reference is undeclared.
        self.integer_keys = random.chance(5)
        flags, gates = [], []
        for key, kind, slots, on in [
            ("holdout-h1", "holdout-group", ["on", "holdout"], "on"),
            ("mutex-m1", "mutual-exclusion-group", ["slot-1", "slot-2", "unallocated"], "slot-1"),
        ]:
            if random.chance(20):
                flags.append(self.group_flag(key, kind, slots))
                self.define(flags[-1])
                gates.append((key, on))
        for i in range(random.pick([1, 1, 2, 3, 3, 4, 5, 7])):
            key = str(random.below(50) * 10 + i) if self.integer_keys else "flag-" + "abcdefgh"[i]
            parents = [gate for gate in gates if random.chance(50)]
            definitions = [self.flag(key, parents)]
            if random.chance(2):
                # The last definition stands, at the position of the first.
                definitions.append(self.flag(key, parents))
            flags += definitions
            for flag in definitions:
                self.define(flag)
        if random.chance(60):
            random.shuffle(flags)
        return {"name": self.name, "flags": flags, "context": context}


ALL_OPERATORS = sorted(SET_OPERATORS | NUMBER_OPERATORS | VERSION_OPERATORS | REGEX_OPERATORS | {"is", "is not", "contains", "does not contain"})
SETS = sorted(SET_OPERATORS)
COMPARISONS = sorted(NUMBER_OPERATORS)
VERSION_COMPARISONS = sorted(VERSION_OPERATORS)
TEXTUAL = ["is", "is", "is not", "is not", "contains", "does not contain", *sorted(REGEX_OPERATORS), *sorted(REGEX_OPERATORS)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--pairs", type=int, required=True)
    arguments.add_argument("--profile", choices=["common", "all"], default="all")
    options = arguments.parse_args()
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n")
    for index in range(options.pairs):
        out.write(write(Generator(options.seed, index, options.profile).pair()) + "\n")
    out.close()


if __name__ == "__main__":
    main()
