//! For whom flags are evaluated, from the arguments.

use experiment_evaluation::Context;
use experiment_model::User;

use crate::{
    arguments::SubjectArguments,
    failure::Failure,
    input::Input,
    json::{read_context, read_user},
};

impl SubjectArguments {
    /// What is to be read, if anything.
    pub(crate) fn input(&self) -> Option<&Input> {
        let Self {
            user,
            user_file,
            context,
        } = self;
        user.as_ref().or(user_file.as_ref()).or(context.as_ref())
    }

    /// The user or the context; somebody unknown if neither is given.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the input cannot be read, or is no such thing.
    pub(crate) fn read(&self) -> Result<Box<dyn Context>, Failure> {
        if let Some(input) = &self.context {
            let context = read_context(&input.read()?).map_err(|error| error.of(input))?;
            return Ok(Box::new(context));
        }
        match self.input() {
            Some(input) => Ok(Box::new(user(input)?)),
            None => Ok(Box::new(User::new())),
        }
    }
}

/// Reads a user.
///
/// # Errors
///
/// [`Failure`] if the input cannot be read, or is no user.
pub(crate) fn user(input: &Input) -> Result<User, Failure> {
    read_user(&input.read()?).map_err(|error| error.of(input))
}
