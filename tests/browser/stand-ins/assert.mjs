// Stands for node:assert/strict in a browser, as far as the tests of the logic need it.
function ok(condition, message = "not true") {
  if (!condition) throw new Error(message);
}

const shown = (value) => JSON.stringify(value);

function equal(found, expected) {
  ok(Object.is(found, expected), `${shown(found)} is not ${shown(expected)}`);
}

function notEqual(found, other) {
  ok(!Object.is(found, other), `both are ${shown(found)}`);
}

function deepEqual(found, expected) {
  equal(shown(found), shown(expected));
}

function match(text, pattern) {
  ok(pattern.test(text), `${text} does not match ${pattern}`);
}

export default { deepEqual, equal, match, notEqual, ok };
