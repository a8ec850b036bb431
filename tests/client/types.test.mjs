// client.d.ts: it declares what client.js exports, no more and no less, and a program that uses it is checked by it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { fileURLToPath } from "node:url";

import * as client from "#client";
import ts from "typescript";

const declarations = fileURLToPath(import.meta.resolve("#client")).replace(/\.js$/, ".d.ts");
const sample = fileURLToPath(new URL("sample.ts", import.meta.url));

function compile(file) {
  const options = {
    noEmit: true,
    strict: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
  };
  const program = ts.createProgram([file, declarations], options);
  const found = ts.getPreEmitDiagnostics(program);
  const said = found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
  return { program, said };
}

const { program, said } = compile(sample);

function declared() {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(declarations));
  const values = checker.getExportsOfModule(module).filter(({ flags }) => flags & ts.SymbolFlags.Value);
  return new Map(values.map((symbol) => [symbol.name, checker.getTypeOfSymbol(symbol)]));
}

/** The public members of a class: private ones cannot be seen, and those that only the module itself uses say so. */
function members(prototype) {
  return Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor");
}

test("a program that uses the module as it is meant to be used is correct, and mistakes are found", () => {
  assert.deepEqual(said, []);
  assert.match(readFileSync(sample, "utf8"), /@ts-expect-error/);
});

test("what is exported is declared, and the other way round", () => {
  assert.deepEqual([...declared().keys()].sort(), Object.keys(client).sort());
});

test("constants have the same members and values", () => {
  const checker = program.getTypeChecker();
  for (const name of ["Message", "Action", "CloseCode"]) {
    const symbols = checker.getPropertiesOfType(declared().get(name));
    const values = symbols.map((symbol) => [symbol.name, checker.getTypeOfSymbol(symbol).value]);
    assert.deepEqual(Object.fromEntries(values), { ...client[name] });
  }
});

test("methods of the classes are there", () => {
  const checker = program.getTypeChecker();
  const internal = new Set(["settle", "emit"]);
  for (const name of ["Live", "Snapshot", "LiveError"]) {
    const type = checker.getDeclaredTypeOfSymbol(declared().get(name).symbol);
    const methods = checker.getPropertiesOfType(type).map((symbol) => symbol.name);
    const written = members(client[name].prototype).filter((each) => !internal.has(each));
    for (const each of written) assert.ok(methods.includes(each), `${name}.${each} is not declared`);
    const made = new client[name]("http://site/");
    for (const each of methods.filter((each) => !["cause", "stack"].includes(each))) {
      assert.ok(each in made, `${name}.${each} is declared and is not there`);
    }
  }
});
