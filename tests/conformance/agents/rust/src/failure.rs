//! An error as the suite reads it.

use serde_json::{json, Value};

pub struct Failure(Value);

impl Failure {
    /// What Rust's compiler keeps a program from doing.
    pub fn does_not_compile(name: &str, why: &str) -> Self {
        Failure(json!({"name": name, "parameters": {}, "class": format!("error of the compiler: {why}")}))
    }

    /// A request that makes no sense.
    pub fn request(what: impl std::fmt::Display) -> Self {
        Failure(json!({"name": "", "parameters": {}, "class": format!("request: {what}")}))
    }

    pub fn closed() -> Self {
        Failure(json!({"name": "Closed", "parameters": {}, "class": "error of the compiler: it was moved"}))
    }

    pub fn into_json(self) -> Value {
        json!({ "error": self.0 })
    }
}

impl From<shmd::Error> for Failure {
    fn from(error: shmd::Error) -> Self {
        let kind = error.kind().as_str();
        let name = if error.name().is_empty() { kind } else { error.name() };
        Failure(json!({
            "name": name,
            "parameters": error.parameters(),
            "class": format!("shmd::ErrorKind::{kind}"),
            "message": error.to_string(),
        }))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::request(error)
    }
}
