//! `serde_json` values as contexts and nodes.

use alloc::{string::String, vec::Vec};

use serde_json::{Map, Value};

use super::{Context, Elements, Fields, Node};

impl<'a> From<&'a Value> for Node<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(value), _) => Node::I64(value),
                (None, Some(value)) => Node::F64(value),
                (None, None) => Node::Null,
            },
            Value::String(text) => Node::Text(text),
            Value::Array(values) => Node::List(values),
            Value::Object(map) => Node::Object(map),
        }
    }
}

impl<'a> From<Option<&'a Value>> for Node<'a> {
    fn from(value: Option<&'a Value>) -> Self {
        value.map_or(Node::Null, Node::from)
    }
}

impl Fields for Map<String, Value> {
    fn get(&self, key: &str) -> Node<'_> {
        Node::from(Map::get(self, key))
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for (key, value) in self {
            each(key, Node::from(value));
        }
    }
}

impl Elements for Vec<Value> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn get(&self, index: usize) -> Node<'_> {
        Node::from(self.as_slice().get(index))
    }
}

/// Any JSON value; one that is not an object has nothing in it.
impl Context for Value {
    fn get(&self, key: &str) -> Node<'_> {
        Node::from(Value::get(self, key))
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        if let Value::Object(map) = self {
            Fields::for_each(map, each);
        }
    }
}
