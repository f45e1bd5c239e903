// What makes a Gkv.Node feel at home in JavaScript: it is used much as a Map is, with plain values.
//
//   node.put('flag', true);
//   if (node.has('flag'))
//     node.delete('flag');
//   for (const [key, value] of node)
//     print(key, value);
//
// Booleans become b, safe integers and BigInts x, other numbers d, strings s, a Uint8Array or GLib.Bytes ay, arrays av,
// objects a{sv}; a GLib.Variant is taken as it is. What is read comes back as JavaScript's own types, an integer that
// isn't safe as a BigInt.
//
// SPDX-License-Identifier: LGPL-2.1-or-later

const {GLib, GObject, Gio} = imports.gi;

let Gkv;

function fail(message) {
  throw new GLib.Error(Gkv.Error, Gkv.Error.INVALID_VALUE, message);
}

function bigToVariant(value) {
  if (BigInt.asIntN(64, value) !== value)
    fail(`${value} doesn't fit into 64 bits`);
  // gjs takes numbers only, so that the bytes are made here.
  const bytes = new Uint8Array(new BigInt64Array([value]).buffer);

  return GLib.Variant.new_from_bytes(new GLib.VariantType('x'), new GLib.Bytes(bytes), true);
}

function toVariant(value) {
  if (value instanceof GLib.Variant)
    return value;
  if (value === null || value === undefined)
    fail(`${value} can't be kept; to take a key away, delete it`);

  switch (typeof value) {
  case 'boolean':
    return new GLib.Variant('b', value);
  case 'bigint':
    return bigToVariant(value);
  case 'number':
    return new GLib.Variant(Number.isSafeInteger(value) && !Object.is(value, -0) ? 'x' : 'd', value);
  case 'string':
    return new GLib.Variant('s', value);
  case 'object':
    break;
  default:
    fail(`A ${typeof value} can't be kept; use a GLib.Variant`);
  }

  if (value instanceof Uint8Array)
    return GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), new GLib.Bytes(value), true);
  if (value instanceof GLib.Bytes)
    return GLib.Variant.new_from_bytes(new GLib.VariantType('ay'), value, true);
  if (Array.isArray(value))
    return new GLib.Variant('av', value.map(toVariant));

  const entries = {};
  for (const [key, item] of Object.entries(value))
    entries[key] = toVariant(item);
  return new GLib.Variant('a{sv}', entries);
}

function integerFromVariant(variant) {
  const data = variant.get_data_as_bytes().toArray();
  const signed = variant.get_type_string() === 'x';
  const buffer = data.buffer.slice(data.byteOffset, data.byteOffset + 8);
  const big = signed ? new BigInt64Array(buffer)[0] : new BigUint64Array(buffer)[0];
  const number = Number(big);

  return Number.isSafeInteger(number) ? number : big;
}

function fromVariant(variant) {
  const type = variant.get_type_string();
  const children = () => Array.from({length: variant.n_children()}, (_, i) => variant.get_child_value(i));

  if (type === 'x' || type === 't')
    return integerFromVariant(variant);
  if (type === 'ay')
    return variant.get_data_as_bytes().toArray();
  if (type === 'v')
    return fromVariant(variant.get_variant());
  if (type.startsWith('a{'))
    return Object.fromEntries(children().map(e => [fromVariant(e.get_child_value(0)), fromVariant(e.get_child_value(1))]));
  if (type.startsWith('a') || type.startsWith('('))
    return children().map(fromVariant);
  return variant.deepUnpack();
}

// The value, or null; an error that isn't about the key's absence is thrown.
function lookup(node, key) {
  try {
    return node.get_value(key, null);
  } catch (error) {
    if (error instanceof GLib.Error && error.matches(Gkv.Error, Gkv.Error.NOT_FOUND))
      return null;
    throw error;
  }
}

// Methods whose last argument is a cancellable, which may be left out.
const CANCELLABLE = [
  'start', 'close', 'delete', 'get_value', 'set_value', 'set_value_with_ttl', 'set_value_ephemeral',
  'get_string', 'set_string', 'get_boolean', 'set_boolean', 'get_int64', 'set_int64', 'get_double', 'set_double',
  'get_bytes', 'set_bytes',
];

const MAKERS = {
  codec: name => Gkv.Codec.new_for_name(name),
  transport: name => Gkv.Transport.new_for_name(name),
  discovery: name => Gkv.Discovery.new_for_name(name),
};

function patch(prototype) {
  for (const name of CANCELLABLE) {
    const original = prototype[name];
    const n = original.length;

    prototype[name] = function (...args) {
      while (args.length < n)
        args.push(null);
      return original.apply(this, args);
    };
  }

  for (const name of ['start', 'flush', 'wait_synced'])
    Gio._promisify(prototype, `${name}_async`, `${name}_finish`);

  // Codec, transport and discovery may be given by name.
  const init = prototype._init;
  prototype._init = function (properties = {}) {
    const given = Object.assign({}, properties);

    for (const [name, make] of Object.entries(MAKERS)) {
      if (typeof given[name] === 'string')
        given[name] = make(given[name]);
    }
    return init.call(this, given);
  };

  prototype.get = function (key, fallback = undefined) {
    const variant = lookup(this, key);

    return variant === null ? fallback : fromVariant(variant);
  };

  prototype.put = function (key, value) {
    this.set_value(key, toVariant(value), null);
    return this;
  };

  prototype.has = function (key) {
    return this.contains(key);
  };

  prototype.keys = function () {
    return this.list_keys('');
  };

  prototype.entries = function* () {
    for (const key of this.list_keys('')) {
      const variant = lookup(this, key);

      // It may have gone since the keys were listed.
      if (variant !== null)
        yield [key, fromVariant(variant)];
    }
  };

  prototype[Symbol.iterator] = prototype.entries;
}

function _init() {
  Gkv = this;
  patch(Gkv.Node.prototype);
}
