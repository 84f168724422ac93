//! Every conversation of protocol/vectors, with the real daemon, over this crate's own socket and reader. The format is
//! described in protocol/vectors/README.md.

use std::collections::HashMap;
use std::fs;
use std::os::unix::io::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{fcntl_getfl, fstat, OFlags};
use rustix::net::RecvFlags;
use serde_json::{json, Value};

use crate::fields::Fields;
use crate::frame::{Reader, Received, Socket};
use crate::info::Info;
use crate::message::decode_reply;
use crate::testing::manager::Manager;

type Saved = HashMap<String, Value>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors")
}

fn load(directory: &Path) -> Vec<(String, Value)> {
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let texts = files.filter(|path| path.extension().map_or(false, |extension| extension == "json"));
    let mut vectors: Vec<_> = texts
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    vectors.sort_by(|(a, _), (b, _)| a.cmp(b));
    vectors
}

fn decoded_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().take_while(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|each| *each == digit).expect("base64");
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// Puts saved values in the place of every {"$use": name}.
fn substituted(value: &Value, saved: &Saved) -> Value {
    match value {
        Value::Object(object) => match object.get("$use") {
            Some(name) => saved[name.as_str().unwrap()].clone(),
            None => object.iter().map(|(name, value)| (name.clone(), substituted(value, saved))).collect(),
        },
        Value::Array(array) => array.iter().map(|value| substituted(value, saved)).collect(),
        _ => value.clone(),
    }
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "int" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "bool" => value.is_boolean(),
        "array" => value.is_array(),
        _ => panic!("a $type that the format does not have: {wanted}"),
    }
}

fn matches(pattern: &Value, value: &Value, saved: &mut Saved) -> bool {
    match pattern {
        Value::Object(fields) if fields.contains_key("$type") => {
            if let Some(name) = fields.get("$save") {
                saved.insert(name.as_str().unwrap().to_owned(), value.clone());
            }
            has_type(value, fields["$type"].as_str().unwrap())
        }
        Value::Object(fields) => {
            value.is_object() && fields.iter().all(|(name, pattern)| matches(pattern, &value[name.as_str()], saved))
        }
        Value::Array(patterns) => value.as_array().map_or(false, |values| {
            patterns.len() == values.len() && patterns.iter().zip(values).all(|(p, v)| matches(p, v, saved))
        }),
        _ => pattern == value,
    }
}

/// The envelope is compared exactly.
fn reply_matches(pattern: &Value, reply: &Value, saved: &mut Saved) -> bool {
    let fields = reply.as_object().unwrap();
    fields.contains_key("parameters")
        && fields.keys().all(|name| pattern.get(name).is_some())
        && matches(pattern, reply, saved)
}

fn expected_replies(step: &Value) -> Vec<Value> {
    match (step.get("replies"), step.get("reply")) {
        (Some(replies), _) => replies.as_array().unwrap().clone(),
        (None, Some(reply)) => vec![reply.clone()],
        (None, None) => Vec::new(),
    }
}

fn bytes_of(step: &Value, call: &Value) -> Vec<u8> {
    let mut bytes = match (step.get("rawBase64"), step.get("raw")) {
        (Some(text), _) => decoded_base64(text.as_str().unwrap()),
        (None, Some(text)) => text.as_str().unwrap().as_bytes().to_vec(),
        (None, None) => call.to_string().into_bytes(),
    };
    let pad = step["pad"].as_u64().unwrap_or(0) as usize;
    bytes.resize(bytes.len().max(pad), b' ');
    bytes.push(0);
    bytes
}

struct Conversation {
    socket: Socket,
    reader: Reader,
    saved: Saved,
}

