//! [`AmplitudeCookie`]: who a visitor is, as Amplitude's browser SDKs keep it.

use base64::{
    Engine,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use experiment_model::{User, Value};

use super::percent;
use crate::error::Error;

/// Takes text with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The cookie in which Amplitude's browser SDKs keep the device id and the user id of a visitor, so
/// that a web server can fetch variants for the same user as the page.
///
/// ```
/// use experiment_client::AmplitudeCookie;
///
/// let cookie = AmplitudeCookie::Browser2;
/// assert_eq!(cookie.name("1234567890abcdef")?, "AMP_1234567890");
/// let user = cookie.parse(&cookie.generate("device-1"));
/// assert_eq!((user.device_id(), user.user_id()), (Some("device-1"), None));
/// # Ok::<(), experiment_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AmplitudeCookie {
    /// Of the JavaScript SDK up to 8: `<device id>.<user id as base64>.…`.
    Legacy,
    /// Of the Browser SDK from 2.0 on: base64 of URL-encoded JSON.
    Browser2,
}

impl AmplitudeCookie {
    /// The name of the cookie; `api_key` is that of the analytics project.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the key has fewer characters than stand in the name: 6, or 10.
    pub fn name(self, api_key: &str) -> Result<String, Error> {
        let (prefix, characters) = match self {
            Self::Legacy => ("amp_", 6),
            Self::Browser2 => ("AMP_", 10),
        };
        let start: String = api_key.chars().take(characters).collect();
        if start.chars().count() < characters {
            return Err(Error::Config {
                field: "api_key",
                reason: "is too short",
            });
        }
        Ok(format!("{prefix}{start}"))
    }

    /// The ids in the value of a cookie, which comes from the visitor: what cannot be read is absent.
    pub fn parse(self, cookie: &str) -> User {
        let (device_id, user_id) = match self {
            Self::Legacy => {
                let mut parts = cookie.split('.');
                let device_id = parts.next().map(str::to_owned);
                (device_id, parts.next().and_then(decoded))
            }
            Self::Browser2 => {
                let session: Option<Value> = decoded(cookie)
                    .and_then(|text| percent::decoded(&text))
                    .and_then(|json| serde_json::from_str(&json).ok());
                let id = |name| Some(session.as_ref()?.get(name)?.as_str()?.to_owned());
                (id("deviceId"), id("userId"))
            }
        };
        let mut user = User::new();
        if let Some(id) = device_id.filter(|id| !id.is_empty()) {
            user = user.with_device_id(id);
        }
        if let Some(id) = user_id.filter(|id| !id.is_empty()) {
            user = user.with_user_id(id);
        }
        user
    }

    /// The value of a cookie for a device that has none yet.
    pub fn generate(self, device_id: &str) -> String {
        match self {
            Self::Legacy => format!("{device_id}.........."),
            Self::Browser2 => {
                let json = serde_json::json!({ "deviceId": device_id }).to_string();
                general_purpose::STANDARD.encode(percent::encoded(&json, is_kept))
            }
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(LENIENT.decode(base64).ok()?).ok()
}

/// What `encodeURIComponent` of JavaScript keeps.
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}
