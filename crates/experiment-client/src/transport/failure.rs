//! Which [`TransportErrorKind`] an error of the libraries below is.

use std::{error::Error, io};

use super::{TransportError, TransportErrorKind};

/// The error of a request that got no answer.
pub(super) fn of_request(error: hyper_util::client::legacy::Error) -> TransportError {
    TransportError::with_source(kind(&error), error)
}

/// The error of a body that broke off.
pub(super) fn of_body(error: hyper::Error) -> TransportError {
    TransportError::with_source(kind(&error), error)
}

/// The error of a socket, or of TLS on it.
pub(super) fn of_io(error: io::Error) -> TransportError {
    TransportError::with_source(kind(&error), error)
}

/// Errors of TLS while it is read have a kind that nothing else has then: HTTP/2 keeps the kind of an
/// error and its text, but not the error. A service that asks for a client certificate tells so
/// after the handshake.
const MARK: io::ErrorKind = io::ErrorKind::PermissionDenied;

/// The error of reading a stream, marked if it is one of TLS.
pub(super) fn marked(error: io::Error) -> io::Error {
    match error.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => io::Error::new(MARK, error),
        _ => error,
    }
}

/// The kind of the innermost error that says something. Two libraries and the connector stand
/// between it and the caller.
fn kind(error: &(dyn Error + 'static)) -> TransportErrorKind {
    let mut kind = TransportErrorKind::Other;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<TransportError>() {
            return own.kind();
        }
        if error.is::<rustls::Error>() {
            return TransportErrorKind::Tls;
        }
        next = error.source();
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            kind = kind_of_http(error);
        } else if let Some(error) = error.downcast_ref::<io::Error>() {
            kind = kind_of_io(error);
            // An `io::Error` leaves the error it was made of out of its chain.
            next = error
                .get_ref()
                .map(|inner| -> &(dyn Error + 'static) { inner });
        }
    }
    kind
}

fn kind_of_http(error: &hyper::Error) -> TransportErrorKind {
    if error.is_parse() {
        TransportErrorKind::Protocol
    } else if error.is_user() {
        TransportErrorKind::Other
    } else {
        // Ended by the other side or by HTTP/2, as a whole or this request alone.
        TransportErrorKind::Closed
    }
}

fn kind_of_io(error: &io::Error) -> TransportErrorKind {
    match error.kind() {
        MARK => TransportErrorKind::Tls,
        // What hyper makes of chunks and frames that are none.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => TransportErrorKind::Protocol,
        _ => TransportErrorKind::Closed,
    }
}
