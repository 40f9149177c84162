//! The recordings of the official SDKs.

use std::path::Path;

use serde_json::Value;

/// A file of `tests/golden/`.
pub(crate) fn golden(name: &str) -> Value {
    read("golden", name)
}

/// A file of `tests/data/`.
pub(crate) fn data(name: &str) -> Value {
    read("data", name)
}

fn read(folder: &str, name: &str) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let json = std::fs::read(tests.join(folder).join(name).with_extension("json"));
    serde_json::from_slice(&json.expect(name)).expect(name)
}

/// The row for this case of this SDK.
pub(crate) fn row<'a>(rows: &'a Value, case: &Value) -> Option<&'a Value> {
    let rows = rows.as_array().expect("rows");
    rows.iter()
        .find(|row| row["sdk"] == case["sdk"] && row["case"] == case["case"])
}
