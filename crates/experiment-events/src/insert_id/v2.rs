//! Insert ids that tell apart what is different ([`InsertIdFormat::V2`](super::InsertIdFormat::V2)).

use alloc::vec::Vec;
use core::fmt::Write;

use experiment_model::{Text, User};

use super::Fact;
use crate::{
    result,
    text_builder::TextBuilder,
    tuple_hash::{Kind, TupleHash},
};

pub(super) fn insert_id(user: &User, fact: Fact<'_>, day: i64, transition: u32) -> Text {
    let hash = hash(user, fact, day, transition);
    let mut id = TextBuilder::new();
    id.push(user.user_id().unwrap_or_default());
    id.push(" ");
    id.push(user.device_id().unwrap_or_default());
    // Writing to the builder does not fail.
    let _ = write!(id, " {hash:032x} {day}");
    id.finish()
}

fn hash(user: &User, fact: Fact<'_>, day: i64, transition: u32) -> u128 {
    let mut tuple = TupleHash::new(match fact {
        Fact::Assignment(_) => Kind::Assignment,
        Fact::Exposure { .. } | Fact::ClientExposure(_) => Kind::Exposure,
    });
    tuple.text(user.user_id());
    tuple.text(user.device_id());
    // Two's complement: days before 1970 have bytes of their own.
    tuple.number(u64::from_le_bytes(day.to_le_bytes()));
    tuple.number(u64::from(transition));
    match fact {
        Fact::Assignment(variants) => {
            let mut flags: Vec<_> = variants.iter().collect();
            flags.sort_unstable_by_key(|(flag_key, _)| *flag_key);
            for (flag_key, variant) in flags {
                tuple.text(Some(flag_key));
                tuple.text(result::variant_name(variant).as_deref());
                tuple.text(result::experiment_key(variant).map(Text::as_str));
            }
        }
        Fact::Exposure {
            flag_key, variant, ..
        } => {
            let name = result::variant_name(variant).filter(|_| !variant.is_default());
            tuple.text(Some(flag_key));
            tuple.text(name.as_deref());
            tuple.text(result::experiment_key(variant).map(Text::as_str));
        }
        Fact::ClientExposure(exposure) => {
            tuple.text(Some(&exposure.flag_key));
            tuple.text(exposure.variant.as_deref());
            tuple.text(exposure.experiment_key.as_deref());
        }
    }
    tuple.finish()
}
