// What makes a Gkv.Node feel at home in JavaScript: it is used much as a Map is, with plain values.
//
//   node.put('flag', true);
//   node.put('here', 'yes', {ttl: 30});
//   if (node.has('flag'))
//     node.delete('flag');
//   for (const [key, value] of node)
//     print(key, value);
//   node.watch('w/', (node, key, value, origin) => print(key, value));
//
// Booleans become b, safe integers and BigInts x, other numbers d, strings s, a Uint8Array ay, arrays av, objects a{sv},
// and null within one of these an empty mv. A GLib.Variant is taken as it is. What is read comes back as JavaScript's own
// types, an integer that isn't safe as a BigInt. What would come back as something else is refused, with an error that
// names its type and its place: Dates, Maps, instances of any class, undefined, text with a NUL or a lone surrogate.
//
// Where a method has the name of one of the library and does more, that of the library is called NAME_full.
//
// SPDX-License-Identifier: LGPL-2.1-or-later

const {GLib, GObject, Gio} = imports.gi;

const DEFAULT_TIMEOUT_MS = 10000;

let Gkv;

// Errors

function fail(code, message) {
  throw new GLib.Error(Gkv.Error, code, message);
}

function matches(error, ...codes) {
  return error instanceof GLib.Error && codes.some(code => error.matches(Gkv.Error, code));
}

// What keeps a text from being carried, or null.
function getTextProblem(text) {
  if (text.includes('\0'))
    return 'has a NUL character, where C ends a text';
  if (/\p{Surrogate}/u.test(text))
    return "has a lone surrogate, which UTF-8 doesn't have";
  return null;
}

