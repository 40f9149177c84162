//! [`Operator`]: how a condition compares.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Text;

/// Declares the operators once: variant, wire text, documentation.
macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// How a [`Condition`](crate::Condition) compares a property with its values
        /// (model 2.1.1, "Operators").
        ///
        /// A text that is no known operator is kept as [`Unknown`](Operator::Unknown); a condition
        /// with it never matches.
        ///
        /// ```
        /// use experiment_model::Operator;
        ///
        /// assert_eq!(Operator::from("set contains any"), Operator::SetContainsAny);
        /// assert_eq!(Operator::SetContainsAny.as_str(), "set contains any");
        /// assert!(matches!(Operator::from("glob match"), Operator::Unknown(_)));
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operator {
            $($(#[$doc])* $name,)*
            /// Any other text.
            Unknown(Text),
        }

        impl Operator {
            /// The 20 known operators.
            pub const KNOWN: [Operator; 20] = [$(Operator::$name),*];

            /// The wire text.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $wire,)*
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for Operator {
            fn from(text: &str) -> Self {
                match text {
                    $($wire => Self::$name,)*
                    _ => Self::Unknown(Text::new(text)),
                }
            }
        }
    };
}

operators! {
    /// `is`: the property equals one of the values.
    Is = "is",
    /// `is not`: it equals none of them.
    IsNot = "is not",
    /// `contains`: it contains one of the values, letter case aside.
    Contains = "contains",
    /// `does not contain`: it contains none of them.
    DoesNotContain = "does not contain",
    /// `less`: it is a number below one of the values.
    Less = "less",
    /// `less or equal`.
    LessOrEqual = "less or equal",
    /// `greater`.
    Greater = "greater",
    /// `greater or equal`.
    GreaterOrEqual = "greater or equal",
    /// `version less`: it is a semantic version below one of the values.
    VersionLess = "version less",
    /// `version less or equal`.
    VersionLessOrEqual = "version less or equal",
    /// `version greater`.
    VersionGreater = "version greater",
    /// `version greater or equal`.
    VersionGreaterOrEqual = "version greater or equal",
    /// `set is`: the property is a list of exactly the values.
    SetIs = "set is",
    /// `set is not`: it is not.
    SetIsNot = "set is not",
    /// `set contains`: it is a list that has all the values.
    SetContains = "set contains",
    /// `set does not contain`: it has not all of them.
    SetDoesNotContain = "set does not contain",
    /// `set contains any`: it is a list that has one of the values.
    SetContainsAny = "set contains any",
    /// `set does not contain any`: it has none of them.
    SetDoesNotContainAny = "set does not contain any",
    /// `regex match`: one of the values is a regular expression that matches the property.
    RegexMatch = "regex match",
    /// `regex does not match`: none of them does.
    RegexDoesNotMatch = "regex does not match",
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Operator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Operator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}
