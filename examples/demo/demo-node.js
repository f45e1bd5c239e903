#!/usr/bin/gjs
// One process of the demo, in JavaScript. What it reads and tells is described in demo-node.c.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
imports.gi.versions.Gkv = '1';
const {GLib, Gio, Gkv} = imports.gi;
const ByteArray = imports.byteArray;

const [id, seed, mdns] = ARGV;
const states = ['alive', 'suspect', 'left', 'dead'];
const loop = GLib.MainLoop.new(null, false);

function tell(...words) {
  print([GLib.get_monotonic_time(), ...words].join('\t'));
}

const node = new Gkv.Node({
  node_id: id,
  bind_address: '127.0.0.1:0',
  seeds: seed ? [seed] : [],
  discovery: mdns ? 'mdns' : null,
});

node.connect('changed', (_node, key, value, origin) => {
  if (value === null)
    tell('deleted', key);
  else
    tell('changed', key, value.deepUnpack(), origin);
});

node.connect('peer-added', (_node, peer) => {
  const onState = () => tell('peer', peer.get_node_id(), states[peer.get_state()]);

  onState();
  peer.connect('notify::state', onState);
});

function obey(line) {
  const [verb, key, value] = line.split('\t');

  if (verb === 'set') {
    tell('wrote', key);
    node.put(key, value);
  } else if (verb === 'delete') {
    tell('wrote', key);
    node.delete(key, null);
  } else if (verb === 'dump') {
    for (const [k, v] of node)
      tell('map', k, v);
    tell('end');
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

node.start(null);
tell('ready', id, node.get_local_address());
readLine();
loop.run();
node.close(null);