function quote(text) {
  const escaped = JSON.stringify(text).replace(/[^ -~]/g, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

  return escaped.length <= 60 ? escaped : `${escaped.slice(0, 57)}...`;
}

function describeType(value) {
  if (value === null || typeof value !== 'object')
    return value === null ? 'null' : typeof value;
  // What has no class of its own, as a generator, has a tag at the most.
  const name = Object.getPrototypeOf(value)?.constructor?.name || 'Object';
  return name === 'Object' ? Object.prototype.toString.call(value).slice(8, -1) : name;
}

function describePlace(path) {
  return `value${path.map(([, step]) => `[${typeof step === 'string' ? quote(step) : step}]`).join('')}`;
}

function refuse(path, problem) {
  fail(Gkv.Error.INVALID_VALUE, `${describePlace(path)} ${problem}`);
}

// From JavaScript to GVariant. Everywhere a path has the containers around a value, each with its index or key in there.

// GVariant refuses what is nested deeper. An array takes two levels, itself and the variant of the element, and an object
// has the entry between them. The innermost value takes up to two, as bytes do.
const MAX_LEVELS = 128;
const LEVELS_WITHIN = 2;

function countLevels(container) {
  return Array.isArray(container) ? 2 : 3;
}

// Refuses a container that holds itself, lies too deep, or has what would be left out.
function checkContainer(value, path) {
  const what = Array.isArray(value) ? 'array' : 'object';
  const names = Object.keys(value);
  const all = Reflect.ownKeys(value);
  const hidden = all.find(key => typeof key === 'symbol' ||
    !(Array.isArray(value) && key === 'length') && !Object.prototype.propertyIsEnumerable.call(value, key));

  if (path.some(([container]) => container === value))
    refuse(path, `is an ${what} that contains itself`);
  if (hidden !== undefined) {
    refuse(path, `is an ${what} with the ${typeof hidden === 'symbol' ? 'symbol' : 'hidden property'} ` +
      `${quote(typeof hidden === 'symbol' ? hidden.description ?? '' : hidden)}, which can't be carried`);
  }
  if (Array.isArray(value) && names.length !== value.length) {
    const other = names.find((name, i) => name !== String(i));

    refuse(path, 'is an array with holes, or with properties beside its elements' +
      `${other === undefined ? '' : `, such as ${quote(other)}`}; they can't be carried`);
  }

  const levels = path.reduce((sum, [container]) => sum + countLevels(container), countLevels(value)) +
    (names.length > 0 ? LEVELS_WITHIN : 0);
  if (levels > MAX_LEVELS) {
    fail(Gkv.Error.INVALID_VALUE, `${describePlace(path.slice(0, 3))}... is nested too deep: the ${what} at depth ` +
      `${path.length + 1} takes ${levels} levels of GVariant, and the limit is ${MAX_LEVELS}`);
  }
}

function bigToVariant(value, path) {
  if (BigInt.asIntN(64, value) !== value)
    refuse(path, "is a bigint that doesn't fit into 64 bits; use a GLib.Variant of another type");
  // gjs takes numbers only, so that the bytes are made here.
  return bytesToVariant('x', new Uint8Array(new BigInt64Array([value]).buffer));
}

function bytesToVariant(type, bytes) {
  return GLib.Variant.new_from_bytes(new GLib.VariantType(type), new GLib.Bytes(bytes), true);
}

function checkString(value, path) {
  const problem = getTextProblem(value);

  if (problem !== null)
    refuse(path, `is a string that ${problem}`);
}

function stringToVariant(value, path) {
  checkString(value, path);
  return GLib.Variant.new_string(value);
}

function arrayToVariant(value, path) {
  checkContainer(value, path);

  const items = value.map((item, i) => GLib.Variant.new_variant(toVariant(item, [...path, [value, i]])));
  return GLib.Variant.new_array(new GLib.VariantType('v'), items);
}

function objectToVariant(value, path) {
  checkContainer(value, path);

  const entries = Object.keys(value).map(key => {
    const problem = getTextProblem(key);

    if (problem !== null)
      refuse(path, `has the key ${quote(key)}, which ${problem}`);
    return GLib.Variant.new_dict_entry(GLib.Variant.new_string(key),
      GLib.Variant.new_variant(toVariant(value[key], [...path, [value, key]])));
  });
  return GLib.Variant.new_array(new GLib.VariantType('{sv}'), entries);
}

function toVariant(value, path = []) {
  switch (typeof value) {
  case 'boolean':
    return GLib.Variant.new_boolean(value);
  case 'bigint':
    return bigToVariant(value, path);
  case 'number':
    return Number.isSafeInteger(value) && !Object.is(value, -0)
      ? GLib.Variant.new_int64(value) : GLib.Variant.new_double(value);
  case 'string':
    return stringToVariant(value, path);
  case 'undefined':
    refuse(path, `is undefined, which can't be kept${path.length === 0 ? '; to remove a key, delete it' : '; use null'}`);
    break;
  case 'object':
    break;
  default:
    refuse(path, `is a ${typeof value}, which can't be carried`);
  }

  if (value === null) {
    if (path.length === 0)
      refuse(path, "is null, which can't be kept; to remove a key, delete it");
    return GLib.Variant.new_maybe(new GLib.VariantType('v'), null);
  }
  if (value instanceof GLib.Variant)
    return value;

  // The class itself counts: an instance of a derived one would come back as its base.
  switch (Object.getPrototypeOf(value)) {
  case Uint8Array.prototype:
    return bytesToVariant('ay', value);
  case Array.prototype:
    return arrayToVariant(value, path);
  case Object.prototype:
  case null:
    return objectToVariant(value, path);
  default:
    refuse(path, `is of the type ${describeType(value)}, which can't be carried without loss; ` +
      'make plain values of it, or a GLib.Variant');
  }
  return null;
}

// From GVariant to JavaScript

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

  if (type === 'x' || type === 't')
    return integerFromVariant(variant);
  if (type === 'ay')
    return variant.get_data_as_bytes().toArray();
  if (type === 'v')
    return fromVariant(variant.get_variant());
  if (!'am({'.includes(type[0]))
    return variant.deepUnpack();

  const children = Array.from({length: variant.n_children()}, (_, i) => variant.get_child_value(i));
  if (type[0] === 'm')
    return children.length > 0 ? fromVariant(children[0]) : null;
  // This defines a key "__proto__" as any other.
  if (type[0] === '{')
    return Object.fromEntries([children.map(fromVariant)]);
  if (type.startsWith('a{'))
    return Object.fromEntries(children.map(e => [fromVariant(e.get_child_value(0)), fromVariant(e.get_child_value(1))]));
  return children.map(fromVariant);
}

// Keys

// Refuses a key that the library would not get whole.
function checkKey(key) {
  if (typeof key !== 'string')
    throw new TypeError(`A key is a string, not ${describeType(key)}`);

  const problem = getTextProblem(key);
  if (problem !== null)
    fail(Gkv.Error.INVALID_KEY, `The key ${quote(key)} ${problem}`);
}

function canBeThere(key) {
  return typeof key === 'string' && getTextProblem(key) === null;
}

// Options of put () and its like, as flags and a lifetime in microseconds.
function parseOptions({ttl = null, ephemeral = false, ...others}) {
  const [unknown] = Object.keys(others);

  if (unknown !== undefined)
    throw new TypeError(`There is no option ${quote(unknown)}; there are ttl and ephemeral`);
  if (ttl !== null && !(typeof ttl === 'number' && ttl > 0 && ttl * 1e6 <= Number.MAX_SAFE_INTEGER))
    fail(Gkv.Error.INVALID_VALUE, `ttl is a number of seconds above 0, not ${String(ttl)}`);
  return [ephemeral ? Gkv.SetFlags.EPHEMERAL : Gkv.SetFlags.NONE, ttl === null ? 0 : Math.ceil(ttl * 1e6)];
}

