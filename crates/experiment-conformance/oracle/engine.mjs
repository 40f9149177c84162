#!/usr/bin/env node
// Runs the official npm engine: reads NDJSON `{"flags":[…],"context":{…}}` from standard input and
// writes one line `{"results":{…}}` or `{"error":"…"}` per line, in order.
// Usage: oracle/engine.mjs < pairs.ndjson > node.ndjson     (after oracle/install)
//
// Flags are put into a map by key and sorted the way the official Node server SDK does it.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dir = resolve(process.env.XPMT_ORACLE_DIR || join(here, '../../../target/oracle'));
const { EvaluationEngine, topologicalSort } = createRequire(join(dir, 'node/package.json'))(
  '@amplitude/experiment-core',
);

const engine = new EvaluationEngine();

const answer = (line) => {
  try {
    const { flags, context } = JSON.parse(line);
    const byKey = {};
    for (const flag of flags) byKey[flag.key] = flag;
    return { results: engine.evaluate(context, topologicalSort(byKey)) };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
};

const FLUSH_LINES = 500;
let pending = [];
const flush = () => {
  const written = process.stdout.write(pending.join(''));
  pending = [];
  return written;
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === '') continue;
  pending.push(JSON.stringify(answer(line)) + '\n');
  if (pending.length >= FLUSH_LINES && !flush()) {
    await new Promise((drained) => process.stdout.once('drain', drained));
  }
}
flush();
