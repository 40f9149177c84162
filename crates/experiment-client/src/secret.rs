//! [`Secret`].

use std::fmt;

use zeroize::Zeroizing;

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
