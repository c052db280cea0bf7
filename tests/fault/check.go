// check.go - the audit log as others read it: only Go's own implementation of
// trees, tiles and signed notes (golang.org/x/mod/sumdb, in Debian
// golang-golang-x-mod-dev), and nothing of Lethe. go_check.py runs it:
//
//	check vectors FILE             notes, trees and proofs of vectors.json
//	check trees                    trees that tree_dump made, from stdin
//	check log FOLDER VKEY [NOTE..] a log's folder and older checkpoints of it
//	check served URL TOKEN VKEY    what the admin listener gives an auditor
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

func must(ok bool, format string, args ...interface{}) {
	if !ok {
		fmt.Printf("FAIL "+format+"\n", args...)
		os.Exit(1)
	}
}

func need(err error, format string, args ...interface{}) {
	must(err == nil, format+": %v", append(args, err)...)
}

// ---- trees ------------------------------------------------------------------

type store []tlog.Hash

func (s store) ReadHashes(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		if i >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d of %d", i, len(s))
		}
		out = append(out, s[i])
	}
	return
}

func (s *store) add(n int64, leaf tlog.Hash) {
	more, err := tlog.StoredHashesForRecordHash(n, leaf, *s)
	need(err, "leaf %d", n)
	*s = append(*s, more...)
}

func (s store) root(size int64) tlog.Hash {
	h, err := tlog.TreeHash(size, s)
	need(err, "root of %d", size)
	return h
}

func grown(records [][]byte) (s store) {
	for i, r := range records {
		s.add(int64(i), tlog.RecordHash(r))
	}
	return
}

func hashes(lines []string) (out []tlog.Hash) {
	for _, line := range lines {
		h, err := tlog.ParseHash(line)
		need(err, "hash %q", line)
		out = append(out, h)
	}
	return
}

func same(a, b []tlog.Hash) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// ---- notes ------------------------------------------------------------------

type checkpoint struct {
	origin string
	size   int64
	root   tlog.Hash
}

func opened(text []byte, vkey string) (c checkpoint) {
	verifier, err := note.NewVerifier(vkey)
	need(err, "verifier key")
	n, err := note.Open(text, note.VerifierList(verifier))
	need(err, "checkpoint")
	lines := strings.Split(n.Text, "\n") // origin, size, root and the end
	must(len(lines) == 4 && lines[0] == verifier.Name(), "lines of a checkpoint: %q", n.Text)
	c.origin = lines[0]
	c.size, err = strconv.ParseInt(lines[1], 10, 64)
	need(err, "size")
	c.root = hashes(lines[2:3])[0]
	return
}

// ---- tiles ------------------------------------------------------------------

func numbered(n int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	return path
}

// C2SP tlog-tiles; the library's own paths are those of the Go checksum base.
func tilePath(level string, n int64, w int) string {
	path := "tile/" + level + "/" + numbered(n)
	if w < width {
		path += fmt.Sprintf(".p/%d", w)
	}
	return path
}

type reader struct {
	get func(path string) ([]byte, error)
}

func (r reader) Height() int { return 8 }
func (r reader) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		data, err := r.get(tilePath(strconv.Itoa(t.L), t.N, t.W))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return
}
func (r reader) SaveTiles([]tlog.Tile, [][]byte) {}

func fromFolder(folder string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(folder, path)) }
}

// Whole tiles on the disk are those of the tree; returns how many there are.
func checkTiles(folder string, s store, size int64) (count int) {
	for level, n := 0, size; n >= width; level, n = level+1, n/width {
		for k := int64(0); k < n/width; k++ {
			path := tilePath(strconv.Itoa(level), k, width)
			data, err := fromFolder(folder)(path)
			need(err, "a tile")
			var want []byte
			for i := k * width; i < (k+1)*width; i++ {
				h := s[tlog.StoredHashIndex(8*level, i)]
				want = append(want, h[:]...)
			}
			must(bytes.Equal(data, want), "%s is another", path)
			count++
		}
	}
	return
}

// ---- a log's folder -----------------------------------------------------------

type counts struct{ In, Fwd, Mod, Drop int64 }

func (c counts) plus(d counts) counts {
	return counts{c.In + d.In, c.Fwd + d.Fwd, c.Mod + d.Mod, c.Drop + d.Drop}
}

type details struct { // of a batch, or of an audit.prune
	counts
	N          int64
	Root       *string
	Cum        counts
	Layer      string
	From, To   int64
	Cum0, Cum1 counts
}

