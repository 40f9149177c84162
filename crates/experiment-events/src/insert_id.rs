//! [`InsertIdFormat`]: insert ids, by which ingestion counts an event once.

mod compat;
mod php;
mod v2;

use experiment_model::{Text, Timestamp, User, Variant, Variants};

use crate::client_exposure::ClientExposure;

/// Milliseconds of a UTC day, which insert ids name.
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The UTC day, counted from 1970-01-01.
pub(crate) fn utc_day(now: Timestamp) -> i64 {
    now.unix_millis().div_euclid(DAY_MILLIS)
}

/// How insert ids are made.
///
/// Ingestion drops an event whose insert id it has seen for the device within 7 days. All formats
/// are `<user id> <device id> <hash> <UTC day>`, as the document on event tracking asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InsertIdFormat {
    /// The hash is XXH3-128 over everything that tells events apart, in 32 hex digits; an absent id
    /// is empty. Flags do not collide, and a variant that comes back within a day (A, B, A) has an id
    /// of its own.
    ///
    /// The bytes: kind (`a` assignment, `e` exposure), user, device, UTC day, transition number, then
    /// per flag in byte order of keys: flag, variant, experiment key. Texts are their length (u32)
    /// and UTF-8, absent ones the length 0xFFFFFFFF; numbers are 8 bytes; all little-endian. The
    /// variant is its key, else the text of its value; in exposures to a default variant it is absent.
    #[default]
    V2,
    /// What an official SDK makes, for fleets that mix SDKs: a 32-bit hash, so that different flags
    /// can collide (`checkout-Aa` and `checkout-BB` do), and the transition number does not count.
    Compat(Sdk),
}

/// An official SDK for servers. No two make the same insert ids for every input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sdk {
    /// experiment-go-server 1.12.
    Go,
    /// experiment-node-server 1.13.
    Node,
    /// experiment-jvm-server 1.8.
    Jvm,
    /// experiment-python-server 1.13.
    Python,
    /// experiment-ruby-server 1.10.
    Ruby,
    /// experiment-php-server 1.4.
    Php,
}

/// What an event tells, as far as its insert id is concerned.
#[derive(Clone, Copy)]
pub(crate) enum Fact<'a> {
    Assignment(&'a Variants),
    Exposure {
        flag_key: &'a str,
        variant: &'a Variant,
        results: Option<&'a Variants>,
    },
    /// Only with [`InsertIdFormat::V2`]: official clients have no such id.
    ClientExposure(&'a ClientExposure),
}

/// The insert id of an event about `fact`.
pub(crate) fn insert_id(
    format: InsertIdFormat,
    user: &User,
    fact: Fact<'_>,
    now: Timestamp,
    transition: u32,
) -> Text {
    let day = utc_day(now);
    match format {
        InsertIdFormat::V2 => v2::insert_id(user, fact, day, transition),
        InsertIdFormat::Compat(sdk) => compat::insert_id(sdk, user, fact, day),
    }
}
