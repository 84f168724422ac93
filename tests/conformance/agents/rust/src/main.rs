//! The conformance agent of the Rust client: a JSON object a line on stdin, one on stdout. See the suite for the contract.

mod failure;
mod handle;
mod request;

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde_json::{json, Value};
use shmd::{Client, Key, ReadOnly, ReadWrite, Sealed, Watch};

use failure::Failure;
use handle::Handle;
use request::Request;

type Outcome = Result<Value, Failure>;

#[derive(Default)]
struct Agent {
    client: Option<Client>,
    handles: HashMap<usize, Handle>,
    watches: HashMap<usize, Watch>,
    last: usize,
}

impl Agent {
    fn client(&mut self) -> Result<Client, Failure> {
        if self.client.is_none() {
            self.client = Some(Client::connect()?);
        }
        self.client.clone().ok_or_else(Failure::closed)
    }

    fn keep(&mut self, handle: Handle) -> Value {
        self.last += 1;
        let kept = json!({"handle": self.last, "segment": handle.segment(), "created": handle.was_created()});
        self.handles.insert(self.last, handle);
        kept
    }

    fn handle(&self, request: &Request) -> Result<&Handle, Failure> {
        self.handles.get(&request.needed("handle")?).ok_or_else(Failure::closed)
    }

    fn told(&self, request: &Request) -> Outcome {
        Ok(json!({ "segment": self.handle(request)?.segment() }))
    }

    fn answer(&mut self, request: &Request) -> Outcome {
        match request.text("op").unwrap_or_default() {
            "create" => self.create(request),
            "open" => self.open(request),
            "openMany" => self.open_many(request),
            "write" => {
                self.handle(request)?.write(request.needed("offset")?, &request.bytes()?)?;
                Ok(json!({}))
            }
            "read" => {
                let bytes = self.handle(request)?.read(request.needed("offset")?, request.needed("length")?)?;
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(json!({ "hex": hex }))
            }
            "describe" => Ok(json!({ "segment": self.client()?.describe(request.target()?)?.to_json() })),
            "list" => {
                let all = self.client()?.list(request.text("prefix").unwrap_or_default())?;
                Ok(json!({ "segments": all.iter().map(shmd::Info::to_json).collect::<Vec<_>>() }))
            }
            "publish" => {
                let (key, replace) = (request.key()?, request.flag("replace"));
                self.change(request, |handle, _| handle.publish(key, replace))
            }
            "seal" => self.change(request, Handle::seal),
            "resize" => {
                let client = self.client()?;
                self.handle(request)?.resize(request.needed("sizeBytes")? as u64, &client)?;
                self.told(request)
            }
            "remap" => {
                self.handle(request)?.remap()?;
                self.told(request)
            }
            "setAttributes" => {
                let info = self.client()?.set_attributes(request.target()?, &request.attributes()?)?;
                Ok(json!({ "segment": info.to_json() }))
            }
            "renew" => Ok(json!({ "segment": self.client()?.renew(request.target()?)?.to_json() })),
            "delete" => {
                self.client()?.delete(request.target()?)?;
                Ok(json!({}))
            }
            "close" => self.handles.remove(&request.needed("handle")?).map(|_| json!({})).ok_or_else(Failure::closed),
            "watch" => {
                let watch = self.client()?.watch(request.text("prefix").unwrap_or_default())?;
                self.last += 1;
                self.watches.insert(self.last, watch);
                Ok(json!({ "watch": self.last }))
            }
            "nextEvent" => {
                let watch = self.watches.get_mut(&request.needed("watch")?).ok_or_else(Failure::closed)?;
                let event = watch.next().ok_or_else(Failure::closed)??;
                let mut told = json!({ "event": event.kind.as_str() });
                if let Some(info) = event.segment {
                    told["segment"] = info.to_json();
                }
                Ok(told)
            }
            "unwatch" => self.watches.remove(&request.needed("watch")?).map(|_| json!({})).ok_or_else(Failure::closed),
            "capabilities" => Ok(json!({"language": "rust", "version": shmd::VERSION, "missing": []})),
            other => Err(Failure::request(format!("no such op: {other}"))),
        }
    }

    fn create(&mut self, request: &Request) -> Outcome {
        let client = self.client()?;
        let new = request.new_segment()?;
        let reads = request.text("access") == Some("read");
        let any = request.text("createMode") == Some("any");
        let made = match (request.flag("staged"), any, reads) {
            (false, false, false) => new.create(&client)?.into(),
            (false, false, true) => new.create_read_only(&client)?.into(),
            (false, true, false) => new.open_or_create(&client)?.into(),
            (false, true, true) => new.open_or_create_read_only(&client)?.into(),
            (true, false, false) => Handle::StagedWriter(new.create_staged(&client)?),
            _ => return Err(Failure::does_not_compile("", "create_staged makes new segments, open for writing")),
        };
        Ok(self.keep(made))
    }

    fn open(&mut self, request: &Request) -> Outcome {
        let client = self.client()?;
        let writes = request.text("access") == Some("write");
        let sealed = request.flag("sealed");
        let opened: Handle = match (request.number("waitUsec")?, request.key()?) {
            (Some(wait), Some(key)) => {
                let wait = Duration::from_micros(wait);
                match (writes, sealed) {
                    (_, true) => client.open_wait::<Sealed>(key, wait)?.into(),
                    (true, _) => client.open_wait::<ReadWrite>(key, wait)?.into(),
                    (false, _) => client.open_wait::<ReadOnly>(key, wait)?.into(),
                }
            }
            _ => match (writes, sealed) {
                (_, true) => client.open_sealed(request.target()?)?.into(),
                (true, _) => client.open_write(request.target()?)?.into(),
                (false, _) => client.open(request.target()?)?.into(),
            },
        };
        Ok(self.keep(opened))
    }

    fn open_many(&mut self, request: &Request) -> Outcome {
        let client = self.client()?;
        let keys: Vec<Key> = request.keys()?;
        let opened: Vec<Result<Handle, shmd::Error>> = if request.text("access") == Some("write") {
            client.open_many::<ReadWrite>(keys)?.into_iter().map(|outcome| outcome.map(Handle::from)).collect()
        } else {
            client.open_many::<ReadOnly>(keys)?.into_iter().map(|outcome| outcome.map(Handle::from)).collect()
        };
        let mut results = Vec::new();
        for outcome in opened {
            results.push(match outcome {
                Ok(handle) => self.keep(handle),
                Err(error) => Failure::from(error).into_json(),
            });
        }
        Ok(json!({ "results": results }))
    }

    /// A call that makes another handle of one.
    fn change(&mut self, request: &Request, call: impl FnOnce(Handle, &Client) -> handle::Changed) -> Outcome {
        let client = self.client()?;
        let number = request.needed("handle")?;
        let (handle, outcome) = call(self.handles.remove(&number).ok_or_else(Failure::closed)?, &client);
        if let Some(handle) = handle {
            self.handles.insert(number, handle);
        }
        outcome?;
        self.told(request)
    }
}

fn main() -> io::Result<()> {
    let mut agent = Agent::default();
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let request = serde_json::from_str(&line?).map(Request).map_err(Failure::from);
        let answer = match request.and_then(|request| agent.answer(&request)) {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => failure.into_json(),
        };
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