type record struct {
	V, I int64
	T    string
	Act  string
	Raw  json.RawMessage `json:"d"`
	D    details         `json:"-"`
}

type folder struct {
	path    string
	first   int64
	lines   [][]byte
	records []record
	files   []int64 // first numbers of the segments
}

func readFolder(path string) (f folder) {
	f.path = path
	names, err := filepath.Glob(filepath.Join(path, "seg", "*.jsonl"))
	need(err, "segments")
	must(len(names) > 0, "no segment in %s", path)
	sort.Strings(names)
	for _, name := range names {
		first, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(name), ".jsonl"), 10, 64)
		need(err, "segment's name")
		if len(f.lines) == 0 {
			f.first = first
		}
		must(first == f.first+int64(len(f.lines)) && first%width == 0, "%s begins there", name)
		f.files = append(f.files, first)
		data, err := os.ReadFile(name)
		need(err, "segment")
		for len(data) > 0 {
			end := bytes.IndexByte(data, '\n')
			if end < 0 {
				break // not finished yet
			}
			f.add(data[:end])
			data = data[end+1:]
		}
	}
	return
}

func (f *folder) add(line []byte) {
	var r record
	i := f.first + int64(len(f.lines))
	need(json.Unmarshal(line, &r), "record %d", i)
	if r.Act == "batch" || r.Act == "audit.prune" {
		need(json.Unmarshal(r.Raw, &r.D), "d of record %d", i)
	}
	must(r.V == 1 && r.I == i, "record %d says %d", i, r.I)
	must(len(f.records) == 0 || r.T >= f.records[len(f.records)-1].T, "time of record %d", i)
	f.lines, f.records = append(f.lines, line), append(f.records, r)
}

// All leaves: pruned ones from tiles, the others from what they hash.
func (f folder) leaves(size int64) (s store) {
	for i := int64(0); i < f.first; i++ {
		data, err := fromFolder(f.path)(tilePath("0", i/width, width))
		need(err, "tiles of pruned records are kept")
		var h tlog.Hash
		copy(h[:], data[i%width*tlog.HashSize:])
		s.add(i, h)
	}
	for i := f.first; i < size; i++ {
		must(i-f.first < int64(len(f.lines)), "record %d was signed and is gone", i)
		s.add(i, tlog.RecordHash(f.lines[i-f.first]))
	}
	return
}

// The totals before the first record: those of the signed order that ends
// there. One that ends later may not have been carried out yet.
func (f folder) totals(size int64) counts {
	for _, r := range f.records {
		if r.Act == "audit.prune" && r.D.Layer == "records" && r.I < size && r.D.To == f.first {
			return r.D.Cum1
		}
	}
	must(f.first == 0, "records below %d are gone, and nothing ordered it", f.first)
	return counts{}
}

// Rows of records below this one may be gone.
func (f folder) rowsFrom(size int64) (to int64) {
	for _, r := range f.records {
		if r.Act == "audit.prune" && r.D.Layer == "rows" && r.I < size && r.D.To > to {
			to = r.D.To
		}
	}
	return
}

// Totals go on from one batch to the next, and rows lead to the roots.
func (f folder) checkBatches(size int64) (batches, rows int64) {
	cum, toRows := f.totals(size), f.rowsFrom(size)
	var data []byte
	gone := false
	next := 0
	for _, r := range f.records {
		if next < len(f.files) && r.I == f.files[next] {
			must(len(data) == 0, "rows behind those of record %d", r.I-1)
			var err error
			data, err = os.ReadFile(filepath.Join(f.path, "rows", fmt.Sprintf("%012d.rows", r.I)))
			gone = os.IsNotExist(err)
			must(err == nil || (gone && r.I < toRows), "rows of record %d: %v", r.I, err)
			next++
		}
		if r.Act != "batch" {
			continue
		}
		batches++
		must(r.D.In == r.D.Fwd+r.D.Mod+r.D.Drop, "sums of record %d", r.I)
		cum = cum.plus(r.D.counts)
		must(cum == r.D.Cum, "totals of record %d", r.I)
		if gone || r.D.N == 0 {
			must(gone || r.D.Root == nil, "root of no rows in record %d", r.I)
			continue
		}
		must(int64(len(data)) >= 32*r.D.N, "rows of record %d are gone", r.I)
		var list [][]byte
		for i := int64(0); i < r.D.N; i++ {
			list = append(list, data[32*i:32*i+32])
		}
		data = data[32*r.D.N:]
		rows += r.D.N
		must(grown(list).root(r.D.N).String() == *r.D.Root, "rows of record %d", r.I)
	}
	return
}

