//! The upload request.

use std::io::Write;

use bytes::Bytes;
use experiment_model::Timestamp;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderValue, Method, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{event::Entry, options::DeliveryOptions};
use crate::transport::Request;

/// What a body has around its events besides the key, at most: the names, the options, the time.
const AROUND_EVENTS: usize = 160;

/// How much of a body is not events, at most.
pub(super) fn envelope(options: &DeliveryOptions) -> usize {
    // Every byte of the key may have to be written as an escape of six.
    AROUND_EVENTS.saturating_add(options.api_key.expose().len().saturating_mul(6))
}

/// The upload of these events.
pub(super) fn upload(options: &DeliveryOptions, target: &Uri, events: &[Entry]) -> Request {
    let body = body(options, events, options.clock.now());
    let (body, encoding) = match options.gzip.then(|| pack(&body)).flatten() {
        Some(packed) => (packed, Some(HeaderValue::from_static("gzip"))),
        None => (body, None),
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, encoding);
    }
    request
}

fn body(options: &DeliveryOptions, events: &[Entry], now: Timestamp) -> Vec<u8> {
    let size = events.iter().fold(envelope(options), |size, event| {
        size.saturating_add(event.json.len()).saturating_add(1)
    });
    let mut body = Vec::with_capacity(size);
    // Writing to memory does not fail.
    body.extend_from_slice(b"{\"api_key\":");
    let _ = serde_json::to_writer(&mut body, options.api_key.expose());
    body.extend_from_slice(b",\"events\":[");
    for (number, event) in events.iter().enumerate() {
        if number > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.json);
    }
    body.push(b']');
    if let Some(characters) = options.min_id_length {
        let _ = write!(body, ",\"options\":{{\"min_id_length\":{characters}}}");
    }
    let _ = write!(body, ",\"client_upload_time\":\"{}\"}}", Iso8601(now));
    body
}

fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// A time such as `2026-11-21T19:34:06.922Z`.
struct Iso8601(Timestamp);

impl std::fmt::Display for Iso8601 {
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "no number here is larger than the milliseconds of the years 0 to 9999"
    )]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MILLIS_PER_DAY: i64 = 86_400_000;
        const LAST: i64 = 253_402_300_799_999;
        let millis = self.0.unix_millis().clamp(0, LAST);
        let (days, millis) = (millis / MILLIS_PER_DAY, millis % MILLIS_PER_DAY);
        // Days to a date of the Gregorian calendar, in years that begin in March: the day that
        // leap years have more is then the last one of the year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let (seconds, millis) = (millis / 1000, millis % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_service_reads_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
        ] {
            let time = Timestamp::from_unix_millis(millis);
            assert_eq!(Iso8601(time).to_string(), text);
        }
    }
}
