#!/usr/bin/env python3
"""Compares our answers with those of the official engines and explains every difference.

Usage: oracle/compare.py --pairs FILE [--profile common|all] [--xpmt PATH] [--unexplained FILE]
                         ours=FILE node=FILE python=FILE

Result files are NDJSON, one line `{"results":{…}}` or `{"error":"…"}` per pair. Absent and null, absent
and empty metadata, and numbers of the same value (`1.0`, `1`; beyond 2^53 the same double) count as equal.

A difference is explained in three steps:
 1. Probes: every condition, every bucket and every empty list of conditions of a differing flag becomes
    a flag of its own, on the same context, with our results of the flags it refers to as constants.
 2. Each probe that our engine and the official one answer differently needs a class of classes.py.
 3. The differing parts are replaced by constants with our answer and the official engine evaluates the
    whole pair again: it must now give our results. So a class never hides a second difference, and a
    flag that differs only because another one did is explained exactly when that one is.
What is left is `unexplained`: printed, and saved with the whole pair to the --unexplained file.

Exit code 1: profile `common` and any difference, or profile `all` and any unexplained one.

Our engine runs as `PATH evaluate --cases FILE`. XPMT_ORACLE_OURS may hold another command, split at
spaces, to which the path of the cases is appended (selftest.py plants errors that way).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from classes import ENGINES, REGEX_OPERATORS, TITLES, bucket_class, condition_class, select, selection_class, shape_class
from wire import read, write

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parents[2]
DIR = Path(os.environ.get("XPMT_ORACLE_DIR") or WORKSPACE / "target/oracle")
XPMT = WORKSPACE / "target/release/xpmt"
CORES = 2

PROBE = "(probe)"
DEFAULT = "(default)"
ALWAYS = {"selector": [], "op": "is", "values": ["(none)"]}
NEVER = {"selector": [], "op": "is not", "values": ["(none)"]}


# --- Running engines -----------------------------------------------------------------------------


def command(engine, cases, xpmt):
    """The command of an engine, and whether it wants the cases on standard input."""
    if engine == "node":
        return ["node", str(HERE / "engine.mjs")], True
    if engine == "python":
        return [sys.executable, str(HERE / "engine.py")], True
    if "XPMT_ORACLE_OURS" in os.environ:
        return [*os.environ["XPMT_ORACLE_OURS"].split(), str(cases)], False
    return [str(xpmt), "evaluate", "--cases", str(cases)], False


def run_engine(engine, cases, results, xpmt):
    """Evaluates the file `cases` into the file `results`."""
    argv, on_input = command(engine, cases, xpmt)
    with open(cases, "rb") as source, open(results, "wb") as target:
        done = subprocess.run(argv, stdin=source if on_input else subprocess.DEVNULL, stdout=target)
    if done.returncode != 0:
        sys.exit(f"oracle: {engine} failed with exit code {done.returncode}: {' '.join(argv)}")


def answers(engines, lines, xpmt):
    """The answers of each engine to these lines, read with number tokens kept."""
    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder) / "cases.ndjson"
        cases.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(lambda e: run_engine(e, cases, Path(folder) / e, xpmt), engines))
        found = {}
        for engine in engines:
            found[engine] = [read(line) for line in lines_of(Path(folder) / engine)]
            if len(found[engine]) != len(lines):
                sys.exit(f"oracle: {engine} answered {len(found[engine])} of {len(lines)} probes")
        return found


def lines_of(path):
    # Text may hold other line separators than the one that ends a line.
    with open(path, encoding="utf-8", newline="\n") as file:
        return [line for line in file.read().split("\n") if line]


# --- Normal form ---------------------------------------------------------------------------------


def number(token):
    value = float(token)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def integer(token):
    value = int(token)
    return value if abs(value) < 2**53 else float(value)


_decoder = json.JSONDecoder(parse_float=number, parse_int=integer)


def normal_results(line):
    """One text per flag, equal where the variants are; None if the call failed."""
    answer = _decoder.decode(line)
    if not isinstance(answer.get("results"), dict):
        return None
    return {key: normal_variant(variant) for key, variant in answer["results"].items()}


def normal_variant(variant):
    kept = {name: value for name, value in variant.items() if value is not None}
    if kept.get("metadata") == {}:
        del kept["metadata"]
    return json.dumps(kept, sort_keys=True)


def differing_flags(ours, theirs, flags):
    """The flags, in their order, whose results differ; all of them if one side failed."""
    keys = list(dict.fromkeys(flag["key"] for flag in flags))
    if ours is None or theirs is None:
        return keys
    return [key for key in dict.fromkeys([*keys, *ours, *theirs]) if ours.get(key) != theirs.get(key)]


# --- Probes --------------------------------------------------------------------------------------


def evaluation_order(definitions):
    """Keys in the order of evaluation: dependencies first."""
    order, open_keys = [], dict.fromkeys(definitions)

    def visit(key):
        if key not in open_keys:
            return
        del open_keys[key]
        for dependency in definitions[key].get("dependencies") or []:
            visit(dependency)
        order.append(key)

    for key in list(definitions):
        visit(key)
    return order


def reaches_cycle(definitions, key, path):
    """True for flags on a dependency cycle and for those that depend on one."""
    if key in path:
        return True
    dependencies = (definitions[key].get("dependencies") or []) if key in definitions else []
    return any(reaches_cycle(definitions, dependency, (*path, key)) for dependency in dependencies)


class Pair:
    """A pair on which some engine differs, and what is known about it."""

    def __init__(self, line, ours_line):
        self.line = line
        pair = read(line)
        self.name = pair.get("name", "")
        self.flags = pair["flags"]
        self.context = pair["context"]
        self.definitions = {flag["key"]: flag for flag in self.flags}
        self.order = evaluation_order(self.definitions)
        self.cyclic = {key for key in self.definitions if reaches_cycle(self.definitions, key, ())}
        self.ours = read(ours_line).get("results") or {}
        self.probes = {}

    def constants(self, key, selector):
        """Flags that yield our results for what this selector of this flag refers to."""
        if selector[:1] != ["result"]:
            return []
        before = self.order[: self.order.index(key)]
        wanted = before if len(selector) < 2 else [k for k in before if k == selector[1]]
        return [
            {"key": k, "variants": {"v": self.ours[k]}, "segments": [{"variant": "v"}]} for k in wanted if k in self.ours
        ]

    def probe_line(self, key, selector, segment, variants):
        probe = {"key": PROBE, "variants": {name: {"key": name} for name in variants}, "segments": [segment]}
        return write({"flags": [*self.constants(key, selector), probe], "context": self.context})

    def parts(self, key):
        """Every condition, bucket and empty list of conditions of a flag: place, kind, part, probe."""
        for s, segment in enumerate(self.definitions[key]["segments"]):
            conditions = segment.get("conditions")
            if conditions == []:
                yield (key, s), "shape", conditions, self.probe_line(key, [], {"conditions": [], "variant": "on"}, ["on"])
            for o, all_of in enumerate(conditions or []):
                for c, condition in enumerate(all_of):
                    lone = {"conditions": [[condition]], "variant": "on"}
                    yield (key, s, o, c), "condition", condition, self.probe_line(key, condition["selector"], lone, ["on"])
            bucket = segment.get("bucket")
            if bucket is not None:
                names = [d["variant"] for a in bucket["allocations"] for d in a["distributions"]]
                lone = {"bucket": bucket, "variant": DEFAULT}
                line = self.probe_line(key, bucket["selector"], lone, [*dict.fromkeys(names), DEFAULT])
                yield (key, s), "bucket", bucket, line

    def target(self, key, selector):
        results = {flag["key"]: flag["variants"]["v"] for flag in self.constants(key, selector)}
        return {"context": self.context, "result": results}

    def classify(self, engine, key, kind, part):
        """The class of a part that this engine answers differently, or None."""
        if kind == "shape":
            return shape_class(engine, part)
        target = self.target(key, part["selector"])
        value = select(target, part["selector"])
        why = selection_class(engine, part["selector"], target)
        if why:
            return why
        return condition_class(engine, part, value) if kind == "condition" else bucket_class(engine, value)

    def substituted(self, replacements):
        """The pair with parts replaced by constants: place and kind to our answer.

        Flags on a cycle, and those that depend on them, are left out: they yield nothing under the law.
        """
        flags = [flag for flag in read(self.line)["flags"] if flag["key"] not in self.cyclic]
        definitions = {flag["key"]: flag for flag in flags}
        for (place, kind), answer in replacements.items():
            if place[0] in self.cyclic:
                continue
            segment = definitions[place[0]]["segments"][place[1]]
            if kind == "shape":
                segment["conditions"] = [[ALWAYS if answer else NEVER]]
            elif kind == "condition":
                segment["conditions"][place[2]][place[3]] = ALWAYS if answer else NEVER
            else:
                del segment["bucket"]
                if answer != DEFAULT:
                    segment["variant"] = answer
        return write({"flags": flags, "context": self.context})


def probe_answer(answer):
    """What a probe yields: the variant's key, None for no variant, `error` if the call failed."""
    if "results" not in answer:
        return "error"
    return answer["results"].get(PROBE, {}).get("key")


