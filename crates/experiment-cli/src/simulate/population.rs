//! Who takes part in a simulation.

use std::io::{BufRead, BufReader};

use experiment_model::{Text, User, Value};

use crate::{
    arguments::{Population, Simulate},
    failure::Failure,
    input::Input,
    json::read_user,
    subject,
};

/// Hands over every user, one at a time.
///
/// # Errors
///
/// [`Failure`] if the users cannot be read, or synthetic users cannot have such ids.
pub(super) fn for_each_user(arguments: &Simulate, each: impl FnMut(&User)) -> Result<(), Failure> {
    match &arguments.users {
        Population::File(input) => of_file(input, each),
        Population::Synthetic(count) => {
            let base = arguments.user.as_ref().map(subject::user).transpose()?;
            synthetic(arguments, *count, &base.unwrap_or_default(), each)
        }
    }
}

fn of_file(input: &Input, mut each: impl FnMut(&User)) -> Result<(), Failure> {
    let mut lines = BufReader::new(input.open()?.reader);
    let mut line = Vec::new();
    let mut number = 0_u64;
    while lines
        .read_until(b'\n', &mut line)
        .map_err(|source| input.unreadable(source))?
        > 0
    {
        number = number.saturating_add(1);
        if !line.trim_ascii().is_empty() {
            let user = read_user(line.trim_ascii_end()).map_err(|malformed| Failure::Subject {
                input: input.clone(),
                line: number,
                column: malformed.column,
                malformed,
            })?;
            each(&user);
        }
        line.clear();
    }
    Ok(())
}

fn synthetic(
    arguments: &Simulate,
    count: u64,
    base: &User,
    mut each: impl FnMut(&User),
) -> Result<(), Failure> {
    if count == 0 {
        return Err(Failure::Usage(
            "--users: at least 1 user is needed".to_owned(),
        ));
    }
    for number in 0..count {
        let mut user = base.clone();
        for (field, salt) in arguments.by.iter().zip(1_u64..) {
            let id = format!("{:016x}", mixed(arguments.seed, salt, number));
            user = with(user, field, id)?;
        }
        each(&user);
    }
    Ok(())
}

/// The user with an id: in a field, a property or a group.
fn with(mut user: User, field: &str, id: String) -> Result<User, Failure> {
    if let Some(name) = field.strip_prefix("user_properties.") {
        return Ok(user.with_user_property(name, id));
    }
    if let Some(group_type) = field.strip_prefix("groups.") {
        return Ok(user.with_group(group_type, id));
    }
    user.set(Text::new(field), Value::from(id))
        .map_err(|error| Failure::Usage(format!("--by: {error}")))?;
    Ok(user)
}

/// A number that looks random and depends on all three (`SplitMix64`).
fn mixed(seed: u64, salt: u64, number: u64) -> u64 {
    /// 2^64 divided by the golden ratio.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    let mut bits = scrambled(seed ^ salt.wrapping_mul(STEP).rotate_left(32));
    bits = bits.wrapping_add(number.wrapping_add(1).wrapping_mul(STEP));
    scrambled(bits)
}

fn scrambled(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
