// The library from JavaScript: the override, errors, signals, and a codec written as a class.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
const {GLib, GObject, Gkv} = imports.gi;
const System = imports.system;

const tests = [];

function test(name, body) {
  tests.push([name, body]);
}

function equal(actual, expected) {
  const show = value => JSON.stringify(value, (_key, v) =>
    typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? ['bytes', ...v] : v);

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

const Reversed = GObject.registerClass({
  Implements: [Gkv.Codec],
}, class Reversed extends GObject.Object {
  vfunc_get_name() {
    return 'reversed';
  }

  vfunc_encode(value) {
    if (value.get_type_string() !== 's')
      throw new GLib.Error(Gkv.Error, Gkv.Error.CODEC, 'only strings can be reversed');
    return new GLib.Bytes(new TextEncoder().encode([...value.get_string()[0]].reverse().join('')));
  }

  vfunc_decode(bytes) {
    return new GLib.Variant('s', [...new TextDecoder().decode(bytes.toArray())].reverse().join(''));
  }
});

test('values come back as they were', () => {
  const node = new Gkv.Node();

  for (const value of [true, false, 0, 5, -7, Number.MAX_SAFE_INTEGER, 1.5, '', 'ключ', [], [1, 'a', [true]], {},
    {a: 1, b: {c: 'd'}}, new Uint8Array([1, 0, 2]), -(2n ** 63n), 2n ** 63n - 1n]) {
    node.put('key', value);
    equal(node.get('key'), value);
  }
});

test('big integers that are safe come back as numbers', () => {
  const node = new Gkv.Node();

  node.put('key', 123n);
  equal(node.get('key'), 123);
  equal(node.get_value('key').get_type_string(), 'x');
});

test('variants stay as they are', () => {
  const node = new Gkv.Node();

  node.put('key', new GLib.Variant('(iu)', [1, 2]));
  equal(node.get_value('key').get_type_string(), '(iu)');
  equal(node.get('key'), [1, 2]);
});

test('what cannot be kept is refused', () => {
  const node = new Gkv.Node();

  fails(Gkv.Error.INVALID_VALUE, () => node.put('key', null));
  fails(Gkv.Error.INVALID_VALUE, () => node.put('key', undefined));
  fails(Gkv.Error.INVALID_VALUE, () => node.put('key', 2n ** 64n));
  fails(Gkv.Error.INVALID_KEY, () => node.put('', 1));
  equal(node.has('key'), false);
});

test('it is used as a map is', () => {
  const node = new Gkv.Node();

  node.put('b', 2).put('a', 1);
  equal(node.has('a'), true);
  equal(node.keys(), ['a', 'b']);
  equal([...node], [['a', 1], ['b', 2]]);
  equal([...node.entries()], [['a', 1], ['b', 2]]);
  equal(node.get('c', 3), 3);
  node.delete('a');
  equal(node.get('a'), undefined);
  fails(Gkv.Error.NOT_FOUND, () => node.delete('a'));
});

test('errors match', () => {
  const node = new Gkv.Node();

  fails(Gkv.Error.NOT_FOUND, () => node.get_value('missing'));
  node.set_string('s', 'text');
  fails(Gkv.Error.WRONG_TYPE, () => node.get_int64('s'));
  node.close();
  fails(Gkv.Error.CLOSED, () => node.put('a', 1));
});

test('keys of any kind are details', () => {
  const node = new Gkv.Node();

  for (const key of ['a::b', 'my_key', '/app/x y', 'ключ']) {
    const seen = [];

    node.connect(`changed::${key}`, (_node, k, value) => seen.push([k, value === null ? null : value.unpack()]));
    node.put(key, 'x');
    node.delete(key);
    equal(seen, [[key, 'x'], [key, null]]);
  }
});

test('codecs are made by name', () => {
  equal(new Gkv.Node({codec: 'string'}).codec.get_name(), 'string');
  fails(Gkv.Error.MODULE, () => new Gkv.Node({codec: 'nonsense'}));
});

test('a codec may be a class', () => {
  const node = new Gkv.Node({codec: new Reversed()});

  node.put('key', 'hello');
  equal(node.get('key'), 'hello');
  fails(Gkv.Error.CODEC, () => node.put('key', 5));
});

test('two nodes share a key', () => {
  const one = new Gkv.Node({bind_address: '127.0.0.1:0'});
  one.start();
  const two = new Gkv.Node({bind_address: '127.0.0.1:0', seeds: [one.local_address]});
  const seen = [];

  two.connect('changed::flag', (_node, _key, value) => seen.push(value.deepUnpack()));
  two.start();
  one.put('flag', true);
  waitUntil(() => seen.length === 1);
  equal(seen, [true]);

  let synced = false;
  two.wait_synced_async(30000, null).then(() => (synced = true));
  waitUntil(() => synced);

  one.close();
  two.close();
});

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
