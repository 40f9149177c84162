//! [`PlainUser`]: a user of the usual kind, read without a copy.

use std::fmt;

use experiment_evaluation::{Node, UserView};
use experiment_model::UserField;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor},
};
use smallvec::SmallVec;

/// A user with text fields and with properties that are text without escapes, numbers, truth
/// values or null: nearly every user there is, and half as costly to read as a
/// [`User`](experiment_model::User).
///
/// Reading any other user is an error, and says nothing about whether it is one: read it as a
/// `User`. Both give the same answers.
#[derive(Default)]
pub(crate) struct PlainUser<'a> {
    /// In the order in which users write them, so that a comparison of the whole user is the same.
    fields: SmallVec<[(UserField, &'a str); 16]>,
    properties: SmallVec<[(&'a str, Node<'a>); FEW]>,
}

impl<'a> PlainUser<'a> {
    /// The user to evaluate for.
    pub(crate) fn view(&self) -> UserView<'_> {
        UserView {
            fields: &self.fields,
            user_properties: &self.properties,
            ..UserView::default()
        }
    }

    /// A field.
    pub(crate) fn field(&self, field: UserField) -> Option<&'a str> {
        self.fields
            .iter()
            .find(|(known, _)| *known == field)
            .map(|(_, text)| *text)
    }
}

impl<'a> PlainUser<'a> {
    /// Reads a user of the usual kind.
    ///
    /// # Errors
    ///
    /// What serde_json says, if it is none.
    pub(crate) fn read(&mut self, json: &'a str) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        self.deserialize(&mut deserializer)?;
        deserializer.end()
    }
}

/// Filled in place: it is large, and would be moved from function to function otherwise.
impl<'de> DeserializeSeed<'de> for &mut PlainUser<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut PlainUser<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<&'de str>()? {
            if let Some(field) = UserField::from_name(name) {
                let text = map.next_value::<&'de str>()?;
                let place = self
                    .fields
                    .partition_point(|(known, _)| (*known as usize) < field as usize);
                let known = self.fields.get(place);
                if known.is_some_and(|(known, _)| *known == field) {
                    return Err(not_plain("a field that is repeated"));
                }
                self.fields.insert(place, (field, text));
            } else if name == "user_properties" && self.properties.is_empty() {
                map.next_value_seed(Properties(&mut self.properties))?;
            } else {
                return Err(not_plain("a field of another kind"));
            }
        }
        Ok(())
    }
}

/// A list is searched from the front; beyond this many an index is better.
const FEW: usize = 24;

struct Properties<'s, 'a>(&'s mut SmallVec<[(&'a str, Node<'a>); FEW]>);

impl<'de> DeserializeSeed<'de> for Properties<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Properties<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain properties")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, Plain(node))) = map.next_entry::<&'de str, Plain<'de>>()? {
            let repeated = self.0.iter().any(|(known, _)| *known == name);
            if repeated || self.0.len() == FEW {
                return Err(not_plain("a repeated property, or many"));
            }
            self.0.push((name, node));
        }
        if self.0.is_empty() {
            // An object without properties is not the same as none.
            return Err(not_plain("no properties"));
        }
        Ok(())
    }
}

/// A value that is no list and no object.
struct Plain<'a>(Node<'a>);

impl<'de> Deserialize<'de> for Plain<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Plain<'de>, E> {
        Ok(Plain(Node::Text(text)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Plain<'de>, E> {
        Ok(Plain(Node::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Plain<'de>, E> {
        Ok(Plain(Node::I64(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Plain<'de>, E> {
        i64::try_from(value)
            .map(|value| Plain(Node::I64(value)))
            .map_err(|_| not_plain("an integer beyond 64 bits"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Plain<'de>, E> {
        Ok(Plain(Node::F64(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<Plain<'de>, E> {
        Ok(Plain(Node::Null))
    }
}

/// Somebody else has to read this user.
#[cold]
fn not_plain<E: Error>(what: &'static str) -> E {
    E::invalid_value(Unexpected::Other(what), &"a plain user")
}

#[cfg(test)]
mod tests {
    use experiment_evaluation::{Context, Fields};
    use experiment_model::User;

    use super::*;

    fn json(node: Node<'_>) -> String {
        match node {
            Node::Bool(value) => value.to_string(),
            Node::I64(value) => value.to_string(),
            Node::F64(value) => format!("{value:?}"),
            Node::Text(text) => format!("{text:?}"),
            Node::Object(fields) => {
                let mut entries = Vec::new();
                Fields::for_each(fields, &mut |key, node| {
                    entries.push(format!("{key}:{}", json(node)));
                });
                format!("{{{}}}", entries.join(","))
            }
            _ => "null".to_owned(),
        }
    }

    #[test]
    fn a_plain_user_is_what_the_model_reads() {
        for line in [
            "{}",
            r#"{"device_id":"d","user_id":"u"}"#,
            r#"{"user_properties":{"a":1,"b":-0,"c":1e3,"d":true,"e":null,"f":"x"},"os":"iOS","city":""}"#,
        ] {
            let mut plain = PlainUser::default();
            plain.read(line).unwrap();
            let user: User = serde_json::from_str(line).unwrap();
            assert_eq!(
                json(Context::get(&plain.view(), "user")),
                json(Context::get(&user, "user")),
                "{line}"
            );
        }
    }

    #[test]
    fn every_other_user_is_left_to_the_model() {
        for line in [
            r#"{"user_id":7}"#,
            r#"{"user_id":null}"#,
            r#"{"user_id":"a","user_id":"b"}"#,
            r#"{"user_id":"\u0061"}"#,
            r#"{"browser":"b"}"#,
            r#"{"groups":{"org":"A"}}"#,
            r#"{"cohort_ids":["c"]}"#,
            r#"{"user_properties":{}}"#,
            r#"{"user_properties":null}"#,
            r#"{"user_properties":{"a":1,"a":2}}"#,
            r#"{"user_properties":{"a":1},"user_properties":{"b":2}}"#,
            r#"{"user_properties":{"a":[]}}"#,
            r#"{"user_properties":{"a":18446744073709551615}}"#,
        ] {
            assert!(PlainUser::default().read(line).is_err(), "{line}");
            assert!(serde_json::from_str::<User>(line).is_ok(), "{line}");
        }
    }
}
