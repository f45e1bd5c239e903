// Plain values from JavaScript: what is taken comes back as it was, and all else is refused and named.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programPath));
const {Gio, GLib, GObject, Gkv} = imports.gi;
const {test, equal, fails, throws, run} = imports.harness;

class Point {
  constructor() {
    this.x = 1;
  }
}

class MyArray extends Array {
}

// What can't be carried, and what the error calls it.
const UNMAPPABLE = [
  [new Date(), 'Date'],
  [new Map([['a', 1]]), 'Map'],
  [new Set([1]), 'Set'],
  [new WeakMap(), 'WeakMap'],
  [/a/, 'RegExp'],
  [new Error('x'), 'Error'],
  [new TypeError('x'), 'TypeError'],
  [Promise.resolve(1), 'Promise'],
  [() => 1, 'function'],
  [class {}, 'function'],
  [Symbol('x'), 'symbol'],
  [Symbol.iterator, 'symbol'],
  [new Point(), 'Point'],
  [new MyArray(), 'MyArray'],
  [Object.create({inherited: 1}), 'Object'],
  [new Number(5), 'Number'],
  [new String('x'), 'String'],
  [new Boolean(true), 'Boolean'],
  [Object(5n), 'BigInt'],
  [new Int8Array(1), 'Int8Array'],
  [new Uint8ClampedArray(1), 'Uint8ClampedArray'],
  [new Uint16Array(1), 'Uint16Array'],
  [new Float64Array(1), 'Float64Array'],
  [new BigInt64Array(1), 'BigInt64Array'],
  [new DataView(new ArrayBuffer(1)), 'DataView'],
  [new ArrayBuffer(1), 'ArrayBuffer'],
  [new GObject.Object(), 'GObject_Object'],
  [new Gio.ListStore(), 'Gio_ListStore'],
  [new GLib.Bytes([1]), 'GLib_Bytes'],
  [GLib.DateTime.new_now_utc(), 'GLib_DateTime'],
  [(function* () {
    yield 1;
  })(), 'Generator'],
  [[1][Symbol.iterator](), 'Array Iterator'],
  [(function () {
    return arguments;
  })(1), 'hidden property'],
  [Math, 'hidden property'],
  [Object.defineProperty({}, 'a', {value: 1}), 'hidden property "a"'],
  [{[Symbol('mark')]: 1}, 'symbol "mark"'],
  [[1, , 2], 'holes'],
  [Object.assign([1], {name: 'x'}), 'holes'],
  [/a/.exec('a'), 'holes'],
  [undefined, 'undefined'],
  [2n ** 63n, 'bigint'],
  [-(2n ** 63n) - 1n, 'bigint'],
  ['a\0b', 'NUL'],
  ['\0', 'NUL'],
  ['a\ud800', 'surrogate'],
  ['\udc00\ud800', 'surrogate'],
  [{'a\0b': 1}, 'key "a\\u0000b"'],
  [{'\udfff': 1}, 'surrogate'],
];

const PLACES = [
  [value => value, 'value'],
  [value => [0, value], 'value[1]'],
  [value => ({a: [0, 1, 2, value]}), 'value["a"][3]'],
  [value => [{__proto__: null, '\u043a "': value}], 'value[0]["\\u043a \\""]'],
];

function nest(wrap, n, value) {
  for (let i = 0; i < n; i++)
    value = wrap(value);
  return value;
}

// The same values come at each run.
function makeRandom(seed) {
  let state = Number(BigInt.asUintN(32, BigInt(seed + 1) * 2654435761n));

  return n => {
    state = Number(BigInt.asUintN(32, BigInt(state) * 1664525n + 1013904223n));
    return Math.floor(state / 2 ** 32 * n);
  };
}

function makeValue(random, depth) {
  const pick = items => items[random(items.length)];
  const makers = [
    () => random(2) === 1,
    () => pick([0, -0, 1, -7, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 2 ** 60, 1.5, NaN, Infinity, -Infinity]),
    () => pick([2n ** 53n, -(2n ** 63n), 2n ** 63n - 1n]),
    () => pick(['', 'a', '\u0001', '\u043a\u043b', '\u{1f600}', '\ufffe', '__proto__']),
    () => Uint8Array.from({length: random(4)}, () => random(256)),
  ];

  if (depth > 0) {
    makers.push(() => null,
      () => Array.from({length: random(4)}, () => makeValue(random, depth - 1)),
      () => Array.from({length: random(4)}, () => makeValue(random, depth - 1)),
      () => Object.fromEntries(Array.from({length: random(4)}, () =>
        [pick(['', 'a', '__proto__', 'constructor', 'toString', '1', '::', ' ']), makeValue(random, depth - 1)])));
  }
  return pick(makers)();
}

