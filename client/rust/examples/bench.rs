//! What the client costs beside a plain mapping of a file in /dev/shm, and its locks beside the C library's between processes,
//! in the same run: ratios, as JSON, one row a line.
//!
//!     cargo run --release --example bench -- [--size 1G] [--rounds 5] [--socket PATH]
//!
//! A ratio of 1.0 is as fast as the other; 2.0 takes twice as long. Medians of the rounds.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::mem::MaybeUninit;
use std::os::unix::io::AsFd;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::slice;
use std::time::{Duration, Instant};

use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use shmd::{Client, NewSegment};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SMALL: usize = 4096;
const OPENS: u32 = 1000;
const LOCKS: u32 = 2_000_000;

struct Options {
    size: usize,
    rounds: usize,
    socket: Option<String>,
}

fn options() -> Outcome<Options> {
    let mut options = Options { size: 1 << 30, rounds: 5, socket: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("an option needs a value")?;
        match argument.as_str() {
            "--size" => options.size = size_of(&value)?,
            "--rounds" => options.rounds = value.parse()?,
            "--socket" => options.socket = Some(value),
            _ => return Err(format!("no such option: {argument}").into()),
        }
    }
    Ok(options)
}

fn size_of(text: &str) -> Outcome<usize> {
    let (digits, shift) = match text.chars().last() {
        Some('K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    Ok(digits.parse::<usize>()? << shift)
}

/// A file in /dev/shm that goes with this object.
struct Plain(PathBuf);

impl Plain {
    fn new(name: &str, size: usize) -> Outcome<Self> {
        let plain = Plain(format!("/dev/shm/shmd-bench-{}-{name}", std::process::id()).into());
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&plain.0)?;
        // Reserved, as the daemon does.
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size as u64)?;
        Ok(plain)
    }

    fn map(&self, size: usize, writable: bool) -> Outcome<Mapped> {
        let file = OpenOptions::new().read(true).write(writable).open(&self.0)?;
        Mapped::of(&file, size, writable)
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Mapped(*mut u8, usize);

impl Mapped {
    fn of(file: &File, size: usize, writable: bool) -> Outcome<Self> {
        let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a new mapping at a place that the kernel chooses.
        let data = unsafe { mmap(null_mut(), size, protection, MapFlags::SHARED, file.as_fd(), 0)? };
        Ok(Mapped(data.cast(), size))
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped, and nobody else has this file.
        unsafe { slice::from_raw_parts_mut(self.0, self.1) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: our mapping, to which no reference is left.
        let _ = unsafe { munmap(self.0.cast(), self.1) };
    }
}

fn timed(run: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let begin = Instant::now();
    run()?;
    Ok(begin.elapsed())
}

/// Has the compiler think that the value is used.
fn keep(value: u64) {
    // SAFETY: a value of ours.
    unsafe { std::ptr::read_volatile(&value) };
}

fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()));
    words.fold(0, u64::wrapping_add)
}

/// The median of ours over theirs, each round measuring both.
fn report(case: &str, rounds: usize, mut round: impl FnMut() -> Outcome<(Duration, Duration)>) -> Outcome<()> {
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let (ours, theirs) = round()?;
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(rounds / 2).ok_or("no rounds")?;
    println!("{{\"case\": \"{case}\", \"language\": \"rust\", \"ratio\": {ratio:.3}}}");
    Ok(())
}

