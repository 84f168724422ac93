//! Calls to JSON, and replies from it.

use std::os::unix::io::OwnedFd;

use serde_json::{json, Value};

use crate::error::Error;
use crate::fields::{numbers, Decoded, Fields, Malformed, Object};
use crate::info::Info;
use crate::key::Target;

/// How a call wants to be answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    One,
    Many,
    Nothing,
}

/// The text of a call, and the NUL that ends it.
pub(crate) fn encode(method: &str, parameters: Object, wants: Wants) -> Vec<u8> {
    let mut call = Object::new();
    call.insert("method".into(), method.into());
    if !parameters.is_empty() {
        call.insert("parameters".into(), parameters.into());
    }
    match wants {
        Wants::One => {}
        Wants::Many => drop(call.insert("more".into(), true.into())),
        Wants::Nothing => drop(call.insert("oneway".into(), true.into())),
    }
    let mut text = Value::Object(call).to_string().into_bytes();
    text.push(0);
    text
}

/// A call of io.shmd.Segments.
pub(crate) fn segments_call(method: &str, parameters: Object, wants: Wants) -> Vec<u8> {
    encode(&format!("io.shmd.Segments.{method}"), parameters, wants)
}

/// The parameters that name a segment.
pub(crate) fn target_parameters(target: &Target) -> Object {
    let mut parameters = Object::new();
    match target {
        Target::Key(key) => parameters.insert("key".into(), key.as_str().into()),
        Target::Id(id) => parameters.insert("id".into(), id.0.into()),
    };
    parameters
}

pub(crate) fn detach(attachment: u32) -> Vec<u8> {
    segments_call("Detach", object(json!({ "attachment": attachment })), Wants::Nothing)
}

/// The object of a `json!({…})`.
pub(crate) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        _ => Object::new(),
    }
}

/// A reply: its parameters, or the error that it is.
pub(crate) struct Reply {
    pub body: Result<Object, Error>,
    pub continues: bool,
}

pub(crate) fn decode_reply(text: &[u8]) -> Decoded<Reply> {
    let value: Value = serde_json::from_slice(text).map_err(|error| Malformed(format!("it is no JSON: {error}")))?;
    let reply = match value {
        Value::Object(reply) => reply,
        _ => return Err(Malformed("it is no object".into())),
    };
    let fields = Fields(&reply);
    let parameters = fields.opt_object("parameters")?.cloned().unwrap_or_default();
    let continues = fields.opt_boolean("continues")?.unwrap_or(false);
    let body = match fields.opt_text("error")? {
        Some(name) => Err(Error::from_reply(name.to_owned(), parameters)),
        None => Ok(parameters),
    };
    Ok(Reply { body, continues })
}

/// What came as the one reply to a call, with all the descriptors that came with it.
pub(crate) struct Answer {
    pub parameters: Object,
    pub fds: Vec<OwnedFd>,
    pub lost_fds: bool,
}

impl Answer {
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields(&self.parameters)
    }
}

/// What Create and Open answer.
pub(crate) struct Grant {
    pub info: Info,
    pub created: bool,
    pub attachment: u32,
    /// None when the kernel dropped it.
    pub memory: Option<OwnedFd>,
}

/// The descriptors of one reply, each to be taken once.
struct Descriptors {
    fds: Vec<Option<OwnedFd>>,
    lost: bool,
}

impl Descriptors {
    fn take(&mut self, index: usize) -> Decoded<Option<OwnedFd>> {
        match self.fds.get_mut(index).and_then(Option::take) {
            Some(fd) => Ok(Some(fd)),
            None if self.lost => Ok(None),
            None => Err(Malformed("the descriptor that it names did not come with it".into())),
        }
    }

    fn grant(&mut self, fields: &Fields<'_>) -> Decoded<Grant> {
        let attachment = fields.number("attachment")?;
        if attachment == 0 {
            return Err(Malformed("its attachment is 0".into()));
        }
        Ok(Grant {
            info: Info::decode(&fields.object("segment")?)?,
            created: fields.opt_boolean("created")?.unwrap_or(false),
            attachment,
            memory: self.take(fields.number("fileDescriptor")?)?,
        })
    }
}

fn taken_apart(answer: Answer) -> (Object, Descriptors) {
    let fds = answer.fds.into_iter().map(Some).collect();
    (answer.parameters, Descriptors { fds, lost: answer.lost_fds })
}

pub(crate) fn grant(answer: Answer) -> Decoded<Grant> {
    let (parameters, mut descriptors) = taken_apart(answer);
    descriptors.grant(&Fields(&parameters))
}

pub(crate) fn grants(answer: Answer, wanted: usize) -> Decoded<Vec<Grant>> {
    let (parameters, mut descriptors) = taken_apart(answer);
    let grants = Fields(&parameters).array("grants")?;
    if grants.len() != wanted {
        return Err(Malformed("it has not as many grants as it should".into()));
    }
    grants.iter().map(|grant| descriptors.grant(&Fields::of(grant, "a grant")?)).collect()
}

pub(crate) fn open_results(answer: Answer, wanted: usize) -> Decoded<Vec<Result<Grant, Error>>> {
    let (parameters, mut descriptors) = taken_apart(answer);
    let results = Fields(&parameters).array("results")?;
    if results.len() != wanted {
        return Err(Malformed("it has not as many results as it was asked for".into()));
    }
    let one = |result: &Value| {
        let fields = Fields::of(result, "a result")?;
        match (fields.opt_object("grant")?, fields.opt_text("error")?) {
            (Some(grant), None) => Ok(Ok(descriptors.grant(&Fields(grant))?)),
            (None, Some(name)) => {
                let parameters = fields.opt_object("parameters")?.cloned().unwrap_or_default();
                Ok(Err(Error::from_reply(name.to_owned(), parameters)))
            }
            _ => Err(Malformed("a result is not exactly one of a grant and an error".into())),
        }
    };
    results.iter().map(one).collect()
}

/// What OpenSyncArea answers. None when the kernel dropped it.
pub(crate) fn sync_area(answer: Answer) -> Decoded<Option<OwnedFd>> {
    let (parameters, mut descriptors) = taken_apart(answer);
    descriptors.take(Fields(&parameters).number("fileDescriptor")?)
}

pub(crate) fn segment(answer: Answer) -> Decoded<Info> {
    Info::decode(&answer.fields().object("segment")?)
}

/// A segment, or none.
pub(crate) fn listed(parameters: &Object) -> Decoded<Option<Info>> {
    Fields(parameters).opt_object("segment")?.map(|segment| Info::decode(&Fields(segment))).transpose()
}

pub(crate) fn resumed(answer: Answer) -> Decoded<Vec<u32>> {
    numbers(answer.fields().array("attachments")?)
}
