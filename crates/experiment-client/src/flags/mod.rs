//! Flag configurations on the wire and on disk.

pub(crate) mod cache_file;
pub(crate) mod sse;

use bytes::Bytes;
use experiment_model::{Malformed, ReadError};
use http::{HeaderValue, Method, StatusCode, header::AUTHORIZATION};

use crate::{
    endpoints::{Endpoint, LIBRARY},
    error::Error,
    exchange::{Exchange, Limits, retry_after},
    transport::Request,
};

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

/// A request for flags, or for a stream of them.
pub(crate) fn request(
    endpoint: &Endpoint,
    target: &str,
    authorization: &HeaderValue,
) -> Result<Request, Error> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = endpoint.join(target)?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization.clone());
    headers.insert("x-amp-exp-library", HeaderValue::from_static(LIBRARY));
    Ok(request)
}

/// Sends `request` once and returns the body of an answer with status 200.
pub(crate) async fn load(
    exchange: &Exchange,
    request: Request,
    limits: Limits,
) -> Result<Bytes, Error> {
    let reply = exchange
        .call(request, limits)
        .await
        .map_err(|failure| failure.into_error("flags", 1))?;
    if reply.status != StatusCode::OK {
        return Err(Error::Status {
            status: reply.status.as_u16(),
            retry_after: retry_after(&reply.headers),
            attempts: 1,
        });
    }
    Ok(reply.body)
}