fn open_map_close(client: &Client, rounds: usize) -> Outcome<()> {
    let made = NewSegment::unnamed(SMALL as u64).create(client)?;
    let key = made.key().ok_or("a key")?;
    let plain = Plain::new("small", SMALL)?;
    report("open+map+close", rounds, || {
        let ours = timed(|| {
            for _ in 0..OPENS {
                let mut first = [0];
                client.open(&key)?.read_at(0, &mut first)?;
                keep(first[0].into());
            }
            Ok(())
        })?;
        let theirs = timed(|| {
            for _ in 0..OPENS {
                keep(plain.map(SMALL, false)?.bytes()[0].into());
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    Ok(client.delete(&key)?)
}

/// Many copies of a little, of which no page is new and which the caches hold.
fn small_copies(client: &Client, size: usize, rounds: usize) -> Outcome<()> {
    let times = (1 << 30) / size / 8;
    let source: Vec<u8> = (0..size).map(|i| i as u8).collect();
    let mut out = vec![0; size];
    let plain = Plain::new("copied", size)?;
    let mut theirs = plain.map(size, true)?;
    let segment = NewSegment::unnamed(size as u64).create(client)?;
    let name = |way: &str| format!("copy {} KiB {way}", size >> 10);
    report(&name("in"), rounds, || {
        let ours = timed(|| (0..times).try_for_each(|_| Ok(segment.write_at(0, &source)?)))?;
        let theirs = timed(|| {
            for _ in 0..times {
                theirs.bytes().copy_from_slice(&source);
                keep(theirs.bytes()[0].into());
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    report(&name("out"), rounds, || {
        let ours = timed(|| {
            for _ in 0..times {
                segment.read_at(0, &mut out)?;
                keep(out[0].into());
            }
            Ok(())
        })?;
        let theirs = timed(|| {
            for _ in 0..times {
                out.copy_from_slice(theirs.bytes());
                keep(out[0].into());
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    Ok(client.delete(segment.id())?)
}

fn data_path(client: &Client, size: usize, rounds: usize) -> Outcome<()> {
    let source: Vec<u8> = (0..size).map(|i| i as u8).collect();
    let key = {
        let plain = Plain::new("large", size)?;
        let mut theirs = plain.map(size, true)?;
        let segment = NewSegment::unnamed(size as u64).create(client)?;
        let key = segment.key().ok_or("a key")?;
        // The pages are there from the first copy on: what is measured is the copy.
        segment.write_at(0, &source)?;
        theirs.bytes().copy_from_slice(&source);
        report("copy in", rounds, || {
            let ours = timed(|| Ok(segment.write_at(0, &source)?))?;
            let theirs = timed(|| {
                theirs.bytes().copy_from_slice(&source);
                Ok(())
            })?;
            Ok((ours, theirs))
        })?;
        let mut out = vec![0; size];
        report("copy out", rounds, || {
            let ours = timed(|| Ok(segment.read_at(0, &mut out)?))?;
            let theirs = timed(|| {
                out.copy_from_slice(theirs.bytes());
                Ok(())
            })?;
            Ok((ours, theirs))
        })?;
        let sealed = segment.seal()?;
        report("sum", rounds, || {
            let ours = timed(|| {
                keep(sum(&sealed));
                Ok(())
            })?;
            let theirs = timed(|| {
                keep(sum(theirs.bytes()));
                Ok(())
            })?;
            Ok((ours, theirs))
        })?;
        key
    };
    Ok(client.delete(&key)?)
}

/// A mutex and a readers-writer lock of the C library, in memory that processes can share.
struct PthreadLocks {
    _memory: Mapped,
    mutex: *mut libc::pthread_mutex_t,
    rwlock: *mut libc::pthread_rwlock_t,
}

impl PthreadLocks {
    fn new(plain: &Plain) -> Outcome<Self> {
        let memory = plain.map(SMALL, true)?;
        let mutex: *mut libc::pthread_mutex_t = memory.0.cast();
        let rwlock: *mut libc::pthread_rwlock_t = memory.0.wrapping_add(SMALL / 2).cast();
        let mut of_mutex = MaybeUninit::uninit();
        let mut of_rwlock = MaybeUninit::uninit();
        // SAFETY: memory of ours, aligned, and large enough for each.
        unsafe {
            libc::pthread_mutexattr_init(of_mutex.as_mut_ptr());
            libc::pthread_mutexattr_setpshared(of_mutex.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutex_init(mutex, of_mutex.as_ptr());
            libc::pthread_rwlockattr_init(of_rwlock.as_mut_ptr());
            libc::pthread_rwlockattr_setpshared(of_rwlock.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_rwlock_init(rwlock, of_rwlock.as_ptr());
        }
        Ok(PthreadLocks { _memory: memory, mutex, rwlock })
    }
}

/// Locks that nobody else wants.
fn locks(client: &Client, rounds: usize) -> Outcome<()> {
    let segment = NewSegment::unnamed(SMALL as u64).create(client)?;
    let plain = Plain::new("locks", SMALL)?;
    let theirs = PthreadLocks::new(&plain)?;
    drop(segment.lock()?);
    report("lock+unlock", rounds, || {
        let ours = timed(|| (0..LOCKS).try_for_each(|_| Ok(segment.lock()?.unlock()?)))?;
        let theirs = timed(|| {
            for _ in 0..LOCKS {
                // SAFETY: a mutex as long as the mapping.
                unsafe {
                    libc::pthread_mutex_lock(theirs.mutex);
                    libc::pthread_mutex_unlock(theirs.mutex);
                }
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    report("read lock+unlock", rounds, || {
        let ours = timed(|| (0..LOCKS).try_for_each(|_| Ok(segment.read_lock()?.unlock()?)))?;
        let theirs = timed(|| {
            for _ in 0..LOCKS {
                // SAFETY: as above.
                unsafe {
                    libc::pthread_rwlock_rdlock(theirs.rwlock);
                    libc::pthread_rwlock_unlock(theirs.rwlock);
                }
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    report("write lock+unlock", rounds, || {
        let ours = timed(|| (0..LOCKS).try_for_each(|_| Ok(segment.write_lock()?.unlock()?)))?;
        let theirs = timed(|| {
            for _ in 0..LOCKS {
                // SAFETY: as above.
                unsafe {
                    libc::pthread_rwlock_wrlock(theirs.rwlock);
                    libc::pthread_rwlock_unlock(theirs.rwlock);
                }
            }
            Ok(())
        })?;
        Ok((ours, theirs))
    })?;
    Ok(client.delete(segment.id())?)
}

fn main() -> Outcome<()> {
    let options = options()?;
    let client = match &options.socket {
        Some(path) => Client::connect_to(path)?,
        None => Client::connect()?,
    };
    open_map_close(&client, options.rounds)?;
    locks(&client, options.rounds)?;
    small_copies(&client, 4 << 10, options.rounds)?;
    small_copies(&client, 1 << 20, options.rounds)?;
    data_path(&client, options.size, options.rounds)
}
