#!/usr/bin/gjs
// One process of the demo, in JavaScript. What it reads and reports is described in demo-node.c.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
const {GLib, Gio, Gkv} = imports.gi;
const ByteArray = imports.byteArray;

const [id, seed, mdns] = ARGV;
const states = ['alive', 'suspect', 'left', 'dead'];
const loop = GLib.MainLoop.new(null, false);

function report(...words) {
  print([GLib.get_monotonic_time(), ...words].join('\t'));
}

const node = new Gkv.Node({
  node_id: id,
  cluster: 'gkv-demo',
  bind_address: '127.0.0.1:0',
  seeds: seed ? [seed] : [],
  discovery: mdns ? 'mdns' : null,
});

node.watch(null, (_node, key, value, origin) => {
  if (value === undefined)
    report('deleted', key);
  else
    report('changed', key, value, origin);
});

node.connect('peer-added', (_node, peer) => {
  const onState = () => report('peer', peer.get_node_id(), states[peer.get_state()]);

  onState();
  peer.connect('notify::state', onState);
});

function obey(line) {
  const [verb, key, value] = line.split('\t');

  if (verb === 'set') {
    report('wrote', key);
    node.put(key, value);
  } else if (verb === 'delete') {
    report('wrote', key);
    node.delete(key);
  } else if (verb === 'dump') {
    for (const [k, v] of node)
      report('map', k, v);
    report('end');
  } else {
    loop.quit();
  }
}

const input = Gio.DataInputStream.new(Gio.UnixInputStream.new(0, false));

function readLine() {
  input.read_line_async(GLib.PRIORITY_DEFAULT, null, (_input, result) => {
    const [line] = input.read_line_finish(result);

    obey(line === null ? 'quit' : ByteArray.toString(line));
    if (line !== null)
      readLine();
  });
}

node.start();
report('ready', id, node.get_local_address());
readLine();
loop.run();
node.close();
