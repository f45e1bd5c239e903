/* The library from Vala: object construction, errors by code, signals with details, lists, asynchronous calls.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

void test_values () {
  try {
    var node = new Gkv.Node ();

    node.start ();
    node.set_string ("name", "Vala");
    node.set_int64 ("number", 42);
    node.set_value ("pair", new Variant ("(is)", 1, "one"));
    assert (node.get_string ("name", null) == "Vala");
    assert (node.get_int64 ("number", 0) == 42);
    assert (node.get_value ("pair").get_type_string () == "(is)");
    assert (node.list_keys ("n")[0] == "name");
    assert (node.list_keys (null).length == 3);

    node.remove ("name");
    assert (!node.contains ("name"));
    assert (node.lookup ("name") == null);
  } catch (Error e) {
    error ("%s", e.message);
  }
}

void test_errors () {
  var node = new Gkv.Node ();

  try {
    node.get_value ("nothing");
    assert_not_reached ();
  } catch (Gkv.Error.NOT_FOUND e) {
    assert ("nothing" in e.message);
  } catch (Error e) {
    error ("%s", e.message);
  }

  node = (Gkv.Node) Object.new (typeof (Gkv.Node), "node-id", "");
  try {
    node.start ();
    assert_not_reached ();
  } catch (Gkv.Error.INVALID_OPTION e) {
    assert ("node-id" in e.message);
  } catch (Error e) {
    error ("%s", e.message);
  }
}

void test_changed () {
  var node = new Gkv.Node ();
  string? told = null;

  node.changed["key"].connect ((key, value, origin) => {
    told = "%s=%s".printf (key, value != null ? ((!) value).get_string () : "nothing");
  });

  try {
    node.set_string ("other", "x");
    assert (told == null);
    node.set_string ("key", "x");
    assert (told == "key=x");
    node.remove ("key");
    assert (told == "key=nothing");
  } catch (Error e) {
    error ("%s", e.message);
  }
}

/* Two nodes, made with Vala's object syntax. */
void test_cluster () {
  var loop = new MainLoop ();
  var first = new Gkv.Node () { bind_address = "127.0.0.1:0" };
  Gkv.Node second;

  try {
    first.start ();
    first.set_string ("key", "from the first");

    second = new Gkv.Node () { bind_address = "127.0.0.1:0", seeds = { (!) first.local_address } };
    second.start ();
    second.wait_synced_async.begin (30000, null, (object, result) => {
      try {
        second.wait_synced_async.end (result);
        assert (second.get_string ("key", null) == "from the first");
      } catch (Error e) {
        error ("%s", e.message);
      }
      loop.quit ();
    });
    loop.run ();

    assert (((Gkv.Peer) second.peers.get_item (0)).node_id == first.node_id);
    second.close ();
    first.close ();
  } catch (Error e) {
    error ("%s", e.message);
  }
}

/* An asynchronous call needs no cancellable, and a list no prefix. */
async void wait (Gkv.Node node) throws Error {
  yield node.start_async ();
  yield node.wait_synced_async (30000);
}

void test_defaults () {
  var node = new Gkv.Node ();
  var loop = new MainLoop ();

  wait.begin (node, (object, result) => {
    try {
      wait.end (result);
      node.set_string ("key", "x");
    } catch (Error e) {
      error ("%s", e.message);
    }
    loop.quit ();
  });
  loop.run ();
  assert (node.list_keys ().length == 1);
}

/* What can be null compiles only where the API says so: valac is told to be strict. */
void test_nullable () {
  string? nowhere = null;
  var node = new Gkv.Node () { bind_address = nowhere };

  assert (node.local_address == null);
  try {
    node.set_string ("key", "x");
    assert (((!) node.get_entry ("key")).expires == null);
  } catch (Error e) {
    error ("%s", e.message);
  }
}

int main (string[] args) {
  Test.init (ref args);
  Test.add_func ("/vala/values", test_values);
  Test.add_func ("/vala/errors", test_errors);
  Test.add_func ("/vala/changed", test_changed);
  Test.add_func ("/vala/cluster", test_cluster);
  Test.add_func ("/vala/defaults", test_defaults);
  Test.add_func ("/vala/nullable", test_nullable);
  return Test.run ();
}
