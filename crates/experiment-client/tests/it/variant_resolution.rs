//! Every combination of what can be known about a flag, as the official JavaScript client answers.

use experiment_client::{AppClient, MemoryStorage, Source, Storage, VariantSource};
use experiment_model::{User, Variant, Variants};
use serde_json::{Value, json};

use crate::app::{Exposures, KEY, no_service};

const MATRIX: &str = include_str!("../golden/variant_resolution_matrix.json");
const VARIANTS: &str = "amp-exp-$default_instance-3cFg7a";
const FLAGS: &str = "amp-exp-$default_instance-3cFg7a-flags";

fn flag(mode: &str, segment_variant: &str) -> Value {
    json!({"f": {
        "key": "f",
        "variants": {
            "ev": {"key": "ev", "value": "ev"},
            "off": {"key": "off", "metadata": {"default": true}},
        },
        "segments": [{"variant": segment_variant, "metadata": {"segmentName": "All Other Users"}}],
        "metadata": {"deployed": true, "evaluationMode": mode, "flagType": "release", "flagVersion": 1},
    }})
}

struct Row<'a>(&'a Value);

impl<'a> Row<'a> {
    fn text(&self, field: &str) -> Option<&'a str> {
        self.0[field].as_str()
    }

    fn storage(&self, stored: &Value) -> MemoryStorage {
        let storage = MemoryStorage::new();
        let stored = &stored[self.text("storage").expect("which stored variant")];
        if !stored.is_null() {
            let json = json!({"f": stored}).to_string();
            storage.set(VARIANTS, json.as_bytes()).expect("in memory");
        }
        let flag = match self.text("flag").expect("which flag") {
            "none" => None,
            "local-variant" => Some(flag("local", "ev")),
            "local-default" => Some(flag("local", "off")),
            "remote-variant" => Some(flag("remote", "ev")),
            other => panic!("unknown flag {other}"),
        };
        if let Some(flag) = flag {
            storage
                .set(FLAGS, flag.to_string().as_bytes())
                .expect("in memory");
        }
        storage
    }
}

#[test]
fn variant_source_and_exposure_are_those_of_the_official_client_for_all_192_combinations() {
    let matrix: Value = serde_json::from_str(MATRIX).expect("the matrix");
    let rows = matrix["cases"].as_array().expect("rows");
    assert_eq!(rows.len(), 192);
    for row in rows {
        let exposures = Exposures::default();
        let case = Row(row);
        let mut builder = AppClient::builder(KEY)
            .transport(no_service())
            .storage(case.storage(&matrix["inputs"]["storage"]))
            .exposure_tracking_provider(exposures.clone());
        if case.text("source") == Some("InitialVariants") {
            builder = builder.source(Source::InitialVariants);
        }
        if let Some(initial) = case.text("initial") {
            builder = builder.initial_variants(Variants::from_iter([("f", Variant::new(initial))]));
        }
        if let Some(fallback) = case.text("config_fallback") {
            builder = builder.fallback_variant(Variant::new(fallback));
        }
        let client = builder.build().expect("a client");
        client.set_user(User::new().with_user_id("user-1"));

        let inline = case.text("inline").map(Variant::new);
        let resolved = client.variant("f", inline.as_ref());

        let variant = serde_json::to_value(&resolved.variant).expect("JSON");
        assert_eq!(variant, row["variant"], "{row}");
        assert_eq!(
            resolved.source.map(VariantSource::name),
            case.text("variant_source"),
            "{row}"
        );
        let expected: Vec<Value> = Some(row["exposure"].clone())
            .into_iter()
            .filter(|exposure| !exposure.is_null())
            .collect();
        assert_eq!(exposures.told(), expected, "{row}");
    }
}
