//! Where the daemon's socket is, when the caller does not say.

use std::env;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid, getgid, getuid};

use crate::error::{ErrorKind, Result};

const SEGMENTS: &str = "io.shmd.Segments";
const CONTROL: &str = "io.shmd.Control";

/// Which of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Segments,
    Control,
}

/// What the search depends on, apart so that it can be tested.
struct Surroundings {
    system: PathBuf,
    variable: fn(&str) -> Option<PathBuf>,
}

pub(crate) fn find_socket(endpoint: Endpoint) -> Result<PathBuf> {
    find(endpoint, &Surroundings { system: "/run/shmd".into(), variable })
}

fn find(endpoint: Endpoint, surroundings: &Surroundings) -> Result<PathBuf> {
    if endpoint == Endpoint::Control {
        if let Some(path) = (surroundings.variable)("SHMD_CONTROL_SOCKET") {
            return Ok(path);
        }
    }
    if let Some(path) = (surroundings.variable)("SHMD_SOCKET") {
        return Ok(if endpoint == Endpoint::Control { control_socket_of(&path) } else { path });
    }
    let name = if endpoint == Endpoint::Control { CONTROL } else { SEGMENTS };
    let system = surroundings.system.join(name);
    if system.exists() {
        return Ok(system);
    }
    let directory = match (surroundings.variable)("XDG_RUNTIME_DIR") {
        Some(base) => base.join("shmd"),
        None => PathBuf::from(format!("/tmp/shmd-{}", geteuid().as_raw())),
    };
    if directory.symlink_metadata().is_ok() && !is_private(&directory) {
        return Err(ErrorKind::UntrustedDirectory(directory).into());
    }
    Ok(directory.join(name))
}

/// The control socket that belongs to a socket named in `$SHMD_SOCKET`.
fn control_socket_of(segments: &Path) -> PathBuf {
    if segments.file_name().map_or(false, |name| name == SEGMENTS) {
        return segments.with_file_name(CONTROL);
    }
    let mut path = segments.as_os_str().to_owned();
    path.push(".control");
    path.into()
}

/// A directory of this user, in which nobody else may write.
fn is_private(directory: &Path) -> bool {
    match directory.symlink_metadata() {
        Ok(status) => status.is_dir() && status.uid() == geteuid().as_raw() && status.mode() & 0o022 == 0,
        Err(_) => false,
    }
}

/// A variable that is set and not empty, unless this program is set-uid.
fn variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.as_bytes().is_empty())?;
    (!is_secure()).then(|| value.into())
}

/// Whether the kernel gave this program rights that its caller has not (getauxval(3), AT_SECURE).
fn is_secure() -> bool {
    const AT_SECURE: usize = 23;
    const WORD: usize = std::mem::size_of::<usize>();
    match fs::read("/proc/self/auxv") {
        Ok(bytes) => bytes.chunks_exact(2 * WORD).any(|entry| {
            let word = |at| usize::from_ne_bytes(<[u8; WORD]>::try_from(&entry[at..at + WORD]).unwrap_or_default());
            word(0) == AT_SECURE && word(WORD) != 0
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => getuid() != geteuid() || getgid() != getegid(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn none(_: &str) -> Option<PathBuf> {
        None
    }

    #[test]
    fn the_control_socket_stands_beside_the_other() {
        assert_eq!(control_socket_of("/a/io.shmd.Segments".as_ref()), Path::new("/a/io.shmd.Control"));
        assert_eq!(control_socket_of("io.shmd.Segments".as_ref()), Path::new("io.shmd.Control"));
        assert_eq!(control_socket_of("/a/s".as_ref()), Path::new("/a/s.control"));
    }

    #[test]
    fn the_system_instance_comes_before_the_user_instance() {
        let directory = TempDir::new();
        let surroundings = Surroundings { system: directory.path().into(), variable: none };
        let user = PathBuf::from(format!("/tmp/shmd-{}/io.shmd.Segments", geteuid().as_raw()));
        assert_eq!(find(Endpoint::Segments, &surroundings).unwrap(), user);
        fs::write(directory.path().join(SEGMENTS), "").unwrap();
        assert_eq!(find(Endpoint::Segments, &surroundings).unwrap(), directory.path().join(SEGMENTS));
    }

    #[test]
    fn named_sockets_come_first() {
        fn named(name: &str) -> Option<PathBuf> {
            (name == "SHMD_SOCKET").then(|| "/x/io.shmd.Segments".into())
        }
        fn control(name: &str) -> Option<PathBuf> {
            (name == "SHMD_CONTROL_SOCKET").then(|| "/y".into()).or_else(|| named(name))
        }
        let of = |endpoint, variable| find(endpoint, &Surroundings { system: "/".into(), variable }).unwrap();
        assert_eq!(of(Endpoint::Segments, named), Path::new("/x/io.shmd.Segments"));
        assert_eq!(of(Endpoint::Control, named), Path::new("/x/io.shmd.Control"));
        assert_eq!(of(Endpoint::Control, control), Path::new("/y"));
    }

    #[test]
    fn a_directory_of_others_or_writable_by_others_is_not_trusted() {
        use std::os::unix::fs::{symlink, PermissionsExt};
        let directory = TempDir::new();
        let inner = directory.path().join("shmd");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_private(&inner));
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(!is_private(&inner));
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).unwrap();
        let link = directory.path().join("link");
        symlink(&inner, &link).unwrap();
        assert!(!is_private(&link));
    }
}
