package shmd

// What no caller can bring about in time.

import (
	"context"
	"testing"
)

func TestALockThatIsTakenAfterTheEndIsGivenBack(t *testing.T) {
	ctx := context.Background()
	client, err := Dial(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "", 100, &CreateOptions{Lifetime: LifetimeAttached})
	if err != nil {
		t.Fatal(err)
	}
	a, err := segment.area(ctx, true) // as a call that is under way
	if err != nil {
		t.Fatal(err)
	}
	defer a.leave()
	if err := segment.Close(); err != nil {
		t.Fatal(err)
	}
	for _, try := range []bool{false, true} {
		if _, err := a.lock(ctx, segment, &a.words.mutex, a.lockers, try); err != errRetired {
			t.Errorf("lock gives %v", err)
		}
		if _, _, err := a.readLock(ctx, segment, try); err != errRetired {
			t.Errorf("readLock gives %v", err)
		}
	}
	if word, slot := a.words.mutex.Load(), a.words.slot(0).Load(); word != 0 || slot != 0 {
		t.Errorf("the word is %#x, the slot %d", word, slot)
	}
}

func TestASleeperThatNobodyWakesLooksAgainAfterASecond(t *testing.T) {
	for _, polling := range []bool{false, true} {
		check := func() {
			futex := new(uint32)
			waiter := &sleeper{ctx: context.Background(), retired: new(signal)}
			defer waiter.stop()
			if late, err := waiter.sleep(futex, 1); late || err != nil {
				t.Errorf("on another value it gives %v, %v", late, err)
			}
			if late, err := waiter.sleep(futex, 0); !late || err != nil {
				t.Errorf("it gives %v, %v", late, err)
			}
			waiter.retired.set()
			if late, err := waiter.sleep(futex, 0); late || err != nil {
				t.Errorf("after the end it gives %v, %v", late, err)
			}
		}
		if polling {
			WithoutWaitv(check)
		} else {
			check()
		}
	}
}

func TestAVersionThatIsThereIsNotSleptFor(t *testing.T) {
	ctx := context.Background()
	client, err := Dial(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	segment, err := client.Create(ctx, "", 100, &CreateOptions{Lifetime: LifetimeAttached})
	if err != nil {
		t.Fatal(err)
	}
	defer segment.Close()
	a, err := segment.area(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	defer a.leave()
	changed := a.nextChange()
	if _, err := segment.Notify(ctx); err != nil { // while nobody sleeps
		t.Fatal(err)
	}
	if err := a.sleepOnVersion(segment, a.newSleeper(ctx), 0); err != nil {
		t.Fatal(err)
	}
	if a.words.version.Load() != 2 {
		t.Error("it has slept")
	}
	select {
	case <-changed:
	default:
		t.Error("the others are not told")
	}
}
