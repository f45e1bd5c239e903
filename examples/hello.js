imports.gi.versions.Gkv = '1';
const {GLib, Gkv} = imports.gi;

const loop = GLib.MainLoop.new(null, false);
const node = new Gkv.Node({bind_address: '127.0.0.1:0', seeds: ARGV});
node.connect('changed::greeting', (_node, key) => print(`${key} = ${node.get(key, 'nothing')}`));
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, 2, () => loop.quit()); // Ctrl-C
node.start();
print(`listening at ${node.local_address}`);
node.put('greeting', 'hello from JavaScript');
loop.run();
try {
  node.close();
} catch (error) {
  printerr(error.message);
}
