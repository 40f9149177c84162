//! The JSON forms are those of the schema files beside the conformance cases.

use std::{collections::BTreeSet, fs, path::Path};

use experiment_conformance::Subject;
use experiment_evaluation::{Code, Diagnostic, Options, Plan, lint};
use experiment_model::{Object, Value, read_flags};
use serde::Serialize;

const DIAGNOSTIC: &str = include_str!("../../../experiment-conformance/diagnostic.schema.json");
const EXPLANATION: &str = include_str!("../../../experiment-conformance/explanation.schema.json");
const CASES: &str = include_str!("../../../experiment-conformance/case.schema.json");

/// What of JSON Schema 2020-12 the schema files use; any other keyword is a mistake.
struct Schema(Value);

impl Schema {
    fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("a schema is JSON"))
    }

    /// # Panics
    ///
    /// If `value` is not as the schema says.
    fn assert_valid(&self, value: &Value) {
        if let Err(problem) = self.check(&self.0, value) {
            panic!("{problem} in {value}");
        }
    }

    fn check(&self, schema: &Value, value: &Value) -> Result<(), String> {
        for (keyword, argument) in schema.as_object().expect("a schema is an object") {
            self.keyword(schema, keyword, argument, value)?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        schema: &Value,
        keyword: &str,
        argument: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let fail = |what: &str| Err(format!("{keyword} {argument}: {what} {value}"));
        let number = |value: &Value| value.as_i64().expect("an integer");
        match keyword {
            "$ref" => {
                let name = argument
                    .as_str()
                    .and_then(|path| path.strip_prefix("#/$defs/"));
                let schema = name.and_then(|name| self.0.get("$defs")?.get(name));
                self.check(schema.expect("a definition"), value)?;
            }
            "type" => {
                let types = argument
                    .as_list()
                    .unwrap_or(core::slice::from_ref(argument));
                if !types
                    .iter()
                    .any(|name| name.as_str() == Some(type_of(value)))
                {
                    return fail("not of the type");
                }
            }
            "enum" => {
                if !argument.as_list().expect("a list").contains(value) {
                    return fail("none of the values");
                }
            }
            "anyOf" => {
                let mut schemas = argument.as_list().expect("a list").iter();
                if !schemas.any(|schema| self.check(schema, value).is_ok()) {
                    return fail("as no alternative");
                }
            }
            "minimum" if number(value) < number(argument) => return fail("too small"),
            "maximum" if number(value) > number(argument) => return fail("too large"),
            "minItems" | "maxItems" => {
                let (items, bound) = (value.as_list().expect("a list").len(), number(argument));
                let items = i64::try_from(items).expect("a length");
                if (keyword == "minItems" && items < bound)
                    || (keyword == "maxItems" && items > bound)
                {
                    return fail("wrong length of");
                }
            }
            "$schema" | "$defs" | "title" | "description" | "minimum" | "maximum" => {}
            "items" => {
                for item in value.as_list().unwrap_or_default() {
                    self.check(argument, item)?;
                }
            }
            "required" => {
                for name in argument.as_list().expect("a list") {
                    if value.get(name.as_str().expect("a name")).is_none() {
                        return fail(&format!("no {name} in"));
                    }
                }
            }
            "dependentRequired" => {
                for (name, others) in argument.as_object().expect("an object") {
                    if value.get(name).is_some() {
                        self.keyword(schema, "required", others, value)?;
                    }
                }
            }
            "properties" => {
                for (name, schema) in argument.as_object().expect("an object") {
                    if let Some(value) = value.get(name) {
                        self.check(schema, value)?;
                    }
                }
            }
            "propertyNames" => {
                for name in entries(value).keys() {
                    self.check(argument, &Value::from(name.clone()))?;
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                for (name, value) in &entries(value) {
                    if known.and_then(|known| known.get(name)).is_some() {
                        continue;
                    }
                    if argument.as_bool() == Some(false) {
                        return fail(&format!("{name} in"));
                    }
                    self.check(argument, value)?;
                }
            }
            _ => panic!("keyword {keyword} is not checked"),
        }
        Ok(())
    }
}

fn entries(value: &Value) -> Object {
    value.as_object().cloned().unwrap_or_default()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::I64(_) => "integer",
        Value::F64(_) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Object(_) => "object",
    }
}

fn json(value: &impl Serialize) -> Value {
    let json = serde_json::to_string(value).expect("it can be written");
    serde_json::from_str(&json).expect("it can be read")
}

#[test]
fn findings_are_written_as_the_schema_says() {
    let schema = Schema::read(DIAGNOSTIC);
    let mut written = 0;
    for subject in Subject::built_in()
        .iter()
        .filter(|subject| subject.name != "regex_dialect")
    {
        for case in &subject.cases {
            let Ok(flags) = read_flags(case.flags.to_string().as_bytes()) else {
                continue;
            };
            for finding in lint(&flags, &Options::default()) {
                schema.assert_valid(&json(&finding));
                written += 1;
            }
        }
    }
    assert!(written > 500, "{written}");
}

#[test]
fn the_schema_knows_every_code() {
    let schema: Value = serde_json::from_str(DIAGNOSTIC).unwrap();
    let codes = schema
        .get("properties")
        .and_then(|it| it.get("code")?.get("enum"));
    let codes: BTreeSet<&str> = codes
        .and_then(Value::as_list)
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(codes, Code::ALL.iter().map(|code| code.as_str()).collect());
}

#[test]
fn a_finding_is_written_with_its_severity() {
    let flags =
        read_flags(br#"[{"key": "f", "variants": {}, "segments": [{"variant": "on"}]}, 7]"#)
            .unwrap();
    let findings: Vec<Diagnostic> = lint(&flags, &Options::default());
    let written: Vec<String> = findings
        .iter()
        .map(|finding| json(finding).to_string())
        .collect();
    assert_eq!(
        written[0],
        r#"{"code":"unknown-variant","severity":"warning","flag":"f","path":"segments[0].variant","message":"the flag has no variant `on`"}"#
    );
    let nameless: Value = serde_json::from_str(&written[1]).unwrap();
    assert_eq!(nameless.get("flag"), None);
}

#[test]
fn explanations_are_written_as_the_schema_says() {
    let schema = Schema::read(EXPLANATION);
    let mut written = 0;
    for subject in Subject::built_in()
        .iter()
        .filter(|subject| subject.name != "regex_dialect")
    {
        for case in &subject.cases {
            let Ok(flags) = read_flags(case.flags.to_string().as_bytes()) else {
                continue;
            };
            let plan = Plan::compile(&flags, &Options::default());
            for flag in plan.flags() {
                schema.assert_valid(&json(&flag.explain(&case.context)));
                written += 1;
            }
        }
    }
    assert!(written > 1_500, "{written}");
}

#[test]
fn case_files_are_as_the_schema_says() {
    let schema = Schema::read(CASES);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiment-conformance/cases");
    let mut files = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        schema.assert_valid(&serde_json::from_str(&text).unwrap());
        files += 1;
    }
    assert!(files >= 28, "{files}");
    // What is written is what is read.
    let subjects = Subject::built_in();
    let first: Vec<_> = subjects
        .iter()
        .filter_map(|subject| subject.cases.first())
        .collect();
    schema.assert_valid(&json(&first));
}

#[test]
#[should_panic(expected = "required")]
fn a_case_without_a_context_is_none() {
    Schema::read(CASES).assert_valid(
        &serde_json::from_str(r#"[{"name": "n", "flags": [], "expected": {}}]"#).unwrap(),
    );
}
