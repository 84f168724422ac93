//! A service manager with an fd store, as systemd is one: it holds the listening sockets and what the daemon gives it to
//! keep (sd_notify(3): FDSTORE=1, FDSTOREREMOVE=1, BARRIER=1), and starts the daemon with all of it (sd_listen_fds(3)).

use std::collections::HashMap;
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{recvmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::TempDir;

type Store = Arc<Mutex<Vec<(String, OwnedFd)>>>;

const FIRST_FD: RawFd = 3;

/// The daemon, and who starts it. Both end with this object.
pub struct Manager {
    directory: TempDir,
    segments: UnixListener,
    control: UnixListener,
    store: Store,
    places: usize,
    arguments: Vec<String>,
    ready: Receiver<()>,
    listening: Option<JoinHandle<()>>,
    daemon: Option<Child>,
}

impl Manager {
    /// With a running daemon, whose segments outlast it.
    pub fn start() -> Self {
        Self::start_with(4096, &[])
    }

    /// With one whose segments end with it.
    pub fn start_without_store() -> Self {
        Self::start_with(0, &[])
    }

    pub fn start_with(places: usize, arguments: &[&str]) -> Self {
        let directory = TempDir::new();
        let listen = |name: &str, mode| {
            let path = directory.path().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            listener
        };
        let (segments, control) = (listen("io.shmd.Segments", 0o666), listen("io.shmd.Control", 0o660));
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(directory.path().join("state")).unwrap();
        fs::set_permissions(directory.path().join("state"), fs::Permissions::from_mode(0o700)).unwrap();
        let notify = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        let store = Store::default();
        let (sender, ready) = channel();
        let listening = std::thread::spawn({
            let store = store.clone();
            move || listen_to(&notify, &store, places, &sender)
        });
        let mut manager = Manager {
            directory,
            segments,
            control,
            store,
            places,
            arguments: arguments.iter().map(|argument| argument.to_string()).collect(),
            ready,
            listening: Some(listening),
            daemon: None,
        };
        manager.start_daemon();
        manager
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("io.shmd.Segments")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.directory.path().join("io.shmd.Control")
    }

    pub fn client(&self) -> super::Client {
        super::Client::connect_to(self.socket()).unwrap()
    }

    pub fn control(&self) -> super::Client {
        super::Client::connect_to(self.control_socket()).unwrap()
    }

    /// Starts it, and waits until it is ready.
    pub fn start_daemon(&mut self) {
        self.spawn();
        loop {
            match self.ready.recv_timeout(Duration::from_millis(100)) {
                Ok(()) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
                    assert!(ended.is_none(), "the daemon ended, {ended:?}:\n{}", self.log());
                }
                Err(RecvTimeoutError::Disconnected) => panic!("nobody listens to the daemon"),
            }
        }
    }

    /// As a crash does.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().unwrap();
            daemon.wait().unwrap();
        }
    }

    /// Tells it to end, and waits for that.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            // SAFETY: our child, not yet waited for.
            unsafe { libc::kill(daemon.id() as i32, libc::SIGTERM) };
            assert!(daemon.wait().unwrap().success(), "{}", self.log());
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_daemon();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Grants of a segment that have not ended, as the administrator sees them.
    pub fn attachments(&self, key: &str) -> usize {
        let status = self.control().call("io.shmd.Control.GetSegment", serde_json::json!({ "key": key })).unwrap();
        status["segment"]["attachments"].as_array().unwrap().len()
    }

    pub fn await_attachments(&self, key: &str, wanted: usize) {
        super::await_that("grants end", || self.attachments(key) == wanted);
    }

    fn spawn(&mut self) {
        let daemon = std::env::var("SHMD_DAEMON").expect("$SHMD_DAEMON, the path of the daemon");
        let store = self.store.lock().unwrap();
        let mut names = vec!["io.shmd.Segments".to_owned(), "io.shmd.Control".to_owned()];
        let mut fds = vec![self.segments.as_raw_fd(), self.control.as_raw_fd()];
        for (name, fd) in store.iter() {
            names.push(name.clone());
            fds.push(fd.as_raw_fd());
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new("/bin/sh");
        // The shell's process becomes the daemon's: only it knows the number before.
        command.args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\"", &daemon]).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.env("LISTEN_FDS", fds.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env("NOTIFY_SOCKET", self.directory.path().join("notify"));
        command.env("RUNTIME_DIRECTORY", self.directory.path().join("state"));
        command.env("FDSTORE", self.places.to_string());
        let copies = aside(&fds);
        let numbers: Vec<RawFd> = copies.iter().map(AsRawFd::as_raw_fd).collect();
        // SAFETY: system calls alone between fork and exec.
        unsafe { command.pre_exec(move || hand_over(&numbers)) };
        self.daemon = Some(command.spawn().unwrap());
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.kill();
        let end =
            UnixDatagram::unbound().and_then(|socket| socket.send_to(b"END=1", self.directory.path().join("notify")));
        if end.is_ok() {
            let _ = self.listening.take().map(JoinHandle::join);
        }
    }
}

/// Copies of these descriptors whose numbers are beyond those that they are to have.
fn aside(fds: &[RawFd]) -> Vec<OwnedFd> {
    let least = FIRST_FD + fds.len() as RawFd;
    let copy = |fd: &RawFd| {
        // SAFETY: open descriptors of this object; the copy is the vector's.
        unsafe {
            let copy = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, least);
            assert!(copy >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(copy)
        }
    };
    fds.iter().map(copy).collect()
}

/// In the child: these descriptors from 3 on, and an end with the thread that started it.
fn hand_over(fds: &[RawFd]) -> std::io::Result<()> {
    // SAFETY: system calls on our descriptors.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        for (i, fd) in fds.iter().enumerate() {
            if libc::dup2(*fd, FIRST_FD + i as RawFd) < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

fn listen_to(notify: &UnixDatagram, store: &Store, places: usize, ready: &Sender<()>) {
    loop {
        let mut text = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(notify, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC);
        let length = match received {
            Ok(received) => received.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => panic!("the notify socket: {error}"),
        };
        // What comes with a barrier is closed, which is its answer.
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                fds.extend(some);
            }
        }
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        let fields: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let name = fields.get("FDNAME").copied().unwrap_or_default();
        let mut store = store.lock().unwrap();
        if fields.contains_key("FDSTOREREMOVE") {
            store.retain(|(kept, _)| kept != name);
        }
        if fields.contains_key("FDSTORE") {
            let room = places.saturating_sub(store.len());
            store.extend(fds.drain(..).take(room).map(|fd| (name.to_owned(), fd)));
        }
        if fields.contains_key("READY") {
            let _ = ready.send(());
        }
        if fields.contains_key("END") {
            return;
        }
    }
}
