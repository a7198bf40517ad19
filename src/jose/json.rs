//! JSON as it was written: members in their order, doubled ones included, so that a reader can refuse what a map hides.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A JSON value, as far as a JWK or a JWK Set needs it. Strings are zeroized: one may be a private member.
pub(crate) enum Json {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    String(Zeroizing<String>),
    /// A number, a boolean or null: no JWK of ours has one.
    Other,
}

impl Json {
    /// The first of `names` that is the name of a member at any depth.
    pub(super) fn find_member(&self, names: &[&str]) -> Option<&str> {
        match self {
            Self::Object(members) => members.iter().find_map(|(name, value)| {
                let found = names.contains(&name.as_str()).then_some(name.as_str());
                found.or_else(|| value.find_member(names))
            }),
            Self::Array(values) => values.iter().find_map(|value| value.find_member(names)),
            Self::String(_) | Self::Other => None,
        }
    }

    /// A name that an object at any depth has twice.
    pub(crate) fn doubled_member(&self) -> Option<&str> {
        match self {
            Self::Object(members) => {
                let mut names = BTreeSet::new();
                members.iter().find_map(
                    |(name, value)| {
                        if names.insert(name) { value.doubled_member() } else { Some(name.as_str()) }
                    },
                )
            }
            Self::Array(values) => values.iter().find_map(Self::doubled_member),
            Self::String(_) | Self::Other => None,
        }
    }

    /// The string member of that name, if this is an object that has one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let Self::Object(members) = self else { return None };
        members.iter().find_map(|(key, value)| match value {
            Self::String(text) if key == name => Some(text.as_str()),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsWritten)
    }
}

struct AsWritten;

impl<'de> Visitor<'de> for AsWritten {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(Zeroizing::new(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}
