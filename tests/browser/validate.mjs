// Judges a document of AsyncAPI on standard input by the official JSON Schema of its version; says what is wrong.
import { text } from "node:stream/consumers";

import specs from "@asyncapi/specs";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const document = JSON.parse(await text(process.stdin));
// The schema brings along the JSON Schema that it is written in.
const ajv = new Ajv({ strict: false, meta: false, validateSchema: false, logger: false });
addFormats(ajv);
const isValid = ajv.compile(specs.schemas[document.asyncapi]);
if (!isValid(document)) {
  for (const { instancePath, message } of isValid.errors.slice(0, 20)) console.log(`${instancePath} ${message}`);
  process.exit(1);
}
console.log(`valid AsyncAPI ${document.asyncapi}, ${Object.keys(document.operations).length} operations`);