// Calls of the library, by their name there: 'library.lookup.call(node, key)'.
const library = {};

// Calls whose first argument is a key or a prefix, and those of them whose last one is a cancellable that may be left out.
const WITH_KEY = [
  'contains', 'lookup', 'list_keys', 'list_entries', 'get_entry', 'get_value', 'set_value', 'set_value_full',
  'compare_and_set', 'remove', 'get_string', 'set_string', 'get_boolean', 'set_boolean', 'get_int64', 'set_int64',
  'get_double', 'set_double', 'get_bytes', 'set_bytes',
];
const WITH_CANCELLABLE = [
  'get_value', 'set_value', 'set_value_full', 'set_values', 'compare_and_set', 'remove', 'start',
];

// Calls that wait, with the defaults of their arguments; those that exist in an async form are promises there.
const WAITING = {
  start: [null],
  flush: [0, DEFAULT_TIMEOUT_MS, null],
  wait_synced: [DEFAULT_TIMEOUT_MS, null],
  close: [null],
};

const MAKERS = {
  codec: name => Gkv.Codec.new_for_name(name),
  transport: name => Gkv.Transport.new_for_name(name),
  discovery: name => Gkv.Discovery.new_for_name(name),
};

// What may be given as the name of a module, as the module.
function makeModule(kind, value) {
  return typeof value === 'string' ? MAKERS[kind](value) : value;
}

// Has the library's calls refuse texts which it would not get whole, and do without a last cancellable.
function patchCalls(prototype) {
  for (const name of new Set([...WITH_KEY, ...WITH_CANCELLABLE])) {
    const original = prototype[name];
    if (original === undefined)
      continue;

    const n = WITH_CANCELLABLE.includes(name) ? original.length : 0;
    library[name] = original;
    prototype[name] = function (...args) {
      if (WITH_KEY.includes(name) && args.length > 0 && args[0] !== null)
        checkKey(args[0]);
      args.slice(1).filter(arg => typeof arg === 'string').forEach(arg => checkString(arg, []));
      if (args.length === n - 1)
        args.push(null);
      return original.apply(this, args);
    };
  }
}

function patchWaits(prototype) {
  for (const [name, defaults] of Object.entries(WAITING)) {
    const wait = prototype[name];

    library[name] = library[name] ?? wait;
    prototype[`${name}_full`] = library[name];
    prototype[name] = function (...args) {
      return library[name].call(this, ...args, ...defaults.slice(args.length));
    };

    const begin = prototype[`${name}_async`];
    if (begin === undefined)
      continue;
    library[`${name}_async`] = begin;
    prototype[`${name}_async_full`] = begin;
    Gio._promisify(prototype, `${name}_async`, `${name}_finish`);
    const promise = prototype[`${name}_async`];
    prototype[`${name}_async`] = function (...args) {
      return promise.call(this, ...args, ...defaults.slice(args.length));
    };
  }
}

// Codec, transport and discovery may be given by name, to the constructor and by assignment.
function patchModules(prototype) {
  const init = prototype._init;

  prototype._init = function (properties = {}) {
    const given = Object.assign({}, properties);

    for (const kind of Object.keys(MAKERS)) {
      if (kind in given)
        given[kind] = makeModule(kind, given[kind]);
    }
    return init.call(this, given);
  };

  for (const kind of Object.keys(MAKERS)) {
    const get = prototype[`get_${kind}`];
    const set = prototype[`set_${kind}`];

    prototype[`set_${kind}_full`] = set;
    prototype[`set_${kind}`] = function (value) {
      set.call(this, makeModule(kind, value));
    };
    Object.defineProperty(prototype, kind, {
      configurable: true,
      enumerable: true,
      get() {
        return get.call(this);
      },
      set(value) {
        set.call(this, makeModule(kind, value));
      },
    });
  }
}

// The keys that can be read here, with their variants. A value may have gone since the keys were listed, or be of a codec
// that this node doesn't have.
function* iterate(node, prefix) {
  for (const key of library.list_keys.call(node, prefix)) {
    const variant = library.lookup.call(node, key);

    if (variant !== null)
      yield [key, variant];
  }
}

function* mapIterated(iterable, change) {
  for (const item of iterable)
    yield change(item);
}

