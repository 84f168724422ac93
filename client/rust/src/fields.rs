//! Reads JSON objects field by field, as strictly as the protocol is: the integers of the wire are integers, within
//! ±(2^53-1), and what is required is there. Fields that are not asked for are passed over.

use std::collections::BTreeMap;
use std::convert::TryFrom;

use serde_json::{Map, Value};

pub(crate) type Object = Map<String, Value>;

/// Why an object is not what it should be.
#[derive(Debug)]
pub(crate) struct Malformed(pub String);

pub(crate) type Decoded<T> = std::result::Result<T, Malformed>;

/// The largest integer on the wire.
pub(crate) const MAX_INTEGER: u64 = (1 << 53) - 1;

pub(crate) struct Fields<'a>(pub &'a Object);

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value, what: &str) -> Decoded<Self> {
        value.as_object().map(Fields).ok_or_else(|| Malformed(format!("{what} is no object")))
    }

    /// The value of a field; missing and null are the same.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(&self, name: &str, kind: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Decoded<Option<T>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(Malformed(format!("its field '{name}' is no {kind}"))),
            },
        }
    }

    fn required<T>(name: &str, value: Decoded<Option<T>>) -> Decoded<T> {
        value?.ok_or_else(|| Malformed(format!("its field '{name}' is missing")))
    }

    pub(crate) fn opt_int(&self, name: &str) -> Decoded<Option<i64>> {
        self.typed(name, "integer", |value| value.as_i64().filter(|number| number.unsigned_abs() <= MAX_INTEGER))
    }

    /// An integer of a type that holds fewer.
    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, name: &str) -> Decoded<Option<T>> {
        match self.opt_int(name)? {
            None => Ok(None),
            Some(number) => match T::try_from(number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Malformed(format!("its field '{name}' is out of range"))),
            },
        }
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, name: &str) -> Decoded<T> {
        Self::required(name, self.opt_number(name))
    }

    pub(crate) fn opt_text(&self, name: &str) -> Decoded<Option<&'a str>> {
        self.typed(name, "text", Value::as_str)
    }

    pub(crate) fn text(&self, name: &str) -> Decoded<&'a str> {
        Self::required(name, self.opt_text(name))
    }

    pub(crate) fn boolean(&self, name: &str) -> Decoded<bool> {
        Self::required(name, self.opt_boolean(name))
    }

    pub(crate) fn opt_boolean(&self, name: &str) -> Decoded<Option<bool>> {
        self.typed(name, "boolean", Value::as_bool)
    }

    pub(crate) fn array(&self, name: &str) -> Decoded<&'a [Value]> {
        Self::required(name, self.opt_array(name))
    }

    pub(crate) fn opt_array(&self, name: &str) -> Decoded<Option<&'a [Value]>> {
        self.typed(name, "array", |value| value.as_array().map(Vec::as_slice))
    }

    pub(crate) fn opt_object(&self, name: &str) -> Decoded<Option<&'a Object>> {
        self.typed(name, "object", Value::as_object)
    }

    pub(crate) fn object(&self, name: &str) -> Decoded<Fields<'a>> {
        Ok(Fields(Self::required(name, self.opt_object(name))?))
    }

    /// One of the names of an enum.
    pub(crate) fn name<T>(&self, name: &str, from_name: impl FnOnce(&str) -> Option<T>) -> Decoded<T> {
        let text = self.text(name)?;
        from_name(text).ok_or_else(|| Malformed(format!("its field '{name}' has the unknown value '{text}'")))
    }

    /// An object of texts; empty when it is missing.
    pub(crate) fn texts(&self, name: &str) -> Decoded<BTreeMap<String, String>> {
        let mut texts = BTreeMap::new();
        for (key, value) in self.opt_object(name)?.into_iter().flatten() {
            let text = value.as_str().ok_or_else(|| Malformed(format!("'{key}' in its field '{name}' is no text")))?;
            texts.insert(key.clone(), text.to_owned());
        }
        Ok(texts)
    }
}

/// The numbers of an array.
pub(crate) fn numbers<T: TryFrom<i64>>(values: &[Value]) -> Decoded<Vec<T>> {
    let number = |value: &Value| value.as_i64().and_then(|number| T::try_from(number).ok());
    values
        .iter()
        .map(|value| number(value).ok_or_else(|| Malformed("an array has what is no such number".into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn number<T: TryFrom<i64>>(value: Value) -> Option<T> {
        let object = json!({ "n": value });
        Fields::of(&object, "a test").ok()?.number("n").ok()
    }

    #[test]
    fn integers_are_integers_within_what_the_wire_and_their_type_hold() {
        assert_eq!(number::<i64>(json!(9_007_199_254_740_991_i64)), Some(9_007_199_254_740_991));
        assert_eq!(number::<i64>(json!(-9_007_199_254_740_991_i64)), Some(-9_007_199_254_740_991));
        assert_eq!(number::<i64>(json!(9_007_199_254_740_992_i64)), None);
        assert_eq!(number::<i64>(json!(u64::MAX)), None);
        assert_eq!(number::<i64>(json!(1.0)), None);
        assert_eq!(number::<i64>(json!("1")), None);
        assert_eq!(number::<u32>(json!(u32::MAX)), Some(u32::MAX));
        assert_eq!(number::<u32>(json!(-1)), None);
        assert_eq!(number::<u32>(json!(1_u64 << 32)), None);
        assert!(numbers::<u32>(&[json!(1), json!(-1)]).is_err());
    }

    #[test]
    fn null_and_missing_are_the_same_and_what_is_required_is_there() {
        let object = json!({"null": null, "text": "a", "texts": {"b": 1}});
        let fields = Fields::of(&object, "a test").unwrap();
        assert_eq!(fields.opt_text("null").unwrap(), None);
        assert_eq!(fields.opt_text("missing").unwrap(), None);
        assert!(fields.text("null").is_err() && fields.opt_int("text").is_err() && fields.texts("texts").is_err());
        assert!(fields.texts("missing").unwrap().is_empty());
        assert!(Fields::of(&json!([]), "a test").is_err());
    }
}