test('what is taken comes back', () => {
  const node = new Gkv.Node();

  const kinds = new Set();

  for (let seed = 0; seed < 500; seed++) {
    const value = makeValue(makeRandom(seed), 5);
    if (value === null)
      continue;
    kinds.add(Array.isArray(value) ? 'array' : typeof value);

    node.put('key', value);
    const got = node.get('key');
    equal(got, value);
    // What can be read can be written back.
    node.put('key', got);
    equal(node.get('key'), value);
  }
  equal([...kinds].sort(), ['array', 'bigint', 'boolean', 'number', 'object', 'string']);
});

test('types are as promised', () => {
  const node = new Gkv.Node();

  for (const [value, type] of [[true, 'b'], [1, 'x'], [5n, 'x'], [-0, 'd'], [1.5, 'd'], [2 ** 60, 'd'], ['a', 's'],
    [new Uint8Array(1), 'ay'], [[1], 'av'], [{a: 1}, 'a{sv}'], [Object.create(null), 'a{sv}'],
    [new GLib.Variant('(iu)', [1, 2]), '(iu)']]) {
    node.put('key', value);
    equal(node.get_value('key').get_type_string(), type);
  }
  node.put('key', [null]);
  equal(node.get_value('key').get_child_value(0).get_variant().get_type_string(), 'mv');
  equal(node.get('key'), [null]);
  node.put('key', 123n);
  equal(node.get('key'), 123);
});

test('what others write is read', () => {
  const node = new Gkv.Node();

  for (const [text, value] of [["(1, 'a')", [1, 'a']], ["{1: 'a'}", {1: 'a'}], ['just 5', 5], ['@mi nothing', null],
    ["[just 'a', nothing]", ['a', null]], ["{'a', 1}", {a: 1}], ['<<1.5>>', 1.5], ['@as []', []],
    ['@t 18446744073709551615', 2n ** 64n - 1n], ["{'__proto__': <1>}", JSON.parse('{"__proto__": 1}')]]) {
    node.put('key', GLib.Variant.parse(null, text, null, null));
    equal(node.get('key'), value);
  }
});

test('a key __proto__ is a key', () => {
  const node = new Gkv.Node();
  const value = JSON.parse('{"__proto__": {"polluted": true}}');

  node.put('key', value);
  const got = node.get('key');
  equal(Object.keys(got), ['__proto__']);
  equal(got.polluted, undefined);
  equal(Object.getPrototypeOf(got) === Object.prototype, true);
  equal(got, value);
  equal({}.polluted, undefined);
});

test('what cannot be carried is refused and named', () => {
  const node = new Gkv.Node();

  node.put('key', 'before');
  for (const [value, name] of UNMAPPABLE) {
    for (const [place, path] of PLACES) {
      throws(GLib.Error, [`${path} `, name], () => node.put('key', place(value)));
      fails(Gkv.Error.INVALID_VALUE, () => node.put('key', place(value)));
      fails(Gkv.Error.INVALID_VALUE, () => node.putAll({other: 1, key: place(value)}));
    }
  }
  throws(GLib.Error, ['value is null'], () => node.put('key', null));
  equal([...node], [['key', 'before']]);
});

test('keys that C would not get whole are refused', () => {
  const node = new Gkv.Node();

  node.put('a', 1);
  for (const key of ['a\0b', '\0', 'a\ud800']) {
    for (const call of [() => node.put(key, 1), () => node.putAll([[key, 1]]), () => node.keys(key), () => node.entries(key),
      () => node.watch(key, print), () => node.set_string(key, 'x'), () => node.get_value(key), () => node.list_keys(key)])
      fails(Gkv.Error.INVALID_KEY, call);
    fails(Gkv.Error.INVALID_VALUE, () => node.set_string('b', key));
    equal(node.has(key), false);
    equal(node.get(key), undefined);
    equal(node.get(key, 5), 5);
    equal(node.delete(key), false);
  }
  equal([...node], [['a', 1]]);
});

test('cycles are refused', () => {
  const node = new Gkv.Node();
  const ring = [1];
  ring.push(ring);
  const loop = {};
  loop.a = [[loop]];
  const shared = [1];

  throws(GLib.Error, ['value[1] ', 'array that contains itself'], () => node.put('key', ring));
  throws(GLib.Error, ['value["a"][0][0] ', 'object that contains itself'], () => node.put('key', loop));
  node.put('key', [shared, shared]);
  equal(node.get('key'), [[1], [1]]);
});

test('what is nested too deep is refused with its depth', () => {
  const node = new Gkv.Node();

  for (const [wrap, limit] of [[value => [value], 63], [value => ({a: value}), 42]]) {
    const words = ['nested', `depth ${limit + 1}`, 'the limit is 128'];

    throws(GLib.Error, words, () => node.put('key', nest(wrap, limit + 1, 1)));
    throws(GLib.Error, words, () => node.put('key', nest(wrap, 100000, 1)));
    for (const within of [1, 'a', null, new Uint8Array(0), []]) {
      const value = nest(wrap, limit, within);

      node.put('key', value);
      equal(node.get('key'), value);
    }
  }
});

run();