# --- Report --------------------------------------------------------------------------------------


class Report:
    """Totals per engine; reports add up."""

    def __init__(self, engines=ENGINES):
        self.calls = 0
        self.flags = 0
        self.differing_calls = {engine: 0 for engine in engines}
        self.differing_flags = {engine: 0 for engine in engines}
        self.classes = {engine: Counter() for engine in engines}
        self.unexplained = []

    def add(self, other):
        self.calls += other.calls
        self.flags += other.flags
        for engine in self.classes:
            self.differing_calls[engine] += other.differing_calls[engine]
            self.differing_flags[engine] += other.differing_flags[engine]
            self.classes[engine] += other.classes[engine]
        self.unexplained += other.unexplained

    def failed(self, profile):
        return any(self.differing_calls.values()) if profile == "common" else bool(self.unexplained)

    def table(self):
        lines = [f"{self.calls} calls, {self.flags} flags"]
        lines.append(f"{'':<14}" + "".join(f"{engine:>10}" for engine in self.classes))

        def row(title, numbers, note=""):
            lines.append(f"{title:<14}" + "".join(f"{n:>10}" for n in numbers) + (f"   {note}" if note else ""))

        row("calls differ", self.differing_calls.values())
        row("flags differ", self.differing_flags.values())
        found = {name for counter in self.classes.values() for name in counter}
        for name, title in [*TITLES.items(), ("dependency", "only because a flag it depends on differs")]:
            if name in found:
                row("  " + name, [counter[name] for counter in self.classes.values()], title)
        row("unexplained", [sum(u["engine"] == engine for u in self.unexplained) for engine in self.classes])
        return "\n".join(lines)

    def list_unexplained(self, most=10):
        for finding in self.unexplained[:most]:
            print(f"\nunexplained: {finding['engine']}, pair {finding['name']}, flags {', '.join(finding['flags'])}")
            for reason in finding["reasons"]:
                print(f"  {reason}")
        if len(self.unexplained) > most:
            print(f"\n… and {len(self.unexplained) - most} more")


