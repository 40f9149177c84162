#!/usr/bin/env python3
"""Runs the official PyPI engine: reads NDJSON `{"flags":[…],"context":{…}}` from standard input and
writes one line `{"results":{…}}` or `{"error":"…"}` per line, in order.

Usage: oracle/engine.py [--decoder quick|official] < pairs.ndjson > python.ndjson     (after oracle/install)

Flags are put into a map by key and sorted the way the official server SDK does it. The SDK's own
decoder (`official`) is about a hundred times slower than its engine, so by default (`quick`) the
same data classes are built directly. The two differ on malformed flags only: `official` rejects
unknown fields and wrong types.
"""

import json
import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIR = Path(os.environ.get("XPMT_ORACLE_DIR") or HERE.parents[2] / "target/oracle")
# This file's own folder must not be searched: it would shadow packages of the SDK.
sys.path[0] = str(DIR / "python")

from amplitude_experiment.evaluation.engine import EvaluationEngine  # noqa: E402
from amplitude_experiment.evaluation.topological_sort import topological_sort  # noqa: E402
from amplitude_experiment.evaluation.types import (  # noqa: E402
    EvaluationAllocation,
    EvaluationBucket,
    EvaluationCondition,
    EvaluationDistribution,
    EvaluationFlag,
    EvaluationSegment,
    EvaluationVariant,
)


def quick_bucket(bucket):
    if bucket is None:
        return None
    return EvaluationBucket(
        bucket["selector"],
        bucket["salt"],
        [
            EvaluationAllocation(
                allocation["range"],
                [EvaluationDistribution(d["variant"], d["range"]) for d in allocation["distributions"]],
            )
            for allocation in bucket["allocations"]
        ],
    )


def quick_conditions(conditions):
    if conditions is None:
        return None
    return [[EvaluationCondition(c["selector"], c["op"], c["values"]) for c in all_of] for all_of in conditions]


def quick_flag(flag):
    return EvaluationFlag(
        flag["key"],
        {
            name: EvaluationVariant(v.get("key"), v.get("value"), v.get("payload"), v.get("metadata"))
            for name, v in flag["variants"].items()
        },
        [
            EvaluationSegment(
                quick_bucket(s.get("bucket")), quick_conditions(s.get("conditions")), s.get("variant"), s.get("metadata")
            )
            for s in flag["segments"]
        ],
        flag.get("dependencies"),
        flag.get("metadata"),
    )


def quick_flags(flags):
    return [quick_flag(flag) for flag in flags]


def wire_variant(variant):
    fields = {
        "key": variant.key,
        "value": variant.value,
        "payload": variant.payload,
        "metadata": variant.metadata,
    }
    return {name: value for name, value in fields.items() if value is not None}


def main():
    decoder = quick_flags
    if sys.argv[1:] == ["--decoder", "official"]:
        decoder = EvaluationFlag.schema(many=True).load
    elif sys.argv[1:] not in ([], ["--decoder", "quick"]):
        sys.exit(__doc__)

    # Patterns that a later Python may read differently.
    warnings.simplefilter("ignore", FutureWarning)
    engine = EvaluationEngine()
    for line in open(sys.stdin.fileno(), encoding="utf-8", newline="\n"):
        try:
            pair = json.loads(line)
            flags = topological_sort({flag.key: flag for flag in decoder(pair["flags"])})
            results = engine.evaluate(pair["context"], flags)
            answer = {"results": {key: wire_variant(variant) for key, variant in results.items()}}
        except Exception as error:  # Whatever the engine throws is its answer for this call.
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
