//! The model's own JSON values as contexts and nodes.

use experiment_model::{Object, Text, Value};

use super::{Context, Elements, Fields, Node, Path};

impl<'a> From<&'a Value> for Node<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Text(text) => Node::Text(text),
            other => Self::from_other(other),
        }
    }
}

impl<'a> Node<'a> {
    /// A node of a value that is not text, which most values are.
    fn from_other(value: &'a Value) -> Self {
        match value {
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(*value),
            Value::I64(value) => Node::I64(*value),
            Value::F64(value) => Node::F64(*value),
            Value::Text(text) => Node::Text(text),
            Value::List(values) => Node::List(&**values),
            Value::Object(object) => Node::Object(object),
        }
    }
}

impl<'a> From<Option<&'a Value>> for Node<'a> {
    #[inline]
    fn from(value: Option<&'a Value>) -> Self {
        value.map_or(Node::Null, Node::from)
    }
}

impl<'a> From<Option<&'a Text>> for Node<'a> {
    fn from(text: Option<&'a Text>) -> Self {
        text.map_or(Node::Null, |text| Node::Text(text))
    }
}

impl Fields for Object {
    fn get(&self, key: &str) -> Node<'_> {
        Node::from(Object::get(self, key))
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        for (key, value) in self {
            each(key, Node::from(value));
        }
    }
}

impl Elements for alloc::vec::Vec<Value> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn get(&self, index: usize) -> Node<'_> {
        Node::from(self.as_slice().get(index))
    }
}

/// What stands at the end of `keys` in an object.
fn select<'a>(object: &'a Object, keys: &[Text]) -> Node<'a> {
    let Some((last, way)) = keys.split_last() else {
        return Node::Null;
    };
    let mut object = object;
    for key in way {
        match object.get(key) {
            Some(Value::Object(inner)) => object = inner,
            _ => return Node::Null,
        }
    }
    Node::from(object.get(last))
}

impl Context for Object {
    fn get(&self, key: &str) -> Node<'_> {
        Fields::get(self, key)
    }

    fn select(&self, path: &Path) -> Node<'_> {
        select(self, path.keys())
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        Fields::for_each(self, each);
    }
}

/// Any JSON value; one that is not an object has nothing in it.
impl Context for Value {
    fn get(&self, key: &str) -> Node<'_> {
        Node::from(Value::get(self, key))
    }

    fn select(&self, path: &Path) -> Node<'_> {
        match self {
            Value::Object(object) => select(object, path.keys()),
            _ => Node::Null,
        }
    }

    fn for_each(&self, each: &mut dyn FnMut(&str, Node<'_>)) {
        if let Value::Object(object) = self {
            Fields::for_each(object, each);
        }
    }
}
