//! `evaluate --cases`: the interface of outside test harnesses.
//!
//! Each line `{"flags": […], "context": {…}}` gives one line `{"results": {flagKey: variant}}`.

use std::{borrow::Cow, fmt};

use experiment_evaluation::{Context, Options, Plan};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    json::{Kind, Malformed, explain, kind_of, read_context, read_user, utf8},
    results::{Variants, write_line},
    stream::{Pieces, Work},
};

/// Answers cases.
pub(crate) struct Cases {
    /// How flags are compiled.
    pub(crate) options: Options,
}

impl Work for Cases {
    fn work(&self, pieces: &Pieces) {
        pieces.each(|piece| {
            let (lines, output, errors) = piece.lines();
            for (_, line) in lines {
                if let Err(error) = answer(line, &self.options, output) {
                    *errors = errors.saturating_add(1);
                    write_line(output, &Answer { error: &error });
                }
            }
        });
    }
}

/// The parts of a line that count, as they stand there: what is wrong within the flags is found
/// flag by flag, and not by whoever reads the line.
#[derive(Default)]
struct Case<'a> {
    flags: Option<&'a RawValue>,
    context: Option<&'a RawValue>,
    user: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Answer<'a> {
    error: &'a Malformed,
}

#[derive(Serialize)]
struct Results<'e, 'p> {
    results: Variants<'e, 'p>,
}

fn answer(line: &[u8], options: &Options, output: &mut Vec<u8>) -> Result<(), Malformed> {
    let text = utf8(line).map_err(Malformed::with_column)?.trim_ascii();
    let case: Case<'_> = serde_json::from_str(text).map_err(|error| unreadable(text, &error))?;
    let flags = case
        .flags
        .ok_or_else(|| Malformed::shape("`flags` is missing"))?
        .get();
    if !flags.starts_with(['[', '{']) {
        let found = kind_of(flags);
        return Err(Malformed::shape(format!(
            "`flags`: expected a list of flags, found {found}"
        )));
    }
    let within = |field: &'static str| {
        move |malformed: Malformed| Malformed {
            message: format!("`{field}`: {}", malformed.message),
            // The line is JSON, so whatever is wrong with a part of it is its shape.
            kind: Kind::Shape,
            ..malformed
        }
    };
    let context: Box<dyn Context> = match (case.context, case.user) {
        (Some(context), _) => {
            Box::new(read_context(context.get().as_bytes()).map_err(within("context"))?)
        }
        (None, Some(user)) => Box::new(read_user(user.get().as_bytes()).map_err(within("user"))?),
        (None, None) => return Err(Malformed::shape("`context` is missing, and so is `user`")),
    };
    let plan = Plan::from_json(flags.as_bytes(), options)
        .map_err(|error| within("flags")(Malformed::shape(error.to_string())))?;
    let results = Variants(&plan.evaluate(&*context));
    write_line(output, &Results { results });
    Ok(())
}

#[cold]
fn unreadable(text: &str, error: &serde_json::Error) -> Malformed {
    let malformed = explain(text, error);
    match malformed.kind {
        Kind::Json => malformed.with_column(),
        Kind::Shape => Malformed::shape(format!(
            "expected an object with `flags` and `context`, found {}",
            kind_of(text)
        )),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Case<'a> {
    /// Takes the last of repeated fields, and `null` for absent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CaseVisitor;

        impl<'de> Visitor<'de> for CaseVisitor {
            type Value = Case<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `flags` and `context`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Case<'de>, A::Error> {
                let mut case = Case::default();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match key.as_ref() {
                        "flags" => case.flags = map.next_value()?,
                        "context" => case.context = map.next_value()?,
                        "user" => case.user = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(case)
            }
        }

        deserializer.deserialize_map(CaseVisitor)
    }
}
