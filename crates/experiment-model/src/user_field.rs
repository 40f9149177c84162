//! [`UserField`]: the fields that every SDK's user has.

/// Declares the fields once: variant, wire name, documentation.
macro_rules! user_fields {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// A field of a [`User`](crate::User) that holds a single value, named as on the wire.
        ///
        /// ```
        /// use experiment_model::UserField;
        ///
        /// assert_eq!(UserField::from_name("device_id"), Some(UserField::DeviceId));
        /// assert_eq!(UserField::DeviceId.name(), "device_id");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum UserField {
            $($(#[$doc])* $name,)*
        }

        impl UserField {
            /// All fields, in the order in which they are written.
            pub const ALL: [UserField; [$($wire),*].len()] = [$(UserField::$name),*];

            /// The wire name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)*
                }
            }

            /// The field with this wire name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($wire => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

user_fields! {
    /// The primary identifier, usually of a user who is logged in.
    UserId = "user_id",
    /// The secondary identifier, usually random and kept on the device or in a cookie.
    DeviceId = "device_id",
    /// Country, for example `United States`.
    Country = "country",
    /// Region within the country.
    Region = "region",
    /// Designated market area.
    Dma = "dma",
    /// City.
    City = "city",
    /// Language.
    Language = "language",
    /// Platform, for example `iOS`, `Android`, `Web`.
    Platform = "platform",
    /// Version of the application.
    Version = "version",
    /// Operating system.
    Os = "os",
    /// Who made the device.
    DeviceManufacturer = "device_manufacturer",
    /// Brand of the device.
    DeviceBrand = "device_brand",
    /// Model of the device.
    DeviceModel = "device_model",
    /// Mobile carrier.
    Carrier = "carrier",
    /// The SDK that sends the user, for example `experiment-rust-server/0.1.0`.
    Library = "library",
    /// Address from which services derive a location.
    IpAddress = "ip_address",
}
