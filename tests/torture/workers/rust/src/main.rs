//! A worker of the torture, in Rust. README.md has the contract.

use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread::{sleep, yield_now};
use std::time::Duration;

use shmd::{Client, Error, ErrorKind, ReadWrite, Segment};

const WORDS: usize = 14;
const STEP: u64 = 16;
const PATIENCE: Duration = Duration::from_secs(60);
const M: usize = 0;
const S: usize = 128;
const R: usize = 256;
const REPAIRS: usize = 384;

type Seen = [u64; WORDS + 2];

/// Ends this worker: a violation, or a call that must not fail.
fn wrong(what: &str, seen: impl Debug) -> ! {
    eprintln!("{what}: {seen:?}");
    std::process::exit(3)
}

/// What a call has given; None when no daemon answers.
fn done<T>(result: Result<T, Error>, what: &str) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if matches!(error.kind(), ErrorKind::NoDaemon(_)) => None,
        Err(error) => wrong(what, error),
    }
}

/// The lock. Nobody has to wait for it for so long.
fn taken<T>(result: Result<Option<T>, Error>, what: &str) -> Option<T> {
    done(result, what).map(|guard| guard.unwrap_or_else(|| wrong(what, "stuck")))
}

fn holds(seen: &Seen, inside: u64, counter: u64) -> bool {
    seen[0] == inside && seen[1] == counter && (0..).zip(&seen[2..]).all(|(i, &word)| word == STEP * counter + i)
}

fn verify(seen: &Seen, what: &str) {
    if !holds(seen, 0, seen[1]) {
        wrong(what, seen);
    }
}

struct Worker {
    segment: &'static Segment<ReadWrite>,
    me: u64,
    state: u64,
}

impl Worker {
    fn chance(&mut self, of: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) % of
    }

    fn dawdle(&mut self) {
        if self.chance(8) == 0 {
            yield_now();
        } else if self.chance(100) == 0 {
            sleep(Duration::from_micros(self.chance(300)));
        }
    }

    fn word(&self, at: usize, word: usize) -> &AtomicU64 {
        self.segment.atomic_u64(at + 8 * word).unwrap()
    }

    fn look(&self, at: usize) -> Seen {
        std::array::from_fn(|word| self.word(at, word).load(SeqCst))
    }

    fn change(&mut self, at: usize, what: &str) {
        self.word(at, 0).store(self.me, SeqCst);
        let counter = self.word(at, 1).load(SeqCst) + 1;
        if self.chance(2) == 0 {
            self.word(at, 1).store(counter, SeqCst);
        }
        let first = self.chance(WORDS as u64) as usize;
        for word in (first..WORDS).chain(0..first) {
            self.word(at, 2 + word).store(STEP * counter + word as u64, SeqCst);
            self.dawdle();
        }
        self.word(at, 1).store(counter, SeqCst);
        if !holds(&self.look(at), self.me, counter) {
            wrong(what, self.look(at));
        }
        self.word(at, 0).store(0, SeqCst);
    }

    fn repair(&mut self, at: usize) {
        self.change(at, "somebody else wrote during a repair");
        self.word(REPAIRS, at / 128).fetch_add(1, SeqCst);
    }

    /// S is rewritten only where it is torn: snapshots may be reading it if the dead was in no section.
    fn repair_both(&mut self) {
        self.repair(M);
        let seen = self.look(S);
        if !holds(&seen, 0, seen[1]) {
            self.repair(S);
        }
    }

    fn lock(&mut self) {
        let Some(mut guard) = taken(self.segment.lock_timeout(PATIENCE), "lock") else { return };
        if guard.owner_died() {
            self.repair_both();
            done(guard.make_consistent(), "make consistent");
        }
        verify(&self.look(M), "M is torn under the mutex");
        verify(&self.look(S), "S is torn under the mutex");
        self.change(M, "M: somebody else is inside");
        done(guard.unlock(), "unlock");
    }

    fn write_section(&mut self) {
        let Some(mut section) = taken(self.segment.write_section_timeout(PATIENCE), "write section") else { return };
        if section.owner_died() {
            self.repair_both();
            done(section.make_consistent(), "make consistent");
        }
        verify(&self.look(M), "M is torn in a write section");
        verify(&self.look(S), "S is torn in a write section");
        self.change(S, "S: somebody else is inside");
        done(section.end(), "end a write section");
    }

    fn snapshot(&mut self) {
        let mut copy = [0; 128];
        match self.segment.snapshot(S, &mut copy, PATIENCE) {
            Err(error) if matches!(error.kind(), ErrorKind::OwnerDied) => match self.chance(2) {
                0 => self.lock(),
                _ => self.write_section(),
            },
            result => {
                if done(result, "snapshot").is_some() {
                    let words: Seen =
                        std::array::from_fn(|i| u64::from_ne_bytes(copy[8 * i..8 * i + 8].try_into().unwrap()));
                    verify(&words, "a snapshot of S is torn");
                }
            }
        }
    }

    fn read_lock(&mut self) {
        let Some(guard) = taken(self.segment.read_lock_timeout(PATIENCE), "read lock") else { return };
        if !guard.owner_died() {
            verify(&self.look(R), "R is torn under the read lock");
            self.dawdle();
            verify(&self.look(R), "R changes under the read lock");
        }
        done(guard.unlock(), "read unlock");
    }

    fn write_lock(&mut self) {
        let Some(mut guard) = taken(self.segment.write_lock_timeout(PATIENCE), "write lock") else { return };
        if guard.owner_died() {
            self.repair(R);
            done(guard.make_consistent(), "make consistent");
        }
        verify(&self.look(R), "R is torn under the write lock");
        self.change(R, "R: somebody else is inside");
        done(guard.unlock(), "write unlock");
    }

    fn notify(&mut self) {
        done(self.segment.notify(), "notify");
    }

    fn wait(&mut self) {
        let Some(before) = done(self.segment.version(), "version") else { return };
        if let Some(Some(after)) = done(self.segment.wait(before, Duration::from_millis(50)), "wait") {
            if after <= before {
                wrong("wait: an old version", after);
            }
        }
    }
}

/// Opens it, and its sync area with it, while the daemon may come and go.
fn opened(socket: &str, key: &str) -> Segment<ReadWrite> {
    let open = || {
        let segment = Client::connect_to(socket)?.open_write(key)?;
        segment.version().map(|_| segment)
    };
    for _ in 0..1000 {
        match open() {
            Ok(segment) => return segment,
            Err(error) if matches!(error.kind(), ErrorKind::NoDaemon(_) | ErrorKind::Disconnected) => {
                sleep(Duration::from_millis(10))
            }
            Err(error) => wrong("open", error),
        }
    }
    wrong("open", "no daemon")
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, socket, key, seed] = arguments.as_slice() else { std::process::exit(2) };
    let Ok(me) = seed.parse() else { std::process::exit(2) };
    // For ever: guards borrow the segment while the worker changes its own state.
    let segment = Box::leak(Box::new(opened(socket, key)));
    let mut worker = Worker { segment, me, state: me };
    println!("ready");
    std::io::stdout().flush().unwrap();
    let acts: [fn(&mut Worker); 7] = [
        Worker::lock,
        Worker::write_section,
        Worker::snapshot,
        Worker::read_lock,
        Worker::write_lock,
        Worker::notify,
        Worker::wait,
    ];
    loop {
        let act = acts[worker.chance(acts.len() as u64) as usize];
        act(&mut worker);
    }
}
