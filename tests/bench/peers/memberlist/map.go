// A small map over memberlist, as its users write one: a write is broadcast by a TransmitLimitedQueue, a node that
// hears of it first broadcasts it in its turn (as Serf does), and push/pull exchanges the whole map.
//
// SPDX-License-Identifier: LGPL-2.1-or-later
package main

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

type entry struct {
	stamp uint64
	value string
}

type node struct {
	list   *memberlist.Memberlist
	queue  memberlist.TransmitLimitedQueue
	mutex  sync.RWMutex
	values map[string]entry
}

func newNode(config *memberlist.Config) (*node, error) {
	self := &node{values: map[string]entry{}}
	self.queue.RetransmitMult = config.RetransmitMult
	self.queue.NumNodes = func() int {
		if self.list == nil {
			return 1
		}
		return self.list.NumMembers()
	}
	config.Delegate = self
	list, err := memberlist.Create(config)
	self.list = list
	return self, err
}

func (self *node) set(key, value string) {
	self.merge(key, entry{uint64(time.Now().UnixNano()), value})
}

func (self *node) has(key string) bool {
	self.mutex.RLock()
	defer self.mutex.RUnlock()
	_, there := self.values[key]
	return there
}

func (self *node) count() int {
	self.mutex.RLock()
	defer self.mutex.RUnlock()
	return len(self.values)
}

// The later one wins; what is new is passed on.
func (self *node) merge(key string, new entry) {
	if self.put(key, new) {
		self.queue.QueueBroadcast(broadcast{key, appendEntry(nil, key, new)})
	}
}

func (self *node) put(key string, new entry) bool {
	self.mutex.Lock()
	defer self.mutex.Unlock()
	if old, there := self.values[key]; there && old.stamp >= new.stamp {
		return false
	}
	self.values[key] = new
	return true
}

func appendEntry(buffer []byte, key string, e entry) []byte {
	buffer = binary.AppendUvarint(buffer, e.stamp)
	buffer = append(binary.AppendUvarint(buffer, uint64(len(key))), key...)
	return append(binary.AppendUvarint(buffer, uint64(len(e.value))), e.value...)
}

// Calls each for every entry, until the bytes end or make no sense.
func readEntries(buffer []byte, each func(string, entry)) {
	failed := false
	number := func() uint64 {
		n, size := binary.Uvarint(buffer)
		if size <= 0 {
			failed = true
			return 0
		}
		buffer = buffer[size:]
		return n
	}
	text := func() string {
		size := number()
		if size > uint64(len(buffer)) {
			failed = true
			return ""
		}
		s := string(buffer[:size])
		buffer = buffer[size:]
		return s
	}
	for len(buffer) > 0 {
		stamp, key, value := number(), text(), text()
		if failed {
			return
		}
		each(key, entry{stamp, value})
	}
}

type broadcast struct {
	key   string
	bytes []byte
}

func (b broadcast) Name() string    { return b.key }
func (b broadcast) Message() []byte { return b.bytes }
func (b broadcast) Finished()       {}
func (b broadcast) Invalidates(other memberlist.Broadcast) bool {
	named, is := other.(broadcast)
	return is && named.key == b.key
}

// memberlist.Delegate

func (self *node) NodeMeta(limit int) []byte { return nil }
func (self *node) NotifyMsg(message []byte)  { readEntries(message, self.merge) }
func (self *node) GetBroadcasts(overhead, limit int) [][]byte {
	return self.queue.GetBroadcasts(overhead, limit)
}

func (self *node) LocalState(join bool) []byte {
	self.mutex.RLock()
	defer self.mutex.RUnlock()
	var state []byte
	for key, e := range self.values {
		state = appendEntry(state, key, e)
	}
	return state
}

// Not passed on: every node exchanges its map by itself.
func (self *node) MergeRemoteState(state []byte, join bool) {
	readEntries(state, func(key string, e entry) { self.put(key, e) })
}
