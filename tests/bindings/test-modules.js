// Modules written in JavaScript: every method of every interface is implemented here and called through the library.
//
// Usage: test-modules.js GIR-FILE
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
const {GLib, GObject, Gio, Gkv} = imports.gi;
const System = imports.system;

const tests = [];

function test(name, body) {
  tests.push([name, body]);
}

function equal(actual, expected) {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`got ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
}

function fails(code, body, domain = Gkv.Error) {
  try {
    body();
  } catch (error) {
    if (error instanceof GLib.Error && error.matches(domain, code))
      return error.message;
    throw error;
  }
  throw new Error('it did not fail');
}

function later(body) {
  GLib.timeout_add(GLib.PRIORITY_DEFAULT, 1, () => {
    body();
    return GLib.SOURCE_REMOVE;
  });
}

function failure(code, message) {
  return new GLib.Error(Gkv.Error, code, message);
}

// Runs an asynchronous call to its end.
function finishAsync(begin, finish) {
  let ended = null;

  begin((_source, result) => {
    ended = result;
  });
  while (ended === null)
    GLib.MainContext.default().iteration(true);
  return finish(ended);
}

const open = (transport, address, cancellable = null) => finishAsync(
  done => transport.open_async(address, cancellable, done), result => transport.open_finish(result));
const resolve = (transport, address, cancellable = null) => finishAsync(
  done => transport.resolve_async(address, cancellable, done), result => transport.resolve_finish(result));

// Texts, doubled.
const Codec = GObject.registerClass({
  Implements: [Gkv.Codec],
}, class ModuleCodec extends GObject.Object {
  vfunc_get_name() {
    return 'double';
  }

  vfunc_encode(value) {
    if (value.get_type_string() !== 's')
      throw failure(Gkv.Error.CODEC, 'only texts');
    return new GLib.Bytes(new TextEncoder().encode(value.get_string()[0].repeat(2)));
  }

  vfunc_decode(bytes) {
    const text = new TextDecoder().decode(bytes.toArray());

    return new GLib.Variant('s', text.slice(0, text.length / 2));
  }

  vfunc_is_thread_safe() {
    return false;
  }

  vfunc_is_lossless() {
    return true;
  }
});

// Mailboxes within this process; names have to be looked up, and all that may takes its time. It stays in its thread:
// no other may run JavaScript.
const Transport = GObject.registerClass({
  Implements: [Gkv.Transport],
}, class ModuleTransport extends GObject.Object {
  _init() {
    super._init();
    this.address = null;
    this.queue = [];
    this.cancelled = [];
    this.silent = false;
  }

  vfunc_open(bindAddress) {
    if (!bindAddress.startsWith('box:'))
      throw failure(Gkv.Error.TRANSPORT, 'no such box');
    this.address = bindAddress;
    return true;
  }

  vfunc_close() {
    this.address = null;
  }

  vfunc_get_local_address() {
    return this.address;
  }

  vfunc_get_max_datagram_size() {
    return 4000;
  }

  vfunc_send(address, datagram) {
    if (this.address === null)
      throw failure(Gkv.Error.TRANSPORT, 'closed');
    this.queue.push([address, datagram]);
    return true;
  }

  vfunc_flush() {
    const sent = this.queue;

    this.queue = [];
    if (sent.some(([address]) => address === 'box:nowhere'))
      throw failure(Gkv.Error.TRANSPORT, 'no way there');
    for (const [, datagram] of sent)
      this.emit_received(this.address, datagram);
    this.emit_drained();
    return true;
  }

  vfunc_begin_open(bindAddress) {
    if (this.silent)
      return;
    later(() => {
      try {
        this.vfunc_open(bindAddress);
        this.opened();
      } catch (error) {
        this.open_failed(error);
      }
    });
  }

  vfunc_begin_resolve(address, request) {
    if (this.silent)
      return;
    later(() => {
      if (address === 'home')
        this.resolved(request, ['box:1', 'box:2']);
      else
        this.resolve_failed(request, failure(Gkv.Error.TRANSPORT, `nobody knows ${address}`));
    });
  }

  vfunc_cancel_resolve(request) {
    this.cancelled.push(request);
  }

  vfunc_normalize(address, use) {
    if (address === 'box:0' && use === Gkv.AddressUse.PEER)
      throw failure(Gkv.Error.INVALID_ADDRESS, 'nobody lives in box:0');
    return address.startsWith('box:') ? address : null;
  }

  vfunc_is_thread_movable() {
    return false;
  }
});

// Finds one node.
const Discovery = GObject.registerClass({
  Implements: [Gkv.Discovery],
}, class ModuleDiscovery extends GObject.Object {
  vfunc_start(_cluster, _nodeId, address) {
    if (!address.startsWith('box:'))
      throw failure(Gkv.Error.DISCOVERY, 'no box');
    later(() => this.emit_found('friend', 'box:9'));
    return true;
  }

  vfunc_stop() {
    this.emit_lost('friend', 'box:9');
  }

  vfunc_is_thread_movable() {
    return false;
  }
});

test('all is implemented', () => {
  const gir = new TextDecoder().decode(GLib.file_get_contents(ARGV[0])[1]);

  for (const [name, implementation] of Object.entries({Codec, Transport, Discovery})) {
    const text = gir.match(new RegExp(`<interface name="${name}".*?</interface>`, 's'))[0];
    const methods = [...text.matchAll(/<virtual-method name="(\w+)"/g)].map(match => `vfunc_${match[1]}`);
    const own = Object.getOwnPropertyNames(implementation.prototype).filter(key => key.startsWith('vfunc_'));

    equal(own.sort(), methods.sort());
  }
});

test('a codec', () => {
  const codec = new Codec();
  const bytes = codec.encode(new GLib.Variant('s', 'ab'));

  equal([codec.get_name(), bytes.get_size()], ['double', 4]);
  equal(codec.decode(bytes).deepUnpack(), 'ab');
  equal([codec.is_thread_safe(), codec.is_lossless()], [false, true]);
  equal(fails(Gkv.Error.CODEC, () => codec.encode(new GLib.Variant('i', 1))), 'only texts');
});

test('a transport', () => {
  const transport = new Transport();
  const brought = [];

  transport.connect('received', (_, address, datagram) => {
    brought.push([address, new TextDecoder().decode(datagram.toArray())]);
  });
  transport.connect('drained', () => {
    brought.push('drained');
  });
  transport.connect('failed', (_, error) => {
    brought.push(error.message);
  });
  equal(open(transport, 'box:1'), true);
  equal([transport.get_local_address(), transport.get_max_datagram_size()], ['box:1', 4000]);
  equal(transport.is_thread_movable(), false);
  transport.send('box:2', new GLib.Bytes(new TextEncoder().encode('a')));
  transport.flush();
  transport.emit_failed(failure(Gkv.Error.TRANSPORT, 'rain'));
  equal(brought, [['box:1', 'a'], 'drained', 'rain']);

  transport.send('box:nowhere', new GLib.Bytes(new TextEncoder().encode('b')));
  equal(fails(Gkv.Error.TRANSPORT, () => transport.flush()), 'no way there');
  transport.close();
  equal(transport.get_local_address(), null);
  equal(fails(Gkv.Error.TRANSPORT, () => transport.send('box:2', new GLib.Bytes([]))), 'closed');
  equal(transport.open('box:3'), true);

  equal(transport.normalize('box:7', Gkv.AddressUse.PEER), 'box:7');
  equal(transport.normalize('home', Gkv.AddressUse.PEER), null);
  fails(Gkv.Error.INVALID_ADDRESS, () => transport.normalize('box:0', Gkv.AddressUse.PEER));
});

test('opened later', () => {
  const transport = new Transport();
  const cancellable = new Gio.Cancellable();

  equal(fails(Gkv.Error.TRANSPORT, () => open(transport, 'street')), 'no such box');
  transport.silent = true;
  later(() => transport.close());
  fails(Gkv.Error.TRANSPORT, () => open(transport, 'box:1'));
  later(() => cancellable.cancel());
  fails(Gio.IOErrorEnum.CANCELLED, () => open(transport, 'box:1', cancellable), Gio.IOErrorEnum);
  transport.opened();
});

test('looked up later', () => {
  const transport = new Transport();
  const cancellable = new Gio.Cancellable();

  equal(resolve(transport, 'home'), ['box:1', 'box:2']);
  equal(fails(Gkv.Error.TRANSPORT, () => resolve(transport, 'moon')), 'nobody knows moon');
  transport.silent = true;
  later(() => cancellable.cancel());
  fails(Gio.IOErrorEnum.CANCELLED, () => resolve(transport, 'home', cancellable), Gio.IOErrorEnum);
  equal(transport.cancelled.length, 1);
  transport.resolved(transport.cancelled[0], ['box:1']);
});

test('a discovery', () => {
  const discovery = new Discovery();
  const brought = [];

  discovery.connect('found', (_, ...words) => {
    brought.push(['found', ...words]);
  });
  discovery.connect('lost', (_, ...words) => {
    brought.push(['lost', ...words]);
  });
  discovery.connect('failed', (_, error) => {
    brought.push(error.message);
  });
  equal(discovery.is_thread_movable(), false);
  equal(discovery.start('cluster', 'id', 'box:1'), true);
  while (brought.length === 0)
    GLib.MainContext.default().iteration(true);
  discovery.emit_failed(failure(Gkv.Error.DISCOVERY, 'fog'));
  discovery.stop();
  equal(brought, [['found', 'friend', 'box:9'], 'fog', ['lost', 'friend', 'box:9']]);
  equal(fails(Gkv.Error.DISCOVERY, () => discovery.start('cluster', 'id', '1.2.3.4:5')), 'no box');
});

let failed = 0;
print(`1..${tests.length}`);
tests.forEach(([name, body], index) => {
  try {
    body();
    print(`ok ${index + 1} ${name}`);
  } catch (error) {
    failed++;
    print(`not ok ${index + 1} ${name}: ${error}\n# ${error.stack}`);
  }
});
System.exit(failed > 0 ? 1 : 0);