func checkProofs(s store, points []checkpoint) {
	last := points[len(points)-1]
	for i := int64(0); i < last.size; i++ {
		proof, err := tlog.ProveRecord(last.size, i, s)
		need(err, "proof of %d", i)
		leaf := s[tlog.StoredHashIndex(0, i)]
		need(tlog.CheckRecord(proof, last.size, last.root, i, leaf), "record %d", i)
		leaf[i%tlog.HashSize] ^= 1
		must(tlog.CheckRecord(proof, last.size, last.root, i, leaf) != nil, "another record %d", i)
	}
	for k, p := range points {
		must(s.root(p.size) == p.root, "root of %d records", p.size)
		for _, q := range []int{k - 1, 0} {
			if q < 0 || points[q].size == 0 {
				continue
			}
			proof, err := tlog.ProveTree(p.size, points[q].size, s)
			need(err, "proof from %d to %d", points[q].size, p.size)
			need(tlog.CheckTree(proof, p.size, p.root, points[q].size, points[q].root),
				"from %d to %d", points[q].size, p.size)
		}
	}
}

func checkLog(path, vkey string, notes []string) {
	var points []checkpoint
	for _, name := range append(notes, filepath.Join(path, "checkpoint")) {
		text, err := os.ReadFile(name)
		need(err, "checkpoint")
		points = append(points, opened(text, vkey))
	}
	sort.Slice(points, func(a, b int) bool { return points[a].size < points[b].size })
	f := readFolder(path)
	size := points[len(points)-1].size
	s := f.leaves(size)
	checkProofs(s, points)
	tiles := checkTiles(path, s, size)
	batches, rows := f.checkBatches(size)
	fmt.Printf("log ok: %d records signed, from %d, %d checkpoints, %d tiles, %d batches, %d rows\n",
		size, f.first, len(points), tiles, batches, rows)
}

// ---- what is served -----------------------------------------------------------

func checkServed(url, token, vkey string) {
	get := func(path string) ([]byte, error) {
		request, err := http.NewRequest("GET", url+"/"+path, nil)
		need(err, "request")
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != 200 {
			return nil, fmt.Errorf("%s: %s", path, answer.Status)
		}
		return io.ReadAll(answer.Body)
	}
	text, err := get("checkpoint")
	need(err, "checkpoint")
	c := opened(text, vkey)
	text, err = get("minimum-index")
	need(err, "minimum-index")
	minimum, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	need(err, "minimum-index")
	// Reads no tile that does not lead to the root.
	tree := tlog.TileHashReader(tlog.Tree{N: c.size, Hash: c.root}, reader{get})
	var indexes []int64
	for i := int64(0); i < c.size; i++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, i))
	}
	leaves, err := tree.ReadHashes(indexes)
	need(err, "tiles")
	for n := minimum / width; n*width < c.size; n++ {
		w := int(c.size - n*width)
		if w > width {
			w = width
		}
		data, err := get(tilePath("entries", n, w))
		if err != nil && strings.HasSuffix(err.Error(), ": 410 Gone") {
			// Pruned while we read: then it says so by now.
			text, again := get("minimum-index")
			need(again, "minimum-index")
			now, again := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			must(again == nil && (n+1)*width <= now, "bundle %d is gone, the log begins at %d", n, now)
			minimum = now
			continue
		}
		need(err, "bundle")
		for i := 0; i < w; i++ {
			must(len(data) >= 2, "bundle %d ends at %d", n, i)
			end := 2 + int(binary.BigEndian.Uint16(data))
			must(len(data) >= end, "bundle %d ends at %d", n, i)
			must(tlog.RecordHash(data[2:end]) == leaves[n*width+int64(i)], "entry %d of bundle %d", i, n)
			data = data[end:]
		}
		must(len(data) == 0, "bundle %d goes on", n)
	}
	fmt.Printf("served ok: %d leaves by tiles, entries from %d\n", c.size, minimum)
}

// ---- random trees, made by tree_dump ------------------------------------------

type tree struct {
	Seed                         uint64
	Size, Index, Old             int64
	Roots                        []string // now, and of the older size
	Inclusion, Consistency, Tile []string
	TilePath                     string `json:"tile_path"`
}

