package shmd_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"shmd"
	"shmd/internal/daemontest"
)

// What this program does instead of testing when a test has started it as another process: one line of words that say
// what became of it.
func help(work string) int {
	words := strings.Fields(work)
	client, err := shmd.Dial(ctx, "")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	switch words[0] {
	case "open": // open KEY ACCESS
		segment, err := client.Open(ctx, shmd.Key(words[1]), shmd.Access(words[2]), nil)
		if err == nil {
			_, err = segment.WriteAt([]byte("other"), 0)
		}
		fmt.Println(said(err))
	case "delete": // delete KEY
		fmt.Println(said(client.Delete(ctx, shmd.Key(words[1]))))
	case "create": // create KEY
		segment, err := client.Create(ctx, shmd.Key(words[1]), 100, nil)
		if err == nil {
			info := segment.Info()
			fmt.Println(info.OwnerUID, info.OwnerGID, info.CreatorPID == int32(os.Getpid()))
			return 0
		}
		fmt.Println(said(err))
	case "hold": // hold KEY: until the end of input
		_, err := client.Create(ctx, shmd.Key(words[1]), 100, &shmd.CreateOptions{Lifetime: shmd.LifetimeCreator})
		fmt.Println(said(err))
		bufio.NewReader(os.Stdin).ReadString('\n')
	case "act": // act KEY ACCESS: what the lines say that it gets
		return act(client, shmd.Key(words[1]), shmd.Access(words[2]))
	case "become": // become UID KEY: as root, and then as that user
		return become(client, words[1], shmd.Key(words[2]))
	}
	return 0
}

func become(client *shmd.Client, uid string, key shmd.Key) int {
	number, _ := strconv.Atoi(uid)
	before, err := client.Create(ctx, key+"/before", 100, &shmd.CreateOptions{Mode: shmd.Mode(0o600)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := syscall.Setresuid(number, number, 0); err != nil {
		fmt.Println(err)
		return 1
	}
	after, err := client.Create(ctx, key+"/after", 100, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, denied := client.Open(ctx, key+"/before", shmd.Read, nil)
	remapped := before.Remap(ctx) // on the connection that it was granted on
	fmt.Println(before.Info().OwnerUID, after.Info().OwnerUID, said(denied), said(remapped))
	return 0
}

func said(err error) string {
	var e *shmd.Error
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &e):
		return string(e.Name[strings.LastIndexByte(string(e.Name), '.')+1:])
	}
	return err.Error()
}

// another makes a process of this program, for this work. 0: the same user.
func another(t *testing.T, uid uint32, work string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), "SHMD_TEST_HELPER="+work)
	command.SysProcAttr = &syscall.SysProcAttr{}
	if uid != 0 {
		if os.Geteuid() != 0 {
			t.Skip("only root can be several users")
		}
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	return command
}

func helped(t *testing.T, uid uint32, work string) string {
	t.Helper()
	out, err := daemontest.Run(another(t, uid, work))
	must(t, err)
	return strings.TrimSpace(out)
}
