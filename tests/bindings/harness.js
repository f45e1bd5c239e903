// What the tests in JavaScript share: they are collected by test (), and run () prints how each ended as TAP has it.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported test, equal, fails, throws, waitUntil, run */
const {GLib, Gkv} = imports.gi;
const System = imports.system;

const tests = [];

function test(name, body) {
  tests.push([name, body]);
}

// A value as text, in which all that differs differs.
function show(value) {
  switch (typeof value) {
  case 'bigint':
    return `${value}n`;
  case 'number':
    return Object.is(value, -0) ? '-0' : String(value);
  case 'object':
    break;
  default:
    return typeof value === 'string' ? JSON.stringify(value) : String(value);
  }
  if (value === null)
    return 'null';
  if (value instanceof Uint8Array)
    return `bytes(${value.join()})`;
  if (Array.isArray(value))
    return `[${value.map(show).join()}]`;
  return `{${Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${show(item)}`).join()}}`;
}

function equal(actual, expected) {
  if (typeof actual !== typeof expected || show(actual) !== show(expected))
    throw new Error(`got ${show(actual)} instead of ${show(expected)}`);
}

function fails(code, body) {
  try {
    body();
  } catch (error) {
    if (error instanceof GLib.Error && error.matches(Gkv.Error, code))
      return;
    throw error;
  }
  throw new Error('it did not fail');
}

function waitUntil(condition) {
  const context = GLib.MainContext.default();
  const end = GLib.get_monotonic_time() + 60000000;
  const id = GLib.timeout_add(GLib.PRIORITY_DEFAULT, 20, () => GLib.SOURCE_CONTINUE);

  while (!condition()) {
    if (GLib.get_monotonic_time() > end)
      throw new Error('waited in vain');
    context.iteration(true);
  }
  GLib.source_remove(id);
}

// It throws an error of this class whose message has these words.
function throws(kind, words, body) {
  try {
    body();
  } catch (error) {
    const missing = words.filter(word => !error.message.includes(word));

    if (error instanceof kind && missing.length === 0)
      return;
    throw new Error(`${error} is no ${kind.name} with ${missing.join(', ')}`);
  }
  throw new Error(`it did not fail with ${words.join(', ')}`);
}

function run() {
  print(`1..${tests.length}`);
  let failed = 0;
  tests.forEach(([name, body], i) => {
    try {
      body();
      print(`ok ${i + 1} ${name}`);
    } catch (error) {
      failed++;
      print(`not ok ${i + 1} ${name}`);
      printerr(`${error}\n${error.stack}`);
    }
  });
  System.exit(failed > 0 ? 1 : 0);
}
