// The process in which a contestant for Node runs, as host.py is that of Python:
//
//     node benchmarks/host.mjs FOLDER MODULE:CLASS URL
//
// FOLDER has the packages. What the library prints goes to standard error.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, target, url] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const [module, name] = target.split(":");
console.log = console.info = console.error;

let contestant = null;
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let reply;
  try {
    contestant ??= new (await import(`../${module.replaceAll(".", "/")}.mjs`))[name](url, load);
    reply = { answer: await contestant[request.call](request.arguments) };
  } catch (error) {
    reply = { error: error.stack };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
}
process.exit(0);