func checkTrees(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	count := 0
	for ; lines.Scan(); count++ {
		var t tree
		need(json.Unmarshal(lines.Bytes(), &t), "tree %d", count)
		var list [][]byte
		for i := int64(0); i < t.Size; i++ {
			list = append(list, []byte(fmt.Sprintf("%d:%d", t.Seed, i)))
		}
		s := grown(list)
		must(s.root(t.Size).String() == t.Roots[0], "root of tree %d", count)
		proof, err := tlog.ProveRecord(t.Size, t.Index, s)
		need(err, "inclusion in tree %d", count)
		must(same(proof, hashes(t.Inclusion)), "inclusion in tree %d", count)
		if t.Old > 0 {
			must(s.root(t.Old).String() == t.Roots[1], "older root of tree %d", count)
			proof, err := tlog.ProveTree(t.Size, t.Old, s)
			need(err, "consistency of tree %d", count)
			must(same(proof, hashes(t.Consistency)), "consistency of tree %d", count)
		}
		checkTile(t, s)
	}
	need(lines.Err(), "trees")
	must(count > 0, "no tree")
	fmt.Printf("trees ok: %d\n", count)
}

// The tile that holds the leaf, whole or not, as the library cuts it.
func checkTile(t tree, s store) {
	at := tlog.TileForIndex(8, tlog.StoredHashIndex(0, t.Index))
	at.W = width
	if t.Size-at.N*width < width {
		at.W = int(t.Size - at.N*width)
	}
	data, err := tlog.ReadTileData(at, s)
	need(err, "a tile")
	must(tilePath("0", at.N, at.W) == t.TilePath, "path %s", t.TilePath)
	var got []byte
	for _, h := range hashes(t.Tile) {
		got = append(got, h[:]...)
	}
	must(bytes.Equal(data, got), "tile %s of tree %d", t.TilePath, t.Seed)
}

// ---- vectors ------------------------------------------------------------------

func checkVectors(name string) {
	data, err := os.ReadFile(name)
	need(err, "vectors")
	var v struct {
		Vkey                     string
		Records, Leaf, Rows      []string
		Inclusion                []string `json:"inclusion_2_in_7"`
		Consistency              []string `json:"consistency_3_7"`
		Checkpoint3, Checkpoint7 string
		Cosignature7, EmptyRoot  string
		RowsRoot                 string `json:"rows_root"`
		DecisionProof            string `json:"decision_proof"`
	}
	need(json.Unmarshal(data, &v), "vectors")
	var records, rows [][]byte
	for _, r := range v.Records {
		records = append(records, []byte(r))
	}
	for _, r := range v.Rows {
		x, err := hex.DecodeString(r)
		need(err, "row")
		rows = append(rows, x)
	}
	s := grown(records)
	c3, c7 := opened([]byte(v.Checkpoint3), v.Vkey), opened([]byte(v.Checkpoint7+v.Cosignature7), v.Vkey)
	must(s.root(3) == c3.root && s.root(7) == c7.root && c7.size == 7, "roots")
	need(tlog.CheckRecord(hashes(v.Inclusion), 7, c7.root, 2, tlog.RecordHash(records[2])), "inclusion")
	need(tlog.CheckTree(hashes(v.Consistency), 7, c7.root, 3, c3.root), "consistency")
	r := grown(rows)
	must(r.root(int64(len(rows))).String() == v.RowsRoot, "root of the rows")
	lines := strings.Split(v.DecisionProof, "\n")
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	need(err, "extra")
	inner := strings.Split(string(extra), "\n")
	var j, n int64
	var row string
	_, err = fmt.Sscanf(inner[2], "row %d of %d %s", &j, &n, &row)
	need(err, "row line")
	bits, err := hex.DecodeString(row)
	need(err, "row")
	need(tlog.CheckRecord(hashes(inner[3:len(inner)-1]), n, r.root(n), j, tlog.RecordHash(bits)), "row in batch")
	need(tlog.CheckRecord(hashes(lines[3:6]), 7, c7.root, 2, tlog.RecordHash([]byte(inner[1]))), "batch in log")
	fmt.Println("vectors ok")
}

func main() {
	args := os.Args[1:]
	switch {
	case len(args) == 2 && args[0] == "vectors":
		checkVectors(args[1])
	case len(args) == 1 && args[0] == "trees":
		checkTrees(os.Stdin)
	case len(args) >= 3 && args[0] == "log":
		checkLog(args[1], args[2], args[3:])
	case len(args) == 4 && args[0] == "served":
		checkServed(args[1], args[2], args[3])
	default:
		fmt.Println("usage: check vectors FILE | trees | log FOLDER VKEY [NOTE...] | served URL TOKEN VKEY")
		os.Exit(3)
	}
}
