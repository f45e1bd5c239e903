imports.gi.versions.Gkv = '1';
const {GLib, Gkv} = imports.gi;

const node = new Gkv.Node({bind_address: '127.0.0.1:0', seeds: ARGV});
node.connect('changed::greeting', (_node, key) => print(`${key} = ${node.get(key)}`));
node.start();
print(`listening at ${node.local_address}`);
node.put('greeting', 'hello from JavaScript');
GLib.MainLoop.new(null, false).run();
