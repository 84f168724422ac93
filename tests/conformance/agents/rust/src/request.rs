//! The fields of a request, as what the client takes.

use std::time::Duration;

use serde_json::Value;
use shmd::{Attributes, Key, Lifetime, NewSegment, Reserve, SegmentId, Target};

use crate::failure::Failure;

pub struct Request(pub Value);

impl Request {
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => {
                value.as_u64().map(Some).ok_or_else(|| Failure::request(format!("{name} is no unsigned number")))
            }
        }
    }

    pub fn needed(&self, name: &str) -> Result<usize, Failure> {
        let number = self.number(name)?.ok_or_else(|| Failure::request(format!("{name} is missing")))?;
        usize::try_from(number).map_err(|_| Failure::request(format!("{name} is too large")))
    }

    pub fn key(&self) -> Result<Option<Key>, Failure> {
        self.value("key").map(key_of).transpose()
    }

    pub fn target(&self) -> Result<Target, Failure> {
        match (self.key()?, self.value("id").and_then(Value::as_i64)) {
            (Some(key), None) => Ok(key.into()),
            (None, Some(id)) => Ok(SegmentId(id).into()),
            _ => Err(Failure::request("exactly one of key and id")),
        }
    }

    pub fn keys(&self) -> Result<Vec<Key>, Failure> {
        self.value("keys").and_then(Value::as_array).into_iter().flatten().map(key_of).collect()
    }

    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let text = self.text("hex").ok_or_else(|| Failure::request("hex is missing"))?;
        let digit = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.ok_or_else(|| Failure::request("hex is none"))
    }

    fn mode(&self) -> Result<Option<u32>, Failure> {
        Ok(self.number("mode")?.map(|mode| u32::try_from(mode).unwrap_or(u32::MAX)))
    }

    fn lifetime(&self) -> Result<Option<Lifetime>, Failure> {
        let lifetimes = [Lifetime::Persistent, Lifetime::Attached, Lifetime::Creator, Lifetime::Lease];
        self.one_of("lifetime", &lifetimes, Lifetime::as_str)
    }

    fn one_of<T: Copy>(&self, name: &str, all: &[T], named: fn(T) -> &'static str) -> Result<Option<T>, Failure> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => {
                let found = all.iter().find(|value| named(**value) == text);
                found.copied().map(Some).ok_or_else(|| Failure::request(format!("{name} {text}")))
            }
        }
    }

    fn labels(&self) -> impl Iterator<Item = (&String, &str)> {
        let labels = self.value("labels").and_then(Value::as_object);
        labels.into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)))
    }

    pub fn new_segment(&self) -> Result<NewSegment, Failure> {
        let size = self.number("sizeBytes")?.ok_or_else(|| Failure::request("sizeBytes is missing"))?;
        let mut new = match self.key()? {
            Some(key) => NewSegment::new(key, size),
            None => NewSegment::unnamed(size),
        };
        if let Some(mode) = self.mode()? {
            new = new.mode(mode);
        }
        let reserves = [Reserve::Lazy, Reserve::Allocate, Reserve::Populate];
        if let Some(reserve) = self.one_of("reserve", &reserves, Reserve::as_str)? {
            new = new.reserve(reserve);
        }
        if let Some(lease) = self.number("leaseUsec")? {
            new = new.lease(Duration::from_micros(lease));
        }
        if let Some(lifetime) = self.lifetime()? {
            new = new.lifetime(lifetime);
        }
        if let Some(capacity) = self.number("capacityBytes")? {
            new = new.capacity(capacity);
        }
        if let Some(evictable) = self.value("evictable").and_then(Value::as_bool) {
            new = new.evictable(evictable);
        }
        if let Some(sealable) = self.value("sealable").and_then(Value::as_bool) {
            new = new.sealable(sealable);
        }
        Ok(self.labels().fold(new, |new, (name, value)| new.label(name, value)))
    }

    pub fn attributes(&self) -> Result<Attributes, Failure> {
        let mut change = Attributes::new();
        if let Some(mode) = self.mode()? {
            change = change.mode(mode);
        }
        if let Some(lease) = self.number("leaseUsec")? {
            change = change.lease(Duration::from_micros(lease));
        }
        if let Some(lifetime) = self.lifetime()? {
            change = change.lifetime(lifetime);
        }
        if let Some(evictable) = self.value("evictable").and_then(Value::as_bool) {
            change = change.evictable(evictable);
        }
        change = self.labels().fold(change, |change, (name, value)| change.label(name, value));
        let removed = self.value("removeLabels").and_then(Value::as_array).into_iter().flatten();
        Ok(removed.filter_map(Value::as_str).fold(change, Attributes::remove_label))
    }
}

/// Text, or the integer that stands for a System V key.
fn key_of(value: &Value) -> Result<Key, Failure> {
    if let Some(text) = value.as_str() {
        return Ok(text.into());
    }
    let number = value.as_i64().ok_or_else(|| Failure::request("a key that is neither text nor an integer"))?;
    if let Ok(number) = i32::try_from(number) {
        return Ok(number.into());
    }
    u32::try_from(number).map(Key::from).map_err(|_| Failure::request("a System V key has 32 bits"))
}
