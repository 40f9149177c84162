//! Stand-in for the remote client, until it is merged.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use experiment_model::{Text, User, Variants};
use http::{Method, header::AUTHORIZATION};

use crate::{
    endpoints::{Endpoints, paths},
    error::Error,
    exchange::{Exchange, Limits, retry_after},
    secret::Secret,
};

/// Stand-in.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// Stand-in.
    pub flag_keys: Option<Vec<Text>>,
    /// Stand-in.
    pub tracks_assignment: Option<bool>,
}

impl FetchOptions {
    /// Stand-in.
    pub fn flag_keys<T: Into<Text>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.flag_keys = Some(keys.into_iter().map(Into::into).collect());
        self
    }
}

pub(crate) struct Fetched {
    pub(crate) variants: Variants,
}

#[derive(Debug)]
pub(crate) struct RemoteClient {
    pub(crate) exchange: Exchange,
    pub(crate) endpoints: Endpoints,
    pub(crate) key: Secret,
    pub(crate) limits: Limits,
}

impl RemoteClient {
    pub(crate) async fn fetch(&self, user: &User, options: FetchOptions) -> Result<Fetched, Error> {
        if user.user_id().is_none() && user.device_id().is_none() {
            return Err(Error::MissingId);
        }
        let json = serde_json::to_vec(user).unwrap_or_default();
        let mut request = http::Request::builder()
            .method(Method::GET)
            .uri(self.endpoints.evaluation().join(paths::VARDATA)?)
            .header(AUTHORIZATION, format!("Api-Key {}", self.key.expose()))
            .header("X-Amp-Exp-User", URL_SAFE_NO_PAD.encode(json));
        if let Some(keys) = &options.flag_keys {
            let json = serde_json::to_vec(keys).unwrap_or_default();
            request = request.header("X-Amp-Exp-Flag-Keys", URL_SAFE_NO_PAD.encode(json));
        }
        if let Some(track) = options.tracks_assignment {
            request = request.header("X-Amp-Exp-Track", if track { "track" } else { "no-track" });
        }
        let request = request
            .body(bytes::Bytes::new())
            .map_err(|_| Error::Config {
                field: "deployment_key",
                reason: "cannot stand in a header",
            })?;
        let reply = self
            .exchange
            .call(request, self.limits)
            .await
            .map_err(|failure| failure.into_error("variants", 1))?;
        if reply.status != 200 {
            return Err(Error::Status {
                status: reply.status.as_u16(),
                retry_after: retry_after(&reply.headers),
                attempts: 1,
            });
        }
        let variants = serde_json::from_slice(&reply.body).map_err(|_| Error::Malformed {
            what: "variants",
            reason: "not variants".to_owned(),
            attempts: 1,
        })?;
        Ok(Fetched { variants })
    }
}
