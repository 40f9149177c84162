//! For tests of programs that use this crate, and for its own: fake services, a clock to set.
//! Nothing here needs a network beyond loopback.

mod clock;
mod in_memory;
mod script;
mod scripted_body;
mod service;
mod socket;

pub use self::{
    clock::ManualClock,
    in_memory::InMemoryTransport,
    script::{Answer, Received, Script},
    service::Service,
};
