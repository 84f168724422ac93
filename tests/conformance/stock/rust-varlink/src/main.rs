//! The crate varlink, with the client that its generator makes of the interface description. Arguments: the socket, the control
//! socket, the prefix of the segments to be found.

use std::collections::BTreeMap;
use std::convert::TryFrom;
use std::error::Error;

use serde_json::{json, Value};
use varlink::{Connection, OrgVarlinkServiceInterface};

#[allow(clippy::all, dead_code, nonstandard_style)]
mod io_shmd_segments {
    include!(concat!(env!("OUT_DIR"), "/io.shmd.Segments.rs"));
}
use io_shmd_segments::{Access, ErrorKind, VarlinkClient, VarlinkClientInterface};

fn got(check: &str, value: Value) {
    println!("{}", json!({"check": check, "got": value}));
}

fn named(name: &str, parameters: Value) -> Value {
    json!({"name": name, "parameters": parameters})
}

/// An error as the generated client gives it.
fn refusal<T>(answer: Result<T, io_shmd_segments::Error>) -> Value {
    let Err(error) = answer else { return json!("no error") };
    match error.kind() {
        ErrorKind::NoSuchSegment(Some(arguments)) => {
            named("io.shmd.Segments.NoSuchSegment", json!({"key": arguments.key}))
        }
        ErrorKind::Varlink_Error => match error.source_varlink_kind() {
            Some(varlink::ErrorKind::InvalidParameter(parameter)) => {
                named("org.varlink.service.InvalidParameter", json!({"parameter": parameter}))
            }
            other => json!(format!("{other:?}")),
        },
        // What the crate does not know of org.varlink.service it hands over as it came.
        ErrorKind::VarlinkReply_Error => match error.source_varlink_kind() {
            Some(varlink::ErrorKind::VarlinkErrorReply(reply)) => {
                named(reply.error.as_deref().unwrap_or_default(), json!(reply.parameters))
            }
            other => json!(format!("{other:?}")),
        },
        other => json!(format!("{other:?}")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, control, prefix] = arguments.as_slice() else { return Err("three arguments".into()) };
    let (mut descriptions, mut methods) = (BTreeMap::new(), BTreeMap::new());
    for (check, path) in [("info", socket), ("control-info", control)] {
        let mut service = varlink::OrgVarlinkServiceClient::new(Connection::with_address(&format!("unix:{path}"))?);
        let info = service.get_info()?;
        let interfaces: Vec<String> = info.interfaces.iter().map(|name| name.to_string()).collect();
        got(
            check,
            json!({"vendor": info.vendor, "product": info.product, "version": info.version, "url": info.url,
                   "interfaces": interfaces}),
        );
        for name in interfaces {
            let text = service.get_interface_description(name.clone())?.description.unwrap_or_default();
            let parsed = match varlink_parser::IDL::try_from(text.as_str()) {
                Ok(idl) => {
                    let mut names: Vec<&str> = idl.methods.keys().copied().collect();
                    names.sort();
                    json!(names)
                }
                Err(error) => json!(format!("does not parse: {error}")),
            };
            methods.insert(name.clone(), parsed);
            descriptions.insert(name, json!(text));
        }
    }
    got("descriptions", json!(descriptions));
    got("parsed", json!(methods));

    let none = format!("{prefix}none");
    let mut segments = VarlinkClient::new(Connection::with_address(&format!("unix:{socket}"))?);
    for (check, wanted) in [("list", prefix), ("list-empty", &none)] {
        let mut keys = Vec::new();
        for reply in segments.list(Some(wanted.clone())).more()? {
            keys.push(json!(reply?.segment.map(|segment| segment.key)));
        }
        got(check, json!(keys));
    }
    got("error", refusal(segments.describe(Some(none), None).call()));
    got("service-error", refusal(segments.detach(0).call()));
    got("expected-more", refusal(segments.list(Some(prefix.clone())).call()));
    let opened = segments.open(Some(format!("{prefix}a")), None, Access::r#read, None, None).call()?;
    got("open", json!({"key": opened.segment.key, "fileDescriptor": opened.fileDescriptor}));
    println!("{}", json!({"check": "descriptor", "cannot": "it reads with read(2), which loses descriptors"}));
    Ok(())
}
