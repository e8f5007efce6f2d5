package client

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// maxShards bounds the shards of a batch.
const maxShards = 10_000

// Shard is a part of a batch: the items whose ids hash to it. The zero value is all of the batch.
type Shard struct{ Number, Of int } // from 1

// ParseShard reads K/N with K from 1 to N.
func ParseShard(s string) (Shard, bool) {
	first, second, _ := strings.Cut(s, "/")
	number, err1 := strconv.Atoi(first)
	of, err2 := strconv.Atoi(second)
	shard := Shard{number, of}
	ok := err1 == nil && err2 == nil && number >= 1 && number <= of && of <= maxShards && shard.String() == s
	return shard, ok
}

// String is K/N, "" for all of the batch.
func (s Shard) String() string {
	if s == (Shard{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Of)
}

// has reports whether a line of the input belongs to the shard, by nothing but its id. A line that is no item, or whose
// item has no id, goes by its text: its number changes when lines are added before it.
func (s Shard) has(item Item, line []byte) bool {
	if s == (Shard{}) {
		return true
	}
	key := []byte(item.ID)
	if len(key) == 0 || item.numbered {
		key = bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark))
	}
	sum := sha256.Sum256(key)
	return binary.BigEndian.Uint64(sum[:8])%uint64(s.Of) == uint64(s.Number-1)
}
