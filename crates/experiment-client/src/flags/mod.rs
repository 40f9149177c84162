//! Flag configurations on the wire and on disk.

pub(crate) mod cache_file;
pub(crate) mod sse;

use bytes::Bytes;
use experiment_model::{Malformed, ReadError};
use http::{HeaderValue, Method, header::AUTHORIZATION};

use crate::{endpoints::Endpoint, error::Error, secret::Secret, transport::Request};

/// How this library names itself.
pub(crate) const LIBRARY: &str = concat!("experiment-rust/", env!("CARGO_PKG_VERSION"));

/// Why a configuration cannot be read, without its content: conditions name users.
pub(crate) fn problem(error: &ReadError) -> String {
    match error {
        ReadError::Shape { line, column, .. } => {
            format!("expected an array of flags at line {line} column {column}")
        }
        syntax => syntax.to_string(),
    }
}

/// Which flag cannot be read, and where, without its content.
pub(crate) fn place(malformed: &Malformed) -> String {
    let Malformed { path, .. } = malformed;
    match &malformed.key {
        Some(key) => format!("flag `{key}`, `{path}`"),
        None => format!("flag at position {}, `{path}`", malformed.index),
    }
}

/// A request for flags.
pub(crate) fn request(endpoint: &Endpoint, target: &str, key: &Secret) -> Result<Request, Error> {
    let mut authorization =
        HeaderValue::try_from(format!("Api-Key {}", key.expose())).map_err(|_| Error::Config {
            field: "deployment_key",
            reason: "cannot stand in a header",
        })?;
    authorization.set_sensitive(true);
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = endpoint.join(target)?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization);
    headers.insert("x-amp-exp-library", HeaderValue::from_static(LIBRARY));
    Ok(request)
}