impl Conversation {
    /// None when the daemon has closed.
    fn receive(&mut self) -> Option<(Value, Vec<OwnedFd>)> {
        loop {
            if let Some(message) = self.reader.next() {
                return Some((serde_json::from_slice(&message).unwrap(), self.reader.take_fds()));
            }
            match self.reader.read_from(&self.socket, RecvFlags::empty()).unwrap() {
                Received::Closed => return None,
                Received::Something => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// True when the daemon has closed, as it was to.
    fn take(&mut self, step: &Value) -> bool {
        let call = substituted(&step["call"], &self.saved);
        let sent = self.socket.send(&bytes_of(step, &call));
        if step["close"] == true {
            let received = self.receive();
            assert!(received.is_none(), "{received:?}");
            return true;
        }
        sent.unwrap();
        for pattern in expected_replies(step) {
            let wanted = substituted(&pattern, &self.saved);
            let (reply, fds) = self.receive().expect("a reply");
            assert!(reply_matches(&wanted, &reply, &mut self.saved), "wanted {wanted}\ngot {reply}");
            assert_eq!(fds.len() as u64, step["fds"].as_u64().unwrap_or(0));
            check_decoded(&reply);
            if fds.len() == 1 {
                check_granted(&call, &reply, &fds[0]);
            }
        }
        false
    }
}

/// What came is what our own decoder makes of it.
fn check_decoded(reply: &Value) {
    let decoded = decode_reply(reply.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.continues, reply["continues"] == true);
    match decoded.body {
        Err(error) => {
            assert_eq!(error.name(), reply["error"].as_str().unwrap());
            assert_eq!(Value::Object(error.parameters().clone()), reply["parameters"]);
            let known = !error.name().starts_with("io.shmd.Control.") && !error.name().starts_with("io.shmd.SystemV.");
            assert_eq!(error.kind().as_str(), if known { error.name().rsplit('.').next().unwrap() } else { "Other" });
        }
        Ok(parameters) => {
            assert!(reply.get("error").is_none());
            // Those of io.shmd.Control describe more.
            if let Some(segment) = parameters.get("segment").filter(|segment| segment["labels"].is_object()) {
                let info = Info::decode(&Fields(segment.as_object().unwrap())).unwrap();
                assert_eq!(&info.to_json(), segment);
            }
        }
    }
}

fn check_granted(call: &Value, reply: &Value, memory: &OwnedFd) {
    let parameters = &reply["parameters"];
    let capacity = parameters["segment"]["capacityBytes"].as_i64();
    if capacity.is_none() {
        return; // one of many
    }
    assert_eq!(Some(fstat(memory).unwrap().st_size), capacity);
    let access = &call["parameters"]["access"];
    let writes = access == "write" || (call["method"] == "io.shmd.Segments.Create" && access.is_null());
    let mode = fcntl_getfl(memory.as_fd()).unwrap() & OFlags::RWMODE;
    assert_eq!(mode, if writes { OFlags::RDWR } else { OFlags::RDONLY });
}

fn replay(manager: &Manager, vector: &Value) {
    let path = match vector["endpoint"].as_str() {
        Some("segments") => manager.socket(),
        Some("control") => manager.control_socket(),
        other => panic!("{other:?}"),
    };
    let mut conversation =
        Conversation { socket: Socket::connect(&path).unwrap(), reader: Reader::default(), saved: Saved::new() };
    for (number, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
        println!("step {}", number + 1);
        if conversation.take(step) {
            return;
        }
    }
    // Nothing more has come.
    let get_info =
        json!({"call": {"method": "org.varlink.service.GetInfo"}, "reply": {"parameters": {"product": "shmd"}}});
    conversation.take(&get_info);
}

#[test]
fn the_daemon_answers_every_vector_as_written_in_any_order() {
    let manager = Manager::start_without_store();
    let mut vectors = load(&directory());
    assert!(vectors.len() > 50);
    for _ in 0..2 {
        for (name, vector) in &vectors {
            println!("{name}");
            replay(&manager, vector);
            assert_eq!(manager.client().list("").unwrap(), []);
        }
        vectors.reverse();
    }
}
