// JavaScript programs whose main loop is blocked, or never runs: the peers are processes of test-threads.py.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programPath));
const {Gio, GLib, GObject, Gkv} = imports.gi;
const System = imports.system;
const {test, equal, waitUntil, run} = imports.harness;

const helper = imports.system.programArgs;

function makeNode(...seeds) {
  const node = new Gkv.Node({bind_address: '127.0.0.1:0', seeds, gossip_interval: 100});

  node.start(null);
  return node;
}

class Peer {
  constructor(...seeds) {
    this.process = Gio.Subprocess.new([...helper, '--peer', ...seeds],
      Gio.SubprocessFlags.STDIN_PIPE | Gio.SubprocessFlags.STDOUT_PIPE);
    this.output = Gio.DataInputStream.new(this.process.get_stdout_pipe());
    this.address = this.output.read_line_utf8(null)[0];
  }

  ask(...words) {
    this.process.get_stdin_pipe().write_all(`${words.join(' ')}\n`, null);
    return this.output.read_line_utf8(null)[0];
  }

  end() {
    this.process.get_stdin_pipe().close(null);
    this.process.wait(null);
  }
}

// Without a main loop.
function waitBlocked(condition, what) {
  const end = GLib.get_monotonic_time() + 60000000;

  while (!condition()) {
    if (GLib.get_monotonic_time() > end)
      throw new Error(`waited in vain until ${what}`);
    GLib.usleep(2000);
  }
}

function startPair() {
  const node = makeNode();
  const peer = new Peer(node.get_local_address());

  node.put('here', 1);
  waitBlocked(() => peer.ask('get', 'here') === '1', 'the peer has joined');
  return [node, peer];
}

function checkAlive(peer, node) {
  const seen = peer.ask('seen').split(' ').filter(word => word.startsWith(node.get_node_id()));

  for (const state of ['dead', 'left', 'removed'])
    equal(seen.includes(`${node.get_node_id()}:${state}`), false);
  equal(seen.pop().endsWith(':suspect'), false);
}

function getResident() {
  const [, bytes] = GLib.file_get_contents('/proc/self/statm');

  return Number(new TextDecoder().decode(bytes).split(' ')[1]) * 4096;
}

test('a program without a main loop is a full member', () => {
  const [node, peer] = startPair();

  for (let i = 0; i < 20; i++) {
    peer.ask('set', 'from-peer', i);
    waitBlocked(() => node.get('from-peer') === i, 'what the peer wrote is here');
    node.put('from-here', i);
    waitBlocked(() => peer.ask('get', 'from-here') === `${i}`, 'what was written here is there');
    node.put('lease', i, {ttl: 0.1});
    peer.ask('lease', 'peers-lease', i, 100);
    waitBlocked(() => !node.has('lease') && peer.ask('get', 'lease') === '-', 'the lease has ended');
    waitBlocked(() => !node.has('peers-lease') && peer.ask('get', 'peers-lease') === '-', 'the lease has ended there');
    GLib.usleep(200000);
  }
  equal(node.size, [...node].length);
  checkAlive(peer, node);
  node.close(null);
  peer.end();
});

test('what strangers send to a blocked program neither ends it nor makes it grow', () => {
  const [node, peer] = startPair();
  let nChanged = 0;

  node.connect('changed', () => nChanged++);
  node.connect('error', () => nChanged++);
  System.gc();
  const before = getResident();
  const sender = Gio.Subprocess.new([...helper, '--flood', node.get_local_address(), '3'],
    Gio.SubprocessFlags.STDOUT_PIPE);
  const end = GLib.get_monotonic_time() + 4500000;
  for (let i = 0; GLib.get_monotonic_time() < end; i++) {
    if (i % 100000 === 0)
      peer.ask('set', 'meanwhile', i);
  }
  peer.ask('set', 'afterwards', 1);
  waitBlocked(() => node.get('afterwards') === 1, 'the map is current');
  equal(nChanged, 0);
  const grown = getResident() - before;
  print(`# ${sender.communicate_utf8(null, null)[1].trim()} datagrams, ${Math.round(grown / 1024)} kB more`);
  // A sanitizer keeps what is freed.
  equal(grown < 32 * 1024 * 1024 || (GLib.getenv('LD_PRELOAD') ?? '').includes('asan'), true);
  checkAlive(peer, node);
  waitUntil(() => nChanged > 0);
  node.close(null);
  peer.end();
});

test('nodes that are watched are dropped while their peers write', () => {
  const peer = makeNode();

  for (let turn = 0; turn < 20; turn++) {
    let nChanged = 0;
    let node = makeNode(peer.get_local_address());

    node.connect('changed', () => nChanged++);
    for (let i = 0; i < 50; i++)
      peer.put(`key/${i}`, turn * 50 + i);
    waitUntil(() => nChanged > 0);
    node = null;
    for (let i = 0; i < 50; i++)
      peer.put(`key/${i}`, turn * 50 + 50 + i);
    System.gc();
  }
  GLib.MainContext.default().iteration(false);
  peer.close(null);
});

const Relay = GObject.registerClass({
  Implements: [Gkv.Transport],
}, class Relay extends GObject.Object {
  _init() {
    super._init();
    this.calls = 0;
    this.udp = Gkv.Transport.new_for_name('udp');
    this.udp.connect('received', (_udp, address, datagram) => this.emit_received(address, datagram));
    this.udp.connect('drained', () => this.emit_drained());
  }

  vfunc_open(address) {
    this.calls++;
    return this.udp.open(address);
  }

  vfunc_close() {
    this.calls++;
    this.udp.close();
  }

  vfunc_get_local_address() {
    return this.udp.get_local_address();
  }

  vfunc_get_max_datagram_size() {
    return this.udp.get_max_datagram_size();
  }

  vfunc_send(address, datagram) {
    this.calls++;
    return this.udp.send(address, datagram);
  }

  vfunc_flush() {
    return this.udp.flush();
  }

  vfunc_normalize(address, use) {
    return this.udp.normalize(address, use);
  }
});

const Finder = GObject.registerClass({
  Implements: [Gkv.Discovery],
}, class Finder extends GObject.Object {
  vfunc_start(_cluster, _nodeId, _address) {
    this.started = true;
    this.emit_found('peer', this.seed);
    return true;
  }

  vfunc_stop() {
    this.started = false;
  }
});

// The engine of JavaScript ends the process when it is called in another thread.
test('what is written in JavaScript runs in the thread of the program', () => {
  const peer = makeNode();
  const transport = new Relay();
  const discovery = new Finder();

  discovery.seed = peer.get_local_address();
  const node = new Gkv.Node({
    bind_address: '127.0.0.1:0', cluster: 'default', gossip_interval: 100, transport, discovery,
  });
  node.start(null);
  for (let i = 0; i < 200; i++) {
    node.put(`a/${i}`, i);
    peer.put(`b/${i}`, i);
  }
  let confirmed = false;
  waitUntil(() => node.size === 400 && peer.size === 400);
  Promise.resolve(peer.flush_async(1, 30000, null)).then(() => (confirmed = true));
  waitUntil(() => confirmed);
  peer.close(null);
  try {
    node.close(null);
  } catch (error) {
    if (!error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.WOULD_BLOCK))
      throw error;
  }
  equal(discovery.started, false);
  equal(transport.calls > 10, true);
});

run();
