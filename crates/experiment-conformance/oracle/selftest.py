#!/usr/bin/env python3
"""Proves that the oracle can fail: planted differences are found, and explanations do not swallow them.

Usage: oracle/selftest.py     (needs oracle/install, not our binary; about a minute)

Our engine's place is taken by the official Node engine, changed where a test says so: whatever
compare.py reports then is exactly what was planted.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import classes  # noqa: E402
from compare import lines_of  # noqa: E402
from wire import read, write  # noqa: E402

PAIRS = 1000

# The stand-in for our engine: rewrites the flags with a planted error, then runs the Node engine.
STAND_IN = """
import json, subprocess, sys
plant, cases = sys.argv[1:]
def changed(line):
    if plant == "none":
        return line
    pair = json.loads(line)
    for flag in pair["flags"]:
        for segment in flag["segments"]:
            if plant == "bucket" and segment.get("bucket"):
                segment["bucket"]["salt"] += "x"
            for all_of in segment.get("conditions") or []:
                for condition in all_of:
                    if plant == "contains" and condition["op"] == "contains":
                        condition["op"] = "is"
                    if plant == "version" and condition["op"] == "version less or equal":
                        condition["op"] = "version less"
    return json.dumps(pair, ensure_ascii=False) + "\\n"
lines = [changed(line) for line in open(cases, encoding="utf-8", newline="\\n")]
sys.exit(subprocess.run(["node", ENGINE], input="".join(lines).encode()).returncode)
"""

# Engine, operator, value, values, class: None where the engine must agree with the law.
CLASSES = [
    ("node", "regex match", '"hello world"', ["^hello"], "D1"),
    ("node", "regex match", '"hello world"', ["hello.*"], None),
    ("python", "regex match", '"a\\n"', ["^a$"], "D1"),
    ("python", "regex match", '"x"', ["["], "D3"),
    ("node", "set is not", "null", ["a"], "D2"),
    ("python", "regex does not match", "null", ["a"], "D2"),
    ("node", "is not", "null", ["a"], None),
    ("python", "is", '"[NaN]"', ["NaN"], "D5"),
    ("python", "version greater", '"99999999999999999999.0"', ["1.0"], "D6"),
    ("node", "greater", '"abc"', ["abb"], "D8"),
    ("node", "greater", '"0x10"', ["15"], "D8"),
    ("node", "greater", '" 5"', ["4"], None),
    ("python", "greater", '"1_000"', ["999"], "D9"),
    ("python", "greater", '"abc"', ["abb"], None),
    ("node", "is", "1.0", ["1"], "D10"),
    ("python", "is", "1.0", ["1"], None),
    ("python", "is", "10000000.0", ["1.0E7"], "D10"),
    ("node", "is", "0.5", ["0.5"], None),
    ("node", "is", "9007199254740993", ["9007199254740993"], "D12"),
    ("python", "is", "9007199254740993", ["9007199254740993"], None),
    ("python", "is", "12345678901234567890", ["1"], "D12"),
    ("python", "is", "0", ["0"], "D13"),
    ("node", "is", "0", ["0"], None),
    ("python", "regex match", "true", ["true"], "D14"),
    ("python", "is", "true", ["TRUE"], None),
    ("python", "set is not", '"[]"', ["a"], "D16"),
    ("python", "is", '{"k":"v"}', ['{"k":"v"}'], "D17"),
    ("node", "is", '{"k":"v"}', ['{"k":"v"}'], None),
    ("node", "is", '{"b":1,"2":1}', ["x"], "D17"),
    ("python", "set is", '{"k":"v"}', ["v"], None),
    ("node", "set contains", '["","a"]', [""], "D22"),
    ("python", "set contains", '["","a"]', [""], None),
    ("node", "set contains", '["a","b"]', ["a", "a", "a"], "D23"),
    ("node", "less", '"-0"', ["0"], "D26"),
    ("python", "greater", '"NaN"', ["1"], "D26"),
    ("node", "version greater", '"1.2.3+build"', ["1.2.3"], "D27"),
    ("python", "version greater", '"1.2.3-beta.1"', ["1.2.3-alpha"], None),
    ("python", "version greater", '"😀"', ["\uffff"], "D29"),
    ("node", "contains", '"ΣΑΣ"', ["σας"], None),
]

# What the profile `common` must reach, and by what share of its flags at least, in percent.
SHARES = {
    "depends": 15,
    "buckets": 50,
    "version": 10,
    "number": 10,
    "set": 25,
    "regex": 15,
    "cohort": 15,
    "group": 12,
    "result": 10,
    "matched": 60,
}


def expect(holds, what):
    if not holds:
        sys.exit(f"selftest: FAILED: {what}")
    print(f"selftest: {what}")


def run(*argv, **options):
    return subprocess.run([sys.executable, *map(str, argv)], capture_output=True, text=True, **options)


def generate(profile, seed, path):
    done = run(HERE / "generate.py", "--seed", seed, "--pairs", PAIRS, "--profile", profile, check=True)
    path.write_text(done.stdout, encoding="utf-8")


def evaluate(argv, source, target):
    with open(source, "rb") as pairs, open(target, "wb") as results:
        subprocess.run([*map(str, argv)], stdin=pairs, stdout=results, check=True)


def drop_failed_calls(pairs, answers):
    """Our engine never fails a call, so its stand-in must not either."""
    rows = zip(lines_of(pairs), lines_of(answers))
    kept = [row for row in rows if "results" in json.loads(row[1])]
    for path, lines in zip((pairs, answers), zip(*kept)):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def node_as_ours(folder, plant):
    stand_in = folder / "stand_in.py"
    stand_in.write_text(STAND_IN.replace("ENGINE", repr(str(HERE / "engine.mjs"))), encoding="utf-8")
    return [sys.executable, str(stand_in), plant]


def compared(folder, profile, ours, plant):
    """Exit code, printed text and saved findings of a comparison with the Node engine."""
    saved = folder / "unexplained.ndjson"
    saved.unlink(missing_ok=True)
    environment = {**os.environ, "XPMT_ORACLE_OURS": " ".join(node_as_ours(folder, plant))}
    done = run(
        HERE / "compare.py", "--pairs", folder / f"{profile}.ndjson", "--profile", profile, "--unexplained", saved,
        f"ours={ours}", f"node={folder / f'{profile}.node'}", env=environment,
    )
    findings = [json.loads(line) for line in lines_of(saved)] if saved.exists() else []
    return done.returncode, done.stdout + done.stderr, findings


def a_changed_answer_is_found(folder, profile):
    answered = folder / f"{profile}.node"
    lines = lines_of(answered)
    position = next(i for i, line in enumerate(lines) if i > PAIRS // 2 and json.loads(line).get("results"))
    answer = json.loads(lines[position])
    key = next(iter(answer["results"]))
    answer["results"][key]["key"] = "planted"
    lines[position] = json.dumps(answer)
    changed = folder / "changed"
    changed.write_text("\n".join(lines) + "\n", encoding="utf-8")

    code, text, findings = compared(folder, profile, changed, "none")
    name = json.loads(lines_of(folder / f"{profile}.ndjson")[position])["name"]
    expect(code == 1 and name in text, f"{profile}: one changed answer is reported and fails the run")
    expect([(f["name"], f["flags"]) for f in findings] == [(name, [key])], f"{profile}: nothing else is reported")

    del answer["results"][key]
    lines[position] = json.dumps(answer)
    changed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, _, findings = compared(folder, profile, changed, "none")
    expect(code == 1 and len(findings) == 1, f"{profile}: one missing result is reported and fails the run")


def a_planted_error_is_not_explained(folder, profile, plant):
    ours = folder / f"{profile}.planted"
    argv = node_as_ours(folder, plant) + [str(folder / f"{profile}.ndjson")]
    with open(ours, "wb") as results:
        subprocess.run(argv, stdout=results, check=True)
    code, text, findings = compared(folder, profile, ours, plant)
    expect(code == 1 and bool(findings), f"{profile}: the planted error `{plant}` stays unexplained ({len(findings)} pairs)")


def every_class_is_recognised():
    for engine, operator, value, values, wanted in CLASSES:
        condition = {"selector": ["context", "user", "p"], "op": operator, "values": values}
        found = classes.condition_class(engine, condition, read(value))
        if found != wanted:
            sys.exit(f"selftest: FAILED: {engine}: {value} {operator} {write(values)} is {found}, not {wanted}")
    print(f"selftest: {len(CLASSES)} conditions have the class they should have")


def the_generator_is_deterministic_and_rich(folder):
    first = (folder / "common.ndjson").read_text(encoding="utf-8")
    generate("common", 1, folder / "again.ndjson")
    expect((folder / "again.ndjson").read_text(encoding="utf-8") == first, "a seed gives the same pairs again")

    counts, flags = dict.fromkeys(SHARES, 0), 0
    for line, answer in zip(lines_of(folder / "common.ndjson"), lines_of(folder / "common.node")):
        pair, results = json.loads(line), json.loads(answer)["results"]
        for flag in pair["flags"]:
            flags += 1
            conditions = [c for s in flag["segments"] for a in s.get("conditions") or [] for c in a]
            buckets = [s["bucket"] for s in flag["segments"] if s.get("bucket")]
            operators = {c["op"] for c in conditions}
            selectors = [part["selector"] for part in conditions + buckets]
            counts["depends"] += bool(flag.get("dependencies"))
            counts["buckets"] += bool(buckets)
            counts["version"] += bool(operators & classes.VERSION_OPERATORS)
            counts["number"] += bool(operators & classes.NUMBER_OPERATORS)
            counts["set"] += bool(operators & classes.SET_OPERATORS)
            counts["regex"] += bool(operators & classes.REGEX_OPERATORS)
            counts["cohort"] += any(s[-1:] == ["cohort_ids"] for s in selectors)
            counts["group"] += any(s[1:2] == ["groups"] for s in selectors)
            counts["result"] += any(s[:1] == ["result"] for s in selectors)
            counts["matched"] += flag["key"] in results
    shares = {name: round(100 * count / flags) for name, count in counts.items()}
    poor = [name for name in SHARES if shares[name] < SHARES[name]]
    expect(not poor, f"profile common is rich: {', '.join(f'{n} {s} %' for n, s in shares.items())} of {flags} flags{poor or ''}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every_class_is_recognised()
        for profile in ("common", "all"):
            generate(profile, 1, folder / f"{profile}.ndjson")
            evaluate(["node", HERE / "engine.mjs"], folder / f"{profile}.ndjson", folder / f"{profile}.node")
            drop_failed_calls(folder / f"{profile}.ndjson", folder / f"{profile}.node")
            code, _, findings = compared(folder, profile, folder / f"{profile}.node", "none")
            expect(code == 0 and not findings, f"{profile}: equal answers pass")
            a_changed_answer_is_found(folder, profile)
            for plant in ("contains", "version", "bucket"):
                a_planted_error_is_not_explained(folder, profile, plant)
        the_generator_is_deterministic_and_rich(folder)
    print("selftest: passed")


if __name__ == "__main__":
    main()
