//! Derived reading without its readiness to take a list of the fields' values for an object.

/// Implements serde's traits for types that derive them with `#[serde(remote = "Self")]`: written as
/// derived, read from objects only. Derived reading also accepts `["key", {}, []]` for a flag, which
/// no official engine does.
macro_rules! objects_only {
    ($($name:ident: $what:literal),* $(,)?) => {
        $(
            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    // The derived function, which is inherent and stands over this one.
                    $name::serialize(self, serializer)
                }
            }

            impl<'de> serde::Deserialize<'de> for $name {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct ObjectVisitor;

                    impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                        type Value = $name;

                        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                            f.write_str($what)
                        }

                        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                            $name::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                        }
                    }

                    deserializer.deserialize_map(ObjectVisitor)
                }
            }
        )*
    };
}

pub(crate) use objects_only;
