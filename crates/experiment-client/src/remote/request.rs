//! The request of a fetch: the same bytes for the same user and options, always.
//!
//! The service answers equal requests from a cache for an hour, and tracks an assignment only when
//! it does not, so that one byte of difference costs latency and counts twice.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use experiment_model::{Object, Text, User, Value};
use http::{
    HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
};

use super::options::FetchOptions;
use crate::{endpoints::LIBRARY, error::Error, transport::Request};

const USER: HeaderName = HeaderName::from_static("x-amp-exp-user");
const FLAG_KEYS: HeaderName = HeaderName::from_static("x-amp-exp-flag-keys");
const TRACK: HeaderName = HeaderName::from_static("x-amp-exp-track");
const EXPOSURE_TRACK: HeaderName = HeaderName::from_static("x-amp-exp-exposure-track");

/// A user whose header would have this many bytes or more goes into the body: the limit of
/// Amplitude's content delivery network for a header.
const MAX_USER_HEADER: usize = 8192;

pub(super) fn fetch_request(
    target: &Uri,
    authorization: &HeaderValue,
    user: &User,
    options: &FetchOptions,
) -> Result<Request, Error> {
    let json = user_json(user)?;
    let mut request = http::Request::new(Bytes::new());
    *request.uri_mut() = target.clone();
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization.clone());
    if let Some(keys) = &options.flag_keys {
        headers.insert(FLAG_KEYS, header(flag_keys_json(keys).as_bytes())?);
    }
    for (name, tracks) in [
        (TRACK, options.tracks_assignment),
        (EXPOSURE_TRACK, options.tracks_exposure),
    ] {
        if let Some(tracks) = tracks {
            let value = if tracks { "track" } else { "no-track" };
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    let encoded = base64::encoded_len(json.len(), false);
    if encoded.is_some_and(|length| length < MAX_USER_HEADER) {
        let mut user = header(&json)?;
        user.set_sensitive(true);
        headers.insert(USER, user);
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.method_mut() = Method::POST;
        *request.body_mut() = json.into();
    }
    Ok(request)
}

fn header(json: &[u8]) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(URL_SAFE_NO_PAD.encode(json)).map_err(|_| Error::Config {
        field: "flag_keys",
        reason: "are more than a header can carry",
    })
}

fn flag_keys_json(keys: &[Text]) -> String {
    let mut keys: Vec<&Text> = keys.iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let keys: Value = keys.into_iter().cloned().collect();
    keys.to_string()
}

/// The user as JSON: objects sorted by key, cohorts sorted as the sets they are, absent fields left
/// out. Lists and `null` within properties stay as they are, since they are the caller's data.
fn user_json(user: &User) -> Result<Vec<u8>, Error> {
    // By way of JSON, because only the model knows how a user is written.
    let unusable = |_| Error::Config {
        field: "user",
        reason: "has properties nested too deeply",
    };
    let written = serde_json::to_vec(user).map_err(unusable)?;
    let mut fields: Object = serde_json::from_slice(&written).map_err(unusable)?;
    if !fields.contains_key("library") {
        fields.insert("library", LIBRARY);
    }
    for name in ["cohort_ids", "group_cohort_ids"] {
        if let Some(ids) = fields.get(name).map(with_sorted_lists) {
            fields.insert(name, ids);
        }
    }
    serde_json::to_vec(&sorted(&fields)).map_err(unusable)
}

fn sorted(object: &Object) -> Object {
    let mut entries: Vec<(&Text, &Value)> = object.iter().collect();
    entries.sort_unstable_by_key(|&(key, _)| key);
    entries
        .into_iter()
        .map(|(key, value)| (key.clone(), with_sorted_objects(value)))
        .collect()
}

fn with_sorted_objects(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(sorted(object)),
        Value::List(values) => values.iter().map(with_sorted_objects).collect(),
        other => other.clone(),
    }
}

/// Ids, or objects of ids, sorted and once each.
fn with_sorted_lists(value: &Value) -> Value {
    match value {
        Value::List(ids) => {
            let mut ids: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().collect()
        }
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| (key.clone(), with_sorted_lists(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
