// run.mjs SDK - drive one SDK by calls on standard input, a JSON document a
// line; every call is answered by one line on standard output:
//   {"call": "event", "args": ["File Uploaded", {...}]}  ->  {"value": ...}
// An SDK module exports start(settings), which gives the object whose methods
// can be called: event, identify, ids, errors, leave.
import { createInterface } from 'node:readline';

const answers = process.stdout.write.bind(process.stdout);
// SDKs write to the console; the answers have standard output for themselves.
console.log = console.info = console.warn = console.error;

const name = process.argv[2];
const { start } = await import(`./${name}.mjs`);
let sdk;

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  let answer;
  try {
    if (call === 'start') {
      sdk = await start(...args);
      answer = { value: null };
    } else {
      answer = { value: (await sdk[call](...args)) ?? null };
    }
  } catch (e) {
    answer = { error: String(e?.stack ?? e) };
  }
  answers(JSON.stringify(answer) + '\n');
}
process.exit(0);
