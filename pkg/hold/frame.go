package hold

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"
)

// What crosses the socket is frames: a byte that says what it is, four bytes of length (big endian), and as many bytes.
//
// A borrower begins with want, leave or tell, and the holder with greet, at once, so that a holder that does not run is
// known before anything is trusted to it. After want come step frames while a connection is made, then lent or cannot.
// From then on both sides send data, until the borrower gives the connection back or the holder says how it ended. A
// socket that closes without either is a connection that was lost.
//
// Before the holder sends the first data of a loan to the server it says taken. A borrower that reads no more
// makes that fail, and the holder then sends nothing. So a request that was not taken was not sent, and never will be.
const (
	frameWant   = 'w' // a connection is wanted; see wish
	frameTell   = 't' // the holder is asked about itself
	frameLeave  = 'q' // the holder is asked to end
	frameGreet  = 'h' // greeting
	frameStatus = 's' // JSON, Status
	frameStep   = 'p' // one byte: what happens while a connection is made
	frameLent   = 'l' // see loan
	frameCannot = 'n' // there is none to be had
	frameTaken  = 'k' // the first data is about to be sent
	frameData   = 'd' // bytes of the connection
	frameBack   = 'b' // the borrower gives the connection back as it was; see back
	frameEnd    = 'e' // one byte and a text: how the connection ended
)

// greeting names the protocol; another one is another program, or another time's.
const greeting = "ferry hold 2"

const (
	maxFrame  = 64 << 10 // of data
	maxNotice = 4 << 10  // of anything else
	headBytes = 5
)

// wish is what a borrower asks for: how long the holder is to live unused from now on.
func wish(idle time.Duration) []byte {
	return frame(frameWant, string(binary.BigEndian.AppendUint64(nil, uint64(idle))))
}

func readWish(payload []byte) (idle time.Duration, ok bool) {
	if len(payload) != 8 {
		return 0, false
	}
	idle = time.Duration(binary.BigEndian.Uint64(payload))
	return idle, idle > 0
}

// back gives a connection back of which so many bytes were read: of a loan of which more came, the rest would be the next
// borrower's.
func back(read int64) []byte {
	return frame(frameBack, string(binary.BigEndian.AppendUint64(nil, uint64(read))))
}

func readBack(payload []byte) (read int64, ok bool) {
	if len(payload) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(payload)), true
}

// loan describes a connection that is lent.
type loan struct {
	// TLS is the version, 0 for plain http.
	TLS uint16
	// Reused says that nothing had to be made for it.
	Reused bool
	Remote string
}

func (l loan) frame() []byte {
	payload := binary.BigEndian.AppendUint16(nil, l.TLS)
	if l.Reused {
		return frame(frameLent, string(payload)+"r"+l.Remote)
	}
	return frame(frameLent, string(payload)+"n"+l.Remote)
}

func readLoan(payload []byte) (l loan, ok bool) {
	if len(payload) < 3 {
		return l, false
	}
	l.TLS, l.Reused, l.Remote = binary.BigEndian.Uint16(payload), payload[2] == 'r', string(payload[3:])
	return l, true
}

// errGarbage is what a socket said that no holder says.
var errGarbage = errors.New("not the words of a holder")

// frames reads frames. Data may be read piece by piece; whatever else comes is whole.
type frames struct {
	from *bufio.Reader
	left int // of the data frame that is being read
}

func newFrames(r io.Reader, size int) *frames { return &frames{from: bufio.NewReaderSize(r, size)} }

// next gives the kind and payload of the next frame; that of data is read with read.
func (f *frames) next() (kind byte, payload []byte, err error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(f.from, head[:]); err != nil {
		return 0, nil, err
	}
	kind, size := head[0], binary.BigEndian.Uint32(head[1:])
	if kind == frameData {
		if size == 0 || size > maxFrame {
			return 0, nil, errGarbage
		}
		f.left = int(size)
		return kind, nil, nil
	}
	if size > maxNotice {
		return 0, nil, errGarbage
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(f.from, payload)
	return kind, payload, err
}

// read gives bytes of the data frame that next has announced.
func (f *frames) read(p []byte) (int, error) {
	n, err := f.from.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// forget overwrites what was read last: a key crosses here.
func (f *frames) forget() {
	f.from.Reset(zeros{})
	_, _ = f.from.Peek(f.from.Size())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// notice is a frame that carries a value as JSON.
func notice(kind byte, value any) []byte {
	text, err := json.Marshal(value)
	if err != nil || len(text) > maxNotice {
		text = []byte("{}") // of our own types none fails; a path of 4 KiB is left away
	}
	return frame(kind, string(text))
}

func frame(kind byte, payload string) []byte {
	out := make([]byte, 0, headBytes+len(payload))
	out = append(out, kind)
	out = binary.BigEndian.AppendUint32(out, uint32(len(payload)))
	return append(out, payload...)
}

// writeData sends bytes as data frames, each with one system call, and gives how many of them were taken.
func writeData(conn net.Conn, p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		part := p[:min(len(p), maxFrame)]
		var head [headBytes]byte
		head[0] = frameData
		binary.BigEndian.PutUint32(head[1:], uint32(len(part)))
		both := net.Buffers{head[:], part}
		n, err := both.WriteTo(conn)
		done += max(0, int(n)-headBytes)
		if err != nil {
			return done, err
		}
		p = p[len(part):]
	}
	return done, nil
}
