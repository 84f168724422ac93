//! The crate zlink, which takes descriptors. Arguments: the socket, the control socket, the prefix of the segments to be found.

use std::collections::BTreeMap;
use std::error::Error;
use std::os::fd::OwnedFd;

use futures_util::{pin_mut, Stream, StreamExt};
use serde::Deserialize;
use serde_json::{json, Value};
use zlink::varlink_service::Proxy as _;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    key: Option<String>,
    size_bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Told {
    segment: Option<Segment>,
}

#[derive(Debug, Deserialize)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    segment: Segment,
    file_descriptor: usize,
}

#[derive(Debug, zlink::ReplyError)]
#[zlink(interface = "io.shmd.Segments")]
enum SegmentsError {
    NoSuchSegment { key: Option<String>, id: Option<i64> },
}

#[zlink::proxy("io.shmd.Segments")]
trait Segments {
    #[zlink(more)]
    async fn list(
        &mut self,
        prefix: &str,
    ) -> zlink::Result<impl Stream<Item = zlink::Result<Result<Told, SegmentsError>>>>;
    #[zlink(rename = "List")]
    async fn list_once(&mut self, prefix: &str) -> zlink::Result<Result<Told, SegmentsError>>;
    async fn describe(&mut self, key: &str) -> zlink::Result<Result<Told, SegmentsError>>;
    async fn detach(&mut self, attachment: u32) -> zlink::Result<Result<Nothing, SegmentsError>>;
    #[zlink(return_fds)]
    async fn open(
        &mut self,
        key: &str,
        access: &str,
    ) -> zlink::Result<(Result<Opened, SegmentsError>, Vec<OwnedFd>)>;
}

fn got(check: &str, value: Value) {
    println!("{}", json!({"check": check, "got": value}));
}

fn named(name: &str, parameters: Value) -> Value {
    json!({"name": name, "parameters": parameters})
}

/// An error as the crate gives it: the interface's own inside, those of org.varlink.service outside.
fn refusal<T: std::fmt::Debug>(answer: zlink::Result<Result<T, SegmentsError>>) -> Value {
    use zlink::varlink_service::Error as Service;
    match answer {
        Ok(Err(SegmentsError::NoSuchSegment { key, id: None })) => {
            named("io.shmd.Segments.NoSuchSegment", json!({"key": key}))
        }
        Err(zlink::Error::VarlinkService(error)) => match error.inner() {
            Service::InvalidParameter { parameter } => {
                named("org.varlink.service.InvalidParameter", json!({"parameter": parameter}))
            }
            Service::ExpectedMore => named("org.varlink.service.ExpectedMore", json!({})),
            other => json!(format!("{other:?}")),
        },
        // zlink 0.8 knows an error without parameters only when the field is missing, not when it is empty.
        Err(zlink::Error::UnknownErrorReply(name)) => named(&name, json!({})),
        other => json!(format!("{other:?}")),
    }
}

async fn list(connection: &mut zlink::tokio::unix::Connection, prefix: &str) -> zlink::Result<Value> {
    let replies = connection.list(prefix).await?;
    pin_mut!(replies);
    let mut keys = Vec::new();
    while let Some(reply) = replies.next().await {
        keys.push(match reply? {
            Ok(told) => json!(told.segment.map(|segment| segment.key)),
            Err(error) => json!(format!("{error:?}")),
        });
    }
    Ok(json!(keys))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, control, prefix] = arguments.as_slice() else { return Err("three arguments".into()) };
    let (mut descriptions, mut methods) = (BTreeMap::new(), BTreeMap::new());
    for (check, path) in [("info", socket), ("control-info", control)] {
        let mut connection = zlink::tokio::unix::connect(path).await?;
        let info = connection.get_info().await?.map_err(|error| format!("{error:?}"))?.into_owned();
        let interfaces: Vec<String> = info.interfaces.iter().map(|name| name.to_string()).collect();
        got(
            check,
            json!({"vendor": info.vendor, "product": info.product, "version": info.version, "url": info.url,
                   "interfaces": interfaces}),
        );
        for interface in info.interfaces {
            let name = interface.to_string();
            let told = connection.get_interface_description(interface).await?.map_err(|error| format!("{error:?}"))?;
            let parsed = match told.parse() {
                Ok(interface) => {
                    let mut names: Vec<String> = interface.methods().map(|each| each.name().to_string()).collect();
                    names.sort();
                    json!(names)
                }
                Err(error) => json!(format!("does not parse: {error}")),
            };
            descriptions.insert(name.clone(), json!(told.as_raw()));
            methods.insert(name, parsed);
        }
    }
    got("descriptions", json!(descriptions));
    got("parsed", json!(methods));

    let none = format!("{prefix}none");
    let mut connection = zlink::tokio::unix::connect(socket).await?;
    got("list", list(&mut connection, prefix).await?);
    got("list-empty", list(&mut connection, &none).await?);
    got("error", refusal(connection.describe(&none).await));
    got("service-error", refusal(connection.detach(0).await));
    got("expected-more", refusal(connection.list_once(prefix).await));
    let (opened, descriptors) = connection.open(&format!("{prefix}a"), "read").await?;
    let opened = opened.map_err(|error| format!("{error:?}"))?;
    got("open", json!({"key": opened.segment.key, "fileDescriptor": opened.file_descriptor}));
    let memory = unsafe { memmap2::Mmap::map(&descriptors[opened.file_descriptor])? };
    let bytes = &memory[..opened.segment.size_bytes as usize];
    got("descriptor", json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    Ok(())
}
