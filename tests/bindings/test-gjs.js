// The library from JavaScript: the override, errors, signals, and a codec written as a class.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programPath));
const {Gio, GLib, GObject, Gkv} = imports.gi;
const {test, equal, fails, throws, waitUntil, run} = imports.harness;

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

test('it is used as a map is', () => {
  const node = new Gkv.Node();

  node.put('b', 2).put('a', 1);
  equal(node.has('a'), true);
  equal(node.keys(), ['a', 'b']);
  equal([...node], [['a', 1], ['b', 2]]);
  equal([...node.entries()], [['a', 1], ['b', 2]]);
  equal(node.get('c', 3), 3);
  equal(node.size, 2);
  equal([...node.values()], [1, 2]);
  equal(node.delete('a'), true);
  equal(node.get('a'), undefined);
  equal(node.delete('a'), false);
  equal(node.delete(''), false);
  equal(node.size, 1);
});

test('a prefix limits what is iterated over', () => {
  const node = new Gkv.Node();

  node.put('w/a', 1).put('w/b', 2).put('x', 3);
  equal(node.keys('w/'), ['w/a', 'w/b']);
  equal([...node.values('w/')], [1, 2]);
  equal([...node.entries('w/')], [['w/a', 1], ['w/b', 2]]);
  equal(node.keys('y'), []);
  throws(TypeError, ['number'], () => node.keys(5));
});

test('many are put at once', () => {
  const node = new Gkv.Node();

  node.putAll({a: 1, b: [2]}).putAll(new Map([['c', 'x']])).putAll([['d', true]]).putAll({});
  equal([...node], [['a', 1], ['b', [2]], ['c', 'x'], ['d', true]]);
  const copy = new Gkv.Node();
  copy.putAll(node, {ephemeral: true});
  equal([...copy], [...node]);
  equal(copy.get_entry('a').get_ephemeral(), true);
  throws(GLib.Error, ['value["f"][0] ', 'Date'], () => node.putAll({e: 1, f: [new Date()]}));
  equal(node.has('e'), false);
  for (const wrong of [5, null, 'text', new Date()])
    throws(Error, [''], () => node.putAll(wrong));
});

test('put has options', () => {
  const node = new Gkv.Node();

  node.put('a', 1, {ttl: 1000});
  node.put('b', 1, {ephemeral: true});
  equal(node.get_entry('a').get_expires() !== null, true);
  equal(node.get_entry('b').get_ephemeral(), true);
  node.put('c', 1, {ttl: 0.05});
  waitUntil(() => !node.has('c'));
  for (const ttl of [0, -1, NaN, Infinity, '5', 1e12])
    fails(Gkv.Error.INVALID_VALUE, () => node.put('d', 1, {ttl}));
  throws(TypeError, ['tll'], () => node.put('d', 1, {tll: 5}));
  equal(node.has('d'), false);
});

test('a watch has plain values', () => {
  const node = new Gkv.Node();
  const seen = [];
  const all = [];

  node.put('w/old', 1);
  node.watch(null, (_node, key, value) => all.push([key, value]), {initial: true});
  waitUntil(() => all.length === 1);
  equal(all, [['w/old', 1]]);
  const id = node.watch('w/', (n, ...args) => seen.push([n === node, ...args]));
  node.put('w/a', {x: [1]});
  node.put('v', 1);
  node.delete('w/a');
  waitUntil(() => seen.length === 2);
  equal(seen, [[true, 'w/a', {x: [1]}, node.node_id], [true, 'w/a', undefined, node.node_id]]);
  node.unwatch(id);
  node.put('w/b', 1);
  waitUntil(() => all.some(([key]) => key === 'w/b'));
  equal(seen.length, 2);
  throws(TypeError, ['function'], () => node.watch('w/'));
});

test('set is that of GObject', () => {
  const node = new Gkv.Node();

  throws(TypeError, ['put (key, value)'], () => node.set('a', 1));
  throws(TypeError, ['put (key, value)'], () => node.set('a'));
  node.set({gossip_interval: 500, codec: 'string'});
  equal(node.gossip_interval, 500);
  equal(node.codec.get_name(), 'string');
});

test('a key is a text', () => {
  const node = new Gkv.Node();

  equal(node.has(5), false);
  equal(node.delete(5), false);
  for (const call of [() => node.get(5), () => node.put(5, 1), () => node.putAll([[5, 1]]), () => node.get_value(5)])
    throws(TypeError, ['number'], call);
});

test('what is hidden has another name', () => {
  for (const name of ['watch', 'flush', 'flush_async', 'wait_synced', 'wait_synced_async', 'close', 'set_codec'])
    equal(typeof Gkv.Node.prototype[`${name}_full`], 'function');
});

test('errors match', () => {
  const node = new Gkv.Node();

  fails(Gkv.Error.NOT_FOUND, () => node.get_value('missing'));
  fails(Gkv.Error.INVALID_KEY, () => node.put('', 1));
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

  const node = new Gkv.Node();
  node.codec = 'bytes';
  equal(node.codec.get_name(), 'bytes');
  node.set_codec('string');
  equal(node.codec.get_name(), 'string');
  fails(Gkv.Error.MODULE, () => (node.discovery = 'nonsense'));
  node.transport = 'udp';
  node.discovery = null;
  equal(node.discovery, null);
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
  two.wait_synced_async().then(() => (synced = true));
  waitUntil(() => synced);
  let flushed = false;
  two.put('other', 1);
  two.flush_async(1).then(() => (flushed = true));
  waitUntil(() => flushed);
  equal(one.get('other'), 1);
  let failure = null;
  two.flush_async(5, 10).catch(error => (failure = error));
  waitUntil(() => failure !== null);
  equal(failure.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.TIMED_OUT), true);
  two.put('other', 2);
  equal(two.flush(1), true);
  equal(two.wait_synced(), true);

  one.close();
  two.close();
});

test('what another codec wrote is skipped', () => {
  const one = new Gkv.Node({bind_address: '127.0.0.1:0'});
  one.start();
  const two = new Gkv.Node({bind_address: '127.0.0.1:0', seeds: [one.local_address], codec: 'string'});
  two.start();
  one.put('there', 1);
  two.put('here', 'text');
  waitUntil(() => two.has('there') && one.has('here'));
  for (const [node, good, bad, value] of [[two, 'here', 'there', 'text'], [one, 'there', 'here', 1]]) {
    fails(Gkv.Error.CODEC, () => node.get(bad));
    equal(node.get(bad, 5), 5);
    equal([...node], [[good, value]]);
    equal(node.keys(), [good]);
    equal([...node.values()], [value]);
    equal([...node.entries()], [[good, value]]);
    // It is there all the same.
    equal(node.has(bad), true);
    equal(node.size, 2);
  }
  one.close();
  two.close();
});

run();
