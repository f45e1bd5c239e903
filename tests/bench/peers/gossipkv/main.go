// The driver of gossipkv for the comparison; tests/bench/peers/README.md has the protocol.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/DobryySoul/gossipkv"
)

var (
	ctx      = context.Background()
	nodes    = flag.Int("nodes", 3, "nodes of the cluster")
	keys     = flag.Int("keys", 0, "keys in the map")
	interval = flag.Int("interval", 0, "every interval in ms, 0 for the defaults")
	trials   = flag.Int("trials", 5, "samples to take")
	seconds  = flag.Int("seconds", 60, "how long to be idle")
	nextPart time.Time
)

type db interface {
	Set(context.Context, string, string) error
	Get(context.Context, string) (string, error)
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func saySample(row string, value float64) { say(`{"row": "%s", "value": %.6f}`, row, value) }

// Once a second, so that a run that is stopped early has something to tell.
func sayPart(part float64) {
	if now := time.Now(); now.After(nextPart) {
		say(`{"part": %.4f}`, part)
		nextPart = now.Add(time.Second)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// gossipkv can't tell which port it got, so free ones are chosen before.
func freeAddresses(n int) []string {
	var addresses []string
	for i := 0; i < n; i++ {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		check(err)
		defer socket.Close()
		addresses = append(addresses, socket.LocalAddr().String())
	}
	return addresses
}

func makeNode(address string, seeds []string) db {
	options := []gossipkv.Option{gossipkv.WithBindAddr(address), gossipkv.WithSeeds(seeds)}
	if *interval > 0 {
		options = append(options, gossipkv.WithGossipInterval(time.Duration(*interval)*time.Millisecond))
	}
	node, err := gossipkv.New[string, string](options...)
	check(err)
	return node
}

// A node of gossipkv learns of no other than its seeds, so each is given all, as its README advises.
func makeCluster(n int) []db {
	addresses := freeAddresses(n)
	var cluster []db
	for i, address := range addresses {
		var seeds []string
		seeds = append(seeds, addresses[:i]...)
		seeds = append(seeds, addresses[i+1:]...)
		cluster = append(cluster, makeNode(address, seeds))
	}
	return cluster
}

func key(i int) string { return fmt.Sprintf("key-%016d", i) }

func setKeys(node db) {
	for i := 0; i < *keys; i++ {
		check(node.Set(ctx, key(i), fmt.Sprintf("value-%014d", i)))
	}
}

func has(node db, key string) bool {
	_, err := node.Get(ctx, key)
	return err == nil
}

// There is no count of keys: ask for those that were missing. Returns the part that is there at the end of the time.
func waitFilled(node db, limit time.Duration) float64 {
	missing := make([]int, *keys)
	for i := range missing {
		missing[i] = i
	}
	for end := time.Now().Add(limit); len(missing) > 0 && time.Now().Before(end); {
		still := missing[:0]
		for _, i := range missing {
			if !has(node, key(i)) {
				still = append(still, i)
			}
		}
		missing = still
		sayPart(1 - float64(len(missing))/float64(max(*keys, 1)))
		time.Sleep(time.Millisecond)
	}
	return 1 - float64(len(missing))/float64(max(*keys, 1))
}

func fillCluster(cluster []db) {
	setKeys(cluster[0])
	least := 1.0
	end := time.Now().Add(30 * time.Second)
	for _, node := range cluster {
		if *keys > 0 {
			least = min(least, waitFilled(node, time.Until(end)))
		}
	}
	if least < 1 {
		say(`{"note": "began when a node had %.0f %% of the keys, after 30 s"}`, 100*least)
	}
}

func runSpread() {
	cluster := makeCluster(*nodes)
	fillCluster(cluster)
	time.Sleep(2 * time.Second)
	for trial := 0; trial < *trials; trial++ {
		key := fmt.Sprintf("new-%d", trial)
		start := time.Now()
		check(cluster[trial%*nodes].Set(ctx, key, "now"))
		for missing := append([]db{}, cluster...); ; {
			still := missing[:0]
			for _, node := range missing {
				if !has(node, key) {
					still = append(still, node)
				}
			}
			if missing = still; len(missing) == 0 {
				break
			}
			sayPart(1 - float64(len(missing))/float64(*nodes))
			time.Sleep(500 * time.Microsecond)
		}
		saySample("ms", ms(time.Since(start)))
		time.Sleep(time.Duration(100+37*trial) * time.Millisecond)
	}
}

func runJoin() {
	addresses := freeAddresses(2)
	first := makeNode(addresses[0], []string{addresses[1]})
	setKeys(first)
	say(`{"mark": "begin"}`)
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	second := makeNode(addresses[1], []string{addresses[0]})
	waitFilled(second, time.Hour)
	saySample("ms", ms(time.Since(start)))
	say(`{"mark": "end"}`)
	time.Sleep(200 * time.Millisecond)
}

func runIdle() {
	cluster := makeCluster(*nodes)
	fillCluster(cluster)
	time.Sleep(5 * time.Second)
	say(`{"mark": "begin"}`)
	time.Sleep(time.Duration(*seconds) * time.Second)
	say(`{"mark": "end"}`)
	time.Sleep(200 * time.Millisecond)
}

func runLocal() {
	node, err := gossipkv.New[string, string]()
	check(err)
	const hot = 200000
	values := []string{"value-00000000000000", "value-00000000000001"}
	names := make([]string, *keys)
	for i := range names {
		names[i] = key(i)
	}
	each := func(row string, n int, do func(i int)) {
		start := time.Now()
		for i := 0; i < n; i++ {
			do(i)
		}
		saySample(row, float64(time.Since(start).Nanoseconds())/float64(n))
	}
	for trial := 0; trial < *trials; trial++ {
		each("set-hot-ns", hot, func(i int) { check(node.Set(ctx, "hot", values[i&1])) })
		each("get-hot-ns", hot, func(i int) { has(node, "hot") })
	}
	each("set-many-ns", *keys, func(i int) { check(node.Set(ctx, names[i], values[0])) })
	for trial := 0; trial < *trials; trial++ {
		each("get-many-ns", *keys, func(i int) { has(node, names[i*7919%*keys]) })
	}
}

func runMemory() {
	node, err := gossipkv.New[string, string]()
	check(err)
	setKeys(node)
	time.Sleep(time.Second)
	say(`{"mark": "end"}`)
	time.Sleep(500 * time.Millisecond)
	has(node, "") // The map must live until here.
}

func main() {
	workload := os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	run := map[string]func(){
		"spread": runSpread, "join": runJoin, "idle": runIdle, "local": runLocal, "memory": runMemory,
	}[workload]
	if run == nil {
		say(`{"cannot": "no such workload"}`)
		return
	}
	run()
	say(`{"done": true}`)
}
