//! [`Secret`].

use std::fmt;

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::Error;

/// A key that must not be seen: a deployment key, an API key, a secret key.
///
/// It is wiped from memory when it is dropped, and neither its `Debug` form nor any error, log line
/// or URL of this crate shows it.
///
/// ```
/// use experiment_client::Secret;
///
/// let key = Secret::from("server-3cFg");
/// assert_eq!(format!("{key:?}"), "Secret(…)");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The key itself, for the header or body that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The `Authorization` of a deployment key.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if it is blank or a header cannot carry it.
    pub(crate) fn to_authorization(&self) -> Result<HeaderValue, Error> {
        let invalid = |reason| Error::Config {
            field: "deployment_key",
            reason,
        };
        if self.is_blank() {
            return Err(invalid("is blank"));
        }
        let text = Zeroizing::new(format!("Api-Key {}", self.expose()));
        let mut authorization = HeaderValue::try_from(text.as_str())
            .map_err(|_| invalid("has characters that a header cannot carry"))?;
        authorization.set_sensitive(true);
        Ok(authorization)
    }

    /// Whether there is nothing but white space in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

impl From<&str> for Secret {
    fn from(key: &str) -> Self {
        Self(Zeroizing::new(key.to_owned()))
    }
}

impl From<String> for Secret {
    fn from(key: String) -> Self {
        Self(Zeroizing::new(key))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
