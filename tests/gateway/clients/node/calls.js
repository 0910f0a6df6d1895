// Calls methods of the npm package openwhisk.
//
// Each line on standard input is a call: ["actions", "get", {"name": "hello"}]. Each line on standard
// output is its answer: {"answer": ...} or {"error": "...", "status": 404}.
import readline from "node:readline";
import openwhisk from "openwhisk";

const [apihost, api_key] = process.argv.slice(2);
const client = openwhisk({ apihost, api_key, namespace: "_" });

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [resource, method, options] = JSON.parse(line);
  if (options?.base64) options.action = Buffer.from(options.base64, "base64");
  let answer;
  try {
    answer = { answer: await client[resource][method](options) };
  } catch (error) {
    answer = { error: error.message, status: error.statusCode, body: error.error };
  }
  console.log(JSON.stringify(answer));
}
