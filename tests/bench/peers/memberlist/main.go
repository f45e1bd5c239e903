// The driver of memberlist, with a small map over it, for the comparison; tests/bench/peers/README.md has the protocol.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hashicorp/memberlist"
)

var (
	nodes    = flag.Int("nodes", 3, "nodes of the cluster")
	keys     = flag.Int("keys", 0, "keys in the map")
	interval = flag.Int("interval", 0, "every interval in ms, 0 for the defaults")
	trials   = flag.Int("trials", 5, "samples to take")
	seconds  = flag.Int("seconds", 60, "how long to be idle")
	nextPart time.Time
)

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

func makeNode(i int, seed *node) *node {
	config := memberlist.DefaultLANConfig()
	config.Name = fmt.Sprintf("node-%d", i)
	config.BindAddr = "127.0.0.1"
	config.BindPort = 0
	config.AdvertisePort = 0
	config.LogOutput = io.Discard
	if *interval > 0 {
		every := time.Duration(*interval) * time.Millisecond
		config.GossipInterval, config.ProbeInterval, config.PushPullInterval = every, every, every
	}
	self, err := newNode(config)
	check(err)
	if seed != nil {
		_, err = self.list.Join([]string{seed.list.LocalNode().Address()})
		check(err)
	}
	return self
}

func makeCluster(n int) []*node {
	cluster := []*node{makeNode(0, nil)}
	for i := 1; i < n; i++ {
		cluster = append(cluster, makeNode(i, cluster[0]))
	}
	for _, node := range cluster {
		for node.list.NumMembers() < n {
			sayPart(0)
			time.Sleep(time.Millisecond)
		}
	}
	return cluster
}

func key(i int) string { return fmt.Sprintf("key-%016d", i) }

func setKeys(node *node) {
	for i := 0; i < *keys; i++ {
		node.set(key(i), fmt.Sprintf("value-%014d", i))
	}
}

// Waits until all keys are there. Returns the part that is there at the end of the time.
func waitFilled(node *node, limit time.Duration) float64 {
	end := time.Now().Add(limit)
	part := func() float64 { return float64(node.count()) / float64(max(*keys, 1)) }
	for node.count() < *keys && time.Now().Before(end) {
		sayPart(part())
		time.Sleep(500 * time.Microsecond)
	}
	return min(part(), 1)
}

func fillCluster(cluster []*node) {
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
		cluster[trial%*nodes].set(key, "now")
		for missing := append([]*node{}, cluster...); ; {
			still := missing[:0]
			for _, node := range missing {
				if !node.has(key) {
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
	first := makeNode(0, nil)
	setKeys(first)
	say(`{"mark": "begin"}`)
	time.Sleep(100 * time.Millisecond)
	start := time.Now()
	second := makeNode(1, first)
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

// What a map of our own over it can do would say nothing about memberlist.
func runNoMap() { say(`{"cannot": "has no map"}`) }

func main() {
	workload := os.Args[1]
	check(flag.CommandLine.Parse(os.Args[2:]))
	run := map[string]func(){
		"spread": runSpread, "join": runJoin, "idle": runIdle, "local": runNoMap, "memory": runNoMap,
	}[workload]
	if run == nil {
		say(`{"cannot": "no such workload"}`)
		return
	}
	run()
	say(`{"done": true}`)
}