// The pairs of what is given to putAll ().
function listPairs(values) {
  if (values !== null && typeof values === 'object') {
    if (typeof values[Symbol.iterator] === 'function')
      return [...values];
    if ([Object.prototype, null].includes(Object.getPrototypeOf(values)))
      return Object.entries(values);
  }
  throw new TypeError(`putAll () takes a plain object, a Map or an iterable of pairs, not ${describeType(values)}`);
}

const MAP_METHODS = {
  // The value of a key, or undefined. A value that this node can't decode is an error, unless there is a fallback.
  get(key, fallback = undefined) {
    if (typeof key !== 'string')
      throw new TypeError(`A key is a string, not ${describeType(key)}`);
    if (!canBeThere(key))
      return fallback;
    try {
      return fromVariant(library.get_value.call(this, key, null));
    } catch (error) {
      if (matches(error, Gkv.Error.NOT_FOUND, Gkv.Error.INVALID_KEY, Gkv.Error.TOO_LARGE) ||
          arguments.length > 1 && matches(error, Gkv.Error.CODEC))
        return fallback;
      throw error;
    }
  },

  // Sets a key; it ends by itself after ttl seconds, or, if it is ephemeral, when this node leaves.
  put(key, value, options = {}) {
    checkKey(key);
    library.set_value_full.call(this, key, toVariant(value), ...parseOptions(options), null);
    return this;
  },

  // Sets many keys by one call, given as a Map, an object or pairs: all are checked first, all or none are set.
  putAll(values, options = {}) {
    const variants = new Map();

    for (const [key, value] of listPairs(values)) {
      checkKey(key);
      variants.set(key, toVariant(value, [[{}, key]]));
    }
    if (variants.size > 0) {
      const entries = [...variants].map(([key, variant]) => GLib.Variant.new_dict_entry(GLib.Variant.new_string(key),
        GLib.Variant.new_maybe(null, GLib.Variant.new_variant(variant))));

      library.set_values.call(this, GLib.Variant.new_array(new GLib.VariantType('{smv}'), entries),
        ...parseOptions(options), null);
    }
    return this;
  },

  has(key) {
    return canBeThere(key) && library.contains.call(this, key);
  },

  // Removes a key; false where it is missing.
  delete(key) {
    if (!canBeThere(key))
      return false;
    try {
      return library.remove.call(this, key, null);
    } catch (error) {
      if (matches(error, Gkv.Error.NOT_FOUND, Gkv.Error.INVALID_KEY, Gkv.Error.TOO_LARGE))
        return false;
      throw error;
    }
  },

  // The keys that begin with a prefix. These, values () and entries () skip what this node can't decode; size counts it.
  keys(prefix = '') {
    checkKey(prefix);
    return Array.from(iterate(this, prefix), ([key]) => key);
  },

  values(prefix = '') {
    checkKey(prefix);
    return mapIterated(iterate(this, prefix), ([, variant]) => fromVariant(variant));
  },

  entries(prefix = '') {
    checkKey(prefix);
    return mapIterated(iterate(this, prefix), ([key, variant]) => [key, fromVariant(variant)]);
  },

  // Calls back as callback(node, key, value, origin) when a key that begins with a prefix changes; the value is undefined
  // when the key is removed or has expired. With initial, what is there comes first. Gives the id for unwatch ().
  watch(prefix, callback, {initial = false} = {}) {
    if (typeof callback !== 'function')
      throw new TypeError(`The callback of a watch is a function, not ${describeType(callback)}`);
    if (prefix !== null)
      checkKey(prefix);
    return library.watch.call(this, prefix, initial ? Gkv.WatchFlags.INITIAL : Gkv.WatchFlags.NONE,
      (node, key, variant, origin) => callback(node, key, variant === null ? undefined : fromVariant(variant), origin));
  },

  // GObject's own, which sets properties.
  set(...args) {
    if (args.length !== 1 || typeof args[0] !== 'object') {
      throw new TypeError('set () takes an object with properties of the node, as that of every GObject; ' +
        'to set a key, use put (key, value)');
    }
    return GObject.Object.prototype.set.call(this, ...args);
  },
};

function patch(prototype) {
  patchCalls(prototype);
  patchWaits(prototype);
  patchModules(prototype);

  library.watch = prototype.watch;
  prototype.watch_full = prototype.watch;
  Object.assign(prototype, MAP_METHODS);
  prototype[Symbol.iterator] = prototype.entries;
  Object.defineProperty(prototype, 'size', {
    configurable: true,
    get() {
      return this.get_n_keys();
    },
  });
}

function _init() {
  Gkv = this;
  patch(Gkv.Node.prototype);
}
