//! Many segments at once.

use shmd::{close_many, ErrorKind, NewSegment, ReadOnly, ReadWrite, Sealed, State};

use crate::support::child::{in_child, mappings, open_files};
use crate::support::manager::Manager;

#[test]
fn many_are_created_opened_and_closed_each_with_its_own_memory() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let new: Vec<_> = (0..250).map(|i| NewSegment::new(format!("key/{i}"), 10 + i)).collect();
    let made = client.create_many(&new).unwrap();
    for (i, segment) in made.iter().enumerate() {
        assert_eq!(segment.len(), 10 + i);
        segment.write_at(0, format!("{i}").as_bytes()).unwrap();
    }
    // Three trips.
    let keys: Vec<_> = (0..700).map(|i| format!("key/{}", i % 300)).collect();
    let opened = client.open_many::<ReadOnly>(&keys).unwrap();
    assert_eq!(opened.len(), 700);
    for (i, outcome) in opened.iter().enumerate() {
        match outcome {
            Ok(segment) => {
                let text = format!("{}", i % 300);
                assert_eq!(segment.read_vec(0, text.len()).unwrap(), text.as_bytes());
            }
            Err(error) => {
                assert!(i % 300 >= 250);
                assert!(matches!(error.kind(), ErrorKind::NoSuchSegment { .. }));
                assert!(error.to_string().contains(&keys[i]), "{error}");
            }
        }
    }
    assert_eq!(client.describe("key/7").unwrap().attachments, 4);
    close_many(opened.into_iter().flatten());
    close_many(made);
    assert_eq!(client.describe("key/7").unwrap().attachments, 0);
}

#[test]
fn all_are_created_or_none() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("taken", 10).unwrap();
    let error = client.create_many(&[NewSegment::new("free", 10), NewSegment::new("taken", 10)]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::SegmentExists { key } if key == "taken"));
    assert!(client.describe("free").is_err());
    let error = client.create_many(&[NewSegment::new("a", 10), NewSegment::new("b", 0)]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidParameter { parameter } if parameter == "segments[1].sizeBytes"));
    assert!(client.create_many(&[]).is_err());
}

#[test]
fn many_staged_ones_are_published_one_by_one() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let staged = client.create_many_staged(&[NewSegment::new("a", 10), NewSegment::new("b", 10)]).unwrap();
    for one in staged {
        assert_eq!(one.info().state, State::Staged);
        one.publish().unwrap();
    }
    assert_eq!(client.list("").unwrap().len(), 2);
}

#[test]
fn of_many_only_the_sealed_ones_are_opened_sealed() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    client.create("sealed", 10).unwrap().seal().unwrap();
    client.create("open", 10).unwrap();
    let opened = client.open_many::<Sealed>(["sealed", "open"]).unwrap();
    assert_eq!(&opened[0].as_ref().unwrap()[..], [0; 10]);
    let error = opened[1].as_ref().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::NotSealed { .. }));
    assert_eq!(error.name(), "io.shmd.Segments.NotSealed");
    let opened = client.open_many::<ReadWrite>(["sealed", "open"]).unwrap();
    assert!(matches!(opened[0].as_ref().unwrap_err().kind(), ErrorKind::SegmentSealed { .. }));
    drop(opened);
    assert_eq!(client.describe("open").unwrap().attachments, 0);
}

#[test]
fn a_process_out_of_descriptors_opens_what_it_can_and_leaks_nothing() {
    let manager = Manager::start_without_store();
    let client = manager.client();
    let new: Vec<_> = (0..40).map(|i| NewSegment::new(format!("key/{i}"), 10)).collect();
    drop(client.create_many(&new).unwrap());
    assert!(in_child(|| {
        let client = manager.client();
        client.list("").unwrap();
        let (files, maps) = (open_files(), mappings());
        let limit = libc::rlimit { rlim_cur: highest_file() + 1 + 10, rlim_max: 4096 };
        // SAFETY: sets a limit of this child.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        let keys: Vec<_> = (0..40).map(|i| format!("key/{i}")).collect();
        let opened = client.open_many::<ReadOnly>(&keys).unwrap();
        let failed = opened.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(failed.clone().all(|error| matches!(error.kind(), ErrorKind::TooManyFiles)));
        let failed = failed.count();
        assert!(failed > 0 && failed < 40, "{failed}");
        drop(opened);
        assert_eq!(mappings(), maps);
        let limit = libc::rlimit { rlim_cur: 1024, rlim_max: 4096 };
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
        assert_eq!(open_files(), files);
        assert_eq!(client.list("").unwrap().iter().map(|info| info.attachments).sum::<u64>(), 0);
    }));
}

fn highest_file() -> u64 {
    let names = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
    // The last one is that of the directory itself.
    let mut numbers: Vec<u64> = names.map(|name| name.to_string_lossy().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.pop();
    numbers.pop().unwrap()
}
