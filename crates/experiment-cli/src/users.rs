//! `evaluate --users`: one line of results per user.

use std::ptr;

use experiment_evaluation::{Context, Evaluation, FlagHandle, Plan};
use experiment_model::{User, UserField, Variant};
use hashbrown::HashMap;
use serde::Serialize;

use crate::{
    json::{Kind, Malformed, read_user, utf8},
    plain_user::PlainUser,
    results::{Sparse, write_line},
    stream::{Pieces, Work},
};

/// Evaluates flags for users.
pub(crate) struct Users {
    /// The flags.
    pub(crate) plan: Plan,
    /// Keys of the flags to evaluate; all if there are none.
    pub(crate) keys: Vec<String>,
}

/// What stands in place of the result of a bad line.
#[derive(Serialize)]
struct BadLine<'a> {
    line: u64,
    error: &'a Malformed,
}

impl Work for Users {
    fn work(&self, pieces: &Pieces) {
        let mut worker = Worker::new(self);
        pieces.each(|piece| {
            let (lines, output, errors) = piece.lines();
            for (number, line) in lines {
                if let Err(error) = worker.user(line, output) {
                    *errors = errors.saturating_add(1);
                    write_line(
                        output,
                        &BadLine {
                            line: number,
                            error: &error,
                        },
                    );
                }
            }
        });
    }
}

/// One thread's memory: nothing is allocated for a user but the user.
struct Worker<'p> {
    plan: &'p Plan,
    /// The flags to evaluate, in evaluation order; `None` for all of them.
    chosen: Option<Vec<FlagHandle<'p>>>,
    evaluation: Evaluation<'p>,
    texts: ResultTexts,
}

impl<'p> Worker<'p> {
    fn new(users: &'p Users) -> Self {
        let plan = &users.plan;
        let wanted = |flag: &FlagHandle<'_>| users.keys.iter().any(|key| key == flag.key());
        let chosen = (!users.keys.is_empty()).then(|| plan.flags().filter(wanted).collect());
        Self {
            plan,
            chosen,
            evaluation: Evaluation::new(plan),
            texts: ResultTexts::default(),
        }
    }

    fn user(&mut self, line: &[u8], output: &mut Vec<u8>) -> Result<(), Malformed> {
        let text = std::str::from_utf8(line).map_err(|_| malformed(line))?;
        let mut user = PlainUser::default();
        if user.read(text).is_ok() {
            let ids = [UserField::UserId, UserField::DeviceId].map(|field| user.field(field));
            self.answer(ids, &user.view(), output);
        } else {
            let user: User = serde_json::from_str(text).map_err(|_| malformed(line))?;
            self.answer([user.user_id(), user.device_id()], &user, output);
        }
        Ok(())
    }

    fn answer(&mut self, ids: [Option<&str>; 2], user: &dyn Context, output: &mut Vec<u8>) {
        output.push(b'{');
        for (name, id) in [br#""user_id":"#.as_slice(), br#""device_id":"#]
            .into_iter()
            .zip(ids)
        {
            if let Some(id) = id {
                output.extend_from_slice(name);
                write_text(output, id);
                output.push(b',');
            }
        }
        output.extend_from_slice(br#""results":{"#);
        let start = output.len();
        self.results(user, output);
        if output.len() > start {
            // The comma behind the last result.
            output.pop();
        }
        output.extend_from_slice(b"}}\n");
    }

    /// Writes `"key":{…},` per flag that gives a variant.
    fn results(&mut self, user: &dyn Context, output: &mut Vec<u8>) {
        let texts = &mut self.texts;
        if let Some(chosen) = &self.chosen {
            for flag in chosen {
                if let Some(variant) = flag.variant(user) {
                    texts.write(flag.key(), variant, output);
                }
            }
        } else {
            self.plan.evaluate_into(user, &mut self.evaluation);
            for (key, variant) in &self.evaluation {
                texts.write(key, variant, output);
            }
        }
    }
}

/// The JSON of results that were written before, by the addresses of flag key and variant, which
/// stay where they are as long as the plan does.
#[derive(Default)]
struct ResultTexts {
    texts: HashMap<(usize, usize), Box<[u8]>>,
}

impl ResultTexts {
    fn write(&mut self, key: &str, variant: &Variant, output: &mut Vec<u8>) {
        let place = (key.as_ptr().addr(), ptr::from_ref(variant).addr());
        let text = self.texts.entry(place).or_insert_with(|| {
            let mut text = Vec::new();
            write_text(&mut text, key);
            text.push(b':');
            // Neither a variant nor a vector can fail to be written.
            let _ = serde_json::to_writer(&mut text, &Sparse::from(variant));
            text.push(b',');
            text.into_boxed_slice()
        });
        output.extend_from_slice(text);
    }
}

fn write_text(output: &mut Vec<u8>, text: &str) {
    // Text can always be written, and so can a vector.
    let _ = serde_json::to_writer(output, text);
}

/// Says what is wrong with a line that is no user.
#[cold]
fn malformed(line: &[u8]) -> Malformed {
    let found = utf8(line).and_then(|text| read_user(text.as_bytes()));
    match found {
        Err(malformed) if malformed.kind == Kind::Json => malformed.with_column(),
        Err(malformed) => malformed,
        // What could not be read a moment ago can be read now only if the two readers differ.
        Ok(_) => Malformed::shape("not a user"),
    }
}
