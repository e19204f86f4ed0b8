// Runs the examples of the reference, each a compiled module that works as it is imported: reads a path a line,
// answers with a line of JSON that has what the module printed, and what it threw.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

for await (const path of createInterface({ input: process.stdin })) {
  const said = [];
  console.log = (...values) => said.push(format(...values));
  let error = null;
  try {
    await import(pathToFileURL(path).href);
  } catch (thrown) {
    error = String(thrown);
  }
  process.stdout.write(JSON.stringify({ said: said.join('\n'), error }) + '\n');
}