def compare(pair_lines, results, xpmt):
    """Compares `results`, lines per engine (`ours` among them), and explains the differences."""
    engines = [engine for engine in results if engine != "ours"]
    report = Report(engines)
    for engine, lines in results.items():
        if len(lines) != len(pair_lines):
            sys.exit(f"oracle: {engine} answered {len(lines)} of {len(pair_lines)} pairs")

    pairs, differences = {}, []
    for index, line in enumerate(pair_lines):
        ours = normal_results(results["ours"][index])
        report.calls += 1
        report.flags += len(ours or {})
        for engine in engines:
            theirs = normal_results(results[engine][index])
            if ours is not None and ours == theirs:
                continue
            if index not in pairs:
                pairs[index] = Pair(line, results["ours"][index])
            difference = Difference(pairs[index], index, engine, ours)
            difference.keys = differing_flags(ours, theirs, pairs[index].flags)
            report.differing_calls[engine] += 1
            report.differing_flags[engine] += len(difference.keys)
            differences.append(difference)

    # A flag that agreed by luck may differ once the flags it depends on are put right: it is probed next.
    pending = differences
    while pending:
        ask_probes(pending, xpmt)
        for difference in pending:
            difference.explain()
        pending = [difference for difference in substitute(pending, engines, xpmt) if difference.grew]

    for difference in differences:
        report.classes[difference.engine].update(difference.classes())
        if difference.ours is None:
            difference.reasons.append(f"our engine failed: {results['ours'][difference.index][:200]}")
        if difference.reasons:
            report.unexplained.append(
                {
                    "engine": difference.engine,
                    "name": difference.pair.name,
                    "flags": difference.keys,
                    "reasons": difference.reasons,
                    "ours": json.loads(results["ours"][difference.index]),
                    "theirs": json.loads(results[difference.engine][difference.index]),
                    "pair": difference.pair.line,
                }
            )
    return report


