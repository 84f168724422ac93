//! Other users.

use shmd::{Access, AclEntry, ErrorKind, NewSegment};

use crate::support::child::{as_user, become_user, in_child};
use crate::support::is_root;
use crate::support::manager::Manager;

const ALICE: u32 = 61001;
const BOB: u32 = 61002;
const STAFF: u32 = 62001;
const OTHERS: u32 = 62002;

#[test]
fn mode_and_entries_decide_who_may_what() {
    if !is_root() {
        return println!("needs root");
    }
    let manager = Manager::start_without_store();
    assert!(as_user(ALICE, STAFF, || {
        let client = manager.client();
        client.create("private", 10).unwrap().write_at(0, b"secret").unwrap();
        NewSegment::new("readable", 10).mode(0o644).create(&client).unwrap();
        NewSegment::new("staff", 10).mode(0o660).create(&client).unwrap();
        NewSegment::new("bob", 10).allow(AclEntry::user(BOB, Access::Write)).create(&client).unwrap();
    }));
    let denied = |kind: &ErrorKind| assert!(matches!(kind, ErrorKind::PermissionDenied), "{kind:?}");
    assert!(as_user(BOB, OTHERS, || {
        let client = manager.client();
        denied(client.open("private").unwrap_err().kind());
        client.open("readable").unwrap();
        denied(client.open_write("readable").unwrap_err().kind());
        denied(client.open("staff").unwrap_err().kind());
        client.open_write("bob").unwrap();
        denied(client.delete("bob").unwrap_err().kind());
        let mut keys: Vec<_> = client.list("").unwrap().into_iter().map(|info| info.key.unwrap()).collect();
        keys.sort();
        assert_eq!(keys, ["bob", "readable"]);
    }));
    assert!(as_user(BOB, STAFF, || {
        manager.client().open_write("staff").unwrap();
    }));
    assert_eq!(manager.client().open("private").unwrap().read_vec(0, 6).unwrap(), b"secret");
}

#[test]
fn what_is_granted_for_reading_stays_so_for_other_users() {
    if !is_root() {
        return println!("needs root");
    }
    let manager = Manager::start_without_store();
    NewSegment::new("key", 10).mode(0o644).create(&manager.client()).unwrap();
    assert!(as_user(ALICE, STAFF, || {
        let segment = manager.client().open("key").unwrap();
        // SAFETY: asks the kernel to change the protection of our own mapping.
        let result = unsafe { libc::mprotect(segment.as_ptr() as *mut _, 10, libc::PROT_READ | libc::PROT_WRITE) };
        assert_eq!(result, -1);
    }));
}

#[test]
fn after_a_change_of_user_the_next_call_is_that_users() {
    if !is_root() {
        return println!("needs root");
    }
    let manager = Manager::start_without_store();
    assert!(in_child(|| {
        let client = manager.client();
        let roots = client.create("roots", 10).unwrap();
        become_user(ALICE, STAFF);
        assert_eq!(client.create("alices", 10).unwrap().info().owner_uid, ALICE);
        assert!(matches!(client.open("roots").unwrap_err().kind(), ErrorKind::PermissionDenied));
        // What was granted before stays granted.
        roots.remap().unwrap();
        roots.write_at(0, b"goes on").unwrap();
        assert_eq!(manager.client().list("").unwrap().len(), 1);
    }));
}
