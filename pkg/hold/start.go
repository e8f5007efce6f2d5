package hold

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"time"
)

// errStart says that a holder did not come to listen.
var errStart = errors.New("no holder could be started")

// readyFD is the descriptor on which a holder says that it listens.
const readyFD = 3

// start starts a holder and waits until it listens.
func (l Launch) start(o order) error {
	told, err := json.Marshal(o)
	if err != nil {
		return err
	}
	orderIn, orderOut, err := os.Pipe()
	if err != nil {
		return err
	}
	defer orderIn.Close()
	defer orderOut.Close()
	ready, tellReady, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	c := exec.Command(l.Program)
	c.Args = append([]string{"ferry"}, l.Args...)
	c.Env = append([]string{"GODEBUG=clobberfree=1,asyncpreemptoff=1"}, l.Env...)
	c.Stdin, c.ExtraFiles = orderIn, []*os.File{tellReady}
	err = detach(c)
	if err == nil {
		err = c.Start()
	}
	tellReady.Close()
	if err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // should it end before this process does, it is to leave no zombie
	if _, err := orderOut.Write(told); err != nil {
		return errStart
	}
	orderOut.Close()
	_ = ready.SetReadDeadline(time.Now().Add(atLeast(startTimeout)))
	if n, _ := ready.Read(make([]byte, 1)); n != 1 {
		return errStart
	}
	return nil
}