class Difference:
    """One engine's difference on one pair, while it is being explained."""

    def __init__(self, pair, index, engine, ours):
        self.pair = pair
        self.index = index
        self.engine = engine
        self.ours = ours
        self.keys = []
        self.grew = False
        self.reasons = []
        self.replacements = {}
        self.found = {}

    def explain(self):
        """Names the class of every part that the engine answers differently."""
        for key in self.keys:
            if key in self.found:
                continue
            self.found[key] = {"D4"} if key in self.pair.cyclic else set()
            for place, kind, part, answer in self.pair.probes.get(key, []):
                # A probe has other results around it than the call, so it cannot show that a whole result agrees.
                whole = kind != "shape" and part["selector"][:1] == ["result"] and len(part["selector"]) <= 2
                if answer["ours"] == answer[self.engine] and not whole:
                    continue
                why = self.pair.classify(self.engine, key, kind, part)
                if kind == "condition" and part["op"] in REGEX_OPERATORS and answer[self.engine] == "error":
                    why = "D3"
                self.found[key].add(why)
                self.replacements[place, kind] = answer["ours"]
                if why is None:
                    self.reasons.append(self.describe(key, place, kind, part, answer))

    def describe(self, key, place, kind, part, answer):
        value = select(self.pair.target(key, part["selector"]), part["selector"]) if kind != "shape" else None
        return (
            f"{kind} {'.'.join(map(str, place))}: ours {answer['ours']}, {self.engine} {answer[self.engine]}, "
            f"value {write(value)}, {write(part)}"
        )

    def check(self, answer):
        """Takes the engine's answer to the pair with our answers in place of the differing parts."""
        self.grew = False
        theirs = normal_results(write(answer))
        if self.ours is None or self.ours == theirs:
            return
        left = differing_flags(self.ours, theirs, self.pair.flags)
        new = [key for key in left if key not in self.found]
        if new:
            self.keys += new
            self.grew = True
        else:
            self.reasons.append(f"still differs with our answers in place of the explained parts: {', '.join(left)}")

    def classes(self):
        """One entry per flag and class."""
        for found in self.found.values():
            yield from (found - {None}) or ({"dependency"} if not found else ())


def ask_probes(differences, xpmt):
    """Gives the pairs the answers of all engines to every part of every differing flag."""
    asked, lines = [], []
    for difference in differences:
        pair = difference.pair
        for key in difference.keys:
            if key in pair.probes or key not in pair.definitions:
                continue
            pair.probes[key] = []
            for place, kind, part, line in pair.parts(key):
                asked.append((pair.probes[key], place, kind, part))
                lines.append(line)
    if not lines:
        return
    found = answers([*reversed(ENGINES), "ours"], lines, xpmt)
    for n, (probes, place, kind, part) in enumerate(asked):
        probes.append((place, kind, part, {engine: probe_answer(found[engine][n]) for engine in found}))


def substitute(differences, engines, xpmt):
    """Evaluates the pairs again with our answers in place of the differing parts."""
    for engine in engines:
        mine = [difference for difference in differences if difference.engine == engine]
        if mine:
            lines = [difference.pair.substituted(difference.replacements) for difference in mine]
            for difference, answer in zip(mine, answers([engine], lines, xpmt)[engine]):
                difference.check(answer)
    return differences


def save_unexplained(report, path):
    """Appends each finding as one line; `pair` is the line to feed to an engine."""
    if report.unexplained:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            for finding in report.unexplained:
                file.write(json.dumps(finding, ensure_ascii=False) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pairs", type=Path, required=True)
    arguments.add_argument("--profile", choices=["common", "all"], default="all")
    arguments.add_argument("--xpmt", type=Path, default=XPMT)
    arguments.add_argument("--unexplained", type=Path, default=DIR / "unexplained.ndjson")
    arguments.add_argument("results", nargs="+", metavar="ENGINE=FILE")
    options = arguments.parse_args()
    files = dict(argument.split("=", 1) for argument in options.results)
    if "ours" not in files or not set(files) - {"ours"} or set(files) - {"ours", *ENGINES}:
        arguments.error("give ours=FILE and at least one of node=FILE, python=FILE")

    results = {engine: lines_of(path) for engine, path in files.items()}
    report = compare(lines_of(options.pairs), results, options.xpmt)
    print(report.table())
    report.list_unexplained()
    save_unexplained(report, options.unexplained)
    sys.exit(1 if report.failed(options.profile) else 0)


if __name__ == "__main__":
    main()
